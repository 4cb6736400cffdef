//! Nodes that append, pull from each other, decide and undo.

use std::collections::BTreeSet;

use super::support::{Replica, Rng, event, offered};
use synckit_core::{
    AggregateId, EventId, Timestamp, VertexId,
    decision::{Decision, MergedEvent},
    graph::{AggregateGraph, ConflictOutline},
    plan::Surroundings,
    store::{Apply, DecisionDraft, Offered, Outcome, Write},
};

/// How machines decide in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    LastWriteWins,
    Union,
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topology {
    Star,
    Chain,
    Ring,
    OneWayRing,
    Mesh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schedule {
    InTurn,
    Lockstep,
    Staggered,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) nodes: Vec<Replica>,
    links: Vec<(usize, usize)>,
    cursors: Vec<Vec<usize>>,
    pub(crate) aggregates: Vec<AggregateId>,
    pub(crate) machine: Machine,
    clock: u64,
    pub(crate) persons: bool,
    pub(crate) undos: bool,
}

/// The links over which node i pulls from node j.
fn links(topology: Topology, n: usize) -> Vec<(usize, usize)> {
    let linked = |i: usize, j: usize| match topology {
        Topology::Star => i == 0 || j == 0,
        Topology::Chain => i.abs_diff(j) == 1,
        Topology::Ring => i.abs_diff(j) == 1 || i.abs_diff(j) == n - 1,
        Topology::OneWayRing => j == (i + 1) % n,
        Topology::Mesh => true,
    };
    let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    pairs.filter(|&(i, j)| i != j && linked(i, j)).collect()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let n = rng.between(2, 6);
        let topology = *rng.pick(&[
            Topology::Star,
            Topology::Chain,
            Topology::Ring,
            Topology::OneWayRing,
            Topology::Mesh,
        ]);
        let machine =
            *rng.pick(&[Machine::LastWriteWins, Machine::LastWriteWins, Machine::Random, Machine::Union]);
        let aggregates = *rng.pick(&[1, 1, 2, 3]);
        Self {
            nodes: (0..n).map(|_| Replica::new(rng.wide(), rng.wide())).collect(),
            links: links(topology, n),
            cursors: vec![vec![0; n]; n],
            aggregates: (0..aggregates)
                .map(|a| AggregateId::new(format!("aggregate-{a}")).unwrap())
                .collect(),
            machine,
            clock: 1_000,
            persons: rng.percent(50),
            undos: rng.percent(50),
            rng,
        }
    }

    fn around(&mut self, skew: i64) -> Surroundings {
        Surroundings::new(Timestamp::from_micros(self.clock.saturating_add_signed(skew)), self.rng.wide())
    }

    fn append(&mut self, n: usize, aggregate: &AggregateId, skew: i64) {
        let sides = |node: &Replica| node.graph(aggregate).conflict().map_or(1, |c| c.sides.len());
        let before = sides(&self.nodes[n]);
        let id = format!("e-{:016x}", self.rng.next());
        let around = self.around(skew);
        let event = event(&id, aggregate.as_str(), "x");
        let written = self.nodes[n].write(Write::Append(vec![event]), &around).unwrap();
        assert_eq!(written.accepted(), 1);
        assert!(before < 2 || sides(&self.nodes[n]) >= 2, "an append closed a conflict");
    }

    fn apply(&mut self, to: usize, from: usize, entries: Vec<Offered>) -> bool {
        let peer = Some(self.nodes[from].node.log);
        let around = self.around(0);
        let apply = Apply { peer, entries, hold: true, retry_held: true, ..Apply::default() };
        let written = self.nodes[to].write(Write::Apply(apply), &around).unwrap();
        let refusal = written.outcomes.iter().find_map(Outcome::refusal);
        assert_eq!(refusal, None, "a log read in order is taken whole");
        assert!(written.notices.is_empty(), "nobody was copied: {:?}", written.notices);
        written.accepted() > 0
    }

    fn pull(&mut self, to: usize, from: usize, limit: usize, again: bool) -> bool {
        let at = self.cursors[to][from];
        let start = if again { at.saturating_sub(3) } else { at };
        let log = &self.nodes[from].log;
        let end = log.len().min(start + limit);
        let entries = log[start..end].iter().map(offered).collect();
        self.cursors[to][from] = at.max(end);
        self.apply(to, from, entries)
    }

    /// Takes what is missing from the first `length` entries of another log.
    fn catch_up(&mut self, to: usize, from: usize, length: usize) -> bool {
        let held = &self.nodes[to].counting;
        let log = &self.nodes[from].log[..length];
        let missing: Vec<Offered> =
            log.iter().filter(|e| !held.contains_key(&e.event.id)).map(offered).collect();
        !missing.is_empty() && self.apply(to, from, missing)
    }

    fn machine_decision(&mut self, conflict: &ConflictOutline) -> Decision {
        let heads = || conflict.sides.iter().map(|s| s.head.clone());
        let adopts: Vec<VertexId> = match self.machine {
            Machine::LastWriteWins => {
                let newest = conflict.sides.iter().max_by_key(|s| (s.newest.clone(), s.head.clone()));
                newest.map(|s| s.head.clone()).into_iter().collect()
            }
            Machine::Union => heads().collect(),
            Machine::Random if self.rng.percent(30) => heads().collect(),
            Machine::Random => vec![self.rng.pick(&conflict.sides).head.clone()],
        };
        let mut decision = Decision::adopting(adopts, "decided", "machine");
        decision.conflict = Some(conflict.id.clone());
        if self.machine == Machine::Random {
            let beyond: Vec<EventId> =
                conflict.sides.iter().flat_map(|s| &s.beyond).map(|e| e.id().clone()).collect();
            if !beyond.is_empty() && self.rng.percent(20) {
                decision.hidden.push(self.rng.pick(&beyond).clone());
            }
            if !beyond.is_empty() && self.rng.percent(20) {
                decision.restored.push(self.rng.pick(&beyond).clone());
            }
            if self.rng.percent(20) {
                decision.merged.push(merged(&format!("merged-{}", conflict.id)));
            }
        }
        decision
    }

    /// A decision of node `n`, by a person or by the machine, if there is something to decide for it.
    fn decide(
        &mut self,
        n: usize,
        aggregate: &AggregateId,
        skew: i64,
        by_person: bool,
        anywhere: bool,
    ) -> bool {
        let graph = self.nodes[n].graph(aggregate);
        let Some(conflict) = graph.conflict() else { return false };
        if !by_person && !anywhere && !conflict.origins.contains(&self.nodes[n].node.node) {
            return false;
        }
        let mut kept = None;
        let decision = if by_person {
            let keep = self.choose(&conflict);
            let decision = graph.keep(&conflict.heads, &keep).unwrap();
            kept = Some(keep);
            decision
        } else {
            self.machine_decision(&conflict)
        };
        self.draft(n, aggregate, decision, conflict.heads.clone(), !by_person, skew);
        if let Some(keep) = kept {
            self.check_kept(n, &graph, &conflict, &keep);
        }
        true
    }

    /// What a person keeps: one side, or some events.
    fn choose(&mut self, conflict: &ConflictOutline) -> Vec<EventId> {
        if self.rng.percent(60) {
            return vec![EventId::from(&self.rng.pick(&conflict.sides).head)];
        }
        let beyond = conflict.sides.iter().flat_map(|s| &s.beyond);
        let mut keep: BTreeSet<EventId> = BTreeSet::new();
        for e in beyond {
            if !conflict.sides.iter().any(|s| s.head.as_str() == e.id().as_str()) && self.rng.percent(50) {
                keep.insert(e.id().clone());
            }
        }
        keep.into_iter().collect()
    }

    fn check_kept(&self, n: usize, before: &AggregateGraph, conflict: &ConflictOutline, keep: &[EventId]) {
        let after = self.nodes[n].graph(before.aggregate());
        let view: BTreeSet<EventId> = after.view().iter().map(|e| e.id().clone()).collect();
        let beyond: BTreeSet<EventId> =
            conflict.sides.iter().flat_map(|s| &s.beyond).map(|e| e.id().clone()).collect();
        let mut wanted: BTreeSet<EventId> = BTreeSet::new();
        for id in keep {
            match conflict.sides.iter().find(|s| s.head.as_str() == id.as_str()) {
                Some(side) => wanted.extend(side.beyond.iter().map(|e| e.id().clone())),
                None => drop(wanted.insert(id.clone())),
            }
        }
        let counts: BTreeSet<EventId> = view.intersection(&beyond).cloned().collect();
        assert_eq!(counts, wanted, "a person keeps what was named, and nothing else of the conflict");
        assert_eq!(after.conflict(), None, "a person's decision over all heads settles the conflict");
    }

    fn draft(
        &mut self,
        n: usize,
        aggregate: &AggregateId,
        decision: Decision,
        parents: Vec<VertexId>,
        by_machine: bool,
        skew: i64,
    ) {
        let around = self.around(skew);
        let aggregate = aggregate.clone();
        let draft = DecisionDraft { aggregate, parents, decision, by_machine, expect_heads: true };
        let written = self.nodes[n].write(Write::Decide(vec![draft]), &around).unwrap();
        assert_eq!(written.accepted(), 1, "{:?}", written.outcomes);
    }

    fn undo(&mut self, n: usize, aggregate: &AggregateId) {
        let graph = self.nodes[n].graph(aggregate);
        let decisions: Vec<VertexId> = graph
            .vertices()
            .iter()
            .map(|v| v.id.clone())
            .filter(|id| graph.decision_at(id).is_some())
            .collect();
        if decisions.is_empty() {
            return;
        }
        let vertex = self.rng.pick(&decisions).clone();
        let Ok((decision, parents)) = graph.undo(&vertex) else { return };
        let mut wanted: BTreeSet<EventId> = graph.view().iter().map(|e| e.id().clone()).collect();
        wanted.extend(decision.restored.iter().cloned());
        wanted.retain(|id| !decision.hidden.contains(id));
        self.draft(n, aggregate, decision, parents.clone(), false, 0);
        let after = self.nodes[n].graph(aggregate);
        let undo = VertexId::from(&self.nodes[n].log.last().unwrap().event.id);
        assert!(
            self.nodes[n].heads[aggregate].iter().any(|h| h.vertex == undo),
            "an undo is a head: {undo} of {vertex} on {parents:?}, {:#?}",
            after.vertices()
        );
        let view: BTreeSet<EventId> = after.view_at(&undo).iter().map(|e| e.id().clone()).collect();
        assert_eq!(view, wanted, "an undo gives back what was taken out, and takes out what was brought in");
    }

    pub(crate) fn step(&mut self) {
        self.clock += 1;
        let n = self.rng.below(self.nodes.len());
        let skew = *self.rng.pick(&[0, 0, 0, -5, 5]);
        let aggregate = self.rng.pick(&self.aggregates).clone();
        match self.rng.below(100) {
            0..35 => self.append(n, &aggregate, skew),
            35..75 => {
                let (to, from) = *self.rng.pick(&self.links);
                let limit = *self.rng.pick(&[1, 2, 5, 100]);
                let again = self.rng.percent(20);
                self.pull(to, from, limit, again);
            }
            75..95 => {
                let by_person = self.persons && self.rng.percent(20);
                let anywhere = self.rng.percent(10);
                self.decide(n, &aggregate, skew, by_person, anywhere);
            }
            _ if self.undos => self.undo(n, &aggregate),
            _ => {}
        }
    }

    fn decide_all(&mut self, n: usize) -> bool {
        let aggregates = self.aggregates.clone();
        aggregates.iter().fold(false, |any, a| any | self.decide(n, a, 0, false, false))
    }

    /// Nodes pull and decide until nothing happens any more.
    pub(crate) fn heal(&mut self, schedule: Schedule) {
        let mut quiet = 0;
        let mut older: Option<Vec<usize>> = None;
        for _ in 0..30 {
            self.clock += 10;
            let lengths: Vec<usize> = self.nodes.iter().map(|n| n.log.len()).collect();
            let mut changed = false;
            let mut links = self.links.clone();
            match schedule {
                Schedule::InTurn => {
                    self.rng.shuffle(&mut links);
                    for (to, from) in links {
                        changed |= self.pull(to, from, 1000, false);
                        changed |= self.decide_all(to);
                    }
                }
                Schedule::Lockstep => {
                    for (to, from) in links {
                        changed |= self.catch_up(to, from, lengths[from]);
                    }
                    for n in 0..self.nodes.len() {
                        changed |= self.decide_all(n);
                    }
                }
                Schedule::Staggered => {
                    let shown = older.replace(lengths.clone()).unwrap_or_else(|| lengths.clone());
                    for (to, from) in links {
                        changed |= self.catch_up(to, from, shown[from]);
                        changed |= self.decide_all(to);
                    }
                    changed |= shown != lengths;
                }
            }
            quiet = if changed { 0 } else { quiet + 1 };
            if quiet == 2 {
                return;
            }
        }
        panic!("deciding goes on and on");
    }
}

pub(crate) fn merged(id: &str) -> MergedEvent {
    let event = event(id, "any", "merged");
    let data = serde_json::value::RawValue::from_string(event.data.as_json().unwrap().to_owned()).unwrap();
    MergedEvent { id: event.id, event_type: event.event_type, data, metadata: None }
}
