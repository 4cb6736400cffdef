//! A store of plain maps, which answers lookups and takes changes, and mistrusts every plan.

use std::collections::{BTreeMap, BTreeSet};

use synckit_core::{
    AggregateId, EventId, EventType, LogId, Mark, NodeId, Result, Stamp, Timestamp, VertexId, chain_hash,
    content_hash,
    decision::conflict_id,
    graph::{AggregateGraph, Head, Vertex, VertexBody, conflicting},
    plan::{
        Changes, Claim, ClaimOf, Known, KnownEntry, KnownStamp, Lookup, NewEntry, NodeState, Surroundings,
        vertex_of,
    },
    store::{Checkpoint, Offered, QuarantineSide, Quarantined, ReviewRow, StoredDecision, Write, Written},
};

type QuarantineKey = (QuarantineSide, LogId, EventId, Option<NodeId>, u64);

#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) node: NodeState,
    pub(crate) log: Vec<NewEntry>,
    /// Where the entry that counts for an id is in `log`.
    pub(crate) counting: BTreeMap<EventId, usize>,
    pub(crate) withdrawn: BTreeMap<EventId, Vec<Claim>>,
    pub(crate) others: BTreeMap<EventId, Vec<Claim>>,
    pub(crate) decisions: BTreeMap<VertexId, StoredDecision>,
    pub(crate) reviews: BTreeMap<EventId, ReviewRow>,
    pub(crate) heads: BTreeMap<AggregateId, Vec<Head>>,
    pub(crate) checkpoints: BTreeMap<LogId, Checkpoint>,
    pub(crate) quarantine: BTreeMap<QuarantineKey, Quarantined>,
    pub(crate) known_stamps: BTreeSet<KnownStamp>,
    vertices: BTreeMap<EventId, (AggregateId, Vertex)>,
}

impl Replica {
    pub(crate) fn new(log: u128, node: u128) -> Self {
        let node = NodeState {
            log: LogId::from_u128(log),
            node: NodeId::from_u128(node),
            former: Vec::new(),
            counter: 0,
            clock: Timestamp::default(),
            head: Mark::START,
        };
        Self {
            node,
            log: Vec::new(),
            counting: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            others: BTreeMap::new(),
            decisions: BTreeMap::new(),
            reviews: BTreeMap::new(),
            heads: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            known_stamps: BTreeSet::new(),
            vertices: BTreeMap::new(),
        }
    }

    pub(crate) fn write(&mut self, write: Write, around: &Surroundings) -> Result<Written> {
        let mut known = Known::of(self.node.clone());
        self.answer(&write.lookup(&self.node), &mut known);
        let again = write.lookup_again(&known);
        self.answer(&again, &mut known);
        for aggregate in write.graphs(&known) {
            let vertices = self.vertices_of(&aggregate);
            known.graphs.insert(aggregate, vertices);
        }
        let (changes, written) = write.plan(&mut known, around)?;
        self.store(changes);
        assert_eq!(written.head, self.mark(), "the write reports another head");
        Ok(written)
    }

