//! An index beside the log answers who decided what.

use serde_json::Value;

use crate::support::{Bench, Ran, Served};

pub(crate) const STORES: [&str; 2] = ["a", "b"];

/// Two stores and their hub, with a conflict about this order that the second decides.
pub(crate) fn disagree(bench: &Bench, hub: &Served, order: &str) {
    for name in STORES {
        bench.append(name, &format!("{name}-{order}"), order, &format!("\"{name}\""));
    }
    for name in STORES.iter().chain(&STORES) {
        bench.sync(name, &hub.url, &[]);
    }
}

fn audit(bench: &Bench, store: &str, more: &[&str]) -> Ran {
    let store = format!("sqlite:{store}.db");
    bench.run(&[&["audit", "--json", "--store", &store], more].concat()).ok()
}

fn listed(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.stderr, "", "nothing has to be said");
    ran.ndjson()
}

#[test]
fn an_index_answers_as_the_log_does_and_is_brought_up_to_date() {
    let bench = Bench::with(&STORES);
    let hub = bench.serve("hub");
    let index = ["--index", "sqlite:audit.db"];
    assert!(listed(&audit(&bench, "b", &index)).is_empty());
    for round in 1..3 {
        disagree(&bench, &hub, &format!("order-{round}"));
        let by_index = listed(&audit(&bench, "b", &index));
        assert_eq!((by_index.len(), &by_index), (round, &listed(&audit(&bench, "b", &[]))));
    }
    for (filter, found) in [
        (["--aggregate", "order-1"], 1),
        (["--resolver", "last_write_wins"], 2),
        (["--resolver", "person"], 0),
        (["--user", "ann"], 0),
        (["--group", "orders"], 0),
        (["--from", "2100-01-01T00:00:00Z"], 0),
        (["--to", "2100-01-01T00:00:00Z"], 2),
    ] {
        let ran = audit(&bench, "b", &[&index[..], &filter].concat());
        assert_eq!(listed(&ran).len(), found, "{filter:?}");
        assert_eq!(ran.stdout, audit(&bench, "b", &filter).stdout, "{filter:?}");
    }
    let said = bench.run(&["audit", "--store", "sqlite:b.db", "--index", "sqlite:audit.db"]).ok();
    assert!(said.stdout.ends_with("2 decisions\n"), "{said:?}");
}

#[test]
fn an_index_of_another_log_is_made_anew_and_that_is_said() {
    let bench = Bench::with(&STORES);
    let hub = bench.serve("hub");
    disagree(&bench, &hub, "order-1");
    let index = ["--index", "sqlite:audit.db"];
    assert_eq!(listed(&audit(&bench, "b", &index)).len(), 1);
    let ran = audit(&bench, "a", &index);
    assert_eq!(ran.ndjson(), listed(&audit(&bench, "a", &[])));
    assert!(ran.stderr.contains("the index was made anew") && ran.stderr.lines().count() == 1);
    assert_eq!(listed(&audit(&bench, "a", &index)).len(), 1);
    let quiet = audit(&bench, "b", &[&index[..], &["-q"]].concat());
    assert_eq!(listed(&quiet).len(), 1);
}

#[test]
fn a_damaged_index_is_told_and_made_anew_when_it_is_wanted() {
    let bench = Bench::with(&STORES);
    let hub = bench.serve("hub");
    disagree(&bench, &hub, "order-1");
    let index = ["--index", "sqlite:audit.db"];
    let before = listed(&audit(&bench, "b", &index));
    let file = rusqlite::Connection::open(bench.dir.path().join("audit.db")).unwrap();
    file.execute("UPDATE entries SET decision = replace(decision, 'last', 'first')", []).unwrap();
    drop(file);
    let args = [&["audit", "--store", "sqlite:b.db"], &index[..]].concat();
    bench.run(&args).failed(1, &["is damaged", "can be made anew from the log"]);
    assert_eq!(listed(&audit(&bench, "b", &[&index[..], &["--rebuild"]].concat())), before);
    assert_eq!(listed(&audit(&bench, "b", &index)), before);
}

#[test]
fn what_can_be_no_index_is_refused() {
    let bench = Bench::with(&["a"]);
    let run = |more: &[&str]| bench.run(&[&["audit", "--store", "sqlite:a.db"], more].concat());
    run(&["--index", "sqlite:a.db"]).failed(1, &["a.db", "a synckit store, and not an audit index"]);
    run(&["--index", "fjall:x"]).failed(1, &["sqlite:", "postgres://"]);
    run(&["--index", "mem:"]).failed(1, &["ends with the command", "sqlite:"]);
    run(&["--rebuild"]).failed(2, &["--index"]);
    let secret = "postgres://u:secret@127.0.0.1:1/db";
    let ran = run(&["--index", secret]).failed(1, &["127.0.0.1:1", "cannot be reached"]);
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
    let ran = run(&["--index", "postgres://u:secret@127.0.0.1:1/db?tenant=x"]);
    assert!(!ran.failed(1, &["unknown parameter", "tenant"]).stderr.contains("secret"));
}
