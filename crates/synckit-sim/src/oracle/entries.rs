//! What a log has of one aggregate.

use std::collections::{HashMap, hash_map::Entry};

use synckit_core::{
    AggregateId, CanonicalKey, EventId, VertexId,
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
                _ => smallest(&mut vertices, domain(entry)),
            }
        }
        found.replaced = log.iter().filter(|e| e.superseded).any(|old| {
            let now = counting.get(&old.event.id);
            now.is_some_and(|e| e.content != old.content || e.stamp != old.stamp)
                || (now.is_none() && old.event.aggregate_id == *aggregate)
        });
        found.withdraw(&mut vertices);
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

    /// A withdrawn event is a vertex, whether or not it is held. A withdrawal names one stamp: an event that came by its id
    /// under another is untouched.
    fn withdraw(&self, vertices: &mut HashMap<VertexId, Vertex>) {
        let (held, lost): (Vec<&Withdrawal>, Vec<&Withdrawal>) =
            self.withdrawals.iter().partition(|w| vertices.contains_key(w.id.as_str()));
        for withdrawal in held {
            let stamp = |v: &Vertex| (v.key.origin, v.key.counter);
            let named = (withdrawal.origin, withdrawal.counter);
            if let Some(vertex) = vertices.get_mut(withdrawal.id.as_str()).filter(|v| stamp(v) == named) {
                vertex.body = Body::Withdrawn;
            }
        }
        for withdrawal in lost {
            let id = VertexId::from(&withdrawal.id);
            let key = CanonicalKey {
                timestamp: withdrawal.timestamp,
                origin: withdrawal.origin,
                counter: withdrawal.counter,
                id: withdrawal.id.clone(),
            };
            let parents = withdrawal.parents.clone();
            smallest(vertices, Vertex { id, parents, key, body: Body::Withdrawn });
        }
    }
}

fn domain(entry: &LogEntry) -> Vertex {
    Vertex {
        id: VertexId::from(&entry.event.id),
        parents: entry.stamp.parents.clone(),
        key: entry.key(),
        body: if entry.stub { Body::Stub } else { Body::Domain },
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