    fn answer(&self, lookup: &Lookup, known: &mut Known) {
        for id in &lookup.ids {
            if let Some(i) = self.counting.get(id) {
                let e = &self.log[*i];
                known.entries.insert(
                    id.clone(),
                    KnownEntry {
                        position: e.position,
                        event_type: e.event.event_type.clone(),
                        aggregate: e.event.aggregate_id.clone(),
                        stamp: e.stamp.clone(),
                        content: e.content,
                        stub: e.stub,
                    },
                );
            }
            if let Some(claims) = self.withdrawn.get(id) {
                known.withdrawn.insert(id.clone(), claims.clone());
            }
            if let Some(claims) = self.others.get(id) {
                known.others.insert(id.clone(), claims.clone());
            }
        }
        for id in &lookup.events {
            known.events.extend(self.entry(id).map(|e| (id.clone(), e.event.clone())));
        }
        for id in &lookup.decisions {
            if let Some(row) = self.decisions.get(id) {
                known.decisions.insert(id.clone(), (row.aggregate.clone(), row.timestamp));
            }
        }
        for aggregate in &lookup.aggregates {
            if let Some(heads) = self.heads.get(aggregate) {
                known.heads.insert(aggregate.clone(), heads.clone());
            }
            if let Some(origin) = lookup.unstamped_from.map(NodeId::from) {
                let mine = |e: &&NewEntry| e.stamp.origin == origin && e.event.aggregate_id == *aggregate;
                if let Some(last) = self.log.iter().filter(mine).max_by_key(|e| e.stamp.counter) {
                    known.last_unstamped.insert(aggregate.clone(), last.event.id.clone());
                }
            }
        }
        for counter in &lookup.own_counters {
            let entry =
                self.log.iter().find(|e| e.stamp.origin == self.node.node && e.stamp.counter == *counter);
            let stamp =
                || self.known_stamps.iter().find(|s| s.origin == self.node.node && s.counter == *counter);
            if let Some(id) = entry.map(|e| &e.event.id).or_else(|| stamp().map(|s| &s.id)) {
                known.own.insert(*counter, id.clone());
            }
        }
        if lookup.quarantine {
            known.quarantine = self.quarantine.values().cloned().collect();
        }
    }

    fn store(&mut self, changes: Changes) {
        let mut touched: BTreeSet<EventId> = BTreeSet::new();
        for position in changes.superseded {
            let entry = &mut self.log[position as usize - 1];
            entry.superseded = true;
            self.counting.remove(&entry.event.id);
            touched.insert(entry.event.id.clone());
        }
        for ClaimOf { id, claim } in changes.withdrawn {
            touched.insert(id.clone());
            self.withdrawn.entry(id).or_default().push(claim);
        }
        for ClaimOf { id, claim } in changes.others {
            self.others.entry(id).or_default().push(claim);
        }
        for entry in changes.entries {
            self.check_next(&entry);
            let id = entry.event.id.clone();
            touched.insert(id.clone());
            if !entry.superseded {
                self.counting.insert(id, self.log.len());
            }
            self.log.push(entry);
        }
        touched.iter().for_each(|id| self.place(id));
        self.decisions.extend(changes.decisions.into_iter().map(|d| (d.vertex.clone(), d)));
        self.reviews.extend(changes.reviews.into_iter().map(|r| (r.event.clone(), r)));
        self.known_stamps.extend(changes.known_stamps);
        for row in changes.released {
            self.quarantine.remove(&row.key());
        }
        for row in changes.quarantined {
            self.quarantine.insert(row.key(), row);
        }
        if let Some(log) = changes.forget {
            self.checkpoints.remove(&log);
            self.quarantine.retain(|_, q| !(q.side == QuarantineSide::Refused && q.peer == log));
        }
        if let Some(checkpoint) = changes.checkpoint {
            self.checkpoints.insert(checkpoint.log, checkpoint);
        }
        if let Some(node) = changes.node {
            self.node = node;
        }
        assert_eq!(self.node.head, self.mark(), "the head is not where the log ends");
        for new in changes.heads {
            let conflict = conflicting(&new.heads).map(|active| conflict_id(&new.aggregate, &active));
            assert_eq!(new.conflict, conflict, "the conflict is not that of the heads");
            assert_eq!(
                new.heads,
                self.graph(&new.aggregate).heads(),
                "the heads of {} went wrong",
                new.aggregate
            );
            self.heads.insert(new.aggregate, new.heads);
        }
    }

