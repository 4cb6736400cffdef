//! Import and export.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::Bench;

const FLIGHTS: &str = r#"{"specversion":"1.0","source":"/airports/EWR","subject":"N14228","datacontenttype":"application/json","id":"UA1545-20130101-EWR-departed","type":"flight.departed","time":"2013-01-01T10:17:00Z","data":{"flight":"UA1545","status":"airborne","location":"EWR","destination":"IAH","delay_minutes":2}}
{"specversion":"1.0","source":"/airports/LGA","subject":"N24211","datacontenttype":"application/json","id":"UA1714-20130101-LGA-departed","type":"flight.departed","time":"2013-01-01T10:33:00Z","data":{"flight":"UA1714","status":"airborne","location":"LGA","destination":"IAH","delay_minutes":4}}
{"specversion":"1.0","source":"/airports/EWR","subject":"N14228","datacontenttype":"application/json","id":"UA1545-20130101-IAH-arrived","type":"flight.arrived","time":"2013-01-01T13:30:00Z","data":{"flight":"UA1545","status":"landed","location":"IAH","delay_minutes":11}}
"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_imported_is_exported() {
    let bench = Bench::with(&["a"]);
    let (status, report) = bench.import("a", FLIGHTS.as_bytes());
    assert_eq!((status, report), (Some(0), json!({"accepted": 3, "duplicates": 0, "refused": []})));
    let exported = bench.export("a");
    assert_eq!(objects(&exported), objects(FLIGHTS));
    for line in FLIGHTS.lines() {
        let data = &line[line.find("\"data\":").unwrap()..];
        assert!(exported.contains(data), "{data}");
    }
    let effective = bench.run(&["export", "--effective", "--store", "sqlite:a.db"]).ok().stdout;
    assert_eq!(effective, exported);
    let one = bench.run(&["export", "--aggregate", "N24211", "--store", "sqlite:a.db"]).ok().stdout;
    assert_eq!(objects(&one), [objects(FLIGHTS)[1].clone()]);
}

