//! Processes that are killed in the middle of their work, as often as it takes to hit every part of it.

use std::{
    io::{Read as _, Write as _},
    process::Child,
    time::{Duration, Instant},
};

use crate::support::{Bench, Served};

const KILLS: u32 = 20;
const FLIGHTS: &[u8] = include_bytes!("../../../../examples/data/flights-2013-01-01.ndjson.gz");

/// The flights in portions for two replicas, `KILLS` + 2 for each, under ids of their own.
fn portions() -> Vec<[Vec<u8>; 2]> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FLIGHTS).read_to_string(&mut text).unwrap();
    (0..KILLS + 2)
        .map(|n| {
            let mut both = [Vec::new(), Vec::new()];
            for line in text.lines() {
                let renamed = line.replacen("\"id\":\"", &format!("\"id\":\"{n}-"), 1);
                let replica = usize::from(!line.contains("\"source\":\"/airports/EWR\""));
                writeln!(both[replica], "{renamed}").unwrap();
            }
            both
        })
        .collect()
}

fn start_sync(bench: &Bench, name: &str, url: &str) -> Child {
    let store = format!("sqlite:{name}.db");
    bench.command(&["sync", "-q", "--store", &store, "--remote", url]).spawn().unwrap()
}

/// How long a sync with this much to do takes when nobody disturbs it.
fn undisturbed(bench: &Bench, url: &str, portion: &[Vec<u8>; 2]) -> Duration {
    bench.import("a", &portion[0]);
    let begun = Instant::now();
    bench.sync("a", url, &[]);
    begun.elapsed()
}

fn all_agree(bench: &Bench, hub: &Served, events: u64) {
    for _ in 0..2 {
        for name in ["a", "b"] {
            bench.sync(name, &hub.url, &[]);
        }
    }
    let digest = bench.digest("hub");
    assert_eq!(bench.digest("a"), digest);
    assert_eq!(bench.digest("b"), digest);
    let held = bench.export("hub").lines().filter(|l| !l.contains("\"type\":\"synckit.")).count() as u64;
    assert_eq!(held, events);
}

fn imported(bench: &Bench, name: &str, lines: &[u8]) -> u64 {
    bench.import(name, lines).1["accepted"].as_u64().unwrap()
}

#[test]
fn a_killed_sync_goes_on_where_it_was() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    let portions = portions();
    let whole = undisturbed(&bench, &hub.url, &portions[0]);
    let mut events = portions[0][0].split(|b| *b == b'\n').count() as u64 - 1;
    for (n, portion) in (0..KILLS).zip(&portions[1..]) {
        events += imported(&bench, "a", &portion[0]) + imported(&bench, "b", &portion[1]);
        for name in ["a", "b"] {
            let mut sync = start_sync(&bench, name, &hub.url);
            std::thread::sleep(whole * n / KILLS);
            sync.kill().unwrap();
            sync.wait().unwrap();
        }
    }
    all_agree(&bench, &hub, events);
}

#[test]
fn a_killed_hub_has_what_it_acknowledged() {
    let bench = Bench::with(&["a", "b"]);
    let mut hub = bench.serve("hub");
    let address = hub.address();
    let portions = portions();
    let whole = undisturbed(&bench, &hub.url, &portions[0]);
    let mut events = portions[0][0].split(|b| *b == b'\n').count() as u64 - 1;
    for (n, portion) in (0..KILLS).zip(&portions[1..]) {
        events += imported(&bench, "a", &portion[0]) + imported(&bench, "b", &portion[1]);
        let mut syncs = ["a", "b"].map(|name| start_sync(&bench, name, &hub.url));
        std::thread::sleep(whole * n / KILLS);
        hub.child.kill().unwrap();
        hub.child.wait().unwrap();
        for sync in &mut syncs {
            sync.kill().unwrap();
            sync.wait().unwrap();
        }
        hub = bench.serve_with(&["serve", "--store", "sqlite:hub.db", "--listen", &address]);
    }
    all_agree(&bench, &hub, events);
}
