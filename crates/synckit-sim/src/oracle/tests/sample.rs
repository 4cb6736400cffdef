//! Stores to look into.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use synckit_core::{
    AggregateId, Clock, ConflictId, Entropy, Environment, Event, EventId, EventStore, NodeId, Payload, Stamp,
    Timestamp, VertexId, content_hash,
    decision::{Decision, Review, Withdrawal},
    graph::{AggregateGraph, ConflictOutline},
    store::{
        Acknowledged, Apply, Checkpoint, DecisionDraft, LogEntry, Offered, Outcome, QuarantineSide,
        Quarantined, ReadRequest, Refusal, RefusalCode, ReviewRow, Write, Written,
    },
};
use synckit_store_mem::MemStore;

use crate::oracle::{History, Violation, decisions, heads, newest_write, people, reviews, views};

const START: u64 = 1_700_000_000_000_000;

/// A clock that moves whenever it is read, and numbers that never come twice.
#[derive(Debug)]
pub(super) struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(START + self.0.fetch_add(10, Ordering::SeqCst))
    }
}

impl Entropy for Ticking {
    fn random(&self) -> u128 {
        let n = u128::from(self.0.fetch_add(1, Ordering::SeqCst)) + 1;
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }
}

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// A replica.
#[derive(Debug)]
pub(super) struct Replica(pub(super) MemStore);

impl Replica {
    /// Replicas that share a clock, which has run for so long already.
    pub(super) fn several(count: usize, seed: u64) -> Vec<Self> {
        let ticking = Arc::new(Ticking(AtomicU64::new(seed * 1_000_000)));
        let environment = Environment { clock: ticking.clone(), entropy: ticking };
        (0..count).map(|_| Self(MemStore::builder().environment(environment.clone()).build())).collect()
    }

    pub(super) fn write(&self, write: Write) -> Written {
        run(self.0.write(write)).unwrap()
    }

    pub(super) fn append(&self, id: &str, data: &str) -> bool {
        let written = self.write(Write::Append(vec![event(id, data)]));
        matches!(written.outcomes[0], Outcome::Accepted { .. })
    }

    pub(super) fn log(&self) -> Vec<LogEntry> {
        run(self.0.read(ReadRequest::default().limit(100_000).max_bytes(usize::MAX))).unwrap().entries
    }

    /// Takes entries as if they had been pulled from `from`.
    pub(super) fn take(&self, from: &Self, entries: Vec<Offered>) -> Written {
        let peer = Some(from.0.identity().log);
        self.write(Write::Apply(Apply { peer, entries, hold: true, retry_held: true, ..Apply::default() }))
    }

    pub(super) fn pull(&self, from: &Self) {
        self.take(from, from.log().into_iter().map(LogEntry::into_offered).collect());
    }

    pub(super) fn graph(&self) -> AggregateGraph {
        run(self.0.graphs(&[a()])).unwrap().remove(0)
    }

    pub(super) fn open(&self) -> Option<ConflictId> {
        run(self.0.conflicts(None, 10)).unwrap().into_iter().find(|c| c.aggregate == a()).map(|c| c.id)
    }

    pub(super) fn conflict(&self) -> ConflictOutline {
        self.graph().conflict().unwrap()
    }

    pub(super) fn reviews(&self) -> Vec<ReviewRow> {
        run(self.0.reviews_of(&a())).unwrap()
    }

    pub(super) fn decide(&self, parents: Vec<VertexId>, decision: Decision, by_machine: bool) {
        let aggregate = a();
        let draft = DecisionDraft { aggregate, parents, decision, by_machine, expect_heads: false };
        self.write(Write::Decide(vec![draft]));
    }

    /// The machine lets the last write win.
    pub(super) fn last_write_wins(&self) {
        let conflict = self.conflict();
        let side = conflict.sides.iter().max_by_key(|s| &s.newest).unwrap();
        let mut decision = Decision::adopting(vec![side.head.clone()], "adopt", "machine");
        decision.conflict = Some(conflict.id);
        self.decide(conflict.heads, decision, true);
    }

