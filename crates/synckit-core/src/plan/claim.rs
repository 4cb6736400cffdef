//! Who holds an id: of all events that are known under it, withdrawn or not, the one with the smallest stamp.

use super::{Known, KnownEntry};
use crate::{
    graph::{Vertex, VertexBody},
    hash::Hash,
    ids::{AggregateId, EventId, VertexId},
    stamp::{Stamp, Timestamp},
};

/// An event that names itself by an id, as far as it matters who holds the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its aggregate.
    pub aggregate: AggregateId,
    /// Its stamp.
    pub stamp: Stamp,
    /// The hash of its content.
    pub content: Hash,
}

impl Claim {
    /// Whether this claim goes before `other`. Where two stamps are the same, the content tells.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        self.stamp.is_before(&other.stamp)
            || (self.stamp == other.stamp
                && (&self.content, &self.aggregate) < (&other.content, &other.aggregate))
    }

    /// Whether a withdrawal of this claim gives up the other as well: an author that stamped an event again, because its clock
    /// had run ahead, gives up all of its stamps.
    #[must_use]
    pub fn gives_up(&self, other: &Self) -> bool {
        self.is_same_event(other) && self.stamp.origin == other.stamp.origin
    }

    /// Whether both are stamps of one event.
    #[must_use]
    pub fn is_same_event(&self, other: &Self) -> bool {
        self.content == other.content && self.aggregate == other.aggregate
    }
}

/// The claim that goes before all others.
pub(super) fn first(claims: impl IntoIterator<Item = Claim>) -> Option<Claim> {
    claims.into_iter().reduce(|first, other| if other.is_before(&first) { other } else { first })
}

impl KnownEntry {
    /// Its claim to its id.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { aggregate: self.aggregate.clone(), stamp: self.stamp.clone(), content: self.content }
    }
}

impl Known {
    /// Whether this event was withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self, id: &EventId, claim: &Claim) -> bool {
        self.withdrawn.get(id).is_some_and(|claims| claims.iter().any(|gone| gone.gives_up(claim)))
    }

    /// The claim that holds the id.
    #[must_use]
    pub fn holder(&self, id: &EventId) -> Option<Claim> {
        let withdrawn = self.withdrawn.get(id).into_iter().flatten().cloned();
        first(self.entries.get(id).map(KnownEntry::claim).into_iter().chain(withdrawn))
    }

    /// The timestamp of the claim that holds the id.
    pub(super) fn held_since(&self, id: &str) -> Option<Timestamp> {
        let withdrawn = self.withdrawn.get(id).into_iter().flatten().map(|c| c.stamp.timestamp);
        withdrawn.chain(self.entries.get(id).map(|e| e.stamp.timestamp)).min()
    }

    /// The entry that counts for the id, unless it was withdrawn or another event holds the id.
    #[must_use]
    pub fn counting(&self, id: &EventId) -> Option<&KnownEntry> {
        let entry = self.entries.get(id)?;
        let Some(withdrawn) = self.withdrawn.get(id) else { return Some(entry) };
        let claim = entry.claim();
        let holds = self.holder(id).is_some_and(|holder| holder.is_same_event(&claim));
        (holds && !withdrawn.iter().any(|gone| gone.gives_up(&claim))).then_some(entry)
    }

    /// The vertex that the domain event with this id is, and its aggregate: it has its place from the claim that holds the
    /// id, and it is withdrawn unless an entry counts.
    #[must_use]
    pub fn vertex(&self, id: &EventId) -> Option<(AggregateId, Vertex)> {
        let holder = self.holder(id)?;
        let body = match self.counting(id) {
            None => VertexBody::Withdrawn,
            Some(entry) if entry.stub => VertexBody::Stub,
            Some(_) => VertexBody::Domain,
        };
        let key = holder.stamp.key(id);
        Some((holder.aggregate, Vertex { id: VertexId::from(id), parents: holder.stamp.parents, key, body }))
    }

    /// The vertices of all ids of which something was withdrawn.
    ///
    /// Stores that load a history take them in place of what the entries alone would be.
    pub fn withdrawn_vertices(&self) -> impl Iterator<Item = (AggregateId, Vertex)> {
        self.withdrawn.keys().filter_map(|id| self.vertex(id))
    }
}
