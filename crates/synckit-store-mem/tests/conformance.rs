//! The conformance suite of stores.

use synckit_store_mem::MemStore;
use synckit_testkit::{Fixture, Setup, event_store_conformance};

async fn fresh(setup: Setup) -> Fixture {
    let settings = setup.settings();
    let store = MemStore::builder().settings(settings.clone()).build();
    let receive = move |identity| {
        let settings = settings.clone();
        async move { MemStore::builder().settings(settings).receive(&identity) }
    };
    Fixture::new(store).receive(receive)
}

event_store_conformance!(fresh);
