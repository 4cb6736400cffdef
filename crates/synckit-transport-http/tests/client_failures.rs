//! Peers that fail, and what the client makes of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::{error::Error as _, net::SocketAddr, time::Duration};

use support::{Fake, Server, answer, event, kit_greeting};
use synckit_core::{
    Error, ErrorKind, NodeId, Transport as _,
    store::Offered,
    transport::{Greeting, PullRequest, PushRequest},
};
use synckit_transport_http::HttpTransport;
use synckit_wire::gzip;
use tokio::net::TcpSocket;

/// An address that nobody listens on, as long as the socket is held.
fn unserved() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn greeted_by(reply: Vec<u8>) -> Error {
    let fake = Fake::answering(vec![reply]).await;
    HttpTransport::new(&fake.url()).unwrap().greet(Greeting::default()).await.unwrap_err()
}

#[tokio::test]
async fn statuses_and_codes_become_kinds() {
    let cases = [
        ("500 Oops", "", "x", ErrorKind::Unavailable, "500: x"),
        ("503 Busy", "Retry-After: 7\r\n", "{\"error\":\"later\"}", ErrorKind::Unavailable, "503: later"),
        ("429 Slow", "Retry-After: 7\r\n", "", ErrorKind::Unavailable, "429"),
        ("401 No", "", "invalid token\n", ErrorKind::Unauthorized, "401: invalid token"),
        ("403 No", "", "", ErrorKind::Forbidden, "403"),
        ("404 No", "", "<html>", ErrorKind::NotFound, "404: <html>"),
        ("413 Big", "", "", ErrorKind::TooLarge, "413"),
        (
            "409 No",
            "",
            r#"{"error":{"code":"LOG_CHANGED","message":"gone","op":"pull"}}"#,
            ErrorKind::LogChanged,
            "gone",
        ),
        (
            "409 No",
            "",
            r#"{"error":{"code":"CONFLICT","message":"taken"}}"#,
            ErrorKind::ContentMismatch,
            "taken",
        ),
        ("503 Busy", "", r#"{"error":{"code":"BUSY"}}"#, ErrorKind::Busy, "503"),
        (
            "400 Bad",
            "",
            r#"{"error":{"code":"INVALID_CURSOR","message":"no\nsuch\u0007"}}"#,
            ErrorKind::Invalid,
            "400: no such",
        ),
        ("204 None", "", "", ErrorKind::Protocol, "204"),
        ("301 Moved", "Location: http://elsewhere/\r\n", "", ErrorKind::Protocol, "301"),
    ];
    for (status, headers, body, kind, says) in cases {
        let error = greeted_by(answer(status, headers, body.as_bytes())).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().ends_with(says), "{error}");
        let asked = headers.starts_with("Retry").then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after(), asked, "{status}");
    }
    let zipped = gzip::compress(b"{\"error\":\"zipped\"}");
    let error = greeted_by(answer("500 Oops", "Content-Encoding: gzip\r\n", &zipped)).await;
    assert!(error.to_string().ends_with("zipped"), "{error}");
}

