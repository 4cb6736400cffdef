//! A client of this kit and a hub of this kit.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use support::{Server, event};
use synckit_core::{
    ErrorKind, EventStore as _, EventType, Filter, Hash, Hub, LogId, Mark, Metadata, NodeId, Payload, Stamp,
    Timestamp, Transport, VertexId, content_hash,
    store::{Offered, Outcome, RefusalCode, Write},
    transport::{Greeting, PullRequest, PushRequest},
};
use synckit_store_mem::MemStore;
use synckit_transport_http::HttpTransport;

#[tokio::test]
async fn greet_pull_and_push() {
    let server = Server::start().await;
    server.append(vec![event("e-1", "1"), event("e-2", "2"), event("e-3", "3")]).await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    assert_eq!(peer.address(), server.url());

    let identity = server.store.identity();
    let state = peer.greet(Greeting { wants_vector: true, ..Greeting::default() }).await.unwrap();
    assert_eq!((state.log, state.node, state.mode), (identity.log, identity.node, identity.mode));
    assert_eq!(state.head, server.store.head().await.unwrap());
    assert_eq!(state.vector.unwrap(), server.store.vector().await.unwrap());
    assert!(state.verified && state.keeps_stamps);

    let first = PullRequest { log: Some(state.log), limit: 2, ..PullRequest::default() };
    let page = peer.pull(first.clone()).await.unwrap();
    let direct = Hub::new(server.store.clone()).pull(first.clone()).await.unwrap();
    assert_eq!(page.entries, direct.entries);
    assert_eq!((page.next, page.head, page.has_more), (direct.next, direct.head, true));
    let rest = peer.pull(PullRequest { after: page.next, ..first }).await.unwrap();
    assert_eq!((rest.entries.len(), rest.has_more, rest.next), (1, false, rest.head));

    let other = MemStore::new();
    other.write(Write::Append(vec![event("e-4", "4"), event("e-2", "2"), event("e-3", "33")])).await.unwrap();
    let request = PushRequest {
        log: Some(state.log),
        node: other.identity().node,
        from: Some(other.identity().log),
        entries: Hub::new(Arc::new(other)).pull(PullRequest::default()).await.unwrap().entries.into(),
    };
    let reply = peer.push(request.clone()).await.unwrap();
    assert_eq!(reply.head, server.store.head().await.unwrap());
    let again = peer.push(request).await.unwrap();
    assert_eq!(again.acks.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["e-4", "e-2", "e-3"]);
    assert_eq!(again.acks[0].1, Outcome::Duplicate);
    peer.close().await.unwrap();
    peer.close().await.unwrap();
    assert_eq!(peer.greet(Greeting::default()).await.unwrap_err().kind(), ErrorKind::Closed);
    server.stop().await;
}

fn stamped(id: &str, counter: u64, parents: &[&str]) -> Offered {
    let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
    let stamp =
        Stamp::checked(NodeId::from_u128(7), counter, Timestamp::from_micros(counter), parents).unwrap();
    Offered { stamp: Some(stamp), ..Offered::unstamped(event(id, "1")) }
}

fn push(entries: Vec<Offered>) -> PushRequest {
    PushRequest { log: None, node: NodeId::from_u128(7), from: None, entries: entries.into() }
}

