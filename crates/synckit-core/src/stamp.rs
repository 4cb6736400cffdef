//! Stamps, hybrid logical clocks and the canonical order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    ids::{EventId, NodeId, VertexId},
    limits::{MAX_COUNTER, MAX_PARENTS, MAX_TIMESTAMP_MICROS},
};

/// A reading of a hybrid logical clock: microseconds since 1970 UTC, moved forward where causality asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The timestamp that many microseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This timestamp and `micros` more, without overflow.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// How many microseconds this is after `other`; zero if it is not.
    #[must_use]
    pub const fn since(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

/// What the kit adds when a node first appends an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The node that appended it.
    pub origin: NodeId,
    /// The node's count of its own events: 1, 2, 3, …
    pub counter: u64,
    /// The node's hybrid logical clock.
    pub timestamp: Timestamp,
    /// The leading head of the aggregate that the author saw, and the decisions which that head settles; sorted.
    pub parents: Vec<VertexId>,
}

impl Stamp {
    /// Checks the limits, and sorts the parents.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a number is out of range, or there are too many parents.
    pub fn checked(
        origin: NodeId,
        counter: u64,
        timestamp: Timestamp,
        mut parents: Vec<VertexId>,
    ) -> Result<Self> {
        let invalid = |what: String| Err(Error::invalid("read stamp", what));
        if counter == 0 || counter > MAX_COUNTER {
            return invalid(format!("the counter {counter} is not between 1 and {MAX_COUNTER}"));
        }
        if timestamp.as_micros() > MAX_TIMESTAMP_MICROS {
            return invalid(format!(
                "the timestamp {} is beyond {MAX_TIMESTAMP_MICROS}",
                timestamp.as_micros()
            ));
        }
        if parents.len() > MAX_PARENTS {
            return invalid(format!("{} parents; at most {MAX_PARENTS} are allowed", parents.len()));
        }
        parents.sort_unstable();
        parents.dedup();
        Ok(Self { origin, counter, timestamp, parents })
    }

    /// The event's place in the canonical order.
    #[must_use]
    pub fn key(&self, id: &EventId) -> CanonicalKey {
        CanonicalKey { timestamp: self.timestamp, origin: self.origin, counter: self.counter, id: id.clone() }
    }

    /// Whether this stamp is smaller than `other` on the same event id. Parents are the last to tell: two copies of one node
    /// may have used one counter.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        let rank = |s: &Self| (s.timestamp, s.origin, s.counter);
        (rank(self), &self.parents) < (rank(other), &other.parents)
    }
}

/// An event's place in the canonical order: by timestamp, origin, counter and id. The order extends causality.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CanonicalKey {
    /// The stamp's timestamp.
    pub timestamp: Timestamp,
    /// The stamp's origin.
    pub origin: NodeId,
    /// The stamp's counter.
    pub counter: u64,
    /// The event's id.
    pub id: EventId,
}

impl fmt::Display for CanonicalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.id, self.origin, self.counter)
    }
}

/// A node's hybrid logical clock, as a pure value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HybridClock {
    last: Timestamp,
}

impl HybridClock {
    /// A clock that last read `last`.
    #[must_use]
    pub const fn at(last: Timestamp) -> Self {
        Self { last }
    }

    /// The last reading.
    #[must_use]
    pub const fn last(self) -> Timestamp {
        self.last
    }

    /// The timestamp for a new event on top of `parents`, strictly after the clock and every parent.
    ///
    /// The clock itself never runs more than `tolerance` microseconds ahead of `now`: a parent from the future lifts
    /// only the events on top of it.
    pub fn tick(&mut self, now: Timestamp, parents: Timestamp, tolerance: u64) -> Timestamp {
        let last = if self.last > now.plus(tolerance) { now } else { self.last };
        self.last = last.plus(1).max(now);
        let stamped = self.last.max(parents.plus(1));
        if stamped <= now.plus(tolerance) {
            self.last = stamped;
        }
        stamped
    }

    /// Takes note of a stamp from elsewhere, unless it is beyond the tolerance.
    pub fn observe(&mut self, now: Timestamp, seen: Timestamp, tolerance: u64) {
        if seen <= now.plus(tolerance) {
            self.last = self.last.max(seen);
        }
    }
}
