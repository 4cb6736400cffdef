//! Random histories of nodes that append, pull from each other, decide and undo: all of them come to one result, soon,
//! and it is the one that plain sets give.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod check;
#[path = "../support/mod.rs"]
mod support;
mod world;

use check::compare;
use support::{Oracle, for_each_seed};
use synckit_core::{AggregateId, Payload};
use world::{Schedule, World, merged};

#[test]
fn all_nodes_come_to_one_result() {
    for_each_seed(250, |seed| {
        let mut world = World::new(seed);
        for _ in 0..world.rng.between(10, 70) {
            world.step();
        }
        for n in 0..world.nodes.len() {
            for aggregate in &world.aggregates {
                compare(&world.nodes[n].graph(aggregate), &Oracle::of(&world.nodes[n], aggregate));
            }
        }
        let schedule = *world.rng.pick(&[Schedule::InTurn, Schedule::Lockstep, Schedule::Staggered]);
        world.heal(schedule);
        world.check();
    });
}

#[test]
fn merged_data_is_what_the_decision_says() {
    let data = merged("m").to_event(&AggregateId::new("a").unwrap()).unwrap().data;
    assert_eq!(data, Payload::json_text("\"merged\"").unwrap());
}
