//! What stores answer.

use serde::{Deserialize, Serialize};

use super::write::{Checkpoint, Offered, Refusal};
use crate::{
    cursor::{Lacking, Mark, VectorCursor},
    event::{Event, Metadata, Payload},
    filter::Filter,
    hash::Hash,
    ids::{AggregateId, ConflictId, EventId, LogId, NodeId, VertexId},
    stamp::{CanonicalKey, Stamp, Timestamp},
};

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position: 1, 2, 3, …
    pub position: u64,
    /// The event; a stub has no data and no metadata.
    pub event: Event,
    /// Its stamp.
    pub stamp: Stamp,
    /// The hash of its content.
    pub content: Hash,
    /// The hash of the log up to it.
    pub hash: Hash,
    /// The log that it was pulled from; none if it was appended here, was pushed, or joins the stamp of a stub with the data
    /// of another entry.
    pub from: Option<LogId>,
    /// Whether only id, type, aggregate, stamp and parents are held.
    pub stub: bool,
    /// Whether another entry counts for its id: one with a smaller stamp, or one that holds the data.
    pub superseded: bool,
}

impl LogEntry {
    /// Its place in the canonical order.
    #[must_use]
    pub fn key(&self) -> CanonicalKey {
        self.stamp.key(&self.event.id)
    }

    /// How many bytes it counts for in a page.
    #[must_use]
    pub fn size(&self) -> usize {
        self.event.size()
    }

    /// The entry as one offers it to a peer.
    #[must_use]
    pub fn into_offered(self) -> Offered {
        Offered {
            position: self.position,
            stub: self.stub.then_some(self.content),
            event: self.event,
            stamp: Some(self.stamp),
        }
    }
}

/// Which entries to read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadRequest {
    /// Entries after this position.
    pub after: u64,
    /// At most this many entries in the page; 0 means 1,000.
    pub limit: usize,
    /// Stop before the page's data and metadata have more bytes than this, but give at least one entry; 0 means 8 MiB.
    pub max_bytes: usize,
    /// Only what this wants; the rest is passed over, or given as stubs where the filter cuts through an aggregate.
    pub filter: Filter,
    /// Leave out what is covered by this cursor, but not the data of what it covers as stubs only.
    pub missing_from: Option<VectorCursor>,
    /// Leave out what was pulled from this log at a position of our own log beyond the second value: it is not sent back.
    pub not_from: Option<(LogId, u64)>,
    /// Leave out superseded entries.
    pub only_counting: bool,
}

impl ReadRequest {
    /// The number of entries that a page may have.
    #[must_use]
    pub const fn page_limit(&self) -> usize {
        if self.limit == 0 { 1_000 } else { self.limit }
    }

    /// The number of bytes that a page may have.
    #[must_use]
    pub const fn page_bytes(&self) -> usize {
        if self.max_bytes == 0 { 8 * 1024 * 1024 } else { self.max_bytes }
    }

    /// The entry as this request wants it: whole, as a stub, or not at all. For stores.
    #[must_use]
    pub fn shape(&self, mut entry: LogEntry) -> Option<LogEntry> {
        let echo =
            self.not_from.is_some_and(|(log, floor)| entry.from == Some(log) && entry.position > floor);
        let unwanted = echo || (self.only_counting && entry.superseded);
        if unwanted || !self.filter.wants_aggregate(&entry.event.aggregate_id) {
            return None;
        }
        if !entry.stub && !self.filter.wants(&entry.event, &entry.stamp) {
            entry.stub = true;
            entry.event.data = Payload::stored(None, Vec::new());
            entry.event.metadata = Metadata::default();
        }
        Some(entry)
    }

    /// The entry as it is given to one who lacks only this. For stores, as [`shape`](Self::shape); `lacking` follows from
    /// [`missing_from`](Self::missing_from).
    #[must_use]
    pub fn shape_for(&self, lacking: Option<&Lacking>, entry: LogEntry) -> Option<LogEntry> {
        let lacked =
            |e: &LogEntry| lacking.is_none_or(|l| l.contains(e.stamp.origin, e.stamp.counter, e.stub));
        Some(entry).filter(lacked).and_then(|e| self.shape(e)).filter(lacked)
    }

    /// Everything after a position.
    #[must_use]
    pub fn after(position: u64) -> Self {
        Self { after: position, ..Self::default() }
    }

    /// At most this many entries.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// At most about this many bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Only what the filter wants.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Leaves out what the cursor covers.
    #[must_use]
    pub fn missing_from(mut self, cursor: Option<VectorCursor>) -> Self {
        self.missing_from = cursor;
        self
    }

    /// Leaves out what came from `log` after our position `floor`.
    #[must_use]
    pub const fn not_from(mut self, log: LogId, floor: u64) -> Self {
        self.not_from = Some((log, floor));
        self
    }

    /// Leaves out superseded entries.
    #[must_use]
    pub const fn only_counting(mut self) -> Self {
        self.only_counting = true;
        self
    }
}

/// A page of a log.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// The entries, in the order of their positions.
    pub entries: Vec<LogEntry>,
    /// How far the page reaches: everything up to here was given or passed over, and, if there is more, the next entry was
    /// neither.
    pub next: Mark,
    /// Where the log ended when the page was read.
    pub head: Mark,
    /// Whether there is more after `next`.
    pub has_more: bool,
}

/// An aggregate with more than one unsettled head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// What identifies the conflict.
    pub id: ConflictId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// Whether a conflict of this aggregate was opened for review: this one, an earlier one that grew into it, or one that
    /// was settled long ago. [`AggregateGraph::in_review`](crate::graph::AggregateGraph::in_review) tells.
    pub in_review: bool,
}

/// A conflict that was opened for review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRow {
    /// The conflict.
    pub conflict: ConflictId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The heads, sorted.
    pub heads: Vec<VertexId>,
    /// Why.
    pub reason: String,
    /// The event that opened it.
    pub event: EventId,
}

/// A decision as stores index it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    /// The vertex.
    pub vertex: VertexId,
    /// Its event; the one with the smallest timestamp, if there are copies.
    pub event: EventId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The conflict decided; none for an undo.
    pub conflict: Option<ConflictId>,
    /// The timestamp of that event: the smallest among the copies.
    pub timestamp: Timestamp,
}

/// A peer's checkpoint.
pub type CheckpointRow = Checkpoint;

/// Who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QuarantineSide {
    /// We could not take an event that a peer gave us; we hold it.
    Held,
    /// A peer did not take an event of our log.
    Refused,
}

/// An event in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    /// Who refused.
    pub side: QuarantineSide,
    /// The peer's log.
    pub peer: LogId,
    /// The event.
    pub id: EventId,
    /// Its stamp's origin; none if it had no stamp.
    pub origin: Option<NodeId>,
    /// Its stamp's counter; 0 if it had no stamp.
    pub counter: u64,
    /// Why.
    pub refusal: Refusal,
    /// Where it is in our own log, if it is there; else 0.
    pub position: u64,
    /// The event itself, if it is not in our log.
    pub held: Option<Offered>,
}

impl Quarantined {
    /// What tells rows of the quarantine apart.
    #[must_use]
    pub fn key(&self) -> (QuarantineSide, LogId, EventId, Option<NodeId>, u64) {
        (self.side, self.peer, self.id.clone(), self.origin, self.counter)
    }
}
