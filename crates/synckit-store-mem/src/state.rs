//! What the store holds, behind its lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use synckit_core::{
    AggregateId, ConflictId, CursorMode, EventId, Hash, Lacking, LogId, NodeId, Progress, Result,
    VectorCursor, VertexId,
    graph::{AggregateGraph, Head, Vertex},
    plan::{Changes, Claim, Known, KnownEntry, Lookup, NodeState, vertex_of},
    store::{
        Checkpoint, LogEntry, LogPage, OpenConflict, PageBuilder, QuarantineSide, Quarantined, ReadRequest,
        ReviewRow, Standing, StoredDecision,
    },
};

/// Up to this many entries are looked for one by one; for more, the log is read through.
const FEW: u64 = 4_096;

type QuarantineKey = (QuarantineSide, LogId, EventId, Option<NodeId>, u64);

#[derive(Debug, Clone, Default)]
pub(super) struct Aggregate {
    pub(super) heads: Vec<Head>,
    pub(super) conflict: Option<ConflictId>,
    positions: Vec<u64>,
}

/// What is held of an origin.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// Without gaps.
    progress: Progress,
    /// How many counters are held or known.
    held: u64,
    /// Per counter the ids held or known with their shares, and the positions of their entries.
    pub(super) stamps: BTreeMap<u64, BTreeMap<(EventId, u128), Option<u64>>>,
    /// The counters and ids of stubs that count.
    stubs: BTreeSet<(u64, EventId)>,
}

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) node: NodeState,
    pub(crate) label: String,
    pub(crate) mode: CursorMode,
    pub(crate) closed: bool,
    pub(crate) standing: Standing,
    /// What the entries count for.
    pub(crate) bytes: usize,
    pub(super) log: Vec<LogEntry>,
    by_id: HashMap<EventId, u64>,
    pub(super) aggregates: BTreeMap<AggregateId, Aggregate>,
    pub(super) origins: BTreeMap<NodeId, Origin>,
    pub(super) decisions: BTreeMap<VertexId, StoredDecision>,
    pub(super) reviews: Vec<ReviewRow>,
    pub(super) withdrawn: BTreeMap<EventId, Vec<Claim>>,
    /// Claims that are known beside those of the entries that count.
    pub(super) others: BTreeMap<EventId, Vec<Claim>>,
    checkpoints: BTreeMap<LogId, Checkpoint>,
    quarantine: BTreeMap<QuarantineKey, Quarantined>,
}

impl State {
    pub(crate) fn new(node: NodeState, label: String, mode: CursorMode) -> Self {
        Self {
            node,
            label,
            mode,
            closed: false,
            standing: Standing::Live,
            bytes: 0,
            log: Vec::new(),
            by_id: HashMap::new(),
            aggregates: BTreeMap::new(),
            origins: BTreeMap::new(),
            decisions: BTreeMap::new(),
            reviews: Vec::new(),
            withdrawn: BTreeMap::new(),
            others: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            quarantine: BTreeMap::new(),
        }
    }

    fn entry(&self, position: u64) -> Option<&LogEntry> {
        usize::try_from(position.checked_sub(1)?).ok().and_then(|i| self.log.get(i))
    }

