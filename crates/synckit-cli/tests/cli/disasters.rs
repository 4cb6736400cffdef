//! Hubs that are wiped or restored, replicas that are copied or made anew.

use std::fs;

use serde_json::Value;

use crate::support::{Bench, Served};

/// Stops a hub, does something to its folder, and starts it again.
fn meanwhile(bench: &Bench, mut hub: Served, act: impl FnOnce()) -> Served {
    let address = hub.address();
    hub.signal("TERM");
    assert!(hub.child.wait().unwrap().success());
    act();
    bench.serve_with(&["serve", "--store", "sqlite:hub.db", "--listen", &address])
}

fn sync_all(bench: &Bench, hub: &Served, names: &[&str]) {
    for _ in 0..3 {
        for name in names {
            bench.sync(name, &hub.url, &[]);
        }
    }
}

fn agree(bench: &Bench, names: &[&str]) -> Value {
    let digest = bench.digest(names[0]);
    for name in &names[1..] {
        assert_eq!(bench.digest(name), digest, "{name}");
    }
    digest
}

fn node(bench: &Bench, name: &str) -> String {
    let status = bench.run(&["status", "--json", "--store", &format!("sqlite:{name}.db")]).ok().json();
    status["node"].as_str().unwrap().to_owned()
}

fn fill(bench: &Bench, name: &str, from: usize, count: usize) {
    let line = |n| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{name}-{n}\",\"source\":\"/{name}\",\"type\":\"t\",\
             \"subject\":\"s{}\",\"data\":{n}}}\n",
            n % 7
        )
    };
    let lines: String = (from..from + count).map(line).collect();
    assert_eq!(bench.import(name, lines.as_bytes()).1["accepted"], count);
}

#[test]
fn replicas_heal_a_hub_that_was_wiped() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    fill(&bench, "a", 0, 50);
    fill(&bench, "b", 0, 50);
    sync_all(&bench, &hub, &["a", "b"]);
    let before = agree(&bench, &["a", "b", "hub"]);
    let hub = meanwhile(&bench, hub, || {
        for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
            let _ = fs::remove_file(bench.dir.path().join(name));
        }
    });
    let report = bench.sync("a", &hub.url, &[]);
    assert_eq!(report["started_over"], true);
    assert_eq!(bench.digest("hub"), before, "what the hub had from the other replica came back, too");
    fill(&bench, "b", 50, 10);
    sync_all(&bench, &hub, &["a", "b"]);
    agree(&bench, &["a", "b", "hub"]);
}

#[test]
fn replicas_heal_a_hub_that_was_restored_and_grew_by_itself() {
    for same_file in [true, false] {
        let bench = Bench::with(&["a", "b"]);
        let hub = bench.serve("hub");
        fill(&bench, "a", 0, 40);
        sync_all(&bench, &hub, &["a", "b"]);
        let path = |name: &str| bench.dir.path().join(name);
        let hub = meanwhile(&bench, hub, || {
            fs::copy(path("hub.db"), path("hub.backup")).unwrap();
        });
        fill(&bench, "b", 0, 40);
        sync_all(&bench, &hub, &["b", "a"]);
        let hub = meanwhile(&bench, hub, || {
            if same_file {
                // The inode stays: the hub cannot tell, but the replicas can.
                fs::write(path("hub.db"), fs::read(path("hub.backup")).unwrap()).unwrap();
            } else {
                fs::rename(path("hub.backup"), path("hub.db")).unwrap();
            }
            for n in 0..60 {
                bench.append("hub", &format!("grown-{n}"), "s1", "1");
            }
        });
        sync_all(&bench, &hub, &["a", "b"]);
        let digest = agree(&bench, &["a", "b", "hub"]);
        assert!(digest["events"].as_u64().unwrap() >= 140, "{digest}");
    }
}

#[test]
fn a_copied_replica_goes_on_under_a_name_of_its_own() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    bench.append("a", "first", "x", "0");
    sync_all(&bench, &hub, &["a"]);
    let original = node(&bench, "a");
    fs::copy(bench.dir.path().join("a.db"), bench.dir.path().join("copy.db")).unwrap();
    let noticed = bench.run(&["status", "--store", "sqlite:copy.db"]).ok();
    assert!(noticed.stderr.contains(&original), "it names the node that it was: {}", noticed.stderr);
    assert_ne!(node(&bench, "copy"), original);
    bench.append("a", "by-a", "x", "1");
    bench.append("copy", "by-copy", "x", "2");
    sync_all(&bench, &hub, &["a", "copy"]);
    agree(&bench, &["a", "copy", "hub"]);
    let exported = bench.export("hub");
    for id in ["first", "by-a", "by-copy"] {
        assert!(exported.contains(&format!("\"id\":\"{id}\"")), "{id}");
    }
    assert_eq!(node(&bench, "a"), original);
}

#[test]
fn a_replica_restored_over_itself_names_both_events_and_forks() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    bench.append("a", "first", "x", "0");
    sync_all(&bench, &hub, &["a"]);
    let path = bench.dir.path().join("a.db");
    let old = fs::read(&path).unwrap();
    bench.append("a", "forgotten", "x", "1");
    sync_all(&bench, &hub, &["a"]);
    let original = node(&bench, "a");
    fs::write(&path, old).unwrap();
    bench.append("a", "again", "x", "2");
    let ran = bench.run(&["sync", "--json", "--store", "sqlite:a.db", "--remote", &hub.url]).ok();
    for word in [&original, "forgotten", "again"] {
        assert!(ran.stderr.contains(word), "{word} is not named: {}", ran.stderr);
    }
    let forked = node(&bench, "a");
    assert_ne!(forked, original);
    bench.append("a", "later", "x", "3");
    sync_all(&bench, &hub, &["a"]);
    agree(&bench, &["a", "hub"]);
    let log = bench.run(&["log", "--json", "--store", "sqlite:hub.db"]).ok().ndjson();
    let origin = |id: &str| log.iter().find(|e| e["id"] == id).unwrap()["origin"].clone();
    assert_eq!(origin("forgotten"), original.as_str());
    assert_eq!(origin("again"), original.as_str(), "nothing is stamped anew");
    assert_eq!(origin("later"), forked.as_str());
}

#[test]
fn a_replica_made_anew_under_the_same_label_catches_up() {
    let bench = Bench::with(&["a"]);
    let hub = bench.serve("hub");
    fill(&bench, "a", 0, 20);
    sync_all(&bench, &hub, &["a"]);
    let before = node(&bench, "a");
    fs::remove_file(bench.dir.path().join("a.db")).unwrap();
    bench.run(&["init", "--store", "sqlite:a.db", "--node", "a"]).ok();
    assert_ne!(node(&bench, "a"), before);
    let report = bench.sync("a", &hub.url, &[]);
    assert_eq!((&report["pulled"], &report["notices"]), (&20.into(), &serde_json::json!([])));
    agree(&bench, &["a", "hub"]);
}
