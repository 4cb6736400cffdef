//! Who holds an id: the same on every replica, in whatever order the events and withdrawals came.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Replica, Rng, event, for_each_seed, offered};
use synckit_core::{
    AggregateId, EventId, Hash, LogId, NodeId, Stamp, Timestamp,
    graph::{Head, Vertex},
    plan::{Claim, NewEntry, Surroundings},
    store::{
        Acknowledged, Apply, Checkpoint, Offered, QuarantineSide, Quarantined, Refusal, RefusalCode, Write,
    },
};

fn around(now: u64) -> Surroundings {
    Surroundings::new(Timestamp::from_micros(now), u128::from(now))
}

fn take(replica: &mut Replica, entries: Vec<Offered>, retried: Vec<Quarantined>) {
    let peer = Some(LogId::from_u128(99));
    let apply = Apply { peer, entries, retried, hold: true, retry_held: true, ..Apply::default() };
    replica.write(Write::Apply(apply), &around(10_000)).unwrap();
    replica.check_heads();
}

/// Tries again what is in quarantine, as a node does at every sync.
fn settle(replica: &mut Replica) {
    for _ in 0..4 {
        let mut rows = replica.quarantined(QuarantineSide::Held);
        rows.retain(|q| q.held.is_none());
        for row in &mut rows {
            row.held = Some(offered(&replica.log[row.position as usize - 1]));
        }
        take(replica, Vec::new(), rows);
    }
}

fn claim(entry: &NewEntry) -> Claim {
    let aggregate = entry.event.aggregate_id.clone();
    Claim { aggregate, stamp: entry.stamp.clone(), content: entry.content }
}

fn counts(replica: &Replica, entry: &NewEntry) -> bool {
    let withdrawn = replica.withdrawn.get(&entry.event.id);
    withdrawn.is_none_or(|claims| !claims.iter().any(|gone| gone.gives_up(&claim(entry))))
}