    pub(crate) fn look_up(&self, lookup: &Lookup, known: &mut Known) {
        for id in &lookup.ids {
            if let Some(entry) = self.by_id.get(id).and_then(|p| self.entry(*p)) {
                known.entries.insert(id.clone(), known_entry(entry));
            }
            if let Some(claims) = self.withdrawn.get(id) {
                known.withdrawn.insert(id.clone(), claims.clone());
            }
            if let Some(claims) = self.others.get(id) {
                known.others.insert(id.clone(), claims.clone());
            }
        }
        for entry in self.load(&lookup.events) {
            known.events.insert(entry.event.id.clone(), entry.event);
        }
        for id in &lookup.decisions {
            if let Some(decision) = self.decisions.get(id) {
                known.decisions.insert(id.clone(), (decision.aggregate.clone(), decision.timestamp));
            }
        }
        for id in &lookup.aggregates {
            if let Some(aggregate) = self.aggregates.get(id) {
                known.heads.insert(id.clone(), aggregate.heads.clone());
            }
        }
        for counter in &lookup.own_counters {
            let held = self.origins.get(&self.node.node).and_then(|o| o.stamps.get(counter));
            if let Some(((id, _), _)) = held.and_then(BTreeMap::first_key_value) {
                known.own.insert(*counter, id.clone());
            }
        }
        if lookup.quarantine {
            known.quarantine = self.quarantine.values().cloned().collect();
        }
        if let Some(log) = lookup.unstamped_from {
            let origin = NodeId::from(log);
            for id in &lookup.aggregates {
                let last =
                    self.counting(id).filter(|e| e.stamp.origin == origin).max_by_key(|e| e.stamp.counter);
                if let Some(entry) = last {
                    known.last_unstamped.insert(id.clone(), entry.event.id.clone());
                }
            }
        }
    }

    fn counting(&self, aggregate: &AggregateId) -> impl Iterator<Item = &LogEntry> {
        let positions = self.aggregates.get(aggregate).map(|a| a.positions.as_slice()).unwrap_or_default();
        positions.iter().filter_map(|p| self.entry(*p)).filter(|e| !e.superseded)
    }

    pub(crate) fn vertices(&self, aggregate: &AggregateId) -> Vec<Vertex> {
        let withdrawn =
            self.withdrawn.iter().filter(|(_, claims)| claims.iter().any(|c| c.aggregate == *aggregate));
        let ids: BTreeSet<EventId> = withdrawn.map(|(id, _)| id.clone()).collect();
        let entries = self.counting(aggregate).filter(|e| !ids.contains(&e.event.id));
        let mut vertices: Vec<Vertex> =
            entries.filter_map(|e| vertex_of(&e.event, &e.stamp, e.stub)).collect();
        let mut known = Known::of(self.node.clone());
        self.look_up(&Lookup::of_ids(ids), &mut known);
        vertices.extend(known.withdrawn_vertices().filter(|(a, _)| a == aggregate).map(|(_, vertex)| vertex));
        vertices
    }

    pub(crate) fn graph(&self, aggregate: &AggregateId) -> Result<AggregateGraph> {
        AggregateGraph::new(aggregate.clone(), self.vertices(aggregate))
    }

    pub(crate) fn store(&mut self, changes: Changes) {
        for position in changes.superseded {
            if let Some(entry) = usize::try_from(position - 1).ok().and_then(|i| self.log.get_mut(i)) {
                entry.superseded = true;
                if let Some(origin) = self.origins.get_mut(&entry.stamp.origin).filter(|_| entry.stub) {
                    origin.stubs.remove(&(entry.stamp.counter, entry.event.id.clone()));
                }
                self.by_id.remove(&entry.event.id);
            }
        }
        for new in changes.entries {
            let id = new.event.id.clone();
            if !new.superseded {
                self.by_id.insert(id.clone(), new.position);
            }
            self.aggregates.entry(new.event.aggregate_id.clone()).or_default().positions.push(new.position);
            let named = (id.clone(), new.share);
            self.stamp(new.stamp.origin, new.stamp.counter, named, Some(new.position));
            if new.stub && !new.superseded {
                self.origins.entry(new.stamp.origin).or_default().stubs.insert((new.stamp.counter, id));
            }
            self.bytes += new.event.size();
            self.log.push(LogEntry {
                position: new.position,
                event: new.event,
                stamp: new.stamp,
                content: new.content,
                hash: new.hash,
                from: new.from,
                stub: new.stub,
                superseded: new.superseded,
            });
        }
        for known in changes.known_stamps {
            self.stamp(known.origin, known.counter, (known.id, known.share), None);
        }
        for new in changes.heads {
            let aggregate = self.aggregates.entry(new.aggregate).or_default();
            aggregate.heads = new.heads;
            aggregate.conflict = new.conflict;
        }
        for decision in changes.decisions {
            self.decisions.insert(decision.vertex.clone(), decision);
        }
        for review in changes.reviews {
            if !self.reviews.iter().any(|held| held.event == review.event) {
                self.reviews.push(review);
            }
        }
        for withdrawn in changes.withdrawn {
            add(self.withdrawn.entry(withdrawn.id).or_default(), withdrawn.claim);
        }
        for other in changes.others {
            add(self.others.entry(other.id).or_default(), other.claim);
        }
        for row in changes.released {
            self.quarantine.remove(&row.key());
        }
        for row in changes.quarantined {
            self.quarantine.insert(row.key(), row);
        }
        if let Some(log) = changes.forget {
            self.checkpoints.remove(&log);
            self.quarantine.retain(|_, q| q.peer != log || q.side != QuarantineSide::Refused);
        }
        if let Some(checkpoint) = changes.checkpoint {
            self.checkpoints.insert(checkpoint.log, checkpoint);
        }
        if let Some(node) = changes.node {
            self.node = node;
        }
    }

