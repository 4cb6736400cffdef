//! Histories are the same whenever and on whatever they run, and nothing is wrong with some of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use synckit_sim::{Campaign, Host, Kind, POSTGRES_URL, quiet_panics, run_campaign, run_seed};

/// Short ones, in both modes.
const SEEDS: [u64; 4] = [15, 28, 40, 55];
/// One with a wiped, a restored and a copied store.
const COPIED: u64 = 17;

fn host() -> Arc<Host> {
    quiet_panics();
    Arc::new(Host::new().unwrap())
}

fn host_with_postgres() -> Arc<Host> {
    quiet_panics();
    let server = std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!("{POSTGRES_URL} names no PostgreSQL server; run cargo xtask test, which starts one")
    });
    Arc::new(Host::new().unwrap().with_postgres(&server).unwrap())
}

/// Runs a seed on two kinds of stores, and compares what became of it.
fn alike(seed: u64, one: Kind, other: Kind, host: &Arc<Host>) {
    let (one, other) = (run_seed(seed, one, host, true), run_seed(seed, other, host, true));
    let apart = one.lines.iter().zip(&other.lines).find(|(a, b)| a != b);
    assert_eq!(apart, None, "seed {seed}");
    assert_eq!(one.violation, None, "seed {seed}");
    assert!(one.digest.is_some() && one.digest == other.digest, "seed {seed}");
    assert_eq!((one.fingerprint, one.rounds), (other.fingerprint, other.rounds), "seed {seed}");
}

#[test]
fn same_seed_same_trace() {
    SEEDS.into_iter().for_each(|seed| alike(seed, Kind::Memory, Kind::Memory, &host()));
}

#[test]
fn memory_and_sqlite_end_alike() {
    SEEDS[..3].iter().for_each(|seed| alike(*seed, Kind::Memory, Kind::Sqlite, &host()));
}

#[test]
fn memory_and_fjall_end_alike() {
    SEEDS[..3].iter().for_each(|seed| alike(*seed, Kind::Memory, Kind::Fjall, &host()));
}

#[test]
fn memory_and_postgres_end_alike() {
    let host = host_with_postgres();
    SEEDS[..3].iter().chain([&COPIED]).for_each(|seed| alike(*seed, Kind::Memory, Kind::Postgres, &host));
}

#[test]
fn without_a_server_nothing_runs_on_postgres() {
    let violation = run_seed(SEEDS[0], Kind::Postgres, &host(), false).violation.unwrap();
    assert!(violation.what.contains("no PostgreSQL server"), "{violation:?}");
}

#[test]
fn a_url_that_makes_no_sense_is_refused_without_showing_it() {
    let error =
        Host::new().unwrap().with_postgres("mysql://user:hunter2@localhost/db").unwrap_err().to_string();
    assert!(error.contains("postgres://") && !error.contains("hunter2"), "{error}");
}

#[test]
fn other_seeds_leave_other_traces() {
    let host = host();
    let (one, other) = (run_seed(15, Kind::Memory, &host, false), run_seed(40, Kind::Memory, &host, false));
    assert_ne!(one.fingerprint, other.fingerprint);
    assert!(one.lines.is_empty(), "it is kept only for those who ask");
}

#[test]
fn a_small_campaign_finds_nothing() {
    assert!(run_campaign(Campaign { first: 50, seeds: 20, limit: None }, &host()));
}

#[cfg(all(feature = "planted-bugs", debug_assertions))]
#[test]
fn a_planted_bug_is_found_and_the_same_seed_passes_without_it() {
    let planted = synckit_sim::PLANTS.into_iter().find(|p| p.name == "no-more-flag").unwrap();
    assert!(synckit_sim::run_plants(&[planted], None, &host()).unwrap());
}

#[cfg(not(all(feature = "planted-bugs", debug_assertions)))]
#[test]
fn nothing_can_be_planted_in_this_build() {
    assert!(synckit_sim::run_plants(&synckit_sim::PLANTS[..1], None, &host()).is_err());
}
