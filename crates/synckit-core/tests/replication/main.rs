//! Random histories of nodes and hubs that lose answers, crash between pages, are wiped, restored and copied, and whose
//! clocks go wrong: once that stops, every event reaches every replica, under one stamp.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod check;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod world;

use support::for_each_seed;
use world::{Kind, World};

fn history(seed: u64, set: impl Fn(&mut Kind)) {
    let mut world = World::new(seed);
    set(&mut world.kind);
    for _ in 0..world.rng.between(4, 60) {
        world.step();
    }
    let before = world.sites().flat_map(|s| s.replica.counting.keys().cloned()).collect();
    world.heal();
    world.check(&before);
}

#[test]
fn every_event_reaches_every_replica() {
    for_each_seed(500, |seed| {
        history(seed, |kind| {
            kind.clashes = false;
            kind.decisions = false;
        });
    });
}

#[test]
fn decisions_travel_like_all_events() {
    for_each_seed(300, |seed| {
        history(seed, |kind| {
            kind.clashes = false;
            kind.decisions = true;
        });
    });
}

#[test]
fn the_smaller_stamp_keeps_a_contested_id() {
    for_each_seed(300, |seed| {
        history(seed, |kind| {
            kind.clashes = true;
            kind.decisions = false;
        });
    });
}