#[tokio::test]
async fn garbage_and_cut_off_answers_are_told_apart() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"log\":".to_vec();
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"log".to_vec();
    let cases = [
        (half, ErrorKind::Unavailable),
        (chunk, ErrorKind::Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), ErrorKind::Unavailable),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), ErrorKind::Protocol),
        (answer("200 OK", "", b"<html>"), ErrorKind::Protocol),
        (answer("200 OK", "", b"{\"log\":"), ErrorKind::Protocol),
        (answer("200 OK", "", b"{}"), ErrorKind::Protocol),
        (answer("200 OK", "", b""), ErrorKind::Protocol),
        (answer("200 OK", "", b"\"{\\\"a\\\":1}\""), ErrorKind::Unsupported),
        (answer("200 OK", "Content-Encoding: gzip\r\n", b"plain"), ErrorKind::Protocol),
        (answer("200 OK", "Content-Encoding: br\r\n", b"x"), ErrorKind::Protocol),
    ];
    for (reply, kind) in cases {
        let text = String::from_utf8_lossy(&reply).into_owned();
        let error = greeted_by(reply).await;
        assert_eq!(error.kind(), kind, "{text:?}: {error}");
        assert_eq!(error.is_retryable(), kind == ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn nobody_there_and_no_answer() {
    let (_unserved, gone) = unserved();
    let peer = HttpTransport::new(&format!("http://{gone}")).unwrap();
    assert_eq!(peer.greet(Greeting::default()).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let short = Duration::from_millis(30);
    for sent in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
        let fake = Fake::stuck_after(sent).await;
        for builder in [
            HttpTransport::builder(&fake.url()).read_timeout(short),
            HttpTransport::builder(&fake.url()).timeout(short),
        ] {
            let error = builder.build().unwrap().greet(Greeting::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    }
}

#[tokio::test]
async fn answers_are_limited_before_and_after_decompression() {
    let body = vec![b' '; 100_000];
    let bomb = gzip::compress(&body);
    assert!(bomb.len() < 1000);
    let zipped = answer("200 OK", "Content-Encoding: gzip\r\n", &bomb);
    let mut chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n186a0\r\n".to_vec();
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    for (reply, kind) in [
        (zipped.clone(), ErrorKind::TooLarge),
        (answer("200 OK", "", &body), ErrorKind::TooLarge),
        (chunked, ErrorKind::TooLarge),
        (answer("200 OK", "", &body[..1000]), ErrorKind::Protocol),
    ] {
        let fake = Fake::answering(vec![reply]).await;
        let peer = HttpTransport::builder(&fake.url())
            .max_response_bytes(1000)
            .max_decompressed_bytes(99_999)
            .build()
            .unwrap();
        assert_eq!(peer.greet(Greeting::default()).await.unwrap_err().kind(), kind);
    }
    let fake = Fake::answering(vec![zipped]).await;
    let peer = HttpTransport::builder(&fake.url()).max_response_bytes(1000).max_decompressed_bytes(100_000);
    let error = peer.build().unwrap().greet(Greeting::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "exactly the limit is read");
}

#[tokio::test]
async fn pages_and_replies_that_make_no_sense_are_refused() {
    let id = "1".repeat(32);
    let mark = |position: u64| format!(r#"{{"position":{position},"hash":"{}"}}"#, "0".repeat(64));
    let page = |events: &str, next: u64, more: bool| {
        format!(
            r#"{{"events":[{events}],"next":{{"kind":"integer","data":{next}}},"log":"{id}","head":{},"has_more":{more}}}"#,
            mark(9)
        )
    };
    let unstamped = r#"{"event":{"id":"e","type":"t","aggregate_id":"a"},"version":"1"}"#;
    for body in [
        page("null", 1, false),
        page(unstamped, 1, false),
        page("", 0, true),
        r#"{"events":[]}"#.to_owned(),
        "[]".to_owned(),
        "7".to_owned(),
    ] {
        let fake = Fake::answering(vec![kit_greeting(), answer("200 OK", "", body.as_bytes())]).await;
        let peer = HttpTransport::new(&fake.url()).unwrap();
        let error = peer.pull(PullRequest::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
    }
    let fake =
        Fake::answering(vec![kit_greeting(), answer("200 OK", "", page("null,null", 1, false).as_bytes())])
            .await;
    let peer = HttpTransport::new(&fake.url()).unwrap();
    let error = peer.pull(PullRequest { limit: 1, ..PullRequest::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "more than was asked for");

    for body in [
        r#"{"status":"ok"}"#.to_owned(),
        format!(r#"{{"status":"ok","results":[],"log":"{id}","head":{}}}"#, mark(1)),
        format!(
            r#"{{"status":"ok","results":[{{"id":"x","status":"accepted"}}],"log":"{id}","head":{}}}"#,
            mark(1)
        ),
    ] {
        let fake = Fake::answering(vec![kit_greeting(), answer("200 OK", "", body.as_bytes())]).await;
        let peer = HttpTransport::new(&fake.url()).unwrap();
        let entries = vec![Offered::unstamped(event("e-1", "1"))];
        let request = PushRequest { log: None, node: NodeId::random(), from: None, entries: entries.into() };
        let error = peer.push(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
    }
}

#[tokio::test]
async fn requests_are_compressed_above_the_threshold() {
    let data = format!("\"{}\"", "x".repeat(5000));
    // A peer on this machine gets nothing compressed unless it is asked for.
    for (on, zipped) in [(Some(true), true), (Some(false), false), (None, false)] {
        let fake = Fake::answering(vec![kit_greeting(), answer("503 Later", "", b"")]).await;
        let builder = HttpTransport::builder(&fake.url());
        let builder = if let Some(on) = on { builder.compression(on) } else { builder };
        let peer = builder.build().unwrap();
        let entries = vec![Offered::unstamped(event("e-1", &data))];
        peer.push(PushRequest { log: None, node: NodeId::random(), from: None, entries: entries.into() })
            .await
            .unwrap_err();
        let requests = fake.requests.lock().unwrap().join("\n").to_ascii_lowercase();
        assert_eq!(requests.contains("content-encoding: gzip"), zipped);
        assert_eq!(requests.contains("accept-encoding: gzip"), zipped);
        assert_eq!(requests.contains("xxxxx"), !zipped);
    }
    let server = Server::start().await;
    let peer =
        HttpTransport::builder(&server.url()).compression(true).compression_min_bytes(0).build().unwrap();
    let entries = vec![Offered::unstamped(event("e-1", &data))];
    let request = PushRequest { log: None, node: NodeId::random(), from: None, entries: entries.into() };
    peer.push(request).await.unwrap();
    let page = peer.pull(PullRequest::default()).await.unwrap();
    assert_eq!(page.entries[0].event.data.as_json(), Some(&*data));
    server.stop().await;
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let echo = |secret: &str| answer("401 No", "", format!("you said {secret}").as_bytes());
    let basic = Fake::answering(vec![echo("p%ss w0rd dXNlcjpwJXNzIHcwcmQ=")]).await;
    let url = format!("http://user:p%25ss%20w0rd@{}/sync/", basic.address);
    let builder = HttpTransport::builder(&url);
    let mut shown = vec![format!("{builder:?}")];
    let peer = builder.build().unwrap();
    assert_eq!(peer.address(), format!("http://***@{}/sync", basic.address));
    let error = peer.greet(Greeting::default()).await.unwrap_err();
    shown.extend([format!("{peer:?} {error} {error:?}"), peer.address()]);
    assert!(basic.requests.lock().unwrap()[0].contains("authorization: Basic dXNlcjpwJXNzIHcwcmQ="));

    let bearer = Fake::answering(vec![echo("t0ken"), b"HTTP/1.1 200".to_vec()]).await;
    let builder = HttpTransport::builder(&bearer.url()).bearer_token("t0ken");
    shown.push(format!("{builder:?}"));
    let peer = builder.build().unwrap();
    for _ in 0..2 {
        let error = peer.greet(Greeting::default()).await.unwrap_err();
        let source = error.source().map(ToString::to_string);
        shown.push(format!("{peer:?} {error} {error:?} {source:?} {}", peer.address()));
    }
    assert!(bearer.requests.lock().unwrap()[0].contains("authorization: Bearer t0ken"));

    let (_unserved, gone) = unserved();
    let peer = HttpTransport::new(&format!("http://user:w0rd@{gone}")).unwrap();
    let error = peer.greet(Greeting::default()).await.unwrap_err();
    shown.push(format!("{peer:?} {error} {error:?}"));
    for bad in
        ["http://u:w0rd@", "http://u:w0rd@host:x", "ftp://u:w0rd@host", "http://u:w0rd@host?t0ken", "u:w0rd"]
    {
        let error = HttpTransport::new(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        shown.push(format!("{error} {error:?}"));
    }
    for (url, token) in [("http://u:w0rd@host", "t0ken"), ("http://host", "t0ken\n")] {
        let error = HttpTransport::builder(url).bearer_token(token).build().unwrap_err();
        shown.push(format!("{error} {error:?}"));
    }
    for text in shown {
        let secret = ["w0rd", "t0ken", "dXNlcjpw"].iter().find(|secret| text.contains(**secret));
        assert_eq!(secret, None, "{text}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let builder = || HttpTransport::builder("http://host/sync");
    for builder in [
        builder().max_request_bytes(0),
        builder().max_response_bytes(0),
        builder().max_decompressed_bytes(1),
        builder().timeout(Duration::ZERO),
        builder().read_timeout(Duration::ZERO),
        builder().connect_timeout(Duration::ZERO),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Invalid);
    }
    let https = HttpTransport::new("https://host/sync");
    match cfg!(feature = "tls") {
        true => assert_eq!(https.unwrap().address(), "https://host/sync"),
        false => assert_eq!(https.unwrap_err().kind(), ErrorKind::Unsupported),
    }
}
