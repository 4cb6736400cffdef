//! Arguments, output and exit statuses.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::{Value, json};

use crate::support::Bench;

const COMMANDS: [&[&str]; 20] = [
    &[],
    &["init"],
    &["append"],
    &["import"],
    &["export"],
    &["serve"],
    &["sync"],
    &["status"],
    &["log"],
    &["conflicts"],
    &["conflicts", "list"],
    &["conflicts", "show"],
    &["conflicts", "resolve"],
    &["conflicts", "undo"],
    &["refused"],
    &["refused", "list"],
    &["refused", "retry"],
    &["refused", "withdraw"],
    &["digest"],
    &["completions"],
];

#[test]
fn every_help_ends_with_an_example() {
    let bench = Bench::new();
    for command in COMMANDS {
        let help = bench.run(&[command, &["--help"]].concat()).ok().stdout;
        let (_, example) = help.rsplit_once("Example:\n").unwrap_or_else(|| panic!("{command:?}: {help}"));
        assert!(example.lines().all(|line| line.starts_with("  synckit ")), "{command:?}: {example}");
        assert!(!help.contains("secret"), "{help}");
    }
    let mut with_env = bench.command(&["sync", "--help"]);
    let help = with_env.env("SYNCKIT_REMOTE", "http://u:secret@h/sync").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("secret"));
}

#[test]
fn init_makes_a_store_once() {
    let bench = Bench::new();
    let made = bench.run(&["init", "--json", "--store", "sqlite:a.db", "--node", "A"]).ok().json();
    assert_eq!((made["label"].as_str(), made["mode"].as_str()), (Some("A"), Some("integer")));
    assert_eq!(made["created"], true);
    assert_eq!(made["node"].as_str().unwrap().len(), 32);
    assert_eq!(made["log"].as_str().unwrap().len(), 32);
    for same in [&["--node", "A"][..], &["--mode", "integer"], &[]] {
        let again = bench.run(&[&["init", "--json", "--store", "sqlite:a.db"], same].concat()).ok().json();
        assert_eq!((&again["node"], &again["created"]), (&made["node"], &json!(false)));
    }
    bench
        .run(&["init", "--store", "sqlite:a.db", "--node", "B"])
        .failed(1, &["sqlite:a.db exists", "\"A\"", "\"B\""]);
    bench.run(&["init", "--store", "sqlite:a.db", "--mode", "vector"]).failed(1, &["integer", "vector"]);
    let vector = bench.run(&["init", "--json", "--store", "sqlite:v.db", "--mode", "vector"]).ok().json();
    assert_eq!(vector["mode"], "vector");
    bench.run(&["init", "--store", "mem:"]).failed(1, &["memory", "sqlite:PATH"]);
}

#[test]
fn only_init_and_serve_make_stores() {
    let bench = Bench::new();
    bench.write("events.ndjson", b"");
    let commands: [&[&str]; 11] = [
        &["append", "--type", "t", "--aggregate", "a", "--data", "1"],
        &["import", "events.ndjson"],
        &["export"],
        &["sync", "--remote", "http://127.0.0.1:9/sync"],
        &["status"],
        &["log"],
        &["conflicts", "list"],
        &["conflicts", "undo", "c-1"],
        &["refused", "list"],
        &["refused", "withdraw", "x"],
        &["digest"],
    ];
    for command in commands {
        let ran = bench.run(&[command, &["--store", "sqlite:none.db"]].concat());
        ran.failed(1, &["none.db", "synckit init --store sqlite:none.db"]);
        assert!(!bench.dir.path().join("none.db").exists(), "{command:?}");
        bench.run(&[command, &["--store", "mem:"]].concat()).failed(1, &["in memory", "synckit init"]);
    }
    bench.write("empty.db", b"");
    bench.run(&["status", "--store", "sqlite:empty.db"]).failed(1, &["synckit init"]);
}

