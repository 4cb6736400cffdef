//! Nodes and hubs, and what happens to them.

use std::collections::BTreeMap;

use synckit_core::{
    AggregateId, NodeId, Timestamp,
    decision::Decision,
    plan::Surroundings,
    store::{Apply, DecisionDraft, Offered, Write, Written},
};

use super::support::{Replica, Rng, event};

/// How far a stamp may be ahead, in the ticks that the clock of a history makes.
const TOLERANCE: u64 = 5;
/// A page that takes in every log of a history.
const WHOLE: usize = 10_000;

#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) address: String,
    pub(crate) replica: Replica,
    skew: u64,
}

/// What may happen in a history beside appending and syncing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Nodes sync with each other too.
    pub(crate) mesh: bool,
    /// One id names several contents.
    pub(crate) clashes: bool,
    /// Nodes decide conflicts.
    pub(crate) decisions: bool,
    /// Superseded entries are not pushed.
    pub(crate) only_counting: bool,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) kind: Kind,
    pub(crate) nodes: Vec<Site>,
    pub(crate) hubs: Vec<Site>,
    now: u64,
    backups: BTreeMap<String, Replica>,
    copies: BTreeMap<String, Replica>,
    unstamped: Vec<(String, String, String)>,
    imports: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Node(usize),
    Hub(usize),
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
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

    pub(crate) fn at(&self, at: At) -> &Site {
        match at {
            At::Node(n) => &self.nodes[n],
            At::Hub(h) => &self.hubs[h],
        }
    }

    pub(crate) fn write(&mut self, at: At, write: Write) -> Written {
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

    pub(crate) fn step(&mut self) {
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

    pub(crate) fn sites(&self) -> impl Iterator<Item = &Site> {
        self.nodes.iter().chain(&self.hubs)
    }

    pub(crate) fn heal(&mut self) {
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
}
