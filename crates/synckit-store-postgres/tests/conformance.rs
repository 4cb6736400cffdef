//! The conformance suite of stores. Each store is a tenant of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::Database;
use synckit_store_postgres::PostgresStore;
use synckit_testkit::{Fixture, Setup};

async fn fresh(setup: Setup) -> Fixture {
    let database = Database::shared().await;
    let config = database.config().settings(setup.settings());
    let moved = database.config().settings(setup.settings());
    let store = PostgresStore::create(config.clone()).await.unwrap();
    let open = move || {
        let config = config.clone();
        async { PostgresStore::open(config).await.unwrap() }
    };
    let receive = move |identity| {
        let config = moved.clone();
        async move { PostgresStore::receive(config, &identity).await.unwrap() }
    };
    Fixture::new(store).guard(database).reopen(open).receive(receive)
}

synckit_testkit::event_store_conformance!(fresh);
