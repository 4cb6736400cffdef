//! What a log has of one aggregate.

use std::collections::{HashMap, hash_map::Entry};

use synckit_core::{
    AggregateId, CanonicalKey, EventId, Hash, NodeId, Timestamp, VertexId,
    decision::{CONFLICT, Decision, RESOLUTION, Review, WITHDRAWAL, Withdrawal},
    store::LogEntry,
};

use super::Violation;

/// What a vertex is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Domain,
    Stub,
    Withdrawn,
    /// A decision: this one of the list.
    Decision(usize),
}

#[derive(Debug)]
pub(super) struct Vertex {
    pub(super) id: VertexId,
    /// As its stamp names them, held or not; sorted.
    pub(super) parents: Vec<VertexId>,
    pub(super) key: CanonicalKey,
    pub(super) body: Body,
}

/// A decision in the log; copies of one each for itself.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) event: EventId,
    pub(super) parents: Vec<VertexId>,
    pub(super) decision: Decision,
}

/// What a log has of one aggregate.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// One for each vertex, in canonical order.
    pub(super) vertices: Vec<Vertex>,
    pub(super) decisions: Vec<Decided>,
    pub(super) reviews: Vec<(EventId, Review)>,
    /// Withdrawals of events of the aggregate.
    pub(super) withdrawals: Vec<Withdrawal>,
    /// Whether some id had another stamp or another content before.
    pub(super) replaced: bool,
}

impl Entries {
    pub(super) fn of(aggregate: &AggregateId, log: &[LogEntry]) -> Result<Self, Violation> {
        let mut found = Self::default();
        let mut vertices: HashMap<VertexId, Vertex> = HashMap::new();
        let mut counting: HashMap<&EventId, &LogEntry> = HashMap::new();
        for entry in log.iter().filter(|e| e.event.aggregate_id == *aggregate) {
            let kind = entry.event.event_type.as_str();
            if !entry.superseded && counting.insert(&entry.event.id, entry).is_some() {
                return Err(Violation::new("L2", format!("two entries count for {}", entry.event.id)));
            }
            match kind {
                RESOLUTION => found.decision(entry, &mut vertices)?,
                CONFLICT => {
                    let review = read("C6", entry, |data| serde_json::from_slice(data))?;
                    found.reviews.push((entry.event.id.clone(), review));
                }
                WITHDRAWAL => found.withdrawals.push(read("L9", entry, |data| serde_json::from_slice(data))?),
                _ if entry.superseded => {}
                _ if entry.event.event_type.is_reserved() => {
                    let what = format!("{} has the unknown type {kind}", entry.event.id);
                    return Err(Violation::new("L9", what));
                }
                _ => {}
            }
        }
        found.domain(aggregate, log, &mut vertices)?;
        found.replaced = log.iter().filter(|e| e.superseded).any(|old| {
            let now = counting.get(&old.event.id);
            now.is_some_and(|e| e.content != old.content || e.stamp != old.stamp)
                || (now.is_none() && old.event.aggregate_id == *aggregate)
        });
        found.vertices = vertices.into_values().collect();
        for vertex in &mut found.vertices {
            vertex.parents.sort_unstable();
            vertex.parents.dedup();
        }
        found.vertices.sort_unstable_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(found)
    }

    fn decision(
        &mut self,
        entry: &LogEntry,
        vertices: &mut HashMap<VertexId, Vertex>,
    ) -> Result<(), Violation> {
        let decision: Decision = read("C2", entry, |data| serde_json::from_slice(data))?;
        if !entry.superseded {
            let id = decision.decision.clone().unwrap_or_else(|| VertexId::from(&entry.event.id));
            let body = Body::Decision(self.decisions.len());
            let parents = entry.stamp.parents.clone();
            smallest(vertices, Vertex { id, parents, key: entry.key(), body });
        }
        let (event, parents) = (entry.event.id.clone(), entry.stamp.parents.clone());
        self.decisions.push(Decided { event, parents, decision });
        Ok(())
    }