#[test]
fn what_the_parser_refuses_ends_with_2() {
    let bench = Bench::with(&["a"]);
    bench.run(&["status"]).failed(2, &["--store"]);
    bench.run(&["nonsense"]).failed(2, &["nonsense"]);
    assert_eq!(bench.run(&[]).status, Some(2));
    assert_eq!(bench.run(&["conflicts"]).status, Some(2));
    bench
        .run(&["status", "--store", "mysql://u:secret@h/db"])
        .failed(2, &["\"mysql\"", "mem:", "postgres://", "sqlite:"]);
    bench.run(&["status", "--store", "a.db"]).failed(2, &["sqlite:"]);
    bench.run(&["status", "--store", "sqlite:a.db?speed=11"]).failed(2, &["speed"]);
    for remote in ["ftp://u:secret@h/sync", "u:secret@h", "mem:hub", "wss://h/secret"] {
        let ran = bench.run(&["sync", "--store", "sqlite:a.db", "--remote", remote]);
        let ran = ran.failed(2, &["http://", "https://"]);
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
    }
    let both = ["sync", "--store", "sqlite:a.db", "--remote", "http://h", "--push-only", "--pull-only"];
    bench.run(&both).failed(2, &["--push-only", "--pull-only"]);
    bench
        .run(&["sync", "--store", "sqlite:a.db", "--remote", "http://h", "--resolver", "dice"])
        .failed(2, &["manual"]);
    bench.run(&["export", "--store", "sqlite:a.db", "--since", "yesterday"]).failed(2, &["--since"]);
    bench.run(&["import", "--store", "sqlite:a.db", "--where", "source", "x"]).failed(2, &["ATTR=VALUE"]);
    bench.run(&["serve", "--store", "sqlite:a.db", "--grace", "soon"]).failed(2, &["--grace"]);
    bench.run(&["init", "--store", "sqlite:b.db", "--node", ""]).failed(2, &["--node"]);
    bench.run(&["status", "--store", "sqlite:a.db", "-q", "-v"]).failed(2, &["--quiet"]);
}

#[test]
fn flags_go_before_the_environment() {
    let bench = Bench::with(&["a", "b"]);
    let label = |args: &[&str]| {
        let output = bench.command(args).env("SYNCKIT_STORE", "sqlite:a.db").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["label"].clone()
    };
    assert_eq!(label(&["status", "--json"]), "a");
    assert_eq!(label(&["status", "--json", "--store", "sqlite:b.db"]), "b");
}

#[test]
fn an_appended_event_can_be_read() {
    let bench = Bench::with(&["a"]);
    let append = |more: &[&str]| {
        let args = ["append", "--json", "--store", "sqlite:a.db", "--type", "t", "--aggregate", "x"];
        bench.run(&[&args, more].concat())
    };
    let first = append(&["--id", "e1", "--data", "{\"n\":9007199254740993}"]).ok().json();
    assert_eq!(first, json!({"id": "e1", "position": 1, "status": "accepted"}));
    let again = append(&["--id", "e1", "--data", "{\"n\":9007199254740993}"]).ok().json();
    assert_eq!(again, json!({"id": "e1", "position": 1, "status": "duplicate"}));
    append(&["--id", "e1", "--data", "2"]).failed(1, &["e1", "already names another event"]);
    bench.write("data.json", b"{\r\n  \"pretty\": true\n}\n");
    append(&["--id", "e2", "--data", "@data.json", "--metadata", "{\"who\": \"me\"}"]).ok();
    append(&["--id", "e3", "--data", "-5"]).ok();
    let piped = ["append", "--store", "sqlite:a.db", "--type", "t", "--aggregate", "x", "--data", "-"];
    bench.run_with(&piped, b"\"piped\"").ok();
    let log = bench.run(&["log", "--json", "--store", "sqlite:a.db"]).ok();
    assert!(log.stdout.contains("\"data\":{\"n\":9007199254740993}"), "{log:?}");
    assert!(log.stdout.contains("\"data\":{    \"pretty\": true }"), "{log:?}");
    let lines = log.ndjson();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["metadata"], json!({"who": "me"}));
    assert_eq!((&lines[1]["version"], &lines[1]["parents"]), (&json!(2), &json!(["e1"])));
    assert_eq!((&lines[2]["data"], &lines[3]["data"]), (&json!(-5), &json!("piped")));
    for field in
        ["time", "origin", "counter", "timestamp", "content", "hash", "codec", "stub", "received_from"]
    {
        assert!(lines[0].get(field).is_some(), "{field}");
    }
    let readable = bench.run(&["log", "--store", "sqlite:a.db", "--aggregate", "x"]).ok().stdout;
    assert_eq!(readable.lines().count(), 5, "{readable}");
    assert!(readable.contains(lines[0]["time"].as_str().unwrap()), "{readable}");
    assert_eq!(
        bench.run(&["log", "--json", "--store", "sqlite:a.db", "--aggregate", "other"]).ok().stdout,
        ""
    );
}

