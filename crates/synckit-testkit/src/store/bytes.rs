//! Bytes come out as they went in.

use synckit_core::{
    Event, Metadata, Payload,
    limits::{MAX_DATA_BYTES, MAX_METADATA_BYTES},
    store::Apply,
};

use crate::{
    sample::{event, pulled, stamp, stamped},
    stores::Stores,
    subject::{Subject, codes},
};

/// JSON texts that lose something when they are parsed and written again.
pub(crate) const JSON_TEXTS: [&str; 18] = [
    "9007199254740993",
    "-9007199254740993.0",
    "1e400",
    "-0",
    "-0.0",
    "1.0",
    "1E+2",
    "0.1000000000000000055511151231257827",
    "123456789012345678901234567890",
    r#""\u0000""#,
    r#""\ud83e\udd80 \u00fc \/ \u2028""#,
    "\"\u{1F980} \u{fc} \u{2028} \u{85}\"",
    r#"{"b":1,"a":2,"b":3,"":null}"#,
    r#"{ "a" :  [ 1 ,2 ], "\u0061":0 }"#,
    "null",
    "\"\"",
    "[]",
    "{\"a\":\"'; DROP TABLE entries; --\"}",
];

/// Events with data and metadata that are easily damaged.
pub(crate) fn fragile() -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut add = |data: Payload| {
        let mut event = event(&format!("fragile {}", events.len()), "fragile", "");
        event.data = data;
        events.push(event);
    };
    JSON_TEXTS.into_iter().for_each(|text| add(Payload::json_text(text).unwrap()));
    add(Payload::json_text("{\r\n \"a\":\n1,\t\"b\":\r2\n}").unwrap());
    for (codec, bytes) in [
        ("bin", &b""[..]),
        ("bin", b"\0"),
        ("text/plain", b"caf\xe9 \xff\xfe"),
        ("application/x+y-z.1_2", b"\r\n \n"),
        ("JSON", b"not json"),
        ("cbor", b"null"),
    ] {
        add(Payload::encoded(codec, bytes).unwrap());
    }
    add(Payload::encoded("bin", (0..=255).collect::<Vec<u8>>()).unwrap());
    add(Payload::encoded(&"c".repeat(64), vec![0x80; 300]).unwrap());
    for text in METADATA {
        let mut event = event(&format!("fragile {}", events.len()), "fragile", "data");
        event.metadata = Metadata::from_json(text).unwrap();
        events.push(event);
    }
    events
}

const METADATA: [&str; 5] = [
    "{}",
    r#"{"n":9007199254740993,"e":1e400,"z":"\u0000","s":" \u00e9 "}"#,
    r#"{"b":1,"a":{"y":1,"x":2},"":[],"\n":"line"}"#,
    "{\"\u{1F980}\":\"\u{fc}\",\"'\":\"\\\"\\\\\"}",
    r#"{"tenant":"blue"}"#,
];

/// Appends, reads in every way, and opens again.
async fn round_trip(stores: &Stores<'_>, events: Vec<Event>) {
    let store = stores.fresh().await;
    assert_eq!(store.append(events.clone()).await.accepted(), events.len());
    let log = store.all().await;
    for (entry, event) in log.iter().zip(&events) {
        assert_eq!(&entry.event, event);
        assert_eq!(&store.entry(event.id.as_str()).await.unwrap().event, event);
    }
    assert_eq!(log.len(), events.len());
    let other = stores.fresh().await;
    other.seed(store.offers().await).await;
    assert_same(&other, &events).await;
    assert_same(&stores.reopened(store).await, &events).await;
}

async fn assert_same(store: &Subject, events: &[Event]) {
    let log = store.all().await;
    assert!(log.iter().map(|e| &e.event).eq(events), "other bytes came out than went in");
}

pub(super) async fn bytes_of_json_come_out_as_they_went_in(stores: &Stores<'_>) {
    let events: Vec<Event> = fragile().into_iter().filter(|e| e.data.is_json()).collect();
    for (text, event) in JSON_TEXTS.iter().zip(&events) {
        assert_eq!(event.data.as_json(), Some(*text));
    }
    let between = events[JSON_TEXTS.len()].data.as_json();
    assert_eq!(between, Some("{   \"a\": 1,\t\"b\": 2 }"), "line ends between tokens are spaces");
    round_trip(stores, events).await;
}

