//! What the server refuses, and how it says so.
#![allow(clippy::unwrap_used)]

mod support;

use std::{future::pending, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use support::{Server, event};
use synckit_core::{ErrorKind, EventStore, Hub, Transport as _, transport::Greeting};
use synckit_store_mem::MemStore;
use synckit_transport_http::{HttpTransport, ServerOptions, ServerOptionsBuilder, router};
use synckit_wire::gzip;
use tokio::sync::{Notify, oneshot};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

async fn server(change: impl FnOnce(ServerOptionsBuilder) -> ServerOptionsBuilder) -> Server {
    Server::with(change(ServerOptions::builder()).build().unwrap()).await
}

#[tokio::test]
async fn other_paths_methods_and_media_are_refused() {
    let server = Server::start().await;
    for path in ["/", "/sync", "/syncfoo", "/sync/other", "/sync/sync/pull", "/push/x"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (404, r#"{"error":"not found"}"#), "{path}");
    }
    for line in
        ["GET /push", "POST /pull", "PUT /sync/pull", "DELETE /latest-version", "GET /sync/pull-cursor"]
    {
        let answer = server.request(line, &[], b"").await;
        assert_eq!((answer.status, answer.text()), (405, r#"{"error":"method not allowed"}"#), "{line}");
        assert!(answer.header("allow").is_some());
    }
    for (headers, status) in [
        (&[("Content-Type", "text/plain")][..], 415),
        (&[("Content-Type", "Application/JSON; charset=utf-8")], 200),
        (&[JSON, ("Content-Encoding", "br")], 415),
        (&[JSON, GZIP, GZIP], 415),
        (&[JSON, ("Content-Encoding", "gzip, gzip")], 415),
        (&[JSON, ("Content-Encoding", " Identity ")], 200),
    ] {
        let answer = server.request("POST /push", headers, b"[]").await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
    }
    for path in ["/push", "/pull-cursor"] {
        let answer = server.request(&format!("POST {path}"), &[JSON, ("Content-Length", "0")], b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_REQUEST"));
        assert_eq!(answer.json()["error"]["message"], "empty request body");
        let answer = server.post(path, "[{\"event\":").await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("line 1 column"), "{}", answer.text());
    }
    server.stop().await;
}

#[tokio::test]
async fn the_routes_can_be_mounted_anywhere() {
    let store = Arc::new(MemStore::new());
    let hub = router(Hub::new(Arc::clone(&store) as Arc<dyn EventStore>), ServerOptions::default());
    let app = Router::new().nest("/api/v1", hub).route("/health", get(|| async { "fine" }));
    let server = Server::serving(store, app, Duration::from_secs(10)).await;
    for prefix in ["/api/v1", "/api/v1/sync"] {
        assert_eq!(server.get(&format!("{prefix}/latest-version")).await.text(), "\"0\"");
        let peer = HttpTransport::new(&format!("http://{}{prefix}", server.address)).unwrap();
        assert!(peer.greet(Greeting::default()).await.unwrap().keeps_stamps);
    }
    assert_eq!(server.get("/health").await.text(), "fine");
    assert_eq!(server.get("/latest-version").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn bodies_are_limited_before_and_after_decompression() {
    let server = server(|o| o.max_request_bytes(1000).max_decompressed_bytes(100_000)).await;
    let fits = format!("[{}]", " ".repeat(998));
    assert_eq!(server.post("/push", &fits).await.status, 200, "exactly the limit");
    let answer = server.post("/push", &format!("{fits} ")).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "REQUEST_TOO_LARGE"));
    assert_eq!(answer.json()["error"]["message"], "request body too large: maximum size is 1000 bytes");

    let mut raw = server.connect().await;
    let mut chunked = b"POST /push HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        chunked.extend_from_slice(format!("200\r\n{}\r\n", " ".repeat(512)).as_bytes());
    }
    raw.write(&chunked).await;
    raw.write(b"0\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 413, "without a content length");

    let zipped = |bytes: usize| gzip::compress(format!("[{}]", " ".repeat(bytes - 2)).as_bytes());
    assert_eq!(server.request("POST /push", &[JSON, GZIP], &zipped(100_000)).await.status, 200);
    let answer = server.request("POST /push", &[JSON, GZIP], &zipped(100_001)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "REQUEST_TOO_LARGE"));
    assert!(answer.text().contains("decompressed data exceeds maximum size limit"), "{}", answer.text());
    let answer = server.request("POST /push", &[JSON, GZIP], b"plain").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("invalid gzip data"), "{}", answer.text());
    server.stop().await;
}

#[tokio::test]
async fn events_are_limited_while_they_are_read() {
    let server = server(|o| o.max_events_per_request(3)).await;
    assert_eq!(server.post("/push", "[null,null,null]").await.status, 400, "read, and found to be no events");
    for body in ["[null,null,null,null]", r#"{"node":"x","events":[{},{},{},{},"#] {
        let answer = server.post("/push", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "REQUEST_TOO_LARGE"), "{}", answer.text());
        assert!(answer.text().contains("at most 3"), "{}", answer.text());
    }
    assert_eq!(server.store.head().await.unwrap().position, 0);
    server.stop().await;
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_want_it() {
    for (on, min) in [(true, 1024), (true, 1 << 20), (false, 0)] {
        let server = server(|o| o.compression(on).compression_min_bytes(min)).await;
        server.append((0..50).map(|i| event(&format!("e-{i}"), "\"text\"")).collect()).await;
        let plain = server.get("/pull").await;
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary"), on.then_some("Accept-Encoding"));
        for accept in ["gzip, deflate", "gzip;q=0", "br"] {
            let answer = server.request("GET /pull", &[("Accept-Encoding", accept)], b"").await;
            let zip = on && min < plain.body.len() && accept.starts_with("gzip,");
            assert_eq!(answer.header("content-encoding"), zip.then_some("gzip"), "{accept}");
            let body = if zip { gzip::decompress(&answer.body, 1 << 20).unwrap() } else { answer.body };
            assert_eq!(body, plain.body);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let server = server(|o| o.request_timeout(Duration::from_millis(20))).await;
    let mut raw = server.connect().await;
    raw.write(b"POST /push HTTP/1.1\r\nHost: hub\r\nContent-Length: 10\r\n\r\n[").await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "TIMEOUT"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    server.stop().await;
}

#[tokio::test]
async fn a_hub_that_is_closed_says_to_come_back_later() {
    let server = Server::start().await;
    let peer = HttpTransport::new(&server.url()).unwrap();
    server.store.close().await.unwrap();
    let answer = server.get("/latest-version").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"));
    let error = peer.greet(Greeting::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(1))));
    server.stop().await;
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for options in [
        ServerOptions::builder().max_request_bytes(0),
        ServerOptions::builder().max_events_per_request(0),
        ServerOptions::builder().max_request_bytes(100).max_decompressed_bytes(99),
        ServerOptions::builder().request_timeout(Duration::ZERO),
    ] {
        assert_eq!(options.build().unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// A route that says when it was reached, and answers when it is told to.
fn slow() -> (Router, Arc<Notify>, oneshot::Sender<()>) {
    let reached = Arc::new(Notify::new());
    let (go, told) = oneshot::channel::<()>();
    let told = Arc::new(tokio::sync::Mutex::new(Some(told)));
    let notify = Arc::clone(&reached);
    let handler = move || async move {
        notify.notify_one();
        match told.lock().await.take() {
            Some(told) => drop(told.await),
            None => pending().await,
        }
        "done"
    };
    (Router::new().route("/slow", get(handler)), reached, go)
}

#[tokio::test]
async fn running_requests_end_before_the_server_does() {
    let (app, reached, go) = slow();
    let server = Server::serving(Arc::new(MemStore::new()), app, Duration::from_secs(60)).await;
    let _idle = server.connect().await;
    let mut raw = server.connect().await;
    raw.send("GET /slow", &[], b"").await;
    reached.notified().await;
    let stopping = tokio::spawn(server.stop());
    go.send(()).unwrap();
    assert_eq!(raw.answer().await.text(), "done");
    stopping.await.unwrap();
}

#[tokio::test]
async fn requests_that_outlast_the_grace_are_cut_off() {
    let (app, reached, go) = slow();
    let server = Server::serving(Arc::new(MemStore::new()), app, Duration::from_millis(10)).await;
    let mut raw = server.connect().await;
    raw.send("GET /slow", &[], b"").await;
    reached.notified().await;
    server.stop().await;
    assert!(go.is_closed(), "the handler is gone");
}

#[tokio::test]
async fn an_event_that_is_too_large_for_the_hub_holds_up_nothing_else() {
    let server = server(|options| options.max_request_bytes(4_096).max_decompressed_bytes(4_096)).await;
    let client = HttpTransport::builder(&server.url()).compression(false).build().unwrap();
    let author = MemStore::new();
    let mut events: Vec<_> = (0..20).map(|n| event(&format!("e{n}"), "1")).collect();
    events[7] =
        synckit_core::Event::new("t", "large", &"x".repeat(10_000)).unwrap().with_id("large").unwrap();
    author.write(synckit_core::store::Write::Append(events)).await.unwrap();
    let page = author.read(synckit_core::store::ReadRequest::default()).await.unwrap();
    let peer = client.greet(Greeting::default()).await.unwrap();
    let push = |entries: Vec<synckit_core::store::LogEntry>| synckit_core::transport::PushRequest {
        log: Some(peer.log),
        node: author.identity().node,
        from: Some(author.identity().log),
        entries: entries
            .into_iter()
            .map(synckit_core::store::LogEntry::into_offered)
            .collect::<Vec<_>>()
            .into(),
    };
    let reply = client.push(push(page.entries.clone())).await.unwrap();
    let refused: Vec<_> =
        reply.acks.iter().filter_map(|(id, o)| Some((id.as_str(), o.refusal()?.code))).collect();
    assert_eq!(refused, [("large", synckit_core::store::RefusalCode::TooLarge)]);
    assert_eq!((reply.acks.len(), reply.head.position), (20, 19));
    let alone = client.push(push(vec![page.entries[7].clone()])).await.unwrap();
    assert_eq!((alone.acks.len(), alone.head), (1, synckit_core::Mark::START));
    server.stop().await;
}
