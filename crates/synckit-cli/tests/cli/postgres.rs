//! Hubs over one PostgreSQL database, on the server that a variable names.

use std::io::Write as _;

use sqlx::{Connection as _, PgConnection};

use crate::support::{Bench, Served};

const VARIABLE: &str = "SYNCKIT_TEST_POSTGRES_URL";

/// A PostgreSQL schema of its own, which goes with this value.
struct Schema {
    server: String,
    name: String,
}

impl Schema {
    fn new(name: &str) -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} names no PostgreSQL server; run cargo xtask test, which starts one")
        });
        Self { server, name: format!("cli_{name}_{}", std::process::id()) }
    }

    fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{separator}schema={}", self.server, self.name)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
            let mut connection = PgConnection::connect(&self.server).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        });
    }
}

fn serve(bench: &Bench, url: &str) -> Served {
    bench.serve_with(&["serve", "--store", url, "--listen", "127.0.0.1:0"])
}

fn lines(prefix: &str, count: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for n in 0..count {
        let data = "x".repeat(500);
        writeln!(
            lines,
            r#"{{"specversion":"1.0","id":"{prefix}-{n}","source":"/s","type":"note","subject":"{prefix}","data":"{data}"}}"#
        )
        .unwrap();
    }
    lines
}

#[test]
fn three_hubs_are_one_and_one_of_them_dies() {
    let schema = Schema::new("hubs");
    let url = schema.url();
    let bench = Bench::with(&["a", "b", "c"]);
    bench.run(&["init", "--store", &url, "--node", "hub"]).ok();
    let mut hubs = vec![serve(&bench, &url), serve(&bench, &url), serve(&bench, &url)];
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        bench.append(name, &format!("{name}1"), name, "1");
        assert_eq!(bench.sync(name, &hubs[n].url, &[])["pushed"], 1);
    }
    assert_eq!(bench.sync("a", &hubs[0].url, &[])["pulled"], 2);

    // The next hub takes the cursor that the dead one gave: only what is new is exchanged.
    drop(hubs.remove(0));
    bench.append("b", "b2", "b", "2");
    bench.sync("b", &hubs[1].url, &[]);
    bench.append("a", "a2", "a", "2");
    let report = bench.sync("a", &hubs[0].url, &[]);
    assert_eq!((&report["pulled"], &report["pushed"]), (&1.into(), &1.into()), "{report}");

    // One dies in the middle of a sync, and another takes over.
    bench.import("a", &lines("many", 4_000));
    let args = ["sync", "-q", "--store", "sqlite:a.db", "--remote", &hubs[0].url];
    let mut syncing = bench.command(&args).spawn().unwrap();
    while bench.digest_of(&url)["events"].as_u64().unwrap() < 100 {}
    drop(hubs.remove(0));
    syncing.wait().unwrap();
    for _ in 0..2 {
        for name in ["a", "b", "c"] {
            bench.sync(name, &hubs[0].url, &[]);
        }
    }
    let digest = bench.digest_of(&url);
    assert_eq!(digest["events"], 4_005);
    for name in ["a", "b", "c"] {
        assert_eq!(bench.digest(name), digest);
    }
    let examined = bench.run(&["doctor", "--store", &url]).ok();
    assert!(!examined.stdout.contains("secret"), "{examined:?}");
}

#[test]
fn a_log_moves_into_a_database_and_back() {
    let schema = Schema::new("moves");
    let url = schema.url();
    let bench = Bench::with(&["a"]);
    bench.import("a", &lines("x", 300));
    let before = bench.digest("a");
    bench.run(&["copy", "--from", "sqlite:a.db", "--to", &url]).ok();
    assert_eq!(bench.digest_of(&url), before);
    bench.run(&["copy", "--from", &url, "--to", "sqlite:back.db"]).ok();
    assert_eq!(bench.digest("back"), before);
    let late = ["append", "--store", &url, "--type", "note", "--aggregate", "x", "--data", "1"];
    bench.run(&late).failed(1, &["back.db"]);
}

#[test]
fn urls_are_checked_and_credentials_are_not_shown() {
    let bench = Bench::new();
    for (url, status, words) in [
        ("postgres://u:secret@127.0.0.1:1/db", 1, &["127.0.0.1:1", "cannot be reached"][..]),
        ("postgres://u:secret@127.0.0.1:1/db?tenat=x", 2, &["unknown parameter", "tenat", "tenant"]),
        ("postgres://u:secret@127.0.0.1:1", 2, &["names no database"]),
        ("postgres://u:secret@127.0.0.1:x/db", 2, &["makes no sense"]),
    ] {
        let ran = bench.run(&["status", "--store", url]).failed(status, words);
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
        let loud = bench.run(&["status", "--store", url, "-vvv"]);
        assert!(!loud.stderr.contains("secret"), "{loud:?}");
    }
}
