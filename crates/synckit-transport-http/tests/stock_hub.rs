//! The client and an unmodified go-sync-kit hub.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Fake, answer, event};
use synckit_core::{
    AggregateId, ErrorKind, Filter, Hash, LogId, Mark, NodeId, Payload, Transport as _,
    store::{Offered, Outcome, RefusalCode},
    transport::{Greeting, PullRequest, PushRequest},
};
use synckit_transport_http::HttpTransport;

fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

fn mark(position: u64) -> Mark {
    Mark { position, hash: Hash::ZERO }
}

#[tokio::test]
async fn a_stock_hub_is_recognised_and_a_reset_is_noticed() {
    let version = json("\"42\"");
    let fake = Fake::answering(vec![version; 5]).await;
    let peer = HttpTransport::new(&fake.url()).unwrap();
    let state = peer.greet(Greeting::default()).await.unwrap();
    assert!(!state.keeps_stamps && state.verified);
    assert_eq!((state.head, state.node), (mark(42), state.log.into()));
    let with_user = HttpTransport::new(&fake.url().replace("://", "://user:secret@")).unwrap();
    assert_eq!(
        with_user.greet(Greeting::default()).await.unwrap().log,
        state.log,
        "credentials make no other log"
    );

    for (log, marks, verified) in [
        (Some(state.log), vec![mark(0), mark(42)], true),
        (Some(state.log), vec![mark(43)], false),
        (Some(LogId::random()), vec![], false),
    ] {
        let state = peer.greet(Greeting { log, marks, wants_vector: true }).await.unwrap();
        assert_eq!((state.verified, state.vector), (verified, None));
    }
}

#[tokio::test]
async fn pages_follow_versions_and_what_cannot_be_an_event_is_passed_over() {
    let page = r#"{"events":[
        {"event":{"id":"e-1","type":"t","aggregate_id":"a","data":"x","metadata":null},"version":"41"},
        {"event":{"id":"","type":"","aggregate_id":"","data":null,"metadata":null},"version":"42"},
        {"event":{"id":"e-3","type":"t","aggregate_id":"b","data":{},"metadata":{}},"version":"43"}],
        "next":{"kind":"integer","data":43}}"#;
    let fake = Fake::answering(vec![json("\"43\""), json(page), json(r#"{"events":[]}"#), json(page)]).await;
    let peer = HttpTransport::new(&fake.url()).unwrap();
    let filter = Filter::everything().with_aggregate(AggregateId::new("a").unwrap());
    let request = PullRequest { after: mark(40), limit: 5000, filter, ..PullRequest::default() };
    let page = peer.pull(request.clone()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!((page.entries[0].position, &page.entries[0].stamp), (41, &None));
    assert_eq!((page.next, page.head, page.has_more), (mark(43), mark(43), true));
    let body = fake.requests.lock().unwrap()[1].clone();
    assert!(body.starts_with("POST /sync/pull-cursor"), "{body}");
    assert!(
        body.contains(r#""since":{"kind":"integer","data":40"#) && body.contains(r#""limit":1000"#),
        "{body}"
    );

    let rest = peer.pull(PullRequest { after: page.next, ..request.clone() }).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next, rest.has_more), (0, mark(43), false));
    let backwards = peer.pull(PullRequest { after: mark(43), ..request.clone() }).await.unwrap_err();
    assert_eq!(backwards.kind(), ErrorKind::Protocol);
    let other = peer.pull(PullRequest { log: Some(LogId::random()), ..request }).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::LogChanged);
}

#[tokio::test]
async fn pushes_are_bare_arrays_of_what_a_stock_hub_can_keep() {
    let fake = Fake::answering(vec![json("\"0\""), json(r#"{"status":"ok"}"#), json("\"1\"")]).await;
    let peer = HttpTransport::new(&fake.url()).unwrap();
    let mut binary = event("binary", "1");
    binary.data = Payload::encoded("cbor", vec![1]).unwrap();
    let entries = vec![Offered::unstamped(event("e-1", "1")), Offered::unstamped(binary)];
    let request = PushRequest { log: None, node: NodeId::random(), from: None, entries: entries.into() };
    let reply = peer.push(request).await.unwrap();
    assert_eq!(reply.head, mark(1));
    assert_eq!(reply.acks[0].1, Outcome::Accepted { position: 0 });
    assert_eq!(reply.acks[1].1.refusal().unwrap().code, RefusalCode::Other);
    let sent = fake.requests.lock().unwrap()[1].clone();
    assert_eq!(
        sent.split("\r\n\r\n").nth(1).unwrap(),
        r#"[{"event":{"id":"e-1","type":"placed","aggregate_id":"order-1","data":1,"metadata":{}},"version":"1"}]"#
    );
}
