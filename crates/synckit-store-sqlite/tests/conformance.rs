//! The conformance suite of stores, on a file and in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use synckit_store_sqlite::{SqliteConfig, SqliteStore};
use synckit_testkit::{Fixture, Setup};

mod file {
    use super::*;

    async fn fresh(setup: Setup) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let moved = directory.path().join("moved.db");
        let config = SqliteConfig::at(directory.path().join("events.db")).settings(setup.settings());
        let store = SqliteStore::create(config.clone()).await.unwrap();
        let open = move || {
            let config = config.clone();
            async { SqliteStore::open(config).await.unwrap() }
        };
        let receive = move |identity| {
            let config = SqliteConfig::at(&moved).settings(setup.settings());
            async move { SqliteStore::receive(config, &identity).await.unwrap() }
        };
        Fixture::new(store).guard(directory).reopen(open).receive(receive)
    }

    synckit_testkit::event_store_conformance!(fresh);
}

mod memory {
    use super::*;

    async fn fresh(setup: Setup) -> Fixture {
        let config = SqliteConfig::in_memory().settings(setup.settings());
        let receiving = config.clone();
        let receive = move |identity| {
            let config = receiving.clone();
            async move { SqliteStore::receive(config, &identity).await.unwrap() }
        };
        Fixture::new(SqliteStore::create(config).await.unwrap()).receive(receive)
    }

    synckit_testkit::event_store_conformance!(fresh);
}
