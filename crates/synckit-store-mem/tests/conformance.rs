//! The conformance suite of stores.

use synckit_store_mem::MemStore;
use synckit_testkit::{Fixture, Setup, event_store_conformance};

async fn fresh(setup: Setup) -> Fixture {
    let store = MemStore::builder()
        .mode(setup.mode)
        .label(setup.label)
        .environment(setup.environment)
        .clock_tolerance(setup.clock_tolerance)
        .max_data_bytes(setup.max_data_bytes)
        .build();
    Fixture::new(store)
}

event_store_conformance!(fresh);
