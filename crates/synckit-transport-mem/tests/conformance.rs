//! The conformance suite of transports, over a network within the process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use synckit_core::EventStore;
use synckit_store_mem::MemStore;
use synckit_testkit::{Fixture, Setup, transport::TransportFixture, transport_conformance};
use synckit_transport_mem::MemNetwork;

async fn connect(store: Arc<dyn EventStore>) -> TransportFixture {
    let network = MemNetwork::new();
    network.expose("hub", store);
    TransportFixture::new(network.connect("hub").unwrap())
}

async fn store(setup: Setup) -> Fixture {
    let store = MemStore::builder()
        .mode(setup.mode)
        .label(setup.label)
        .environment(setup.environment)
        .clock_tolerance(setup.clock_tolerance)
        .max_data_bytes(setup.max_data_bytes)
        .build();
    Fixture::new(store)
}

transport_conformance!(connect = connect, store = store);