pub(super) async fn bytes_of_other_codecs_come_out_as_they_went_in(stores: &Stores<'_>) {
    let events: Vec<Event> = fragile().into_iter().filter(|e| !e.data.is_json()).collect();
    assert!(events.iter().any(|e| e.data.bytes().is_empty()));
    assert!(events.iter().any(|e| std::str::from_utf8(e.data.bytes()).is_err()));
    round_trip(stores, events).await;
}

pub(super) async fn bytes_of_metadata_come_out_as_they_went_in(stores: &Stores<'_>) {
    let mut events: Vec<Event> = fragile().into_iter().filter(|e| !e.metadata.is_empty()).collect();
    assert_eq!(events.len(), METADATA.len() - 1);
    let room = MAX_METADATA_BYTES - r#"{"k":""}"#.len();
    let largest = Metadata::from_pairs([("k", "m".repeat(room))]).unwrap();
    assert_eq!(largest.as_json().len(), MAX_METADATA_BYTES);
    events.push(event("largest", "x", "1").with_metadata(largest));
    round_trip(stores, events).await;
}

pub(super) async fn bytes_in_quarantine_come_out_as_they_went_in(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page: Vec<_> =
        fragile().into_iter().zip(1..).map(|(event, n)| stamp(event, 2, n, 100 + n, &["parent"])).collect();
    store.pull(page.clone()).await;
    let store = stores.reopened(store).await;
    let mut held: Vec<_> = store.quarantine().await.unwrap().into_iter().filter_map(|q| q.held).collect();
    held.sort_by_key(|o| o.stamp.as_ref().map(|s| s.counter));
    assert_eq!(held, page);
    let parent = stamped("parent", "fragile", 3, 1, 1, &[]);
    let written = store.apply(Apply { retry_held: true, ..pulled(vec![parent]) }).await;
    assert_eq!(written.released, page.len());
    let log = store.all().await;
    assert!(log[1..].iter().map(|e| &e.event).eq(page.iter().map(|o| &o.event)));
    assert!(log[1..].iter().map(|e| Some(&e.stamp)).eq(page.iter().map(|o| o.stamp.as_ref())));
}

pub(super) async fn bytes_of_large_events_come_out_as_they_went_in(stores: &Stores<'_>) {
    let mut binary = event("binary", "x", "");
    binary.data = Payload::encoded("bin", (0..MAX_DATA_BYTES).map(|i| (i % 251) as u8).collect::<Vec<_>>()).unwrap();
    let mut text = event("text", "x", "");
    text.data = Payload::json_text(format!("\"{}\"", "ü".repeat(MAX_DATA_BYTES / 2 - 1))).unwrap();
    assert_eq!(text.data.bytes().len(), MAX_DATA_BYTES);
    round_trip(stores, vec![binary, text]).await;
}

pub(super) async fn bytes_of_numbers_beyond_every_type(stores: &Stores<'_>) {
    let zeros = "0".repeat(400);
    let numbers = [
        "9007199254740992".to_owned(),
        "9007199254740993".to_owned(),
        "18446744073709551616".to_owned(),
        format!("1{zeros}"),
        format!("-1{zeros}"),
        format!("1{zeros}.{zeros}1"),
        format!("0.{zeros}1"),
        "1e999999999999".to_owned(),
    ];
    let mut events = Vec::new();
    for (n, number) in numbers.iter().enumerate() {
        let mut event = event(&format!("number {n}"), "numbers", "");
        event.data = Payload::json_text(format!("[{number}]")).unwrap();
        event.metadata = Metadata::from_json(&format!("{{\"n\":{number}}}")).unwrap();
        assert!(event.data.as_json().is_some_and(|text| text.contains(number)));
        events.push(event);
    }
    round_trip(stores, events).await;
}

pub(super) async fn bytes_of_ten_mebibytes_come_out_where_they_are_allowed(stores: &Stores<'_>) {
    const BYTES: usize = 10 * 1024 * 1024;
    let store = stores.with(|setup| setup.max_data_bytes = BYTES).await;
    let mut large = event("large", "x", "");
    large.data = Payload::encoded("bin", (0..BYTES).map(|i| (i % 253) as u8).collect::<Vec<_>>()).unwrap();
    let small = event("small", "x", "1");
    let mut larger = event("larger", "x", "");
    larger.data = Payload::encoded("bin", vec![7; BYTES + 1]).unwrap();
    let written = store.append(vec![large.clone(), larger, small.clone()]).await;
    assert_eq!(codes(&written), [None, Some("too_large"), None]);
    assert_same(&store, &[large.clone(), small.clone()]).await;
    assert_same(&stores.reopened(store).await, &[large, small]).await;
}