    /// Whatever the aggregate, an id is held by the smallest stamp of all events that the log names by it, withdrawn or not.
    /// What holds it gives the vertex its place; it is withdrawn if no entry of the same event counts.
    fn domain(
        &self,
        aggregate: &AggregateId,
        log: &[LogEntry],
        vertices: &mut HashMap<VertexId, Vertex>,
    ) -> Result<(), Violation> {
        let mut named: HashMap<EventId, Vec<Named>> = HashMap::new();
        let mut given_up: HashMap<EventId, Vec<Named>> = HashMap::new();
        for entry in log {
            if entry.event.event_type.as_str() == WITHDRAWAL {
                let gone: Withdrawal = read("L9", entry, |data| serde_json::from_slice(data))?;
                let by = Named::withdrawn(&gone, &entry.event.aggregate_id);
                named.entry(gone.id.clone()).or_default().push(by.clone());
                given_up.entry(gone.id).or_default().push(by);
            } else if !entry.event.event_type.is_reserved() {
                named.entry(entry.event.id.clone()).or_default().push(Named::logged(entry));
            }
        }
        for (id, mut named) in named {
            named.sort_unstable();
            let gone = given_up.get(&id).map(Vec::as_slice).unwrap_or_default();
            let counts = log.iter().find(|e| e.event.id == id && !e.superseded);
            // An author gives up all of its stamps of an event.
            let given_up = |n: &Named| gone.iter().any(|g| g.same_event(n) && g.stamp.1 == n.stamp.1);
            let counts = counts.filter(|e| !given_up(&Named::logged(e)));
            let holder = &named[0];
            if let Some(entry) = counts.filter(|e| e.content != holder.content) {
                let what = format!("{id} at {} counts, and another event holds the id", entry.position);
                return Err(Violation::new("L2", what));
            }
            let live = named.iter().find(|n| n.same_event(holder) && !given_up(n));
            if let Some(live) = live.filter(|_| !gone.is_empty())
                && counts.is_none_or(|e| Named::logged(e) > *live && !e.stub)
            {
                return Err(Violation::new("L2", format!("{id} does not count under {:?}", live.stamp)));
            }
            if holder.aggregate != *aggregate {
                continue;
            }
            let body = match counts {
                None => Body::Withdrawn,
                Some(entry) if entry.stub => Body::Stub,
                Some(_) => Body::Domain,
            };
            let (vertex, parents) = (VertexId::from(&id), holder.stamp.3.clone());
            let (timestamp, origin, counter) = (holder.stamp.0, holder.stamp.1, holder.stamp.2);
            let key = CanonicalKey { timestamp, origin, counter, id };
            vertices.insert(vertex.clone(), Vertex { id: vertex, parents, key, body });
        }
        Ok(())
    }
}

/// An event that the log names by an id: the smallest holds the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    stamp: (Timestamp, NodeId, u64, Vec<VertexId>),
    content: Hash,
    aggregate: AggregateId,
}

impl Named {
    fn logged(entry: &LogEntry) -> Self {
        let s = &entry.stamp;
        let stamp = (s.timestamp, s.origin, s.counter, s.parents.clone());
        Self { stamp, content: entry.content, aggregate: entry.event.aggregate_id.clone() }
    }

    fn withdrawn(gone: &Withdrawal, aggregate: &AggregateId) -> Self {
        let mut parents = gone.parents.clone();
        parents.sort_unstable();
        let stamp = (gone.timestamp, gone.origin, gone.counter, parents);
        Self { stamp, content: gone.content, aggregate: aggregate.clone() }
    }

    fn same_event(&self, other: &Self) -> bool {
        self.content == other.content && self.aggregate == other.aggregate
    }
}

/// Of copies of one vertex, the one with the smallest key counts.
fn smallest(vertices: &mut HashMap<VertexId, Vertex>, vertex: Vertex) {
    match vertices.entry(vertex.id.clone()) {
        Entry::Vacant(slot) => {
            slot.insert(vertex);
        }
        Entry::Occupied(mut slot) if vertex.key < slot.get().key => {
            slot.insert(vertex);
        }
        Entry::Occupied(_) => {}
    }
}

fn read<T>(
    invariant: &'static str,
    entry: &LogEntry,
    from: fn(&[u8]) -> serde_json::Result<T>,
) -> Result<T, Violation> {
    from(entry.event.data.bytes())
        .map_err(|e| Violation::new(invariant, format!("{} cannot be read: {e}", entry.event.id)))
}
