//! Replicas and a hub.

use serde_json::json;

use crate::support::Bench;

#[test]
fn replicas_meet_at_a_hub() {
    for mode in ["integer", "vector"] {
        let bench = Bench::new();
        for name in ["a", "b"] {
            bench
                .run(&["init", "--store", &format!("sqlite:{name}.db"), "--node", name, "--mode", mode])
                .ok();
        }
        let hub = bench.serve("hub");
        bench.append("a", "a1", "shared", "1");
        bench.append("a", "a2", "only-a", "1");
        bench.append("b", "b1", "shared", "2");
        let first = bench.sync("a", &hub.url, &[]);
        let expected = json!({
            "pushed": 2, "pulled": 0, "duplicates": 0, "refused": [],
            "conflicts": {"found": 0, "resolved": 0, "review": 0, "overdue": 0},
            "notices": [], "started_over": false,
        });
        assert_eq!(first, expected);
        let second = bench.sync("b", &hub.url, &[]);
        assert_eq!(second["conflicts"], json!({"found": 1, "resolved": 1, "review": 0, "overdue": 0}));
        assert_eq!((&second["pulled"], &second["pushed"]), (&json!(2), &json!(2)));
        bench.sync("a", &hub.url, &[]);
        let quiet = bench.sync("a", &hub.url, &[]);
        assert_eq!((&quiet["pulled"], &quiet["pushed"]), (&json!(0), &json!(0)));
        assert_eq!(bench.digest("a"), bench.digest("b"));
        assert_eq!(bench.digest("a"), bench.digest("hub"));
        let log =
            bench.run(&["log", "--json", "--store", "sqlite:a.db", "--aggregate", "shared"]).ok().ndjson();
        let lost = log.iter().find(|e| e["id"] == "a1").unwrap();
        assert!(lost["superseded"]["by"].as_str().unwrap().starts_with("synckit.d."), "{lost}");
        assert_eq!(lost["superseded"]["why"], "decision");
        let readable = bench.run(&["log", "--store", "sqlite:a.db"]).ok().stdout;
        assert!(
            readable.lines().any(|l| l.contains("a1") && l.contains("superseded by synckit.d.")),
            "{readable}"
        );
        let counting = bench.run(&["log", "--json", "--effective", "--store", "sqlite:a.db"]).ok().ndjson();
        let ids: Vec<_> = counting.iter().map(|e| e["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a2", "b1"]);
        let exported = bench.export("a");
        assert!(exported.contains("\"type\":\"synckit.resolution\""), "{exported}");
        let status = bench.run(&["status", "--json", "--store", "sqlite:a.db"]).ok().json();
        let peer = &status["peers"][0];
        assert_eq!((&peer["to_pull"], &peer["to_push"]), (&json!(0), &json!(0)), "{status}");
        assert_eq!(peer["address"], hub.url.as_str());
        assert!(peer["synced_at"].as_str().unwrap().ends_with('Z'));
        assert!(bench.run(&["status", "--store", "sqlite:a.db"]).ok().stdout.contains(&hub.url));
    }
}

