//! Random histories of nodes and hubs that lose answers, crash between pages, are wiped, restored and copied, and whose
//! clocks go wrong: once that stops, every event reaches every replica, under one stamp.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Replica, Rng, event, for_each_seed, offered};
use synckit_core::{
    AggregateId, CanonicalKey, EventId, Hash, LogId, NodeId, Timestamp, VertexId,
    decision::Decision,
    graph::Head,
    plan::{NewEntry, Surroundings},
    store::{
        Acknowledged, Apply, Checkpoint, DecisionDraft, Offered, Outcome, QuarantineSide, Quarantined, RefusalCode,
        Write, Written,
    },
};

/// How far a stamp may be ahead, in the ticks that the clock of a history makes.
const TOLERANCE: u64 = 5;
/// A page that takes in every log of a history.
const WHOLE: usize = 10_000;

#[derive(Debug, Clone)]
struct Site {
    address: String,
    replica: Replica,
    skew: u64,
}

/// What may happen in a history beside appending and syncing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Nodes sync with each other too.
    mesh: bool,
    /// One id names several contents.
    clashes: bool,
    /// Nodes decide conflicts.
    decisions: bool,
    /// Superseded entries are not pushed.
    only_counting: bool,
}

struct World {
    rng: Rng,
    kind: Kind,
    nodes: Vec<Site>,
    hubs: Vec<Site>,
    now: u64,
    backups: BTreeMap<String, Replica>,
    copies: BTreeMap<String, Replica>,
    unstamped: Vec<(String, String, String)>,
    imports: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Node(usize),
    Hub(usize),
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (nodes, hubs) = (rng.between(2, 4), *rng.pick(&[1, 1, 2]));
        let mut site = |kind: &str, i: usize| Site {
            address: format!("{kind}{i}"),
            replica: Replica::new(rng.wide(), rng.wide()),
            skew: 0,
        };
        Self {
            nodes: (0..nodes).map(|i| site("n", i)).collect(),
            hubs: (0..hubs).map(|i| site("h", i)).collect(),
            kind: Kind {
                mesh: rng.percent(30),
                clashes: rng.percent(25),
                decisions: rng.percent(40),
                only_counting: rng.percent(50),
            },
            now: 1_000,
            backups: BTreeMap::new(),
            copies: BTreeMap::new(),
            unstamped: Vec::new(),
            imports: 0,
            rng,
        }
    }

    fn at(&self, at: At) -> &Site {
        match at {
            At::Node(n) => &self.nodes[n],
            At::Hub(h) => &self.hubs[h],
        }
    }

    fn write(&mut self, at: At, write: Write) -> Written {
        let random = self.rng.wide();
        let now = self.now;
        let site = match at {
            At::Node(n) => &mut self.nodes[n],
            At::Hub(h) => &mut self.hubs[h],
        };
        let mut around = Surroundings::new(Timestamp::from_micros(now + site.skew), random);
        around.tolerance = TOLERANCE;
        site.replica.write(write, &around).unwrap()
    }

    /// The checkpoint to go on with, and one that is void. A peer that is not who it was is met anew: what came from it
    /// is offered to it again.
    fn greet(&self, n: At, h: At) -> (Checkpoint, Option<LogId>) {
        let (node, peer) = (&self.at(n).replica, self.at(h));
        let log = peer.replica.node.log;
        let void = node.checkpoints.values().find(|c| c.address == peer.address && c.log != log).map(|c| c.log);
        if let Some(held) = node.checkpoints.get(&log)
            && [held.pull, held.seen].iter().all(|m| peer.replica.mark_at(m.position) == Some(*m))
        {
            return (held.clone(), void);
        }
        let mut checkpoint = Checkpoint::start(log, peer.address.clone(), Hash::ZERO);
        checkpoint.echo_floor = node.node.head.position;
        (checkpoint, void)
    }

    /// Syncs `n` with `h`. In `faults` of a hundred cases, what comes next is cut off. Tells whether anything moved.
    fn sync(&mut self, n: At, h: At, page: usize, faults: usize) -> bool {
        let (mut checkpoint, mut void) = self.greet(n, h);
        let mut moved = false;
        loop {
            if self.rng.percent(faults) {
                return moved;
            }
            let from = checkpoint.pull.position as usize;
            let log = &self.at(h).replica.log;
            let to = log.len().min(from + page);
            let entries: Vec<Offered> = log[from..to].iter().map(offered).collect();
            let more = to < log.len();
            checkpoint.pull = self.at(h).replica.mark_at(to as u64).unwrap();
            checkpoint.saw(checkpoint.pull);
            let apply = Apply {
                peer: Some(checkpoint.log),
                entries,
                hold: true,
                retry_held: true,
                checkpoint: Some(checkpoint.clone()),
                forget: void.take(),
                ..Apply::default()
            };
            let written = self.write(n, Write::Apply(apply));
            moved |= written.accepted() + written.released > 0;
            if !more {
                break;
            }
        }
        moved | self.push_refused(n, h, &mut checkpoint, faults) | self.push_new(n, h, &mut checkpoint, page, faults)
            | self.restamp(n)
    }

    fn push_refused(&mut self, n: At, h: At, checkpoint: &mut Checkpoint, faults: usize) -> bool {
        let node = &self.at(n).replica;
        let again: Vec<NewEntry> = node
            .quarantined(QuarantineSide::Refused)
            .iter()
            .filter(|q| q.peer == checkpoint.log && q.refusal.code.may_pass())
            .map(|q| node.log[q.position as usize - 1].clone())
            .collect();
        !again.is_empty() && self.offer(n, h, checkpoint, again, None, faults).0
    }

    fn push_new(&mut self, n: At, h: At, checkpoint: &mut Checkpoint, page: usize, faults: usize) -> bool {
        let mut moved = false;
        loop {
            let node = &self.at(n).replica;
            let (from, end) = (checkpoint.push as usize, node.log.len());
            if from >= end {
                return moved;
            }
            let to = end.min(from + page);
            let back = |e: &NewEntry| e.from == Some(checkpoint.log) && e.position > checkpoint.echo_floor;
            let mut entries = node.log[from..to].to_vec();
            entries.retain(|e| !back(e) && !(self.kind.only_counting && e.superseded));
            let (more, answered) = self.offer(n, h, checkpoint, entries, Some(to as u64), faults);
            moved |= more;
            if !answered {
                return moved;
            }
        }
    }

    /// Whether anything moved, and whether the answer arrived.
    fn offer(
        &mut self,
        n: At,
        h: At,
        checkpoint: &mut Checkpoint,
        entries: Vec<NewEntry>,
        push: Option<u64>,
        faults: usize,
    ) -> (bool, bool) {
        let node = self.at(n).replica.node.clone();
        let apply = Apply {
            peer: Some(node.log),
            author: Some(node.node),
            entries: entries.iter().map(offered).collect(),
            ..Apply::default()
        };
        let written = self.write(h, Write::Apply(apply));
        let moved = written.accepted() > 0;
        if self.rng.percent(faults) {
            return (moved, false);
        }
        let (mut refused, mut released) = (Vec::new(), Vec::new());
        for (entry, outcome) in entries.iter().zip(&written.outcomes) {
            let row = |refusal| Quarantined {
                side: QuarantineSide::Refused,
                peer: checkpoint.log,
                id: entry.event.id.clone(),
                origin: Some(entry.stamp.origin),
                counter: entry.stamp.counter,
                refusal,
                position: entry.position,
                held: None,
            };
            match outcome {
                Outcome::Refused(refusal) => refused.push(row(refusal.clone())),
                _ => released.push(row(synckit_core::store::Refusal::new(RefusalCode::Other, ""))),
            }
        }
        checkpoint.push = push.unwrap_or(checkpoint.push);
        checkpoint.saw(written.head);
        let acknowledged = Acknowledged { checkpoint: checkpoint.clone(), refused, released };
        self.write(n, Write::Acknowledge(acknowledged));
        (moved, true)
    }

    /// Own events that a peer refused for their clock are offered again under smaller stamps, once the clock is right.
    fn restamp(&mut self, n: At) -> bool {
        let node = &self.at(n).replica;
        let rows = node.quarantined(QuarantineSide::Refused);
        let skewed = rows.iter().filter(|q| {
            matches!(q.refusal.code, RefusalCode::ClockSkew | RefusalCode::WaitingForParent)
                && q.origin.is_some_and(|o| o == node.node.node || node.node.former.contains(&o))
        });
        let ids: BTreeSet<&EventId> = skewed.map(|q| &q.id).collect();
        let events: Vec<_> = ids.into_iter().filter_map(|id| node.entry(id)).map(|e| e.event.clone()).collect();
        !events.is_empty() && self.write(n, Write::Restamp(events)).accepted() > 0
    }

    fn step(&mut self) {
        self.now += 1;
        let n = self.rng.below(self.nodes.len());
        let h = self.rng.below(self.hubs.len());
        let aggregate = (*self.rng.pick(&["x", "y"])).to_owned();
        match self.rng.below(100) {
            0..25 => {
                let id = format!("e-{:016x}", self.rng.next());
                self.write(At::Node(n), Write::Append(vec![event(&id, &aggregate, "c")]));
            }
            25..30 => self.import(n, &aggregate),
            30..66 => {
                let other = self.rng.below(self.nodes.len());
                let mesh = self.kind.mesh && other != n && self.rng.percent(50);
                let (page, faults) = (*self.rng.pick(&[1, 2, 50]), *self.rng.pick(&[0, 0, 20]));
                self.sync(At::Node(n), if mesh { At::Node(other) } else { At::Hub(h) }, page, faults);
            }
            66..70 if self.kind.decisions => self.decide(n, &aggregate),
            70..74 if self.hubs.len() == 2 => drop(self.sync(At::Hub(0), At::Hub(1), 50, 0)),
            74..79 => self.unstamped(h, &aggregate),
            79..83 => drop(self.backups.insert(self.hubs[h].address.clone(), self.hubs[h].replica.clone())),
            83..88 => {
                if let Some(backup) = self.backups.get(&self.hubs[h].address) {
                    self.hubs[h].replica = backup.clone();
                }
            }
            88..90 => self.hubs[h].replica = Replica::new(self.rng.wide(), self.rng.wide()),
            90..94 => self.copy(n),
            94..97 => self.nodes[n].skew = *self.rng.pick(&[0, 1000, 3]),
            _ => {}
        }
    }

    /// Several nodes import one file.
    fn import(&mut self, n: usize, aggregate: &str) {
        let i = if self.imports > 0 && self.rng.percent(60) {
            self.rng.below(self.imports)
        } else {
            self.imports += 1;
            self.imports - 1
        };
        let (aggregate, data) = if self.kind.clashes {
            (aggregate, *self.rng.pick(&["c", "d"]))
        } else {
            (["x", "y"][i % 2], "c")
        };
        self.write(At::Node(n), Write::Append(vec![event(&format!("import-{i}"), aggregate, data)]));
    }

    /// A client without stamps pushes something new, or something again.
    fn unstamped(&mut self, h: usize, aggregate: &str) {
        if self.unstamped.is_empty() || self.rng.percent(50) {
            let id = format!("u-{}", self.unstamped.len());
            self.unstamped.push((id, aggregate.to_owned(), "c".to_owned()));
        }
        let (id, mut aggregate, mut data) = self.rng.pick(&self.unstamped).clone();
        if self.kind.clashes && self.rng.percent(30) {
            (aggregate, data) = ((*self.rng.pick(&["x", "y"])).to_owned(), "d".to_owned());
        }
        let entries = vec![Offered::unstamped(event(&id, &aggregate, &data))];
        let author = Some(NodeId::from_u128(7));
        self.write(At::Hub(h), Write::Apply(Apply { author, entries, ..Apply::default() }));
    }

    /// A node's store is copied, or an old copy takes its place.
    fn copy(&mut self, n: usize) {
        let address = self.nodes[n].address.clone();
        let old = self.copies.get(&address).filter(|_| self.rng.percent(50)).cloned();
        if let Some(old) = old {
            self.nodes[n].replica = old;
        } else if self.nodes.len() < 5 {
            let mut copy = self.nodes[n].clone();
            copy.address = format!("{address}'{}", self.now);
            self.nodes.push(copy);
        } else {
            self.copies.insert(address, self.nodes[n].replica.clone());
        }
    }

    fn decide(&mut self, n: usize, aggregate: &str) {
        let aggregate = AggregateId::new(aggregate).unwrap();
        let Some(conflict) = self.nodes[n].replica.graph(&aggregate).conflict() else { return };
        let heads = conflict.sides.iter().map(|s| s.head.clone()).collect();
        let mut decision = Decision::adopting(heads, "united", "machine");
        decision.conflict = Some(conflict.id);
        let by_machine = self.rng.percent(80);
        let parents = conflict.heads;
        let draft = DecisionDraft { aggregate, parents, decision, by_machine, expect_heads: true };
        self.write(At::Node(n), Write::Decide(vec![draft]));
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        self.nodes.iter().chain(&self.hubs)
    }

    fn heal(&mut self) {
        self.nodes.iter_mut().for_each(|n| n.skew = 0);
        let mut quiet = 0;
        for _ in 0..60 {
            self.now += 20;
            let mut moved = false;
            for n in 0..self.nodes.len() {
                for h in 0..self.hubs.len() {
                    moved |= self.sync(At::Node(n), At::Hub(h), WHOLE, 0);
                }
            }
            if self.hubs.len() == 2 {
                moved |= self.sync(At::Hub(0), At::Hub(1), WHOLE, 0);
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > 3 {
                return;
            }
        }
        panic!("syncing goes on and on");
    }

    fn check(&self, before: &BTreeSet<EventId>) {
        let first = &self.nodes[0].replica;
        let ids = |r: &Replica| r.counting.keys().cloned().collect::<BTreeSet<_>>();
        let stamps = |r: &Replica| -> BTreeMap<_, _> {
            r.counting.iter().map(|(id, i)| (id.clone(), (r.log[*i].content, r.log[*i].stamp.clone()))).collect()
        };
        for site in self.sites() {
            let replica = &site.replica;
            let missing: Vec<_> = before.difference(&ids(replica)).cloned().collect();
            assert!(missing.is_empty(), "{missing:?} never reach {}", site.address);
            assert_eq!(ids(replica), ids(first), "an event never reaches some replica");
            assert_eq!(stamps(replica), stamps(first), "an event has different stamps on {}", site.address);
            replica.check_heads();
            let heads = |r: &Replica| -> BTreeMap<AggregateId, Vec<Head>> {
                r.heads.iter().filter(|(_, h)| !h.is_empty()).map(|(a, h)| (a.clone(), h.clone())).collect()
            };
            assert_eq!(heads(replica), heads(first), "the heads differ on {}", site.address);
            let met = |q: &Quarantined| {
                q.side == QuarantineSide::Held || self.hubs.iter().any(|h| h.replica.node.log == q.peer)
            };
            let stuck = replica.quarantine.values().filter(|q| q.refusal.code.may_pass() && met(q));
            let stuck: Vec<&Quarantined> = stuck.collect();
            assert!(stuck.is_empty(), "{} keeps in quarantine: {stuck:#?}", site.address);
        }
        self.check_order(first);
    }
    fn dump(&self) {
        for s in self.sites() {
            eprintln!("== {} node {} log {} clock {:?} counter {} former {:?}", s.address, &s.replica.node.node.to_string()[..4], &s.replica.node.log.to_string()[..4], s.replica.node.clock, s.replica.node.counter, s.replica.node.former.iter().map(|f| f.to_string()[..4].to_owned()).collect::<Vec<_>>());
            for e in &s.replica.log {
                eprintln!("  {} {} {} ts {} {}:{} parents {:?} {}", e.position, e.event.id, e.event.aggregate_id, e.stamp.timestamp.as_micros(), &e.stamp.origin.to_string()[..4], e.stamp.counter, e.stamp.parents, if e.superseded {"superseded"} else {""});
            }
            for q in s.replica.quarantine.values() { eprintln!("  Q {:?} {} pos {} {:?} {}", q.side, q.id, q.position, q.refusal.code, q.peer); }
            for (a, h) in &s.replica.heads { eprintln!("  heads {a}: {:?}", h.iter().map(|h| (h.vertex.to_string(), h.timestamp.as_micros())).collect::<Vec<_>>()); }
        }
    }

    /// The canonical order extends causality.
    fn check_order(&self, replica: &Replica) {
        let keys: BTreeMap<VertexId, CanonicalKey> = replica
            .aggregates()
            .iter()
            .flat_map(|a| replica.graph(a).vertices().to_vec())
            .map(|v| (v.id, v.key))
            .collect();
        for aggregate in replica.aggregates() {
            for vertex in replica.graph(&aggregate).vertices() {
                for parent in &vertex.parents {
                    assert!(keys[parent] < vertex.key, "{} comes before its parent {parent}", vertex.id);
                }
            }
        }
    }
}

fn history(seed: u64, set: impl Fn(&mut Kind)) {
    let mut world = World::new(seed);
    set(&mut world.kind);
    for _ in 0..world.rng.between(4, 60) {
        world.step();
    }
    let before = world.sites().flat_map(|s| s.replica.counting.keys().cloned()).collect();
    world.dump(); eprintln!("HEAL at {}", world.now);
    world.heal();
    eprintln!("AFTER {}", world.now);
    world.dump();
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