/// All that replicas with the same events must have alike.
#[derive(Debug, PartialEq)]
struct State {
    counting: BTreeMap<EventId, (Hash, Stamp)>,
    heads: BTreeMap<AggregateId, Vec<Head>>,
    vertices: BTreeMap<AggregateId, Vec<Vertex>>,
    views: BTreeMap<AggregateId, Vec<String>>,
    quarantine: BTreeSet<(EventId, Option<NodeId>, u64, &'static str)>,
}

fn state(replica: &Replica) -> State {
    let entries = replica.counting.values().map(|i| &replica.log[*i]).filter(|e| counts(replica, e));
    let graph = |a: &AggregateId| (a.clone(), replica.graph(a));
    let graphs: Vec<_> = replica.aggregates().iter().map(graph).collect();
    let view = |a: &AggregateId| -> Vec<String> {
        replica.graph(a).view().iter().map(|e| e.id().to_string()).collect()
    };
    State {
        counting: entries.map(|e| (e.event.id.clone(), (e.content, e.stamp.clone()))).collect(),
        heads: replica
            .heads
            .iter()
            .filter(|(_, h)| !h.is_empty())
            .map(|(a, h)| (a.clone(), h.clone()))
            .collect(),
        vertices: graphs.iter().map(|(a, g)| (a.clone(), g.vertices().to_vec())).collect(),
        views: graphs.iter().map(|(a, _)| (a.clone(), view(a))).collect(),
        quarantine: replica
            .quarantined(QuarantineSide::Held)
            .into_iter()
            .map(|q| (q.id, q.origin, q.counter, q.refusal.code.as_str()))
            .collect(),
    }
}

/// A peer refuses an event, and its owner gives it up.
fn withdraw(owner: &mut Replica, id: &EventId, now: u64) {
    let entry = owner.entry(id).unwrap().clone();
    let peer = LogId::from_u128(98);
    let row = Quarantined {
        side: QuarantineSide::Refused,
        peer,
        id: id.clone(),
        origin: Some(entry.stamp.origin),
        counter: entry.stamp.counter,
        refusal: Refusal::new(RefusalCode::Quota, "no room"),
        position: entry.position,
        held: None,
    };
    let (refused, checkpoint) = (vec![row], Checkpoint::start(peer, "mem:", Hash::ZERO));
    let acknowledged = Acknowledged { checkpoint, refused, released: Vec::new(), forget: None };
    owner.write(Write::Acknowledge(acknowledged), &around(now)).unwrap();
    owner.write(Write::Withdraw(vec![id.clone()]), &around(now)).unwrap();
}

/// Authors that write apart under few ids, give up some of what they wrote, and rarely hear of each other.
fn authors(rng: &mut Rng) -> Vec<Replica> {
    let mut authors: Vec<Replica> = (1..=3).map(|n| Replica::new(n, n)).collect();
    let skew: Vec<u64> = (0..3).map(|_| rng.below(300) as u64).collect();
    for step in 1..=rng.between(3, 14) {
        let n = rng.below(3);
        let now = step as u64 * 20 + skew[n];
        let author = &mut authors[n];
        match rng.below(10) {
            0..6 => {
                let (id, data) = (*rng.pick(&["x", "y", "z"]), *rng.pick(&["1", "2"]));
                let aggregate = *rng.pick(&["p", "p", "p", "q"]);
                author.write(Write::Append(vec![event(id, aggregate, data)]), &around(now)).unwrap();
            }
            6..9 => {
                let own = |e: &&NewEntry| e.stamp.origin == author.node.node && !e.event.id.is_reserved();
                let ids: Vec<EventId> = author
                    .counting
                    .values()
                    .map(|i| &author.log[*i])
                    .filter(own)
                    .filter(|e| counts(author, e) && author.quarantine.values().all(|q| q.id != e.event.id))
                    .map(|e| e.event.id.clone())
                    .collect();
                if !ids.is_empty() {
                    withdraw(author, rng.pick(&ids), now);
                }
            }
            _ => {
                let other = (n + rng.between(1, 2)) % 3;
                let page: Vec<Offered> = authors[other].log.iter().map(offered).collect();
                deliver(&mut authors[n], page, rng);
            }
        }
    }
    authors
}

/// Takes what is not in the log yet, in pages.
fn deliver(replica: &mut Replica, mut entries: Vec<Offered>, rng: &mut Rng) {
    let logged = |o: &Offered| {
        replica.log.iter().any(|e| e.event.id == o.event.id && Some(&e.stamp) == o.stamp.as_ref())
    };
    entries.retain(|o| !logged(o));
    while !entries.is_empty() {
        let rest = entries.split_off(rng.between(1, entries.len()));
        take(replica, std::mem::replace(&mut entries, rest), Vec::new());
    }
}

/// The events, short enough to be read.
fn listed(all: &[Offered]) -> String {
    let mut lines: Vec<String> = all
        .iter()
        .map(|o| {
            let stamp = o.stamp.as_ref().unwrap();
            let (at, by) = (stamp.timestamp.as_micros(), stamp.origin.as_u128());
            let data = String::from_utf8_lossy(o.event.data.bytes()).into_owned();
            format!(
                "{at} by {by}: {} in {} on {:?}: {data}\n",
                o.event.id, o.event.aggregate_id, stamp.parents
            )
        })
        .collect();
    lines.sort();
    lines.concat()
}

#[test]
fn the_same_events_end_alike_in_every_order() {
    for_each_seed(400, |seed| {
        let mut rng = Rng::new(seed);
        let mut authors = authors(&mut rng);
        let mut all: Vec<Offered> = Vec::new();
        for entry in authors.iter().flat_map(|a| &a.log) {
            let known = |o: &Offered| o.event.id == entry.event.id && o.stamp.as_ref() == Some(&entry.stamp);
            if !all.iter().any(known) {
                all.push(offered(entry));
            }
        }
        let mut ends = Vec::new();
        for n in 0..6 {
            rng.shuffle(&mut all);
            let mut replica = Replica::new(10 + n, 10 + n);
            deliver(&mut replica, all.clone(), &mut rng);
            settle(&mut replica);
            ends.push(state(&replica));
        }
        for author in &mut authors {
            deliver(author, all.clone(), &mut rng);
            settle(author);
            ends.push(state(author));
        }
        for (i, end) in ends.iter().enumerate() {
            assert!(*end == ends[0], "replica {i} of {}:\n{end:?}\n{:?}", listed(&all), ends[0]);
        }
    });
}
