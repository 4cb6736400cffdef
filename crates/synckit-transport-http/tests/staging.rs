//! Pushes that the hub reads before they are made.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Server, event};
use synckit_core::{
    EventStore as _, NodeId, Stamp, Timestamp, Transport,
    store::{Offered, Outcome},
    transport::{Greeting, PushRequest},
};
use synckit_transport_http::HttpTransport;
use synckit_wire::{read_staged, write_push, write_staged_push};

fn push(ids: &[&str]) -> PushRequest {
    let entry = |id: &&str| {
        let counter = id.rsplit('-').next().unwrap().parse().unwrap();
        let stamp =
            Stamp::checked(NodeId::from_u128(7), counter, Timestamp::from_micros(counter), Vec::new());
        Offered { stamp: Some(stamp.unwrap()), ..Offered::unstamped(event(id, "1")) }
    };
    let entries = ids.iter().map(entry).collect::<Vec<_>>();
    PushRequest { log: None, node: NodeId::from_u128(7), from: None, entries: entries.into() }
}

async fn ids(server: &Server) -> Vec<String> {
    let page = server.store.read(synckit_core::store::ReadRequest::after(0)).await.unwrap();
    page.entries.iter().map(|e| e.event.id.to_string()).collect()
}

async fn stage(server: &Server, request: &PushRequest) -> String {
    let answer = server.post("/stage", &write_push(request, 0, usize::MAX).unwrap().0).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    read_staged(&answer.body).unwrap()
}

#[tokio::test]
async fn what_is_staged_is_stored_once_it_is_pushed_and_once_only() {
    let server = Server::start().await;
    let request = push(&["e-1", "e-2"]);
    let name = stage(&server, &request).await;
    assert_eq!(ids(&server).await, [""; 0]);

    let answer = server.post("/push", &write_staged_push(&request, &name)).await;
    assert_eq!((answer.status, answer.json()["results"][0]["count"].as_u64()), (200, Some(2)));
    assert_eq!(ids(&server).await, ["e-1", "e-2"]);

    let answer = server.post("/sync/push", &write_staged_push(&request, &name)).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NOT_FOUND"));
    server.stop().await;
}

#[tokio::test]
async fn only_whole_pushes_of_nodes_are_staged() {
    let server = Server::start().await;
    let named = write_staged_push(&push(&["e-1"]), "a");
    for body in ["[]", "{", named.as_str()] {
        let answer = server.post("/stage", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_REQUEST"), "{body}");
    }
    assert_eq!(server.request("GET /stage", &[], b"").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_client_has_its_next_push_staged() {
    let server = Server::start().await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    peer.greet(Greeting::default()).await.unwrap();
    let (expected, other) = (push(&["e-1", "e-2"]), push(&["e-3"]));

    peer.expect_push(expected.clone()).await;
    assert_eq!(ids(&server).await, [""; 0]);
    let reply = peer.push(expected.clone()).await.unwrap();
    assert!(reply.acks.iter().all(|(_, o)| matches!(o, Outcome::Accepted { .. })), "{:?}", reply.acks);
    assert_eq!((reply.acks.len(), reply.head), (2, server.store.head().await.unwrap()));

    // Another push than the expected one is the one that is made.
    peer.expect_push(expected).await;
    let reply = peer.push(other).await.unwrap();
    assert_eq!(reply.acks[0].0.as_str(), "e-3");
    server.stop().await;
}

#[tokio::test]
async fn a_push_that_the_hub_has_forgotten_is_sent_whole() {
    let server = Server::start().await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    peer.greet(Greeting::default()).await.unwrap();
    let (first, second) = (push(&["e-1"]), push(&["e-1", "e-2"]));
    peer.expect_push(first.clone()).await;
    let oldest = stage(&server, &push(&["other-9"])).await;
    for _ in 0..8 {
        stage(&server, &push(&["other-9"])).await;
    }
    assert_eq!(server.post("/push", &write_staged_push(&first, &oldest)).await.status, 404);
    peer.push(first).await.unwrap();
    assert_eq!(ids(&server).await, ["e-1"]);

    peer.expect_push(second.clone()).await;
    let reply = peer.push(second).await.unwrap();
    assert_eq!(reply.acks[0].1, Outcome::Duplicate);
    assert_eq!(ids(&server).await, ["e-1", "e-2"]);
    server.stop().await;
}
