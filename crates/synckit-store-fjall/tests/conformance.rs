//! The conformance suite of stores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use synckit_store_fjall::{FjallConfig, FjallStore};
use synckit_testkit::{Fixture, Setup};

async fn fresh(setup: Setup) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let moved = directory.path().join("moved");
    let config = FjallConfig::at(directory.path().join("events")).settings(setup.settings());
    let store = FjallStore::create(config.clone()).await.unwrap();
    let open = move || {
        let config = config.clone();
        async { FjallStore::open(config).await.unwrap() }
    };
    let receive = move |identity| {
        let config = FjallConfig::at(&moved).settings(setup.settings());
        async move { FjallStore::receive(config, &identity).await.unwrap() }
    };
    Fixture::new(store).guard(directory).reopen(open).receive(receive)
}

synckit_testkit::event_store_conformance!(fresh);