#[test]
fn every_resolver_can_be_chosen() {
    for (resolver, counting) in [("lww", &["b1"][..]), ("fww", &["a1"]), ("merge", &["a1", "b1"])] {
        let bench = Bench::with(&["a", "b"]);
        let hub = bench.serve("hub");
        bench.append("a", "a1", "x", "{\"v\":1}");
        bench.append("b", "b1", "x", "{\"v\":2}");
        bench.sync("a", &hub.url, &[]);
        bench.sync("b", &hub.url, &["--resolver", resolver]);
        let effective = bench.run(&["log", "--json", "--effective", "--store", "sqlite:b.db"]).ok().ndjson();
        let mut ids: Vec<_> = effective.iter().map(|e| e["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, counting, "{resolver}");
    }
}

#[test]
fn one_direction_is_enough_if_asked_for() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    bench.append("a", "a1", "x", "1");
    bench.append("b", "b1", "y", "1");
    assert_eq!(bench.sync("a", &hub.url, &["--pull-only"])["pushed"], 0);
    assert_eq!(bench.sync("a", &hub.url, &["--push-only"])["pushed"], 1);
    let push = bench.sync("b", &hub.url, &["--push-only"]);
    assert_eq!((&push["pushed"], &push["pulled"]), (&json!(1), &json!(0)));
    assert_eq!(bench.sync("b", &hub.url, &["--pull-only"])["pulled"], 1);
    assert_eq!(bench.digest("b"), bench.digest("hub"));
}

#[test]
fn passwords_are_masked_everywhere() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    let url = format!("http://user:secret@{}/sync", hub.address());
    let ran = bench.run(&["sync", "-vvv", "--store", "sqlite:a.db", "--remote", &url]).ok();
    assert!(!ran.stderr.contains("secret") && !ran.stdout.contains("secret"), "{ran:?}");
    for status in [&["--json"][..], &[]] {
        let status = bench.run(&[&["status", "--store", "sqlite:a.db"], status].concat()).ok().stdout;
        assert!(status.contains("***@") && !status.contains("secret"), "{status}");
    }
}

#[test]
fn a_copied_store_is_a_node_of_its_own() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    bench.append("a", "a1", "x", "1");
    let before = bench.run(&["status", "--json", "--store", "sqlite:a.db"]).ok().json();
    std::fs::copy(bench.dir.path().join("a.db"), bench.dir.path().join("copy.db")).unwrap();
    let copied = ["append", "--store", "sqlite:copy.db", "--type", "t", "--aggregate", "x", "--data", "2"];
    let copied = bench.run(&[&copied[..], &["--id", "c1"]].concat()).ok();
    let node = before["node"].as_str().unwrap();
    assert!(copied.stderr.contains(node), "{copied:?}");
    bench.append("a", "a2", "x", "3");
    let after = bench.run(&["status", "--json", "--store", "sqlite:copy.db"]).ok().json();
    assert_ne!(after["node"], before["node"]);
    assert_eq!(after["former"], json!([node]));
    assert!(copied.stderr.contains(after["node"].as_str().unwrap()), "{copied:?}");
    for store in ["a", "copy", "a", "copy"] {
        bench.sync(store, &hub.url, &[]);
    }
    assert_eq!(bench.digest("a"), bench.digest("copy"));
    assert_eq!(bench.digest("a"), bench.digest("hub"));
}

#[test]
fn a_store_restored_in_place_is_noticed_and_named() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    bench.append("a", "a1", "x", "1");
    let file = bench.dir.path().join("a.db");
    let old = std::fs::read(&file).unwrap();
    bench.append("a", "a2", "x", "2");
    bench.sync("a", &hub.url, &[]);
    // The same file gets its old content back, so that nothing but the hub can tell.
    for side in ["a.db-wal", "a.db-shm"] {
        let _ = std::fs::remove_file(bench.dir.path().join(side));
    }
    std::fs::write(&file, old).unwrap();
    bench.append("a", "a3", "x", "3");
    let node = bench.run(&["status", "--json", "--store", "sqlite:a.db"]).ok().json()["node"].clone();
    let ran = bench.run(&["sync", "--json", "--store", "sqlite:a.db", "--remote", &hub.url]).ok();
    let notices = ran.json()["notices"].clone();
    let notice = &notices[0];
    assert_eq!((&notice["kind"], &notice["former"]), (&json!("forked_origin"), &node), "{ran:?}");
    assert_eq!((&notice["met"], &notice["held"]), (&json!("a2"), &json!("a3")), "{ran:?}");
    for word in [node.as_str().unwrap(), notice["now"].as_str().unwrap(), "a2", "a3"] {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
    bench.sync("a", &hub.url, &[]);
    assert_eq!(bench.digest("a"), bench.digest("hub"));
    assert_eq!(bench.digest("a")["events"].as_u64().map(|n| n >= 3), Some(true));
}