    fn stamp(&mut self, origin: NodeId, counter: u64, named: (EventId, u128), position: Option<u64>) {
        let known = self.origins.entry(origin).or_default();
        let ids = known.stamps.entry(counter).or_default();
        if let Some(held) = ids.get_mut(&named) {
            *held = position.or(*held);
            return;
        }
        known.held += u64::from(ids.is_empty());
        known.progress.counter = known.progress.counter.max(counter);
        known.progress.ids ^= named.1;
        ids.insert(named, position);
    }

    pub(crate) fn read(&self, request: &ReadRequest) -> LogPage {
        let end = self.log.len() as u64;
        let lacking =
            request.missing_from.as_ref().map(|theirs| self.vector().unwrap_or_default().lacking(theirs));
        let positions: Box<dyn Iterator<Item = u64>> = match &lacking {
            Some(few) if few.count() <= FEW => Box::new(self.positions(few, request.after).into_iter()),
            _ => Box::new(request.after.saturating_add(1)..=end),
        };
        let mut page = PageBuilder::new(request, lacking.as_ref(), self.node.head);
        let mut entries = positions.filter_map(|position| self.entry(position).cloned());
        while entries.next().is_some_and(|entry| page.take_verified(entry)) {}
        let hash = match page.end() {
            (_, Some(hash)) => hash,
            (end, None) => self.hash(end).unwrap_or(Hash::ZERO),
        };
        page.finish(hash)
    }

    fn positions(&self, lacking: &Lacking, after: u64) -> BTreeSet<u64> {
        let mut positions = BTreeSet::new();
        for (origin, from, to) in lacking.ranges() {
            let held = self.origins.get(&origin).into_iter().flat_map(|o| o.stamps.range(from..=to));
            positions.extend(held.flat_map(|(_, ids)| ids.values().flatten()).filter(|p| **p > after));
        }
        positions
    }

    pub(crate) fn vector(&self) -> Result<VectorCursor> {
        let progress = self.origins.iter().map(|(origin, known)| {
            let mut progress = known.progress.clone();
            if known.held < progress.counter {
                progress.gaps = Progress::of(known.stamps.keys().map(|c| (*c, 0))).gaps;
            }
            let withdrawn = |(counter, id): &&(u64, EventId)| {
                let same = |c: &Claim| (c.stamp.origin, c.stamp.counter) == (*origin, *counter);
                self.withdrawn.get(id).is_some_and(|claims| claims.iter().any(same))
            };
            let stubs = known.stubs.iter().filter(|stub| !withdrawn(stub));
            progress.stubs = Progress::ranges(stubs.map(|(counter, _)| *counter));
            (*origin, progress)
        });
        VectorCursor::from_progress(progress.collect())
    }

