//! What unmodified go-sync-kit clients send, and what they get.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use support::{Server, event};
use synckit_core::{EventStore as _, Metadata, store::ReadRequest};
use synckit_transport_http::ServerOptions;

fn element(id: &str, data: &str) -> String {
    format!(
        r#"{{"event":{{"id":"{id}","type":"placed","aggregate_id":"o-1","data":{data},"metadata":{{"tenant":"acme"}}}},"version":"7"}}"#
    )
}

async fn ids(server: &Server) -> Vec<String> {
    let page = server.store.read(ReadRequest::after(0)).await.unwrap();
    page.entries.iter().map(|e| e.event.id.to_string()).collect()
}

#[tokio::test]
async fn a_stock_push_is_stored_and_acknowledged() {
    let server = Server::start().await;
    let body = format!("[{},{}]", element("e-1", "9007199254740993"), element("e-2", r#""<&>""#));
    for round in ["accepted", "duplicate"] {
        let answer = server.post("/sync/push", &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let json = answer.json();
        assert_eq!(json["status"], "ok");
        assert_eq!(json["results"][0]["id"], "e-1");
        assert_eq!(json["results"][1]["status"], round);
        assert_eq!(json["log"], server.store.identity().log.to_string());
        assert_eq!(json["head"]["position"], 2);
    }
    for path in ["/pull", "/sync/pull?since=", "/sync/pull?since=0"] {
        let answer = server.get(path).await;
        let json = answer.json();
        assert_eq!(json.as_array().unwrap().len(), 2, "{path}");
        assert_eq!((&json[0]["version"], &json[1]["version"]), (&"1".into(), &"2".into()));
        assert!(answer.text().contains(r#""data":9007199254740993,"metadata":{"tenant":"acme"}}"#));
        assert!(answer.text().contains(r#""data":"<&>""#));
    }
    server.stop().await;
}

#[tokio::test]
async fn bodies_are_read_with_a_go_decoders_tolerance() {
    let server = Server::start().await;
    let body = r#" [{"EVENT":{"ID":"first","id":"e-1","Type":"t","Aggregate_ID":"a","Data":1,"data":{"k":[1e400]},"metadata":null,"data_kind":"x"},"version":"","unknown":{"deep":[[[{}]]]}}] and more"#;
    assert_eq!(server.post("/push", body).await.status, 200);
    let page = server.store.read(ReadRequest::after(0)).await.unwrap();
    let event = &page.entries[0].event;
    assert_eq!(
        (event.id.as_str(), event.event_type.as_str(), event.aggregate_id.as_str()),
        ("e-1", "t", "a")
    );
    assert_eq!((event.data.as_json(), event.metadata.is_empty()), (Some(r#"{"k":[1e400]}"#), true));

    let no_data = r#"[{"event":{"id":"e-2","type":"t","aggregate_id":"a"}}]"#;
    let answer = server.request("POST /sync/push", &[], no_data.as_bytes()).await;
    assert_eq!(answer.status, 200, "the content type may be missing");
    for empty in ["[]", "null", "[] x"] {
        let answer = server.post("/push", empty).await;
        assert_eq!((answer.status, &answer.json()["results"]), (200, &serde_json::json!([])));
    }
    assert_eq!(ids(&server).await, ["e-1", "e-2"]);
    server.stop().await;
}

#[tokio::test]
async fn success_means_that_everything_is_stored() {
    let server = Server::start().await;
    let long = "x".repeat(300);
    let cases = [
        ("null".to_owned(), 400),
        ("{}".to_owned(), 400),
        ("\"text\"".to_owned(), 400),
        (element("", "1"), 400),
        (element("a\\u0001", "1"), 400),
        (element(&long, "1"), 400),
        (element("e-1", "1").replace("\"e-1\"", "7"), 400),
        (element("synckit.e", "1"), 400),
        (element("big", &format!("\"{}\"", "x".repeat(2 << 20))), 413),
    ];
    for (i, (bad, status)) in cases.into_iter().enumerate() {
        let good = format!("good-{i}");
        let answer = server.post("/push", &format!("[{bad},{}]", element(&good, "1"))).await;
        assert_eq!(answer.status, status, "{i}: {}", answer.text());
        assert!(answer.text().contains("1 of 2 events were not stored"), "{}", answer.text());
        assert_eq!(ids(&server).await.last(), Some(&good), "the rest is not lost");
    }
    server.stop().await;
}

#[tokio::test]
async fn another_content_under_a_taken_id_is_reported_and_not_stored() {
    for (conflict, status) in [(false, 200), (true, 409)] {
        let options = ServerOptions::builder().conflict_on_mismatch(conflict).build().unwrap();
        let server = Server::with(options).await;
        assert_eq!(server.post("/push", &format!("[{}]", element("e-1", "1"))).await.status, 200);
        let answer =
            server.post("/push", &format!("[{},{}]", element("e-1", "2"), element("e-2", "2"))).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if conflict {
            assert_eq!(answer.code(), "CONFLICT");
        } else {
            assert_eq!(answer.json()["results"][0]["status"], "refused");
            assert_eq!(answer.json()["results"][0]["code"], "content_mismatch");
        }
        assert_eq!(ids(&server).await, ["e-1", "e-2"]);
        server.stop().await;
    }
}

#[tokio::test]
async fn pages_for_positions() {
    let server = Server::start().await;
    assert_eq!(server.get("/latest-version").await.text(), "\"0\"");
    assert_eq!(server.get("/pull").await.text(), "[]");
    assert_eq!(
        server.post("/pull-cursor", "{}").await.json().get("next"),
        None,
        "an empty page keeps the cursor"
    );
    server.append((1..=1500).map(|i| event(&format!("e-{i}"), "1")).collect()).await;
    assert_eq!(server.get("/sync/latest-version").await.text(), "\"1500\"");

    let pull = |query: &'static str| {
        let server = &server;
        async move { server.get(&format!("/sync/pull{query}")).await.json().as_array().unwrap().len() }
    };
    assert_eq!(pull("").await, 1500, "all that fits: stock clients do not loop");
    assert_eq!(pull("?since=1499").await, 1);
    assert_eq!(pull("?since=1500").await, 0);
    assert_eq!(pull("?since=18446744073709551615").await, 0, "beyond the end");
    assert_eq!(pull("?since=3&limit=1000").await, 1000);

    for (limit, expected) in [
        ("", 200),
        (r#","limit":0"#, 200),
        (r#","limit":-1"#, 200),
        (r#","limit":1001"#, 200),
        (r#","limit":1000"#, 1000),
        (r#","limit":3"#, 3),
    ] {
        let body = format!(r#"{{"Since":{{"kind":"integer","data":10}}{limit}}} trailing"#);
        let json = server.post("/pull-cursor", &body).await.json();
        assert_eq!(json["events"].as_array().unwrap().len(), expected, "{limit}");
        assert_eq!(json["events"][0]["version"], "11");
        assert_eq!(json["next"]["kind"], "integer");
        assert_eq!(json["next"]["data"], 10 + expected);
    }
    let json = server.post("/pull-cursor", r#"{"since":{"kind":"integer","data":1500}}"#).await.json();
    assert_eq!((json["events"].as_array().unwrap().len(), json.get("next")), (0, None));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_cursor_is_said_to_be_none() {
    let server = Server::start().await;
    for (query, message) in [
        ("since=x", "invalid since cursor"),
        ("since=-1", "invalid since cursor"),
        ("since=[1]", "invalid since cursor"),
        ("limit=x", "invalid limit: must be integer"),
        ("limit=0", "invalid limit: must be positive"),
        ("limit=1001", "invalid limit: maximum is 1000"),
    ] {
        let answer = server.get(&format!("/pull?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_CURSOR"), "{query}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(message), "{}", answer.text());
        assert_eq!(answer.json()["error"]["op"], "pull");
    }
    for since in [
        r#"{"kind":"integer","data":-1}"#,
        r#"{"kind":"integer","data":1.5}"#,
        r#"{"kind":"integer","data":"1"}"#,
        r#"{"kind":"other","data":1}"#,
        r#"{"kind":"vector","data":[1]}"#,
        r#"{"kind":"integer"}"#,
        "7",
    ] {
        let answer = server.post("/pull-cursor", &format!(r#"{{"since":{since}}}"#)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_CURSOR"), "{since}");
    }
    server.stop().await;
}

#[tokio::test]
async fn pull_narrows_by_type_aggregate_and_tenant() {
    let server = Server::start().await;
    let mut events = Vec::new();
    for (i, (kind, aggregate, tenant)) in
        [("t1", "a1", "acme"), ("t2", "a1", "acme"), ("t1", "a2", "other"), ("t2", "a2", "other")]
            .iter()
            .enumerate()
    {
        let metadata = Metadata::from_pairs([("tenant", tenant)]).unwrap();
        let event = synckit_core::Event::new(kind, aggregate, &i).unwrap();
        events.push(event.with_id(format!("e-{i}")).unwrap().with_metadata(metadata));
    }
    server.append(events).await;
    for (query, expected) in [
        ("type=t1", &["e-0", "e-2"][..]),
        ("aggregate_id=a2", &["e-2", "e-3"]),
        ("aggregate_id=a2&type=t2&since=1", &["e-3"]),
        ("tenant=acme", &["e-0", "e-1"]),
        ("tenant=nobody", &[]),
    ] {
        let json = server.get(&format!("/pull?{query}")).await.json();
        let ids: Vec<_> =
            json.as_array().unwrap().iter().map(|e| e["event"]["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let answer = server.request("GET /pull?tenant=acme", &[("X-SyncKit-Tenant", "other")], b"").await;
    assert_eq!(answer.json()[0]["event"]["id"], "e-2", "the header counts first");
    server.stop().await;
}

#[tokio::test]
async fn a_page_is_cut_before_it_is_too_large_for_a_client() {
    let server = Server::start().await;
    let data = format!("\"{}\"", "x".repeat(1 << 19));
    server.append((0..40).map(|i| event(&format!("e-{i}"), &data)).collect()).await;
    let mut since = 0;
    let mut pages = 0;
    while since < 40 {
        let answer = server.get(&format!("/pull?since={since}")).await;
        assert!(answer.body.len() <= 8 << 20, "{}", answer.body.len());
        for event in answer.json().as_array().unwrap() {
            since += 1;
            assert_eq!(event["version"], since.to_string());
        }
        pages += 1;
    }
    assert_eq!(pages, 3);
    server.stop().await;
}

#[tokio::test]
async fn raw_quotes_and_braces_in_the_query_are_accepted() {
    let server = Server::start().await;
    server.append(vec![event("e-1", "1")]).await;
    let node = server.store.identity().node;
    let mut raw = server.connect().await;

    raw.send(r#"GET /sync/pull?since={"stranger":3}"#, &[], b"").await;
    assert_eq!(raw.answer().await.json().as_array().unwrap().len(), 1, "it covers nothing of this log");
    let body = format!("[{}]", element("e-2", r#"{"q":"GET /?{\"} HTTP/1.1\r\n\r\n"}"#));
    raw.send("POST /sync/push", &[], body.as_bytes()).await;
    assert_eq!(raw.answer().await.status, 200);
    raw.send(&format!(r#"GET /sync/pull?since={{"{node}":1}}"#), &[], b"").await;
    let json = raw.answer().await.json();
    assert_eq!(json[0]["event"]["data"]["q"], "GET /?{\"} HTTP/1.1\r\n\r\n", "bodies are not touched");

    let body = format!("[{}]", element("e-3", r#"{"q":"<|>^`\\"}"#));
    let mut chunked = "POST /push HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for chunk in body.as_bytes().chunks(5) {
        write!(chunked, "{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()).unwrap();
    }
    chunked.push_str("0\r\n\r\nGET /pull?since=2&type=\"<>\\^`|{} HTTP/1.1\r\nHost: hub\r\n\r\n");
    raw.write(chunked.as_bytes()).await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(raw.answer().await.text(), "[]", "the query was read as it was meant");
    assert!(server.get("/pull?since=2").await.text().contains(r#"{"q":"<|>^`\\"}"#));
    server.stop().await;
}
