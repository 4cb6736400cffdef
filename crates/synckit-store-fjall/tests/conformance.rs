//! The conformance suite of stores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use synckit_store_fjall::{FjallConfig, FjallStore};
use synckit_testkit::{Fixture, Setup};

async fn fresh(setup: Setup) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let config = FjallConfig::at(directory.path().join("events"))
        .mode(setup.mode)
        .label(setup.label)
        .environment(setup.environment)
        .clock_tolerance(setup.clock_tolerance)
        .max_data_bytes(setup.max_data_bytes);
    let store = FjallStore::create(config.clone()).await.unwrap();
    let open = move || {
        let config = config.clone();
        async { FjallStore::open(config).await.unwrap() }
    };
    Fixture::new(store).guard(directory).reopen(open)
}

synckit_testkit::event_store_conformance!(fresh);