    pub(crate) fn mixed(&self, origin: NodeId, from: u64, to: u64) -> u128 {
        let held = self.origins.get(&origin).into_iter().flat_map(|o| o.stamps.range(from..=to.max(from)));
        let shares = held.flat_map(|(_, ids)| ids.keys().map(|(_, share)| share));
        shares.fold(0, |sum, share| sum ^ share)
    }

    pub(crate) fn hash(&self, position: u64) -> Option<Hash> {
        if position == 0 { Some(Hash::ZERO) } else { self.entry(position).map(|e| e.hash) }
    }

    pub(crate) fn load<'a>(&self, ids: impl IntoIterator<Item = &'a EventId>) -> Vec<LogEntry> {
        let positions: BTreeSet<u64> = ids.into_iter().filter_map(|id| self.by_id.get(id)).copied().collect();
        positions.into_iter().filter_map(|p| self.entry(p)).cloned().collect()
    }

    pub(crate) fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Vec<AggregateId> {
        self.after(after).map(|(id, _)| id.clone()).take(limit).collect()
    }

    pub(crate) fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Vec<AggregateId> {
        let in_conflict = self.aggregates.iter().filter(|(_, a)| a.conflict.is_some()).map(|(id, _)| id);
        let decided = self.decisions.values().map(|d| &d.aggregate);
        let withdrawn = self.withdrawn.values().flatten().map(|claim| &claim.aggregate);
        let all: BTreeSet<&AggregateId> = in_conflict.chain(decided).chain(withdrawn).collect();
        all.into_iter().filter(|id| after.is_none_or(|a| *id > a)).take(limit).cloned().collect()
    }

    fn after(&self, after: Option<&AggregateId>) -> impl Iterator<Item = (&AggregateId, &Aggregate)> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, |a| Bound::Excluded(a.clone()));
        self.aggregates.range((from, Bound::Unbounded))
    }

    pub(crate) fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Vec<OpenConflict> {
        self.after(after)
            .filter_map(|(id, aggregate)| {
                let conflict = aggregate.conflict.clone()?;
                let in_review = self.reviews.iter().any(|r| r.aggregate == *id);
                Some(OpenConflict { id: conflict, aggregate: id.clone(), in_review })
            })
            .take(limit)
            .collect()
    }

    pub(crate) fn count_conflicts(&self) -> u64 {
        self.aggregates.values().filter(|a| a.conflict.is_some()).count() as u64
    }

    pub(crate) fn reviews(&self, conflict: &ConflictId) -> Vec<ReviewRow> {
        self.reviews.iter().filter(|r| r.conflict == *conflict).cloned().collect()
    }

    pub(crate) fn reviews_of(&self, aggregate: &AggregateId) -> Vec<ReviewRow> {
        self.reviews.iter().filter(|r| r.aggregate == *aggregate).cloned().collect()
    }

    pub(crate) fn decisions(&self, conflict: &ConflictId) -> Vec<StoredDecision> {
        self.decisions.values().filter(|d| d.conflict.as_ref() == Some(conflict)).cloned().collect()
    }

    pub(crate) fn checkpoints(&self) -> Vec<Checkpoint> {
        self.checkpoints.values().cloned().collect()
    }

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        self.quarantine.values().cloned().collect()
    }
}

fn add(claims: &mut Vec<Claim>, claim: Claim) {
    if !claims.contains(&claim) {
        claims.push(claim);
    }
}

fn known_entry(entry: &LogEntry) -> KnownEntry {
    KnownEntry {
        position: entry.position,
        event_type: entry.event.event_type.clone(),
        aggregate: entry.event.aggregate_id.clone(),
        stamp: entry.stamp.clone(),
        content: entry.content,
        stub: entry.stub,
    }
}