#[test]
fn values_are_kept_byte_for_byte() {
    let bench = Bench::with(&["a", "b"]);
    let attributes = [
        r#""data":{"n":9007199254740993,"f":1.10e5,"s":"\u00e9\/","nested":[ 1 , {"a":null} ]}"#,
        r#""ratio":1.500"#,
        r#""flag":true"#,
        r#""nothing":null"#,
        r#""time":"2013-01-01T10:17:00.000+01:00""#,
        r#""source":"\u002fx""#,
    ];
    let line =
        format!(r#"{{"specversion":"1.0","id":"1","type":"t","subject":"s",{}}}"#, attributes.join(","));
    let absent = r#"{"specversion":"1.0","id":"2","type":"t","subject":"s","source":"x"}"#;
    let null = r#"{"specversion":"1.0","id":"3","type":"t","subject":"s","source":"x","data":null}"#;
    assert_eq!(bench.import("a", format!("{line}\n{absent}\n{null}").as_bytes()).0, Some(0));
    let exported = bench.export("a");
    for attribute in attributes {
        assert!(exported.contains(attribute), "{attribute}: {exported}");
    }
    assert_eq!(
        objects(&exported)[1..],
        [serde_json::from_str::<Value>(absent).unwrap(), serde_json::from_str(null).unwrap()]
    );
    assert_eq!(bench.import("b", exported.as_bytes()).0, Some(0));
    assert_eq!(bench.export("b"), exported);
    assert_eq!(
        bench.import("a", exported.as_bytes()).1,
        json!({"accepted": 0, "duplicates": 3, "refused": []})
    );
}

#[test]
fn importing_twice_changes_nothing() {
    let bench = Bench::with(&["a"]);
    bench.import("a", FLIGHTS.as_bytes());
    let before = bench.digest("a");
    let (status, report) = bench.import("a", FLIGHTS.as_bytes());
    assert_eq!((status, report), (Some(0), json!({"accepted": 0, "duplicates": 3, "refused": []})));
    assert_eq!(bench.digest("a"), before);
}

#[test]
fn gzip_is_known_by_its_first_bytes() {
    let bench = Bench::with(&["a", "b", "c"]);
    let (first, rest) = FLIGHTS.split_at(FLIGHTS.find('\n').unwrap() + 1);
    let mut two_parts = gzip(first.as_bytes());
    two_parts.extend(gzip(rest.as_bytes()));
    bench.write("flights.ndjson.gz", &two_parts);
    let file = bench.run(&["import", "--json", "--store", "sqlite:a.db", "flights.ndjson.gz"]).ok().json();
    assert_eq!(file["accepted"], 3);
    assert_eq!(bench.import("b", &gzip(FLIGHTS.as_bytes())).1["accepted"], 3);
    assert_eq!(bench.export("a"), bench.export("b"));
    let cut = &gzip(FLIGHTS.as_bytes())[..200];
    let (status, report) = bench.import("c", cut);
    assert_eq!(status, Some(1));
    let refused = report["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{report}");
    assert!(
        refused[0]["reason"].as_str().unwrap().starts_with("nothing can be read from here on"),
        "{report}"
    );
    assert_eq!(refused[0]["line"].as_u64().unwrap(), report["accepted"].as_u64().unwrap() + 1, "{report}");
}

#[test]
fn conditions_must_all_hold() {
    let bench = Bench::with(&["a"]);
    bench.write("flights.ndjson", FLIGHTS.as_bytes());
    let import = |conditions: &[&str]| {
        let args =
            [&["import", "--json", "--store", "sqlite:a.db"], conditions, &["flights.ndjson"]].concat();
        bench.run(&args).ok().json()["accepted"].clone()
    };
    assert_eq!(import(&["--where", "source=/airports/JFK"]), 0);
    assert_eq!(import(&["--where", "source=/airports/EWR", "--where", "type=flight.arrived"]), 1);
    assert_eq!(import(&["--where", "source=/airports/EWR"]), 1);
    assert_eq!(import(&["--where", "nothing="]), 0);
}

#[test]
fn what_cannot_be_taken_is_named_by_line() {
    let bench = Bench::with(&["a"]);
    bench.append("a", "taken", "x", "1");
    let long = "n".repeat(256);
    let big = "x".repeat(1 << 20);
    let huge = "x".repeat(2 << 20);
    let event = |id: &str, event_type: &str, subject: &str, more: &str| {
        format!(
            r#"{{"specversion":"1.0","source":"s","id":"{id}","type":"{event_type}","subject":"{subject}"{more}}}"#
        )
    };
    let meta = format!(r#","note":"{}","data":1"#, "m".repeat(70_000));
    let lines: Vec<(Vec<u8>, Option<&str>)> = vec![
        (event("1", "t", "x", r#","data":1"#).into(), None),
        (b"".to_vec(), None),
        (b"  \t \r".to_vec(), None),
        (br#"{"specversion":"1.0","source":"s","id":"2","type":"t","data":1}"#.to_vec(), Some("no subject")),
        (event("3", "t", "x", r#","data_base64":"AA==""#).into(), Some("data_base64")),
        (event("4", "synckit.resolution", "x", r#","data":1"#).into(), Some("reserved")),
        (event("synckit.5", "t", "x", r#","data":1"#).into(), Some("reserved")),
        (event("6", "t", "synckit.x", r#","data":1"#).into(), Some("reserved")),
        (br#"{"specversion":"1.0","id":"7","#.to_vec(), Some("not a CloudEvent")),
        (b"[1,2]".to_vec(), Some("expected a JSON object")),
        (b"{\"id\":\"\xff\"}".to_vec(), Some("UTF-8")),
        (event("", "t", "x", r#","data":1"#).into(), Some("event id is empty")),
        (event("8", "", "x", r#","data":1"#).into(), Some("event type is empty")),
        (event("8", "t", "", r#","data":1"#).into(), Some("aggregate id is empty")),
        (event(&long, "t", "x", r#","data":1"#).into(), Some("event id has 256 bytes")),
        (event("8", &long, "x", r#","data":1"#).into(), Some("event type has 256 bytes")),
        (event("8", "t", &long, r#","data":1"#).into(), Some("aggregate id has 256 bytes")),
        (event("a\\u0007b", "t", "x", r#","data":1"#).into(), Some("U+0007")),
        (event("8", "t\\nt", "x", r#","data":1"#).into(), Some("U+000A")),
        (event("8", "t", "x", &format!(r#","data":"{big}""#)).into(), Some("the data has 1048578 bytes")),
        (event("8", "t", "x", &format!(r#","data":"{huge}""#)).into(), Some("the line has more than")),
        (event("8", "t", "x", &meta).into(), Some("the metadata has")),
        (event("taken", "note", "x", r#","data":2"#).into(), Some("already names another event")),
        (event("9", "t", "x", r#","data":1,"data":2"#).into(), Some("given twice")),
        (
            br#"{"specversion":"1.0","source":"s","id":9,"type":"t","subject":"x"}"#.to_vec(),
            Some("the id is not a text"),
        ),
        (
            br#"{"specversion":"0.3","source":"s","id":"9","type":"t","subject":"x"}"#.to_vec(),
            Some("specversion"),
        ),
        (event("1", "t", "x", r#","data":2"#).into(), Some("already names another event")),
        (event("last", "t", "x", r#","data":1"#).into(), None),
    ];
    let input = lines.iter().map(|(line, _)| line.as_slice()).collect::<Vec<_>>().join(&b'\n');
    let (status, report) = bench.import("a", &input);
    assert_eq!(status, Some(1));
    assert_eq!((&report["accepted"], &report["duplicates"]), (&json!(2), &json!(0)), "{report}");
    let refused = report["refused"].as_array().unwrap();
    let expected = (1_u64..).zip(&lines).filter_map(|(n, (_, why))| why.map(|why| (n, why)));
    for ((line, why), refused) in expected.clone().zip(refused) {
        assert_eq!(refused["line"], line, "{refused}");
        assert!(refused["reason"].as_str().unwrap().contains(why), "{why}: {refused}");
    }
    assert_eq!(refused.len(), expected.count());
    let said = bench.run_with(&["import", "--store", "sqlite:a.db", "-"], b"{}\n");
    assert_eq!((said.status, said.stderr.as_str()), (Some(1), "refused: line 1: no id\n"));
    assert!(said.stdout.contains("imported 0 events; 0 already there; 1 line refused"), "{said:?}");
}

#[test]
fn appended_events_are_cloudevents_too() {
    let bench = Bench::new();
    let made = bench.run(&["init", "--json", "--store", "sqlite:a.db"]).ok().json();
    bench.append("a", "e1", "x", "{\"a\":1}");
    let line = bench.export("a");
    let log = bench.run(&["log", "--json", "--store", "sqlite:a.db"]).ok().json();
    let expected = json!({
        "specversion": "1.0",
        "source": format!("synckit:{}", made["node"].as_str().unwrap()),
        "id": "e1",
        "type": "note",
        "subject": "x",
        "time": log["time"],
        "datacontenttype": "application/json",
        "data": {"a": 1},
    });
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    let metadata =
        ["append", "--store", "sqlite:a.db", "--type", "t", "--aggregate", "x", "--data", "1", "--metadata"];
    bench.run(&[&metadata[..], &["{\"id\":1}"]].concat()).failed(1, &["\"id\""]);
    bench.run(&[&metadata[..], &["{\"time\":\"then\"}"]].concat()).ok();
    assert!(bench.export("a").lines().nth(1).unwrap().contains("\"time\":\"then\""));
}

#[test]
fn exports_go_on_where_they_ended() {
    let bench = Bench::with(&["a", "b"]);
    bench.import("a", FLIGHTS.as_bytes());
    let head = |store: &str| {
        let status = bench.run(&["status", "--json", "--store", &format!("sqlite:{store}.db")]).ok().json();
        status["head"].as_str().unwrap().to_owned()
    };
    let cursor = head("a");
    bench.append("a", "later", "x", "1");
    for effective in [&[][..], &["--effective"]] {
        let since = |since: &str| {
            let args = [&["export", "--store", "sqlite:a.db", "--since", since], effective].concat();
            bench.run(&args).ok().stdout
        };
        assert_eq!(objects(&since(&cursor)).len(), 1);
        assert_eq!(since(&cursor), since("3"));
        assert_eq!(since(&head("a")), "");
        assert_eq!(since("99"), "");
        assert_eq!(objects(&since("0")).len(), 4);
    }
    bench
        .run(&["export", "--store", "sqlite:a.db", "--since", &head("b")])
        .failed(1, &["the cursor belongs to the log"]);
    let (before, hash) = cursor.rsplit_once('.').unwrap();
    let other_hash = format!("{before}.{}", hash.replace(char::is_alphanumeric, "0"));
    bench.run(&["export", "--store", "sqlite:a.db", "--since", &other_hash]).failed(1, &["another history"]);
    let beyond = cursor.replace(".3.", ".77.");
    bench
        .run(&["export", "--store", "sqlite:a.db", "--since", &beyond])
        .failed(1, &["does not reach position 77"]);
}
