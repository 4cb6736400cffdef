//! The conformance suite of transports, over HTTP on a loopback port.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{sync::Arc, time::Duration};

use synckit_core::{EventStore, Hub};
use synckit_store_mem::MemStore;
use synckit_testkit::{Fixture, Setup, transport::TransportFixture, transport_conformance};
use synckit_transport_http::{HttpTransport, ServerOptions, router, serve};
use tokio::{net::TcpListener, task::JoinHandle};

/// A server that ends when it is dropped.
struct Server(JoinHandle<synckit_core::Result<()>>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(store: Arc<dyn EventStore>) -> TransportFixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sync", listener.local_addr().unwrap());
    let app = router(Hub::new(store), ServerOptions::default());
    let server = tokio::spawn(serve(listener, app, std::future::pending(), Duration::ZERO));
    TransportFixture::new(HttpTransport::builder(&url).build().unwrap()).guard(Server(server))
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