    /// A person keeps these events.
    pub(super) fn keep(&self, events: &[&str]) {
        let conflict = self.conflict();
        let events: Vec<EventId> = events.iter().map(|e| EventId::new(*e).unwrap()).collect();
        let decision = self.graph().keep(&conflict.heads, &events).unwrap();
        self.decide(conflict.heads, decision, false);
    }

    /// A person takes back this decision.
    pub(super) fn undo(&self, vertex: &VertexId) {
        if let Ok((decision, parents)) = self.graph().undo(vertex) {
            self.decide(parents, decision, false);
        }
    }

    pub(super) fn review(&self) {
        let ConflictOutline { id: conflict, heads, .. } = self.conflict();
        self.write(Write::Review(vec![(a(), Review { conflict, heads, reason: "a test".into() })]));
    }

    /// A peer refuses the event, and its owner gives it up.
    pub(super) fn withdraw(&self, id: &str) {
        let id = EventId::new(id).unwrap();
        let entry = run(self.0.load(std::slice::from_ref(&id))).unwrap().remove(0);
        let peer = synckit_core::LogId::from_u128(1);
        let everything = synckit_core::Filter::everything().fingerprint();
        let refused = Quarantined {
            side: QuarantineSide::Refused,
            peer,
            id: id.clone(),
            origin: Some(entry.stamp.origin),
            counter: entry.stamp.counter,
            refusal: Refusal::new(RefusalCode::Quota, "not now"),
            position: entry.position,
            held: None,
        };
        let checkpoint = Checkpoint::start(peer, "mem:peer", everything);
        let (refused, released) = (vec![refused], Vec::new());
        self.write(Write::Acknowledge(Acknowledged { checkpoint, refused, released, forget: None }));
        self.write(Write::Withdraw(vec![id]));
    }

    pub(super) fn history(&self) -> History {
        History::of(&a(), &self.log()).unwrap()
    }

    /// Every check but [`newest_write`].
    pub(super) fn check(&self) -> Result<(), Violation> {
        let (history, graph) = (History::of(&a(), &self.log())?, self.graph());
        heads::check(&history, &graph, self.open().as_ref())?;
        views::check(&history, &graph)?;
        people::check(&history)?;
        decisions::check(&history)?;
        reviews::check(&history, &graph, &self.reviews())
    }

    /// Every check.
    pub(super) fn check_all(&self) -> Result<(), Violation> {
        self.check().and_then(|()| newest_write::check(&self.history()))
    }
}

/// The aggregate.
pub(super) fn a() -> AggregateId {
    AggregateId::new("a").unwrap()
}

pub(super) fn event(id: &str, data: &str) -> Event {
    Event::new("thing.happened", "a", data).unwrap().with_id(id).unwrap()
}

/// The entry without its data.
pub(super) fn stub(mut offered: Offered) -> Offered {
    if !offered.event.event_type.is_reserved() && offered.stub.is_none() {
        offered.stub = Some(content_hash(&offered.event));
        offered.event.data = Payload::stored(None, Vec::new());
    }
    offered
}

/// The first event of an aggregate, by another node.
pub(super) fn first(id: &str, origin: u128, at: u64) -> Offered {
    stamped(event(id, "data"), origin, at, &[])
}

pub(super) fn stamped(event: Event, origin: u128, at: u64, parents: &[&str]) -> Offered {
    let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
    let stamp = Stamp::checked(NodeId::from_u128(origin), at, Timestamp::from_micros(START + at), parents);
    Offered { event, stamp: Some(stamp.unwrap()), stub: None, position: 0 }
}

/// The withdrawal of an event, by its owner.
pub(super) fn withdrawal(of: &Offered, at: u64) -> Offered {
    let stamp = of.stamp.clone().unwrap();
    let parents: Vec<String> = stamp.parents.iter().map(ToString::to_string).collect();
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    let withdrawal = Withdrawal {
        id: of.event.id.clone(),
        event_type: of.event.event_type.clone(),
        origin: stamp.origin,
        counter: stamp.counter,
        timestamp: stamp.timestamp,
        parents: stamp.parents,
        content: content_hash(&of.event),
    };
    stamped(withdrawal.to_event(&a()).unwrap(), stamp.origin.as_u128(), at, &parents)
}
