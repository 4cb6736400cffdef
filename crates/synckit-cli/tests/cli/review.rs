//! The review queue.

use serde_json::json;

use crate::support::{Bench, Served};

/// Two replicas that disagree about `x`, opened for review by `b`. Returns the conflict's id.
fn in_review(bench: &Bench, hub: &Served) -> String {
    bench.append("a", "a1", "x", "{\"status\":\"paid\"}");
    bench.append("b", "b1", "x", "{\"status\":\"cancelled\"}");
    bench.sync("a", &hub.url, &[]);
    let report = bench.sync("b", &hub.url, &["--resolver", "manual"]);
    assert_eq!(report["conflicts"], json!({"found": 1, "resolved": 0, "review": 1, "overdue": 0}));
    bench.sync("a", &hub.url, &["--resolver", "manual"]);
    let listed = bench.run(&["conflicts", "list", "--json", "--store", "sqlite:a.db"]).ok().ndjson();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["aggregate"], &listed[0]["in_review"]), (&json!("x"), &json!(true)));
    assert!(!listed[0]["reasons"].as_array().unwrap().is_empty());
    listed[0]["id"].as_str().unwrap().to_owned()
}

fn effective(bench: &Bench, store: &str) -> Vec<String> {
    let args = ["log", "--json", "--effective", "--store", &format!("sqlite:{store}.db")];
    bench.run(&args).ok().ndjson().iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn any_node_answers_a_review() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    let id = in_review(&bench, &hub);
    let status = bench.run(&["status", "--json", "--store", "sqlite:a.db"]).ok().json();
    assert_eq!(status["conflicts"], 1);
    let listed = bench.run(&["conflicts", "list", "--store", "sqlite:a.db"]).ok().stdout;
    assert!(listed.contains(&id) && listed.contains("in review"), "{listed}");
    let shown = bench.run(&["conflicts", "show", &id, "--json", "--store", "sqlite:a.db"]).ok().json();
    assert_eq!((&shown["open"], shown["sides"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(shown["sides"][0]["events"][0]["data"], json!({"status": "paid"}));
    let readable = bench.run(&["conflicts", "show", &id, "--store", "sqlite:a.db"]).ok().stdout;
    for word in
        ["side 1", "side 2", "a1", "b1", "{\"status\":\"paid\"}", "{\"status\":\"cancelled\"}", "in review"]
    {
        assert!(readable.contains(word), "{word}: {readable}");
    }
    let loses = bench.run(&["log", "--store", "sqlite:a.db"]).ok().stdout;
    assert!(loses.contains("loses while the conflict is open"), "{loses}");

    let decide = [
        "conflicts",
        "resolve",
        &id,
        "--json",
        "--store",
        "sqlite:a.db",
        "--by",
        "ann",
        "--reason",
        "saw the receipt",
    ];
    let decided = bench.run(&[&decide[..], &["--keep", "a1"]].concat()).ok().json();
    assert_eq!(decided["conflict"], id.as_str());
    assert!(decided["decision"].is_string());
    bench.sync("a", &hub.url, &[]);
    bench.sync("b", &hub.url, &[]);
    assert_eq!(bench.digest("a"), bench.digest("b"));
    assert_eq!(effective(&bench, "b"), ["a1"]);
    assert_eq!(
        bench.run(&["conflicts", "list", "--store", "sqlite:b.db"]).ok().stdout,
        "no open conflicts\n"
    );
    let shown = bench.run(&["conflicts", "show", &id, "--json", "--store", "sqlite:b.db"]).ok().json();
    assert_eq!(shown["open"], false);
    let decision = &shown["decisions"][0]["decision"];
    assert_eq!((&decision["user"], &decision["reasons"]), (&json!("ann"), &json!(["saw the receipt"])));
    let readable = bench.run(&["conflicts", "show", &id, "--store", "sqlite:b.db"]).ok().stdout;
    assert!(readable.contains("by ann") && readable.contains("saw the receipt"), "{readable}");
}

#[test]
fn what_was_decided_can_be_taken_back() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    let id = in_review(&bench, &hub);
    bench.run(&["conflicts", "undo", &id, "--store", "sqlite:a.db"]).failed(1, &["nothing was decided"]);
    bench.run(&["conflicts", "resolve", &id, "--store", "sqlite:a.db", "--keep", "a1"]).ok();
    assert_eq!(effective(&bench, "a"), ["a1"]);
    bench.run(&["conflicts", "undo", &id, "--store", "sqlite:a.db", "--reason", "wrong"]).ok();
    let undone = effective(&bench, "a");
    assert_ne!(undone, ["a1"]);
    bench.run(&["conflicts", "undo", &id, "--store", "sqlite:a.db"]).ok();
    assert_eq!(effective(&bench, "a"), ["a1"]);
    bench.run(&["conflicts", "resolve", &id, "--store", "sqlite:a.db", "--keep", "a1", "b1"]).ok();
    let mut both = effective(&bench, "a");
    both.sort_unstable();
    assert_eq!(both, ["a1", "b1"]);
    for store in ["a", "b"] {
        bench.sync(store, &hub.url, &[]);
    }
    assert_eq!(bench.digest("a"), bench.digest("b"));
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    let id = in_review(&bench, &hub);
    let resolve = |id: &str, keep: &str| {
        bench.run(&["conflicts", "resolve", id, "--store", "sqlite:a.db", "--keep", keep])
    };
    resolve(&id, "nothing").failed(1, &["nothing", "not part of the conflict"]);
    resolve("c-nothing", "a1").failed(1, &["no conflict c-nothing"]);
    bench.run(&["conflicts", "resolve", &id, "--store", "sqlite:a.db"]).failed(2, &["--keep"]);
    bench.run(&["conflicts", "show", "c-nothing", "--store", "sqlite:a.db"]).failed(1, &["c-nothing"]);
    bench.run(&["conflicts", "undo", "c-nothing", "--store", "sqlite:a.db"]).failed(1, &["c-nothing"]);
}

#[test]
fn the_user_who_is_logged_in_decides() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    let id = in_review(&bench, &hub);
    let args = ["conflicts", "resolve", &id, "--store", "sqlite:a.db", "--keep", "b1"];
    assert!(bench.command(&args).env("USER", "bea").status().unwrap().success());
    let shown = bench.run(&["conflicts", "show", &id, "--json", "--store", "sqlite:a.db"]).ok().json();
    assert_eq!(shown["decisions"][0]["decision"]["user"], "bea");
}
