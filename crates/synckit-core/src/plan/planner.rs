//! The state of a plan in the making.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map},
    sync::Arc,
};

use super::{Changes, Known, KnownEntry, NewEntry, NewHeads, Surroundings};
use crate::{
    cursor::Progress,
    decision::{CONFLICT, Decision, RESOLUTION, Review, WITHDRAWAL, Withdrawal, conflict_id},
    error::{Error, ErrorKind, Result},
    event::Event,
    graph::{AggregateGraph, Head, Vertex, VertexBody, conflicting},
    hash::{Hash, chain_hash},
    ids::{AggregateId, EventId, LogId, NodeId, VertexId},
    parallel,
    stamp::{HybridClock, Stamp, Timestamp},
    store::{Notice, Refusal, RefusalCode, ReviewRow, StoredDecision, Written},
};

/// What an event means to the history of its aggregate.
pub(super) enum Meaning {
    Domain,
    Decision(Arc<Decision>),
    Review(Review),
    Withdrawal(Withdrawal),
}

impl Meaning {
    pub(super) fn of(event: &Event, parents: &[VertexId], stub: bool) -> Result<Self, Refusal> {
        let invalid = |e: Error| Refusal::new(RefusalCode::Invalid, e.to_string());
        let misnamed = |what: &str| Err(Refusal::new(RefusalCode::Invalid, format!("{}: {what}", event.id)));
        if event.aggregate_id.is_reserved() {
            return misnamed("aggregate ids that begin with synckit. are reserved");
        }
        match (event.event_type.is_reserved(), event.id.is_reserved()) {
            (false, false) => return Ok(Self::Domain),
            (false, true) => return misnamed("ids that begin with synckit. are reserved"),
            (true, false) => return misnamed("an event of the kit has an id that begins with synckit."),
            (true, true) => {}
        }
        if stub {
            return Err(Refusal::new(
                RefusalCode::Invalid,
                format!("{}: the kit's own events come whole", event.id),
            ));
        }
        match event.event_type.as_str() {
            RESOLUTION => {
                Decision::read(event, parents).map(|d| Self::Decision(Arc::new(d))).map_err(invalid)
            }
            CONFLICT => Review::read(event).map(Self::Review).map_err(invalid),
            WITHDRAWAL => match Withdrawal::read(event) {
                Err(e) => Err(invalid(e)),
                Ok(w) if w.id.is_reserved() || w.event_type.is_reserved() => {
                    misnamed("events of the kit are not withdrawn")
                }
                Ok(w) if w.stamp().is_ok_and(|s| s.parents != parents) => {
                    misnamed("a withdrawal has the parents of what it withdraws")
                }
                Ok(w) => Ok(Self::Withdrawal(w)),
            },
            other => Err(Refusal::new(
                RefusalCode::Other,
                format!("{}: the reserved type {other} is not known to this version", event.id),
            )),
        }
    }
}

/// The vertex that an entry is in the history of its aggregate; none for reviews and withdrawals.
///
/// Stores call it for each entry that counts when they load a history, but for ids of which something was withdrawn: see
/// [`Known::withdrawn_vertices`].
#[must_use]
pub fn vertex_of(event: &Event, stamp: &Stamp, stub: bool) -> Option<Vertex> {
    let (id, body) = match event.event_type.as_str() {
        CONFLICT | WITHDRAWAL => return None,
        RESOLUTION => {
            let decision = Decision::read(event, &stamp.parents).ok()?;
            (decision.vertex(&event.id), VertexBody::Decision(Arc::new(decision)))
        }
        _ if stub => (VertexId::from(&event.id), VertexBody::Stub),
        _ => (VertexId::from(&event.id), VertexBody::Domain),
    };
    Some(Vertex { id, parents: stamp.parents.clone(), key: stamp.key(&event.id), body })
}

/// An aggregate that the plan has come to.
struct Touched {
    /// Its heads as they are in the plan so far.
    heads: Vec<Head>,
    in_conflict_before: bool,
}

