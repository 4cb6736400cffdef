//! The keys, made so that their bytewise order is the order in which they are read.
//!
//! Names have no control characters: a zero byte ends one, and comes before all that could follow.

use synckit_core::{
    AggregateId, LogId, NodeId, Result,
    store::{QuarantineSide, Quarantined},
};

use crate::error::damaged;

/// What shares the table of small things.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The node's label, mode and home.
    About = b'A',
    /// An aggregate in conflict → the conflict.
    Conflict = b'C',
    /// An aggregate with a decision or a withdrawal.
    Disputed = b'D',
    /// An origin → its progress.
    Origin = b'G',
    /// A peer's log → its checkpoint.
    Checkpoint = b'K',
    /// The node.
    Node = b'N',
    /// An id and a claim that is known beside the one that counts.
    Other = b'O',
    /// Origin, counter and id of a stub that counts.
    Stub = b'P',
    /// The quarantine.
    Quarantine = b'Q',
    /// The event that opened a review → the review.
    Review = b'R',
    /// A conflict and the event that opened a review of it.
    ReviewOfConflict = b'S',
    /// An aggregate and the event that opened a review of it.
    ReviewOfAggregate = b'T',
    /// A vertex → the decision.
    Decision = b'V',
    /// A conflict and the vertex of a decision on it.
    DecisionOnConflict = b'W',
    /// An id and a claim that was withdrawn.
    Withdrawn = b'X',
    /// An aggregate and an id of which something was withdrawn there.
    WithdrawnOfAggregate = b'Y',
}

impl Kind {
    pub(crate) fn alone(self) -> Vec<u8> {
        vec![self as u8]
    }

    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        joined(&[&[self as u8], bytes])
    }

    /// What all keys under a name begin with.
    pub(crate) fn under(self, name: &str) -> Vec<u8> {
        joined(&[&[self as u8], name.as_bytes(), &[0]])
    }

    pub(crate) fn at(self, name: &str, rest: &[u8]) -> Vec<u8> {
        joined(&[&[self as u8], name.as_bytes(), &[0], rest])
    }

    /// The first key that is beyond all of this kind.
    pub(crate) fn end(self) -> Vec<u8> {
        vec![self as u8 + 1]
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) const fn position(position: u64) -> [u8; 8] {
    position.to_be_bytes()
}

/// The number that a key ends with, or a value is.
pub(crate) fn number(bytes: &[u8]) -> Result<u64> {
    let last = bytes.last_chunk::<8>().ok_or_else(|| damaged("a number has not enough bytes"))?;
    Ok(u64::from_be_bytes(*last))
}

/// What the keys of an aggregate's positions begin with.
pub(crate) fn aggregate(aggregate: &AggregateId) -> Vec<u8> {
    joined(&[aggregate.as_str().as_bytes(), &[0]])
}

pub(crate) fn aggregate_at(aggregate: &AggregateId, at: u64) -> Vec<u8> {
    joined(&[aggregate.as_str().as_bytes(), &[0], &position(at)])
}

/// What the keys of an origin's stamps with a counter begin with.
pub(crate) fn counter(origin: NodeId, counter: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&origin.to_bytes());
    key[16..].copy_from_slice(&counter.to_be_bytes());
    key
}

pub(crate) fn stamp(origin: NodeId, at: u64, id: &str) -> Vec<u8> {
    joined(&[&counter(origin, at), id.as_bytes()])
}

/// Counter and id of a stamp's key.
pub(crate) fn stamp_of(key: &[u8]) -> Result<(u64, &str)> {
    let short = || damaged("the key of a stamp ends too early");
    let (_, rest) = key.split_at_checked(16).ok_or_else(short)?;
    let (counter, id) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    Ok((u64::from_be_bytes(*counter), crate::row::text(id)?))
}

/// What is behind the zero byte after a name.
pub(crate) fn after_zero(key: &[u8]) -> Result<&[u8]> {
    let zero = key.iter().position(|b| *b == 0).ok_or_else(|| damaged("a key has only one part"))?;
    key.get(zero + 1..).ok_or_else(|| damaged("a key has only one part"))
}

pub(crate) fn quarantine(row: &Quarantined) -> Vec<u8> {
    let origin = row.origin.map(NodeId::to_bytes);
    joined(&[
        &quarantine_of(row.side, row.peer),
        row.id.as_str().as_bytes(),
        &[0, u8::from(origin.is_some())],
        origin.as_ref().map_or(&[][..], |o| o),
        &position(row.counter),
    ])
}

/// What the keys of a peer's rows in quarantine begin with.
pub(crate) fn quarantine_of(side: QuarantineSide, peer: LogId) -> Vec<u8> {
    let side = u8::from(side != QuarantineSide::Held);
    joined(&[&[Kind::Quarantine as u8, side], &peer.to_bytes()])
}
