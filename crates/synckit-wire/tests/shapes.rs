//! Every shape, as text.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use synckit_core::{
    AggregateId, CursorMode, Event, EventId, EventType, Filter, Hash, LogId, Mark, Metadata, NodeId, Payload,
    Progress, Stamp, Timestamp, VectorCursor, VertexId,
    store::{Offered, Outcome, Refusal, RefusalCode},
    transport::{Greeting, PeerState, PullRequest, PushRequest},
};
use synckit_wire::{
    PageText, PeerAnswer, PushAnswer, PushResult, greeting_query, query_pairs, read_greeting, read_page,
    read_peer, read_pull, read_push, read_push_reply, write_event, write_failure, write_peer, write_pull,
    write_push, write_push_reply, write_stock_push,
};

const NODE: &str = "00000000000000000000000000000007";
const LOG: &str = "00000000000000000000000000000009";

fn mark(position: u64) -> Mark {
    Mark { position, hash: Hash::ZERO }
}

fn zeros() -> String {
    "0".repeat(64)
}

fn log() -> LogId {
    LogId::from_u128(9)
}

fn event(data: &str) -> Event {
    Event {
        id: EventId::new("e-\"1\"").unwrap(),
        event_type: EventType::new("placed").unwrap(),
        aggregate_id: AggregateId::new("o-1").unwrap(),
        data: Payload::json_text(data).unwrap(),
        metadata: Metadata::from_json(r#"{"tenant":"acme","a":1e400}"#).unwrap(),
    }
}

fn offered() -> Offered {
    let parents = vec![VertexId::new("p-2").unwrap(), VertexId::new("p-1").unwrap()];
    let stamp = Stamp::checked(NodeId::from_u128(7), 3, Timestamp::from_micros(5), parents).unwrap();
    Offered { event: event("{ \"n\" : 1.0 }"), stamp: Some(stamp), stub: None, position: 42 }
}

fn text(offered: &Offered) -> String {
    let mut out = String::new();
    write_event(&mut out, offered).unwrap();
    out
}

#[test]
fn events() {
    let stamp = format!(r#""stamp":{{"origin":"{NODE}","counter":3,"timestamp":5,"parents":["p-1","p-2"]}}"#);
    let names = r#""id":"e-\"1\"","type":"placed","aggregate_id":"o-1""#;
    let metadata = r#""metadata":{"a":1e400,"tenant":"acme"}"#;
    let whole = offered();
    let plain = Offered { stamp: None, position: 0, ..whole.clone() };
    let mut coded = whole.clone();
    coded.event.data = Payload::encoded("cbor", vec![0, 255, 16]).unwrap();
    let mut stub = whole.clone();
    stub.stub = Some(Hash::ZERO);
    stub.event.data = Payload::stored(None, Vec::new());
    stub.event.metadata = Metadata::default();
    let cases = [
        (
            whole,
            format!(r#"{{"event":{{{names},"data":{{ "n" : 1.0 }},{metadata}}},"version":"42",{stamp}}}"#),
        ),
        (plain, format!(r#"{{"event":{{{names},"data":{{ "n" : 1.0 }},{metadata}}},"version":""}}"#)),
        (
            coded,
            format!(
                r#"{{"event":{{{names},"codec":"cbor","data":"AP8Q",{metadata}}},"version":"42",{stamp}}}"#
            ),
        ),
        (
            stub,
            format!(r#"{{"event":{{{names},"metadata":{{}}}},"version":"42",{stamp},"stub":"{}"}}"#, zeros()),
        ),
    ];
    for (offered, expected) in cases {
        let written = text(&offered);
        assert_eq!(written, expected);
        let read = read_push(format!("[{written}]").as_bytes(), 1).unwrap();
        assert_eq!(read.elements, [Ok(offered)]);
    }
}

#[test]
fn pushes() {
    let request = PushRequest {
        log: Some(log()),
        node: NodeId::from_u128(7),
        from: Some(LogId::from_u128(1)),
        entries: vec![offered(); 3].into(),
    };
    let one = text(&offered());
    let head = format!(
        r#"{{"synckit":1,"node":"{NODE}","log":"{LOG}","from":"00000000000000000000000000000001","events":["#
    );
    let (body, written) = write_push(&request, 0, usize::MAX).unwrap();
    assert_eq!((body.as_str(), written), (format!("{head}{one},{one},{one}]}}").as_str(), 3));
    let read = read_push(body.as_bytes(), 3).unwrap();
    let caller = read.caller.unwrap();
    assert_eq!((caller.node, caller.log, caller.from), (request.node, request.log, request.from));
    assert_eq!(read.elements, vec![Ok(offered()); 3]);

    let (body, written) = write_push(&request, 2, 1).unwrap();
    assert_eq!((body.as_str(), written), (format!("{head}{one}]}}").as_str(), 1), "at least one");
    assert_eq!(write_push(&request, 3, 1).unwrap(), (format!("{head}]}}"), 0));
    assert_eq!(write_push(&request, 0, 2 * one.len() + 2).unwrap().1, 1);
    assert_eq!(write_push(&request, 0, 2 * one.len() + 3).unwrap().1, 2);
    assert_eq!(write_stock_push(&request.entries, 1).unwrap(), (format!("[{one}]"), 1));
    assert_eq!(write_stock_push(&[], 1).unwrap(), ("[]".to_owned(), 0));
}

#[test]
fn what_became_of_a_push() {
    let refused = |code| Outcome::Refused(Refusal::new(code, "because \"so\""));
    let results = [
        ("a\n", Outcome::Accepted { position: 4 }),
        ("b", Outcome::Duplicate),
        ("c", refused(RefusalCode::WaitingForParent)),
        ("d", refused(RefusalCode::ContentMismatch)),
        ("e", Outcome::Stale),
    ];
    let results = results.map(|(id, outcome)| PushResult::one(id.to_owned(), outcome)).to_vec();
    let reply = write_push_reply("ok", &results, log(), mark(4));
    let expected = [
        r#"{"status":"ok","results":[{"id":"a\n","status":"accepted","position":4},"#,
        r#"{"id":"b","status":"duplicate"},"#,
        r#"{"id":"c","status":"waiting","code":"waiting_for_parent","reason":"because \"so\""},"#,
        r#"{"id":"d","status":"refused","code":"content_mismatch","reason":"because \"so\""},"#,
        r#"{"id":"e","status":"stale"}],"#,
        &format!(r#""log":"{LOG}","head":{{"position":4,"hash":"{}"}}}}"#, zeros()),
    ];
    assert_eq!(reply, expected.concat());
    let answer = read_push_reply(reply.as_bytes()).unwrap();
    assert_eq!(answer, PushAnswer::Kit { log: log(), head: mark(4), results });
    assert_eq!(read_push_reply(br#"{"status":"ok"}"#).unwrap(), PushAnswer::Stock);
    for wrong in [&b"{}"[..], b"", br#"{"status":"ok","results":[]}"#, br#"{"status":"bad"}"#] {
        assert!(read_push_reply(wrong).is_err());
    }
}

#[test]
fn what_became_of_many_is_said_in_few_words() {
    let accepted = |position| Outcome::Accepted { position };
    let refused = Outcome::Refused(Refusal::new(RefusalCode::Quota, "full"));
    let outcomes = [
        accepted(4),
        accepted(5),
        accepted(6),
        accepted(8),
        Outcome::Duplicate,
        Outcome::Duplicate,
        refused.clone(),
        refused,
        accepted(9),
    ];
    let name = |i: usize| format!("e{i}");
    let each: Vec<_> =
        outcomes.iter().enumerate().map(|(i, o)| PushResult::one(name(i), o.clone())).collect();
    let together = PushResult::together(each);
    let reply = write_push_reply("ok", &together, log(), mark(9));
    let begins = [
        r#"{"status":"ok","results":[{"id":"e0","status":"accepted","position":4,"count":3},"#,
        r#"{"id":"e3","status":"accepted","position":8},"#,
        r#"{"id":"e4","status":"duplicate","count":2},"#,
        r#"{"id":"e6","status":"refused""#,
    ];
    assert!(reply.starts_with(&begins.concat()), "{reply}");
    let PushAnswer::Kit { results, .. } = read_push_reply(reply.as_bytes()).unwrap() else {
        panic!("{reply}")
    };
    assert_eq!(results, together);
    assert_eq!(results.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [0, 3, 4, 6, 7, 8].map(name));
    assert_eq!(results.iter().flat_map(PushResult::outcomes).collect::<Vec<_>>(), outcomes);
    for count in ["0", "-1", "10001", "18446744073709551615", "\"3\""] {
        let wrong = reply.replace("\"count\":3", &format!("\"count\":{count}"));
        assert!(read_push_reply(wrong.as_bytes()).is_err(), "{count}");
    }
}

#[test]
fn requests_for_pages() {
    let plain = PullRequest { after: mark(42), limit: 7, ..PullRequest::default() };
    let origins = BTreeMap::from([(
        NodeId::from_u128(7),
        Progress { counter: 9, gaps: vec![(2, 3)], ids: 255, ..Progress::default() },
    )]);
    let full = PullRequest {
        log: Some(log()),
        missing_from: Some(VectorCursor::from_progress(origins).unwrap()),
        filter: Filter::everything().with_type(EventType::new("t").unwrap()),
        ..plain
    };
    let zeros = zeros();
    let cases = [
        (
            plain,
            format!(r#"{{"synckit":1,"since":{{"kind":"integer","data":42,"hash":"{zeros}"}},"limit":7}}"#),
        ),
        (
            full,
            [
                &format!(r#"{{"synckit":1,"since":{{"kind":"vector","data":{{"{NODE}":"#),
                r#"{"counter":9,"gaps":[[2,3]],"ids":"000000000000000000000000000000ff"}}},"#,
                &format!(r#""after":{{"position":42,"hash":"{zeros}"}},"log":"{LOG}","limit":7,"#),
                r#""filter":{"types":["t"]}}"#,
            ]
            .concat(),
        ),
    ];
    for (request, expected) in cases {
        let body = write_pull(&request).unwrap();
        assert_eq!(body, expected);
        let read = read_pull(body.as_bytes()).unwrap();
        assert!(read.kit);
        assert_eq!(format!("{:?}", read.request), format!("{request:?}"));
    }
    let stock =
        read_pull(br#"{"since":{"kind":"vector","data":{"nodeA":3,"00000000000000000000000000000007":4}}}"#);
    let stock = stock.unwrap();
    let vector = stock.request.missing_from.unwrap();
    assert_eq!((stock.kit, stock.request.limit, vector.origins().len()), (false, 200, 1));
    assert!(vector.covers(NodeId::from_u128(7), 4) && !vector.covers(NodeId::from_u128(7), 5));
    for (limit, granted) in [(0, 0), (-5, 0), (1001, 1001), (50_000, 10_000)] {
        let read = read_pull(format!(r#"{{"synckit":1,"limit":{limit}}}"#).as_bytes()).unwrap();
        assert_eq!((read.kit, read.request.limit), (true, granted));
    }
}

#[test]
fn a_vector_names_the_stubs_it_has() {
    let progress = Progress { counter: 9, gaps: vec![(2, 3)], stubs: vec![(1, 1), (5, 9)], ids: 255 };
    let vector = VectorCursor::from_progress(BTreeMap::from([(NodeId::from_u128(7), progress)])).unwrap();
    let text = format!(
        r#"{{"{NODE}":{{"counter":9,"gaps":[[2,3]],"stubs":[[1,1],[5,9]],"ids":"000000000000000000000000000000ff"}}}}"#
    );
    let request = PullRequest { missing_from: Some(vector.clone()), ..PullRequest::default() };
    let body = write_pull(&request).unwrap();
    assert!(body.contains(&text), "{body}");
    assert_eq!(read_pull(body.as_bytes()).unwrap().request.missing_from, Some(vector.clone()));
    let mut state = PeerState::new(log(), NodeId::from_u128(7), CursorMode::Vector, mark(42), true);
    state.vector = Some(vector);
    let body = write_peer(&state).unwrap();
    assert!(body.contains(&text), "{body}");
    let PeerAnswer::Kit(read) = read_peer(body.as_bytes()).unwrap() else { panic!("{body}") };
    assert_eq!(read.vector, state.vector);
    let wrong = body.replace("[5,9]", "[5,10]");
    assert!(read_peer(wrong.as_bytes()).is_err(), "stubs beyond the counter");
}

#[test]
fn pages() {
    let entries = vec![offered(), offered()];
    let one = text(&offered());
    let zeros = zeros();
    let tail = format!(r#""log":"{LOG}","head":{{"position":44,"hash":"{zeros}"}},"has_more":true}}"#);
    let page = PageText::new(&entries, usize::MAX).unwrap();
    assert_eq!(page.written(), 2);
    let page = page.finish(log(), Some(mark(43)), mark(44), true);
    let next = format!(r#""next":{{"kind":"integer","data":43,"hash":"{zeros}"}}"#);
    assert_eq!(page, format!(r#"{{"events":[{one},{one}],{next},{tail}"#));
    let read = read_page(page.as_bytes(), 2).unwrap();
    assert_eq!(read.elements, entries.iter().cloned().map(Ok).collect::<Vec<_>>());
    assert_eq!(
        (read.next, read.log, read.head, read.has_more),
        (Some(mark(43)), Some(log()), Some(mark(44)), Some(true))
    );

    let cut = PageText::new(&entries, one.len() + 1).unwrap();
    assert_eq!(cut.written(), 1);
    let empty = PageText::new(&[], 0).unwrap().finish(log(), None, mark(44), true);
    assert_eq!(empty, format!(r#"{{"events":[],{tail}"#));
    assert_eq!(read_page(empty.as_bytes(), 0).unwrap().next, None);

    let stock = read_page(br#"{"events":null,"next":{"kind":"integer","data":7}}"#, 0).unwrap();
    assert_eq!((stock.next, stock.log, stock.has_more), (Some(mark(7)), None, None));
    let array = read_page(format!("[{one}] trailing").as_bytes(), 1).unwrap();
    assert_eq!((array.elements.len(), array.next), (1, None));
}

#[test]
fn greetings() {
    let greeting = Greeting { log: Some(log()), marks: vec![mark(0), mark(42)], wants_vector: true };
    let zeros = zeros();
    let query = greeting_query(&greeting).unwrap();
    assert_eq!(query, format!("synckit=1&log={LOG}&mark=0.{zeros}&mark=42.{zeros}&vector=1"));
    let read = read_greeting(&query_pairs(&query)).unwrap().unwrap();
    assert_eq!((read.log, read.marks, read.wants_vector), (greeting.log, greeting.marks, true));
    assert_eq!(greeting_query(&Greeting::default()).unwrap(), "synckit=1");
    assert!(read_greeting(&query_pairs("log=x")).unwrap().is_none(), "a stock client");
    for wrong in ["synckit=1&log=x", "synckit=1&mark=1", "synckit=1&mark=1.x", "synckit=1&mark=-1.0"] {
        assert!(read_greeting(&query_pairs(wrong)).is_err(), "{wrong}");
    }
    let marks = vec![mark(1); synckit_wire::MAX_GREETING_MARKS + 1];
    assert!(greeting_query(&Greeting { marks, ..Greeting::default() }).is_err());

    let mut state = PeerState::new(log(), NodeId::from_u128(7), CursorMode::Vector, mark(42), true);
    let expected = format!(
        r#"{{"log":"{LOG}","node":"{NODE}","mode":"vector","head":{{"position":42,"hash":"{zeros}"}},"verified":true"#
    );
    assert_eq!(write_peer(&state).unwrap(), format!("{expected}}}"));
    state.vector = Some(VectorCursor::default());
    let body = write_peer(&state).unwrap();
    assert_eq!(body, format!(r#"{expected},"vector":{{}}}}"#));
    let PeerAnswer::Kit(read) = read_peer(body.as_bytes()).unwrap() else { panic!("{body}") };
    assert_eq!(format!("{read:?}"), format!("{state:?}"));
    assert!(matches!(read_peer(b" \"42\"\n").unwrap(), PeerAnswer::Stock(42)));
}

#[test]
fn failures() {
    assert_eq!(
        write_failure("INVALID_CURSOR", "not \"one\"", "pull"),
        r#"{"error":{"code":"INVALID_CURSOR","message":"not \"one\"","op":"pull"}}"#
    );
}
