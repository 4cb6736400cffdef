//! Names, data and databases that cannot be taken.

use rusqlite::Connection;

use crate::support::{Bench, Ran};

fn append(bench: &Bench, event_type: &str, aggregate: &str, id: &str, data: &str) -> Ran {
    let args =
        ["append", "--store", "sqlite:a.db", "--type", event_type, "--aggregate", aggregate, "--id", id];
    bench.run(&[&args[..], &["--data", data]].concat())
}

#[test]
fn names_have_limits() {
    let bench = Bench::with(&["a"]);
    let long = "ü".repeat(128);
    for (bad, why) in [
        ("", "is empty"),
        (long.as_str(), "has 256 bytes; at most 255"),
        ("a\u{1}b", "the control character U+0001"),
        ("a\nb", "the control character U+000A"),
        ("a\u{7f}", "the control character U+007F"),
        ("synckit.mine", "is reserved"),
    ] {
        append(&bench, bad, "x", "e", "1").failed(1, &[why]);
        append(&bench, "t", bad, "e", "1").failed(1, &[why]);
        append(&bench, "t", "x", bad, "1").failed(1, &[why]);
    }
    let longest = "ü".repeat(127) + "x";
    append(&bench, &longest, &longest, &longest, "1").ok();
}

#[test]
fn data_is_json_within_its_limit() {
    let bench = Bench::with(&["a"]);
    append(&bench, "t", "x", "e", "{\"a\":").failed(1, &["not JSON", "column 5"]);
    append(&bench, "t", "x", "e", "").failed(1, &["not JSON"]);
    append(&bench, "t", "x", "e", "1 2").failed(1, &["not JSON"]);
    append(&bench, "t", "x", "e", "@missing.json").failed(1, &["missing.json"]);
    bench.write("most.json", format!("\"{}\"\n\n", "x".repeat((1 << 20) - 2)).as_bytes());
    append(&bench, "t", "x", "most", "@most.json").ok();
    bench.write("over.json", format!("\"{}\"", "x".repeat((1 << 20) - 1)).as_bytes());
    append(&bench, "t", "x", "e", "@over.json").failed(1, &["1048577 bytes", "1048576"]);
    bench.write("far-over.json", &vec![b' '; 3 << 20]);
    append(&bench, "t", "x", "e", "@far-over.json").failed(1, &["far-over.json", "1048576"]);
    bench.write("latin.json", b"\"\xfc\"");
    append(&bench, "t", "x", "e", "@latin.json").failed(1, &["latin.json", "UTF-8"]);
    bench
        .run(&["import", "--store", "sqlite:a.db", "missing.ndjson"])
        .failed(1, &["missing.ndjson cannot be read"]);
    bench.run(&["import", "--store", "sqlite:a.db", "."]).failed(1, &[". cannot be read"]);
}

fn database(bench: &Bench, name: &str) -> Connection {
    Connection::open(bench.dir.path().join(name)).unwrap()
}

#[test]
fn a_database_from_a_newer_version_is_left_alone() {
    let bench = Bench::with(&["a"]);
    database(&bench, "a.db").pragma_update(None, "user_version", 99).unwrap();
    bench.run(&["status", "--store", "sqlite:a.db"]).failed(1, &["schema 99", "newer synckit"]);
    bench.run(&["init", "--store", "sqlite:a.db"]).failed(1, &["schema 99"]);
    bench.run(&["serve", "--store", "sqlite:a.db", "--listen", "127.0.0.1:0"]).failed(1, &["schema 99"]);
}

#[test]
fn other_files_are_no_stores() {
    let bench = Bench::new();
    bench.write("text.db", &b"this is not a database, and long enough to be one".repeat(50));
    bench.run(&["status", "--store", "sqlite:text.db"]).failed(1, &["not a SQLite database"]);
    bench.run(&["init", "--store", "sqlite:text.db"]).failed(1, &["not a SQLite database"]);
    database(&bench, "other.db").execute_batch("CREATE TABLE t (a)").unwrap();
    bench.run(&["init", "--store", "sqlite:other.db"]).failed(1, &["not a synckit store"]);
    bench.run(&["init", "--store", "sqlite:no/such/folder/a.db"]).failed(1, &[]);
}

#[test]
fn a_locked_store_is_waited_for_and_given_up() {
    let bench = Bench::with(&["a"]);
    let db = database(&bench, "a.db");
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let url = "sqlite:a.db?busy_timeout_ms=50";
    let append = ["append", "--store", url, "--type", "t", "--aggregate", "x", "--data", "1"];
    bench.run(&append).failed(1, &["write lock"]);
    bench.run(&["status", "--store", url]).ok();
    db.execute_batch("ROLLBACK").unwrap();
    bench.run(&append).ok();
}
