//! Versions: what came before what.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    error::{Error, Result},
    ids::NodeId,
    limits::{MAX_CLOCK_ENTRIES, MAX_COUNTER, MAX_CURSOR_BYTES},
};

/// How two versions relate. Equal and concurrent are different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Causality {
    /// The same version.
    Equal,
    /// The left one happened before the right one.
    Before,
    /// The left one happened after the right one.
    After,
    /// Neither knew of the other.
    Concurrent,
}

/// How a node expresses progress and versions. It never changes what a conflict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CursorMode {
    /// A cursor is a position in one peer's log, kept per peer; an event's version is its position.
    #[default]
    Integer,
    /// A cursor is "all I have", good with any peer; an event's version is the vector clock of its causal past.
    Vector,
}

impl fmt::Display for CursorMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Vector => "vector",
        })
    }
}

impl std::str::FromStr for CursorMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "integer" => Ok(Self::Integer),
            "vector" => Ok(Self::Vector),
            other => {
                Err(Error::invalid("read mode", format!("unknown mode {other:?}; it is integer or vector")))
            }
        }
    }
}

/// A vector clock: for each node, how many of its events are in the causal past.
///
/// Always canonical (no zero entries) and bounded (entries, counters, bytes), however it was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct VectorClock(BTreeMap<NodeId, u64>);

impl VectorClock {
    /// The clock of an empty past.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// A clock from its entries; zeros are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there are too many entries or a counter is out of range.
    pub fn from_entries(entries: impl IntoIterator<Item = (NodeId, u64)>) -> Result<Self> {
        let mut clock = Self::new();
        for (node, counter) in entries {
            clock.witness(node, counter)?;
        }
        Ok(clock)
    }

    /// Reads the JSON text of a clock: an object from node ids to counters.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is too long, not such an object, or out of bounds.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() > MAX_CURSOR_BYTES {
            return Err(Error::invalid(
                "read vector clock",
                format!("{} bytes; at most {MAX_CURSOR_BYTES}", text.len()),
            ));
        }
        let entries: BTreeMap<NodeId, u64> = serde_json::from_str(text)
            .map_err(|e| Error::invalid("read vector clock", "not an object of counters").with_source(e))?;
        Self::from_entries(entries)
    }

    /// The count for `node`; zero if there is none.
    #[must_use]
    pub fn get(&self, node: NodeId) -> u64 {
        self.0.get(&node).copied().unwrap_or(0)
    }

    /// The entries, sorted by node.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.0.iter().map(|(n, c)| (*n, *c))
    }

    /// How many nodes have an entry.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the past is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Raises the entry of `node` to at least `counter`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if that would be one entry too many or the counter is out of range.
    pub fn witness(&mut self, node: NodeId, counter: u64) -> Result<()> {
        if counter == 0 {
            return Ok(());
        }
        if counter > MAX_COUNTER {
            return Err(Error::invalid("count", format!("the counter {counter} is beyond {MAX_COUNTER}")));
        }
        if !self.0.contains_key(&node) && self.0.len() >= MAX_CLOCK_ENTRIES {
            return Err(Error::invalid("count", format!("a clock has at most {MAX_CLOCK_ENTRIES} entries")));
        }
        let entry = self.0.entry(node).or_insert(0);
        *entry = counter.max(*entry);
        Ok(())
    }

    /// Takes in everything that `other` has seen.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there would be too many entries.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        other.iter().try_for_each(|(node, counter)| self.witness(node, counter))
    }

    /// How this clock relates to `other`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        let within = |a: &Self, b: &Self| a.iter().all(|(node, counter)| b.get(node) >= counter);
        match (within(self, other), within(other, self)) {
            (true, true) => Causality::Equal,
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            (false, false) => Causality::Concurrent,
        }
    }
}

impl<'de> Deserialize<'de> for VectorClock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<NodeId, u64>::deserialize(deserializer)?;
        Self::from_entries(entries).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for VectorClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The version of an event, in the mode of the node that asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// Its position in this node's log: a total order.
    Integer(u64),
    /// The vector clock of its causal past, itself included: a partial order.
    Vector(VectorClock),
}

impl Version {
    /// How this version relates to `other`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if one is an integer and the other a vector: that is a mistake,
    /// not "equal".
    pub fn compare(&self, other: &Self) -> Result<Causality> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Ok(match a.cmp(b) {
                std::cmp::Ordering::Less => Causality::Before,
                std::cmp::Ordering::Equal => Causality::Equal,
                std::cmp::Ordering::Greater => Causality::After,
            }),
            (Self::Vector(a), Self::Vector(b)) => Ok(a.compare(b)),
            _ => Err(Error::invalid(
                "compare versions",
                "an integer version and a vector version cannot be compared",
            )),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Vector(clock) => write!(f, "{clock}"),
        }
    }
}
