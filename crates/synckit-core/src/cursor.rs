//! Cursors: "everything up to here".

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    hash::Hash,
    ids::{LogId, NodeId},
    limits::{MAX_COUNTER, MAX_CURSOR_BYTES, MAX_CURSOR_ORIGINS},
};

/// A position in a log, with the hash of the log up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Mark {
    /// How many entries come up to here; 0 is the beginning.
    pub position: u64,
    /// The chain hash there.
    pub hash: Hash,
}

impl Mark {
    /// The beginning of every log.
    pub const START: Self = Self { position: 0, hash: Hash::ZERO };
}

/// A mark in one named log. Its text is opaque to users: `LOG.POSITION.HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogCursor {
    /// The log.
    pub log: LogId,
    /// Where in it.
    pub mark: Mark,
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.log, self.mark.position, self.mark.hash)
    }
}

impl FromStr for LogCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let shown: String = text.chars().take(80).collect();
        let bad = || Error::invalid("read cursor", format!("not a cursor: {shown:?}"));
        if text.len() > MAX_CURSOR_BYTES {
            return Err(bad());
        }
        let mut parts = text.splitn(3, '.');
        let (Some(log), Some(position), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let number: u64 = position.parse().map_err(|_| bad())?;
        if number > MAX_COUNTER || number.to_string() != position {
            return Err(bad());
        }
        let mark = Mark { position: number, hash: hash.parse().map_err(|_| bad())? };
        Ok(Self { log: log.parse().map_err(|_| bad())?, mark })
    }
}

impl LogCursor {
    /// The error for a cursor that does not belong to the log with this id.
    #[must_use]
    pub fn foreign(&self, log: LogId) -> Error {
        Error::new(
            ErrorKind::LogChanged,
            "read cursor",
            format!("the cursor belongs to the log {}, and this is the log {log}", self.log),
        )
    }
}

/// How much of one origin's events a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The greatest counter held or known.
    pub counter: u64,
    /// Counters below it that are not held, as inclusive ranges in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
    /// A hash over the ids held of this origin (see [`Progress::mix`]), as 32 hexadecimal digits. It tells two holders of
    /// different events under one counter apart.
    #[serde(default, with = "hex128")]
    pub ids: u128,
}

impl Progress {
    /// The share of one event id, at one counter, in the hash over an origin's ids; shares are combined by exclusive or.
    #[must_use]
    pub fn mix(counter: u64, id: &str) -> u128 {
        let mut bytes = counter.to_be_bytes().to_vec();
        bytes.extend_from_slice(id.as_bytes());
        let hash = Hash::of(&bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_be_bytes(half)
    }

    /// The counters, as inclusive ranges, of what a holder of this lacks according to `theirs`.
    ///
    /// If both cover the same and hold different ids, that is everything: one of the two was copied and has written under
    /// the same counters.
    #[must_use]
    pub fn lacking(&self, theirs: Option<&Self>) -> Vec<(u64, u64)> {
        let Some(theirs) = theirs else { return vec![(1, self.counter)] };
        if self.counter == theirs.counter && self.gaps == theirs.gaps {
            return if self.ids == theirs.ids { Vec::new() } else { vec![(1, self.counter)] };
        }
        let mut ranges = theirs.gaps.clone();
        if self.counter > theirs.counter {
            ranges.push((theirs.counter + 1, self.counter));
        }
        ranges
    }

    /// Progress from the ids held under each counter, in ascending order of the counters.
    #[must_use]
    pub fn of<'a>(held: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        let mut progress = Self::default();
        for (counter, id) in held {
            if counter > progress.counter + 1 {
                progress.gaps.push((progress.counter + 1, counter - 1));
            }
            progress.counter = progress.counter.max(counter);
            progress.ids ^= Self::mix(counter, id);
        }
        progress
    }

    /// Whether this covers the event with that counter.
    #[must_use]
    pub fn covers(&self, counter: u64) -> bool {
        counter <= self.counter && !self.gaps.iter().any(|(from, to)| (*from..=*to).contains(&counter))
    }
}

mod hex128 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(D::Error::custom("not 32 lower-case hexadecimal digits"));
        }
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// "All I have", across logs: the progress for every origin, gaps included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<NodeId, Progress>", into = "BTreeMap<NodeId, Progress>")]
pub struct VectorCursor(BTreeMap<NodeId, Progress>);

impl VectorCursor {
    /// The cursor from the progress for each origin.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there are too many origins, a counter is out of range, or gaps are not ascending.
    pub fn from_progress(origins: BTreeMap<NodeId, Progress>) -> Result<Self> {
        let invalid = |what: String| Err(Error::invalid("read cursor", what));
        if origins.len() > MAX_CURSOR_ORIGINS {
            return invalid(format!("{} origins; at most {MAX_CURSOR_ORIGINS}", origins.len()));
        }
        for (node, progress) in &origins {
            if progress.counter > MAX_COUNTER {
                return invalid(format!("the counter of {node} is beyond {MAX_COUNTER}"));
            }
            let mut least = 1;
            for (from, to) in &progress.gaps {
                if *from < least || to < from || *to >= progress.counter {
                    return invalid(format!("the gaps of {node} are not ascending ranges below its counter"));
                }
                least = to.saturating_add(2);
            }
        }
        Ok(Self(origins))
    }

    /// The progress for each origin.
    #[must_use]
    pub const fn origins(&self) -> &BTreeMap<NodeId, Progress> {
        &self.0
    }

    /// Whether the event of `origin` with that counter is covered.
    #[must_use]
    pub fn covers(&self, origin: NodeId, counter: u64) -> bool {
        self.0.get(&origin).is_some_and(|p| p.covers(counter))
    }
}

/// What one holder has and another lacks: counters by origin, as inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lacking(BTreeMap<NodeId, Vec<(u64, u64)>>);

impl Lacking {
    /// How many counters that is.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges().fold(0, |sum, (_, from, to)| sum.saturating_add(to - from + 1))
    }

    /// Whether the event of `origin` with that counter is among them.
    #[must_use]
    pub fn contains(&self, origin: NodeId, counter: u64) -> bool {
        let within = |(from, to): &(u64, u64)| (*from..=*to).contains(&counter);
        self.0.get(&origin).is_some_and(|ranges| ranges.iter().any(within))
    }

    /// Origins with the first and the last counter of a range.
    pub fn ranges(&self) -> impl Iterator<Item = (NodeId, u64, u64)> + '_ {
        self.0.iter().flat_map(|(node, ranges)| ranges.iter().map(|(from, to)| (*node, *from, *to)))
    }
}

impl VectorCursor {
    /// Per origin, the counters of what we hold and `theirs` lacks; see [`Progress::lacking`].
    #[must_use]
    pub fn lacking(&self, theirs: &Self) -> Lacking {
        let ranges = self.0.iter().map(|(node, progress)| (*node, progress.lacking(theirs.0.get(node))));
        Lacking(ranges.filter(|(_, ranges)| !ranges.is_empty()).collect())
    }
}

impl TryFrom<BTreeMap<NodeId, Progress>> for VectorCursor {
    type Error = Error;

    fn try_from(origins: BTreeMap<NodeId, Progress>) -> Result<Self> {
        Self::from_progress(origins)
    }
}

impl From<VectorCursor> for BTreeMap<NodeId, Progress> {
    fn from(cursor: VectorCursor) -> Self {
        cursor.0
    }
}