#[test]
fn versions_are_clocks_in_vector_mode() {
    let bench = Bench::new();
    let made = bench.run(&["init", "--json", "--store", "sqlite:v.db", "--mode", "vector"]).ok().json();
    bench.append("v", "e1", "x", "1");
    bench.append("v", "e2", "x", "2");
    for only in [&[][..], &["--aggregate", "x"]] {
        let log = bench.run(&[&["log", "--json", "--store", "sqlite:v.db"], only].concat()).ok().ndjson();
        assert_eq!(log[1]["version"], json!({made["node"].as_str().unwrap(): 2}));
    }
}

#[test]
fn status_and_digest_have_their_shapes() {
    let bench = Bench::with(&["a"]);
    bench.append("a", "e1", "x", "1");
    let status = bench.run(&["status", "--json", "--store", "sqlite:a.db"]).ok().json();
    let mut keys: Vec<_> = status.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["conflicts", "former", "head", "label", "log", "mode", "moved_to", "node", "peers", "refused"]
    );
    let head = status["head"].as_str().unwrap();
    assert!(head.starts_with(&format!("{}.1.", status["log"].as_str().unwrap())), "{head}");
    let digest = bench.digest("a");
    assert_eq!(digest["events"], 1);
    for hash in ["ids", "log", "view"] {
        assert_eq!(digest[hash].as_str().unwrap().len(), 64);
    }
    let status = bench.run(&["status", "--store", "sqlite:a.db"]).ok().stdout;
    assert!(status.contains(head) && status.contains("none met yet"), "{status}");
}

#[test]
fn colours_come_only_when_wanted() {
    let bench = Bench::with(&["a"]);
    let escape = '\u{1b}';
    assert!(!bench.run(&["status", "--store", "sqlite:a.db"]).ok().stdout.contains(escape));
    assert!(
        bench.run(&["status", "--store", "sqlite:a.db", "--color", "always"]).ok().stdout.contains(escape)
    );
    assert!(
        !bench
            .run(&["status", "--json", "--store", "sqlite:a.db", "--color", "always"])
            .ok()
            .stdout
            .contains(escape)
    );
    assert!(bench.run(&["nonsense", "--color=always"]).stderr.contains(escape));
    let forced = |color: &[&str]| {
        let args = [&["status", "--store", "sqlite:a.db"], color].concat();
        let output = bench.command(&args).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains(escape)
    };
    assert!(!forced(&[]));
    assert!(!forced(&["--color", "never"]));
    bench.run(&["status", "--store", "sqlite:a.db", "--color", "sometimes"]).failed(2, &["always"]);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let bench = Bench::with(&["a"]);
    let lines: String = (0..2_000)
        .map(|n| {
            let data = "x".repeat(300);
            format!(
                r#"{{"specversion":"1.0","source":"s","id":"e{n}","type":"t","subject":"x","data":"{data}"}}"#
            ) + "\n"
        })
        .collect();
    assert_eq!(bench.import("a", lines.as_bytes()).0, Some(0));
    for command in [&["export"][..], &["export", "--effective"], &["log"], &["log", "--json"]] {
        let mut child = bench.command(&[command, &["--store", "sqlite:a.db"]].concat()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn completions_are_scripts() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = bench.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("conflicts"), "{shell}");
    }
}

#[test]
fn logs_go_to_standard_error() {
    let bench = Bench::with(&["a"]);
    let quiet = bench.run(&["status", "--store", "sqlite:a.db", "--json"]).ok();
    assert_eq!(quiet.stderr, "");
    let loud = bench.run(&["status", "--store", "sqlite:a.db", "--json", "-vvv"]).ok();
    assert_ne!(loud.stderr, "");
    assert_eq!(loud.json(), quiet.json());
    let chosen = bench
        .command(&["digest", "--store", "sqlite:a.db", "--json"])
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert!(!chosen.stderr.is_empty());
}