    /// Works out which vertex stands under an id, from all that the log says of the id.
    fn place(&mut self, id: &EventId) {
        let counts = self.entry(id).cloned();
        self.vertices.remove(id);
        let Some(withdrawn) = self.withdrawn.get(id) else {
            let vertex = counts
                .and_then(|e| Some((e.event.aggregate_id.clone(), vertex_of(&e.event, &e.stamp, e.stub)?)));
            self.vertices.extend(vertex.map(|v| (id.clone(), v)));
            return;
        };
        let claim = |e: &NewEntry| Claim {
            aggregate: e.event.aggregate_id.clone(),
            stamp: e.stamp.clone(),
            content: e.content,
        };
        let logged = self.log.iter().filter(|e| e.event.id == *id).map(claim);
        let mut claims: Vec<Claim> = logged.chain(withdrawn.iter().cloned()).collect();
        claims.sort_by_key(|c| {
            let s = &c.stamp;
            (s.timestamp, s.origin, s.counter, s.parents.clone(), c.content)
        });
        let holder = claims.remove(0);
        let counts = counts.filter(|e| !withdrawn.iter().any(|gone| gone.gives_up(&claim(e))));
        let body = match &counts {
            None => VertexBody::Withdrawn,
            Some(e) if e.stub => VertexBody::Stub,
            Some(_) => VertexBody::Domain,
        };
        if let Some(e) = &counts {
            assert_eq!(e.content, holder.content, "{id}: an event counts that does not hold its id");
        }
        let key = holder.stamp.key(id);
        let vertex = Vertex { id: VertexId::from(id), parents: holder.stamp.parents, key, body };
        self.vertices.insert(id.clone(), (holder.aggregate, vertex));
    }

    fn check_next(&self, entry: &NewEntry) {
        let before = self.mark();
        assert_eq!(entry.position, before.position + 1, "positions are dense");
        if !entry.stub {
            assert_eq!(entry.content, content_hash(&entry.event), "the content hash is that of the content");
        }
        let hash = chain_hash(&before.hash, &entry.event.id, &entry.stamp, &entry.content);
        assert_eq!(entry.hash, hash, "the chain hash follows from the one before");
        let checked = Stamp::checked(
            entry.stamp.origin,
            entry.stamp.counter,
            entry.stamp.timestamp,
            entry.stamp.parents.clone(),
        );
        assert_eq!(checked.unwrap(), entry.stamp, "the stamp is canonical");
    }

    /// Where the log ends.
    pub(crate) fn mark(&self) -> Mark {
        self.log.last().map_or(Mark::START, |e| Mark { position: e.position, hash: e.hash })
    }

    /// The mark at a position, if the log reaches that far.
    pub(crate) fn mark_at(&self, position: u64) -> Option<Mark> {
        match position {
            0 => Some(Mark::START),
            n => self.log.get(n as usize - 1).map(|e| Mark { position: n, hash: e.hash }),
        }
    }

    pub(crate) fn vertices_of(&self, aggregate: &AggregateId) -> Vec<Vertex> {
        self.vertices.values().filter(|(a, _)| a == aggregate).map(|(_, v)| v.clone()).collect()
    }

    pub(crate) fn graph(&self, aggregate: &AggregateId) -> AggregateGraph {
        AggregateGraph::new(aggregate.clone(), self.vertices_of(aggregate)).unwrap()
    }

    pub(crate) fn aggregates(&self) -> BTreeSet<AggregateId> {
        self.vertices.values().map(|(a, _)| a.clone()).collect()
    }

    /// The heads kept write by write are those of the set.
    pub(crate) fn check_heads(&self) {
        for aggregate in self.aggregates() {
            let kept = self.heads.get(&aggregate).cloned().unwrap_or_default();
            assert_eq!(
                kept,
                self.graph(&aggregate).heads(),
                "the heads of {aggregate} are not those of its set"
            );
        }
    }

    pub(crate) fn entry(&self, id: &EventId) -> Option<&NewEntry> {
        self.counting.get(id).map(|i| &self.log[*i])
    }

    pub(crate) fn type_of(&self, id: &EventId) -> Option<&EventType> {
        self.entry(id).map(|e| &e.event.event_type)
    }

    pub(crate) fn quarantined(&self, side: QuarantineSide) -> Vec<Quarantined> {
        self.quarantine.values().filter(|q| q.side == side).cloned().collect()
    }
}

/// An entry as one node offers it to another.
pub(crate) fn offered(entry: &NewEntry) -> Offered {
    Offered {
        event: entry.event.clone(),
        stamp: Some(entry.stamp.clone()),
        stub: entry.stub.then_some(entry.content),
        position: entry.position,
    }
}