#[tokio::test]
async fn bytes_come_out_as_they_went_in() {
    let server = Server::start().await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    let texts = [
        "9007199254740993",
        "1e400",
        r#""\u0000 \ud800 \/ <&> \u003c""#,
        r#"{ "z" : [ 1.0 , -0 ] ,"a":"grüße 😀" , "a" : null}"#,
        "\" \u{2028} \u{7f}\"",
    ];
    let mut events: Vec<_> =
        texts.iter().enumerate().map(|(i, text)| event(&format!("e-{i}"), text)).collect();
    events[0].metadata = Metadata::from_json(r#"{"b": 1e400 ,"a":"\u0041","":[1 , 2]}"#).unwrap();
    events[1].id = synckit_core::EventId::new("\"id\" \\ é 😀").unwrap();
    let mut binary = event("binary", "1");
    binary.data = Payload::encoded("application/cbor", (0..=255).collect::<Vec<u8>>()).unwrap();
    events.push(binary);

    let entries = events.iter().cloned().map(Offered::unstamped).collect();
    let reply = peer.push(push(entries)).await.unwrap();
    assert!(
        reply.acks.iter().all(|(_, outcome)| matches!(outcome, Outcome::Accepted { .. })),
        "{:?}",
        reply.acks
    );
    let page = peer.pull(PullRequest::default()).await.unwrap();
    let pulled: Vec<_> = page.entries.into_iter().map(|offered| offered.event).collect();
    assert_eq!(pulled, events);
    for (event, text) in pulled.iter().zip(texts) {
        assert_eq!(event.data.as_json(), Some(text));
    }
    server.stop().await;
}

#[tokio::test]
async fn stamps_stubs_and_refusals_survive() {
    let server = Server::start().await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    let mut stub = stamped("s-1", 1, &[]);
    stub.stub = Some(content_hash(&stub.event));
    stub.event.data = Payload::stored(None, Vec::new());
    let mut foreign = stamped("s-4", 4, &[]);
    foreign.event.event_type = EventType::new("synckit.unheard-of").unwrap();
    let entries = vec![stub.clone(), stamped("s-2", 2, &["s-1"]), stamped("s-3", 3, &["nowhere"]), foreign];
    let direct = Hub::new(Arc::new(MemStore::new())).push(push(entries.clone())).await.unwrap();
    let reply = peer.push(push(entries)).await.unwrap();
    assert_eq!(reply.acks, direct.acks);
    assert_eq!(reply.acks[2].1.refusal().unwrap().code, RefusalCode::WaitingForParent);

    let page = peer.pull(PullRequest::default()).await.unwrap();
    assert_eq!(page.entries[0], Offered { position: 1, ..stub });
    assert_eq!(page.entries[1], Offered { position: 2, ..stamped("s-2", 2, &["s-1"]) });
    server.stop().await;
}

#[tokio::test]
async fn another_log_is_recognised() {
    let server = Server::start().await;
    server.append(vec![event("e-1", "1")]).await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    let head = server.store.head().await.unwrap();
    let lost = Mark { position: 9, hash: Hash::of(b"lost") };
    let other = LogId::random();

    for (log, marks, verified) in [
        (None, vec![], true),
        (Some(server.store.identity().log), vec![Mark::START, head], true),
        (Some(other), vec![], false),
        (None, vec![head, lost], false),
    ] {
        let state = peer.greet(Greeting { log, marks: marks.clone(), wants_vector: false }).await.unwrap();
        assert_eq!((state.verified, state.vector), (verified, None), "{log:?} {marks:?}");
    }
    let changed = [
        peer.pull(PullRequest { log: Some(other), ..PullRequest::default() }).await.unwrap_err(),
        peer.pull(PullRequest { after: lost, ..PullRequest::default() }).await.unwrap_err(),
        peer.push(PushRequest { log: Some(other), ..push(vec![stamped("x", 1, &[])]) }).await.unwrap_err(),
    ];
    assert!(changed.iter().all(|e| e.kind() == ErrorKind::LogChanged), "{changed:?}");
    assert_eq!(server.store.head().await.unwrap(), head);
    server.stop().await;
}

#[tokio::test]
async fn filters_and_vectors_are_heeded() {
    let server = Server::start().await;
    server.append((0..10).map(|i| event(&format!("e-{i}"), "1")).collect()).await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    let hub = Hub::new(server.store.clone());
    let covered = server.store.vector().await.unwrap();
    server.append((10..20).map(|i| event(&format!("e-{i}"), "1")).collect()).await;

    let missing = PullRequest { missing_from: Some(covered), limit: 4, ..PullRequest::default() };
    let filter = Filter::everything().with_type(EventType::new("other").unwrap());
    let stubs = PullRequest { filter, ..PullRequest::default() };
    for request in [missing, stubs] {
        let mut request = request;
        loop {
            let page = peer.pull(request.clone()).await.unwrap();
            let direct = hub.pull(request.clone()).await.unwrap();
            assert_eq!(page.entries, direct.entries);
            assert_eq!((page.next, page.head, page.has_more), (direct.next, direct.head, direct.has_more));
            if !page.has_more {
                break;
            }
            request.after = page.next;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn large_pages_and_pushes_are_cut_between_events() {
    let server = Server::start().await;
    let peer = HttpTransport::builder(&server.url()).max_request_bytes(300_000).build().unwrap();
    let parents: Vec<String> = (0..40).map(|i| format!("{i}{}", "p".repeat(250))).collect();
    let mut entries: Vec<_> =
        parents.iter().enumerate().map(|(i, id)| stamped(id, i as u64 + 1, &[])).collect();
    let names: Vec<&str> = parents.iter().map(String::as_str).collect();
    entries.extend((0..1000).map(|i| stamped(&format!("e-{i}"), i + 100, &names)));
    let reply = peer.push(push(entries.clone())).await.unwrap();
    assert_eq!(reply.acks.len(), entries.len());
    assert!(reply.acks.iter().all(|(_, outcome)| matches!(outcome, Outcome::Accepted { .. })));

    let mut request = PullRequest { limit: 10_000, ..PullRequest::default() };
    let mut pages = 0;
    let mut pulled = Vec::new();
    loop {
        let page = peer.pull(request.clone()).await.unwrap();
        pages += 1;
        pulled.extend(page.entries);
        if !page.has_more {
            assert_eq!(page.next, page.head);
            break;
        }
        request.after = page.next;
    }
    assert!(pages > 1, "the parents alone are 10 MB");
    assert_eq!(pulled.len(), entries.len());
    assert!(pulled.iter().zip(&entries).all(|(a, b)| a.event == b.event && a.stamp == b.stamp));
    server.stop().await;
}