pub(super) struct Planner<'a> {
    pub(super) known: &'a mut Known,
    pub(super) around: &'a Surroundings,
    pub(super) changes: Changes,
    pub(super) written: Written,
    clock: HybridClock,
    before: super::NodeState,
    touched: HashMap<AggregateId, Touched>,
    /// Aggregates whose heads have to be computed anew from their whole history.
    recompute: BTreeSet<AggregateId>,
    /// Per aggregate, the last event of this plan that came from a log without stamps, with its position there.
    pub(super) last_of_plain_log: BTreeMap<AggregateId, (u64, EventId)>,
    /// Aggregates whose histories were needed and not given: a defect of the store.
    missing: BTreeSet<AggregateId>,
    /// The bytes of the entries of this plan.
    pub(super) taken_bytes: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(known: &'a mut Known, around: &'a Surroundings) -> Self {
        Self {
            clock: HybridClock::at(known.node.clock),
            before: known.node.clone(),
            known,
            around,
            changes: Changes::default(),
            written: Written::default(),
            touched: HashMap::new(),
            recompute: BTreeSet::new(),
            last_of_plain_log: BTreeMap::new(),
            missing: BTreeSet::new(),
            taken_bytes: 0,
        }
    }

    /// Makes room for that many entries.
    pub(super) fn expect(&mut self, entries: usize) {
        self.changes.entries.reserve(entries);
        self.written.outcomes.reserve(entries);
        self.known.entries.reserve(entries);
    }

    /// The timestamp for a new own event of `aggregate` on top of these parents.
    pub(super) fn tick(&mut self, aggregate: &AggregateId, parents: &[VertexId]) -> Timestamp {
        let newest = parents.iter().filter_map(|p| self.timestamp_of(aggregate, p)).max().unwrap_or_default();
        self.clock.tick(self.around.now, newest, self.around.tolerance)
    }

    pub(super) fn observe(&mut self, timestamp: Timestamp) {
        self.clock.observe(self.around.now, timestamp, self.around.tolerance);
    }

    pub(super) fn timestamp_of(&self, aggregate: &AggregateId, vertex: &VertexId) -> Option<Timestamp> {
        let head = || {
            let touched = self.touched.get(aggregate).map(|t| &t.heads);
            let heads = touched.or_else(|| self.known.heads.get(aggregate))?;
            heads.iter().find(|h| h.vertex == *vertex).map(|h| h.timestamp)
        };
        let decision = || self.known.decisions.get(vertex).map(|(_, timestamp)| *timestamp);
        let before = || self.known.plain_head(aggregate, vertex);
        self.known.held_since(vertex.as_str()).or_else(decision).or_else(head).or_else(before)
    }

    pub(super) fn holds(&self, vertex: &VertexId) -> bool {
        self.known.entries.contains_key(vertex.as_str())
            || self.known.withdrawn.contains_key(vertex.as_str())
            || self.known.decisions.contains_key(vertex)
    }

    /// The heads of an aggregate as the plan has them so far.
    pub(super) fn current_heads(&mut self, aggregate: &AggregateId) -> &[Head] {
        if self.recompute.contains(aggregate)
            && let Some(vertices) = self.known.graphs.get(aggregate)
            && let Ok(graph) = AggregateGraph::new(aggregate.clone(), vertices.clone())
        {
            self.recompute.remove(aggregate);
            *self.touch(aggregate) = graph.heads();
        }
        let touched = self.touched.get(aggregate).map(|t| &t.heads);
        touched.or_else(|| self.known.heads.get(aggregate)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn touch(&mut self, aggregate: &AggregateId) -> &mut Vec<Head> {
        let touched = match self.touched.entry(aggregate.clone()) {
            hash_map::Entry::Occupied(touched) => touched.into_mut(),
            hash_map::Entry::Vacant(new) => {
                let heads = self.known.heads.get(aggregate).cloned().unwrap_or_default();
                let in_conflict_before = conflicting(&heads).is_some();
                new.insert(Touched { heads, in_conflict_before })
            }
        };
        &mut touched.heads
    }

    /// Appends an entry to the log, and moves the heads.
    pub(super) fn log(
        &mut self,
        event: Event,
        stamp: Stamp,
        content: Hash,
        from: Option<LogId>,
        stub: bool,
        meaning: Meaning,
    ) -> u64 {
        let position = self.known.node.head.position + 1;
        self.known.node.head.position = position;
        // Nothing is known of most ids that come.
        let new =
            !self.known.entries.contains_key(&event.id) && !self.known.withdrawn.contains_key(&event.id);
        let before = if new { None } else { self.known.vertex(&event.id) };
        if !new {
            self.supersede(&event.id);
        }
        let aggregate = event.aggregate_id.clone();
        self.known.entries.insert(
            event.id.clone(),
            KnownEntry {
                position,
                event_type: event.event_type.clone(),
                aggregate: aggregate.clone(),
                stamp: stamp.clone(),
                content,
                stub,
            },
        );
        self.taken_bytes = self.taken_bytes.saturating_add(event.size());
        let mut withdrawn = None;
        match meaning {
            Meaning::Domain if new => {
                let body = if stub { VertexBody::Stub } else { VertexBody::Domain };
                let (id, parents) = (VertexId::from(&event.id), stamp.parents.clone());
                self.add_domain(&aggregate, Vertex { id, parents, key: stamp.key(&event.id), body });
            }
            Meaning::Domain => self.move_vertex(&event.id, before),
            Meaning::Decision(decision) => self.add_decision(&event, &stamp, decision),
            Meaning::Review(review) => self.changes.reviews.push(ReviewRow {
                conflict: review.conflict,
                aggregate,
                heads: review.heads,
                reason: review.reason,
                event: event.id.clone(),
            }),
            Meaning::Withdrawal(withdrawal) => {
                self.add_withdrawal(&aggregate, &withdrawal, from);
                withdrawn = Some(withdrawal.id);
            }
        }
        self.changes.entries.push(NewEntry {
            position,
            event,
            stamp,
            content,
            hash: Hash::ZERO,
            from,
            stub,
            superseded: false,
            share: 0,
        });
        if let Some(id) = withdrawn {
            self.count_again(&id, from);
        }
        position
    }

    /// The entry that counts for an id does so no more.
    pub(super) fn supersede(&mut self, id: &EventId) {
        let Some(old) = self.known.entries.get(id) else { return };
        let (position, claim) = (old.position, old.claim());
        match self.new_at(position) {
            Some(i) => self.changes.entries[i].superseded = true,
            None => self.changes.superseded.push(position),
        }
        self.know(id, claim);
    }

    /// Where in `changes.entries` the entry at a position is, if it is one of this plan.
    fn new_at(&self, position: u64) -> Option<usize> {
        let first = self.before.head.position + 1;
        position.checked_sub(first).and_then(|i| usize::try_from(i).ok())
    }

    /// The event of the entry that counts for an id, if it is new or was asked for.
    pub(super) fn whole(&self, id: &EventId) -> Option<Event> {
        let entry = self.known.entries.get(id);
        let new = entry.and_then(|e| self.changes.entries.get(self.new_at(e.position)?));
        new.map(|e| &e.event).or_else(|| self.known.events.get(id)).cloned()
    }

    /// The heads of an aggregate follow from its whole history.
    pub(super) fn recompute(&mut self, aggregate: &AggregateId) {
        self.touch(aggregate);
        self.recompute.insert(aggregate.clone());
    }

    /// `heads = (heads \ parents) ∪ {event}`.
    pub(super) fn add_domain(&mut self, aggregate: &AggregateId, vertex: Vertex) {
        if let Some(graph) = self.known.graphs.get_mut(aggregate) {
            graph.push(vertex.clone());
        }
        if self.recompute.contains(aggregate) {
            return;
        }
        let heads = self.touch(aggregate);
        heads.retain(|h| !vertex.parents.contains(&h.vertex));
        for head in heads.iter_mut() {
            head.settled_by.retain(|s| !vertex.parents.contains(s));
        }
        let head = Head {
            vertex: vertex.id,
            timestamp: vertex.key.timestamp,
            is_decision: false,
            newest: Some(vertex.key),
            settled_by: Vec::new(),
        };
        let at = heads.partition_point(|h| h.vertex < head.vertex);
        heads.insert(at, head);
    }

    /// The whole history of an aggregate, which must have been asked for.
    pub(super) fn history(&mut self, aggregate: &AggregateId) -> &mut Vec<Vertex> {
        if !self.known.graphs.contains_key(aggregate) {
            self.missing.insert(aggregate.clone());
        }
        self.known.graphs.entry(aggregate.clone()).or_default()
    }

    fn add_decision(&mut self, event: &Event, stamp: &Stamp, decision: Arc<Decision>) {
        let aggregate = &event.aggregate_id;
        let id = decision.vertex(&event.id);
        let smallest = self.known.decisions.get(&id).is_none_or(|(_, held)| stamp.timestamp < *held);
        if smallest {
            self.known.decisions.insert(id.clone(), (aggregate.clone(), stamp.timestamp));
            self.changes.decisions.push(StoredDecision {
                vertex: id.clone(),
                event: event.id.clone(),
                aggregate: aggregate.clone(),
                conflict: decision.conflict.clone(),
                timestamp: stamp.timestamp,
            });
        }
        self.history(aggregate).push(Vertex {
            id,
            parents: stamp.parents.clone(),
            key: stamp.key(&event.id),
            body: VertexBody::Decision(decision),
        });
        self.recompute(aggregate);
    }

    /// The node takes a new id: it met an event of its own that it does not hold.
    pub(super) fn fork(&mut self, met: &EventId, counter: u64) {
        let former = self.known.node.node;
        let now = NodeId::from_u128(self.around.random);
        self.written.notices.push(Notice::ForkedOrigin {
            former,
            now,
            met: met.clone(),
            held: self.known.own.get(&counter).cloned(),
        });
        self.known.node.former.push(former);
        self.known.node.node = now;
        self.known.node.counter = 0;
    }

    /// Works out the hashes of the new entries.
    fn chain(&mut self) {
        let entries = &self.changes.entries;
        let mut head = self.before.head;
        let (shares, hashes) = parallel::both(
            entries.len(),
            || entries.iter().map(|e| Progress::share(&e.event.id, &e.stamp, &e.content)).collect::<Vec<_>>(),
            || {
                let hash_of = |e: &NewEntry| {
                    head.hash = chain_hash(&head.hash, &e.event.id, &e.stamp, &e.content);
                    head.hash
                };
                entries.iter().map(hash_of).collect::<Vec<_>>()
            },
        );
        for ((entry, share), hash) in self.changes.entries.iter_mut().zip(shares).zip(hashes) {
            (entry.share, entry.hash) = (share, hash);
        }
        self.known.node.head.hash = head.hash;
    }

    pub(super) fn finish(mut self) -> Result<(Changes, Written)> {
        if let Some(aggregate) = self.missing.first() {
            let what = format!("the store did not give the history of {aggregate}");
            return Err(Error::new(ErrorKind::Internal, "plan a write", what));
        }
        for aggregate in std::mem::take(&mut self.recompute) {
            let vertices = self.known.graphs.remove(&aggregate).unwrap_or_default();
            let graph = AggregateGraph::new(aggregate.clone(), vertices)?;
            *self.touch(&aggregate) = graph.heads();
        }
        for (aggregate, Touched { heads, in_conflict_before }) in std::mem::take(&mut self.touched) {
            let conflict = conflicting(&heads).map(|active| conflict_id(&aggregate, &active));
            self.written.conflicts_opened += usize::from(conflict.is_some() && !in_conflict_before);
            if self.known.heads.get(&aggregate) != Some(&heads) {
                self.changes.heads.push(NewHeads { aggregate, heads, conflict });
            }
        }
        self.changes.heads.sort_unstable_by(|a, b| a.aggregate.cmp(&b.aggregate));
        self.known.node.clock = self.clock.last();
        self.chain();
        self.written.head = self.known.node.head;
        if self.known.node != self.before {
            self.changes.node = Some(self.known.node.clone());
        }
        Ok((self.changes, self.written))
    }
}