#[test]
fn what_a_hub_refuses_can_be_offered_again_or_given_up() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    bench.append("a", "same", "x", "1");
    bench.append("b", "same", "x", "2");
    bench.append("b", "other", "y", "2");
    bench.sync("a", &hub.url, &[]);
    let push = ["sync", "--json", "--store", "sqlite:b.db", "--remote", &hub.url, "--push-only"];
    for _ in 0..2 {
        let ran = bench.run(&push);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let report = ran.json();
        assert_eq!(
            (&report["refused"][0]["id"], &report["refused"][0]["code"]),
            (&json!("same"), &json!("content_mismatch"))
        );
        let listed = bench.run(&["refused", "list", "--json", "--store", "sqlite:b.db"]).ok().json();
        assert_eq!((&listed["id"], &listed["side"]), (&json!("same"), &json!("refused")));
        let again = bench.run(&["refused", "retry", "same", "--json", "--store", "sqlite:b.db"]).ok().json();
        assert_eq!(again, json!({"id": "same", "refused": null, "at_next_sync": true}));
    }
    let said = bench.run(&[&push[..1], &push[2..]].concat());
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.stderr.starts_with("refused: same: the id already names another event"), "{said:?}");
    let given_up =
        bench.run(&["refused", "withdraw", "same", "--json", "--store", "sqlite:b.db"]).ok().json();
    assert_eq!(given_up, json!({"id": "same", "withdrawn": true}));
    assert_eq!(
        bench.run(&["refused", "list", "--store", "sqlite:b.db"]).ok().stdout,
        "nothing was refused\n"
    );
    assert!(bench.export("b").contains("\"type\":\"synckit.withdrawal\""));
    let log = bench.run(&["log", "--json", "--store", "sqlite:b.db"]).ok().ndjson();
    assert_eq!(log[0]["superseded"], json!({"why": "withdrawn", "by": null}));
    assert!(bench.run(&["log", "--store", "sqlite:b.db"]).ok().stdout.contains("withdrawn by its owner"));
    bench
        .run(&["refused", "withdraw", "other", "--store", "sqlite:b.db"])
        .failed(1, &["other", "nobody refused it"]);
    assert_eq!(bench.run(&push).ok().json()["pushed"], 1);
}

#[test]
fn an_id_with_two_contents_is_held_and_reported() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    bench.append("a", "same", "x", "1");
    bench.append("b", "same", "x", "2");
    bench.append("b", "other", "y", "2");
    bench.sync("a", &hub.url, &[]);
    let args = ["sync", "--json", "--store", "sqlite:b.db", "--remote", &hub.url];
    let ran = bench.run(&args);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(ran.json()["notices"], json!([{"kind": "displaced", "id": "same"}]));
    let listed = bench.run(&["refused", "list", "--json", "--store", "sqlite:b.db"]).ok().ndjson();
    assert!(!listed.is_empty(), "{ran:?}");
    assert_eq!(
        (&listed[0]["id"], &listed[0]["code"]),
        (&json!("same"), &json!("content_mismatch")),
        "{listed:?}"
    );
    let readable = bench.run(&["refused", "list", "--store", "sqlite:b.db"]).ok().stdout;
    assert!(readable.contains("same") && readable.contains("content_mismatch"), "{readable}");
    let status = bench.run(&["status", "--json", "--store", "sqlite:b.db"]).ok().json();
    assert_eq!(status["refused"].as_array().unwrap().len(), listed.len());
    let retried =
        bench.run(&["refused", "retry", "same", "--json", "--store", "sqlite:b.db", "--remote", &hub.url]);
    assert_eq!(retried.status, Some(1), "{retried:?}");
    assert_eq!(retried.json()["refused"]["code"], "content_mismatch");
    bench
        .run(&["refused", "retry", "nothing", "--store", "sqlite:b.db"])
        .failed(1, &["nothing", "not in quarantine"]);
    bench.run(&["refused", "withdraw", "nothing", "--store", "sqlite:b.db"]).failed(1, &["nothing"]);
    assert_eq!(
        bench.run(&["refused", "list", "--store", "sqlite:a.db"]).ok().stdout,
        "nothing was refused\n"
    );
}
