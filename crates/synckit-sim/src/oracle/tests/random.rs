//! The kit and the plain sets agree on histories that nobody thought of.

use synckit_core::{
    EventId, VertexId,
    decision::Decision,
    graph::VertexBody,
    store::{LogEntry, Offered},
};

use super::sample::{Replica, stub};
use crate::oracle::newest_write;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 20) % sides as u64).unwrap()
    }
}

/// What may happen beside writing, pulling and machines.
#[derive(Clone, Copy)]
struct May {
    people: bool,
    withdraw: bool,
    stubs: bool,
    contest: bool,
}

fn play(seed: u64, may: May) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let replicas = Replica::several(4, seed);
    for step in 0..60 {
        let (to, from) = (&replicas[dice.roll(4)], &replicas[dice.roll(4)]);
        match dice.roll(10) {
            0..=3 => {
                let id = if may.contest && dice.roll(3) == 0 {
                    format!("x{}", dice.roll(6))
                } else {
                    format!("e{step}")
                };
                let data = if may.contest { step % 5 } else { step };
                to.append(&id, &format!("data {data}"));
            }
            4..=6 => {
                let offers = from.log().into_iter().map(LogEntry::into_offered);
                let cut = |o: Offered| if may.stubs && dice.roll(4) == 0 { stub(o) } else { o };
                to.take(from, offers.map(cut).collect());
            }
            7 if to.open().is_some() => to.last_write_wins(),
            8 if to.open().is_some() && dice.roll(3) == 0 => to.review(),
            9 if may.withdraw => withdraw(to, &mut dice),
            8 | 9 if may.people => person(to, &mut dice),
            _ => {}
        }
        let found = to.check();
        assert!(found.is_ok(), "seed {seed}, step {step}: {found:?}\n{:#?}", to.log());
    }
    if !may.people && !may.contest {
        settle(&replicas, seed);
    }
}

fn person(at: &Replica, dice: &mut Dice) {
    let graph = at.graph();
    let decided: Vec<(VertexId, Decision, Vec<VertexId>)> = graph
        .vertices()
        .iter()
        .filter_map(|v| Some((v.id.clone(), graph.decision_at(&v.id)?.clone(), v.parents.clone())))
        .collect();
    let some = |ids: Vec<EventId>, dice: &mut Dice| -> Vec<EventId> {
        let kept: Vec<EventId> = ids.iter().filter(|_| dice.roll(2) == 0).cloned().collect();
        if kept.is_empty() { ids.into_iter().take(1).collect() } else { kept }
    };
    if let Some(conflict) = graph.conflict() {
        let beyond = conflict.sides.iter().flat_map(|s| s.beyond.iter().map(|e| e.id().clone())).collect();
        let decision = graph.keep(&conflict.heads, &some(beyond, dice));
        return decision.map_or((), |d| at.decide(conflict.heads, d, false));
    }
    if decided.is_empty() {
        return;
    }
    let (vertex, decision, parents) = &decided[dice.roll(decided.len())];
    if dice.roll(2) == 0 {
        return at.undo(vertex);
    }
    if let (Some(id), Ok(conflict)) = (&decision.conflict, graph.conflict_between(parents)) {
        let beyond = conflict.sides.iter().flat_map(|s| s.beyond.iter().map(|e| e.id().clone())).collect();
        if let Ok((mut anew, now)) = graph.keep_instead(parents, &some(beyond, dice)) {
            anew.conflict = Some(id.clone());
            at.decide(now, anew, false);
        }
    }
}

fn withdraw(at: &Replica, dice: &mut Dice) {
    let graph = at.graph();
    let domain: Vec<&VertexId> =
        graph.vertices().iter().filter(|v| v.body == VertexBody::Domain).map(|v| &v.id).collect();
    if !domain.is_empty() {
        at.withdraw(domain[dice.roll(domain.len())].as_str());
    }
}

/// Everybody pulls from everybody, and machines decide until nothing is left to decide.
fn settle(replicas: &[Replica], seed: u64) {
    for _ in 0..6 {
        for (i, to) in replicas.iter().enumerate() {
            replicas.iter().enumerate().filter(|(j, _)| *j != i).for_each(|(_, from)| to.pull(from));
        }
        if replicas[0].open().is_some() {
            replicas[0].last_write_wins();
        }
    }
    for replica in replicas {
        let found = replica.check().and_then(|()| newest_write::check(&replica.history()));
        assert!(found.is_ok(), "seed {seed}, at the end: {found:?}");
        assert_eq!(replica.open(), None, "seed {seed}");
    }
}

const QUIET: May = May { people: false, withdraw: false, stubs: false, contest: false };

#[test]
fn machines_decide() {
    (1..16).for_each(|seed| play(seed, QUIET));
}

#[test]
fn people_decide_undo_and_decide_anew() {
    (1..31).for_each(|seed| play(seed, May { people: true, ..QUIET }));
}

#[test]
fn events_are_withdrawn() {
    (1..16).for_each(|seed| play(seed, May { people: true, withdraw: true, ..QUIET }));
}

#[test]
fn events_come_as_stubs() {
    (1..16).for_each(|seed| play(seed, May { people: true, stubs: true, ..QUIET }));
}

#[test]
fn ids_are_contested() {
    (1..16).for_each(|seed| play(seed, May { people: true, contest: true, ..QUIET }));
}

#[test]
fn contested_ids_are_withdrawn() {
    (1..31).for_each(|seed| play(seed, May { people: true, withdraw: true, contest: true, ..QUIET }));
}
