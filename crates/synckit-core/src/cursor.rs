//! Cursors: "everything up to here".

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    hash::{Hash, entry_bytes},
    ids::{EventId, LogId, NodeId},
    limits::{MAX_COUNTER, MAX_CURSOR_BYTES, MAX_CURSOR_ORIGINS},
    stamp::Stamp,
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
    /// Counters held as stubs only, as inclusive ranges in ascending order: those of entries that count and have no data.
    /// What was withdrawn is not among them, for its data is of no use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stubs: Vec<(u64, u64)>,
    /// A hash over the ids held or known of this origin, with their stamps and contents (see [`Progress::share`]), as 32
    /// hexadecimal digits. It tells two holders of different things under one counter apart.
    #[serde(default, with = "hex128")]
    pub ids: u128,
}

impl Progress {
    /// The share of one event under one stamp in the hash over an origin's ids; shares are combined by exclusive or. It is
    /// made of everything that tells two claims to one id apart: copies of one node may have given an event one counter at
    /// two times, on top of other parents, or two events one id. A stub has the share of the whole event.
    #[must_use]
    pub fn share(id: &EventId, stamp: &Stamp, content: &Hash) -> u128 {
        let hash = Hash::of(&entry_bytes(id, stamp, content));
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_be_bytes(half)
    }

    /// The counters, as inclusive ranges, of what a holder of this has and `theirs` lacks altogether.
    ///
    /// What both cover need not be the same: see [`VectorCursor::doubts`].
    #[must_use]
    pub fn lacking(&self, theirs: Option<&Self>) -> Vec<(u64, u64)> {
        let Some(theirs) = theirs else { return vec![(1, self.counter)] };
        let mut ranges = without(&theirs.gaps, &self.gaps);
        if self.counter > theirs.counter {
            ranges.push((theirs.counter + 1, self.counter));
        }
        ranges
    }

    /// The counters, as inclusive ranges, that `theirs` holds as stubs and this covers: those whose data a holder of this may
    /// have. It may if it holds a stub there itself: two events may have one counter, of which each holds another as a stub.
    #[must_use]
    pub fn lacking_data(&self, theirs: Option<&Self>) -> Vec<(u64, u64)> {
        let Some(theirs) = theirs.filter(|t| !t.stubs.is_empty()) else { return Vec::new() };
        let beyond = [(self.counter.saturating_add(1), u64::MAX)];
        let holes = [&*self.gaps, &beyond];
        holes.into_iter().fold(theirs.stubs.clone(), |ranges, holes| without(&ranges, holes))
    }

    /// The ranges of counters that this covers beyond `theirs`; none if `theirs` covers something that this does not.
    fn beyond(&self, theirs: &Self) -> Option<Vec<(u64, u64)>> {
        let beyond = [(theirs.counter.saturating_add(1), u64::MAX)];
        let only_theirs = without(&without(&self.gaps, &theirs.gaps), &beyond);
        if theirs.counter > self.counter || !only_theirs.is_empty() {
            return None;
        }
        let mut ranges = without(&theirs.gaps, &self.gaps);
        if self.counter > theirs.counter {
            ranges.push((theirs.counter + 1, self.counter));
        }
        Some(ranges)
    }

    /// Progress from the [shares](Self::share) of what is held under each counter, in ascending order of the counters.
    #[must_use]
    pub fn of(held: impl IntoIterator<Item = (u64, u128)>) -> Self {
        let mut progress = Self::default();
        for (counter, share) in held {
            if counter > progress.counter + 1 {
                progress.gaps.push((progress.counter + 1, counter - 1));
            }
            progress.counter = progress.counter.max(counter);
            progress.ids ^= share;
        }
        progress
    }

    /// Whether this covers the event with that counter.
    #[must_use]
    pub fn covers(&self, counter: u64) -> bool {
        counter <= self.counter && !within(&self.gaps, counter)
    }

    /// Ascending counters as inclusive ranges.
    #[must_use]
    pub fn ranges(counters: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for counter in counters {
            match ranges.last_mut() {
                Some((_, to)) if counter <= to.saturating_add(1) => *to = counter,
                _ => ranges.push((counter, counter)),
            }
        }
        ranges
    }

    /// Whether all gaps, and all stubs, are ascending ranges that do not touch, from 1 on.
    fn is_canonical(&self) -> bool {
        let ascending = |ranges: &[(u64, u64)], end: u64| {
            let mut least = 1;
            ranges.iter().all(|(from, to)| {
                let fits = *from >= least && to >= from && *to <= end;
                least = to.saturating_add(2);
                fits
            })
        };
        ascending(&self.gaps, self.counter.saturating_sub(1)) && ascending(&self.stubs, self.counter)
    }
}

/// Whether a counter is in one of these ascending ranges.
fn within(ranges: &[(u64, u64)], counter: u64) -> bool {
    let at = ranges.partition_point(|(_, to)| *to < counter);
    ranges.get(at).is_some_and(|(from, _)| *from <= counter)
}

/// Ascending ranges without what is in other ascending ranges.
fn without(ranges: &[(u64, u64)], holes: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::with_capacity(ranges.len());
    let mut first = 0;
    for &(mut from, to) in ranges {
        first += holes[first..].partition_point(|(_, end)| *end < from);
        let mut rest = true;
        for &(start, end) in holes[first..].iter().take_while(|(start, _)| *start <= to) {
            if start > from {
                left.push((from, start - 1));
            }
            rest = end < to;
            from = end.saturating_add(1);
        }
        if rest {
            left.push((from, to));
        }
    }
    left
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
    /// [`ErrorKind::Invalid`] if there are too many origins, a counter is out of range, or gaps or stubs are not ascending.
    pub fn from_progress(origins: BTreeMap<NodeId, Progress>) -> Result<Self> {
        let invalid = |what: String| Err(Error::invalid("read cursor", what));
        if origins.len() > MAX_CURSOR_ORIGINS {
            return invalid(format!("{} origins; at most {MAX_CURSOR_ORIGINS}", origins.len()));
        }
        for (node, progress) in &origins {
            if progress.counter > MAX_COUNTER {
                return invalid(format!("the counter of {node} is beyond {MAX_COUNTER}"));
            }
            if !progress.is_canonical() {
                return invalid(format!(
                    "the gaps or stubs of {node} are not ascending ranges below its counter"
                ));
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

    /// How many ranges of stubs it names.
    #[must_use]
    pub fn stub_ranges(&self) -> usize {
        self.0.values().map(|p| p.stubs.len()).sum()
    }

    /// The cursor that counts stubs as held.
    #[must_use]
    pub fn without_stubs(mut self) -> Self {
        self.0.values_mut().for_each(|p| p.stubs.clear());
        self
    }
}

type Ranges = BTreeMap<NodeId, Vec<(u64, u64)>>;

/// An origin of which two holders may hold different events under the same counters.
///
/// If one covers all that the other does, they hold the same if its hash over what it has under `ranges` is `difference`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doubt {
    /// The origin.
    pub origin: NodeId,
    /// The counters that only the one who asked covers, as inclusive ranges; none if the other covers what it does not: then
    /// the hashes do not tell.
    pub ranges: Option<Vec<(u64, u64)>>,
    /// How their hashes over ids differ.
    pub difference: u128,
}

/// What one holder has and another lacks: counters by origin, as inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lacking {
    /// What the other lacks altogether.
    events: Ranges,
    /// What the other holds as stubs only.
    data: Ranges,
}

impl Lacking {
    /// How many counters that is.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges().fold(0, |sum, (_, from, to)| sum.saturating_add(to - from + 1))
    }

    /// Whether the event of `origin` with that counter is among them. A stub is of use only to one who lacks it altogether.
    #[must_use]
    pub fn contains(&self, origin: NodeId, counter: u64, stub: bool) -> bool {
        let among = |all: &Ranges| all.get(&origin).is_some_and(|ranges| within(ranges, counter));
        among(&self.events) || (!stub && among(&self.data))
    }

    /// Origins with the first and the last counter of a range.
    pub fn ranges(&self) -> impl Iterator<Item = (NodeId, u64, u64)> + '_ {
        let all = self.events.iter().chain(&self.data);
        all.flat_map(|(node, ranges)| ranges.iter().map(|(from, to)| (*node, *from, *to)))
    }
}

impl VectorCursor {
    /// The origins of which both hold events, and maybe not the same under the same counters: one of its copies may have used
    /// counters again. Unless the doubt is removed, what a cursor covers is no sign of what is held.
    #[must_use]
    pub fn doubts(&self, theirs: &Self) -> Vec<Doubt> {
        let both = self.0.iter().filter_map(|(node, ours)| Some((*node, ours, theirs.0.get(node)?)));
        both.filter_map(|(origin, ours, theirs)| {
            let ranges = ours.beyond(theirs);
            let difference = ours.ids ^ theirs.ids;
            let same = difference == 0 && ranges.as_ref().is_some_and(Vec::is_empty);
            (!same).then_some(Doubt { origin, ranges, difference })
        })
        .collect()
    }

    /// The cursor of somebody who holds nothing of these origins.
    #[must_use]
    pub fn without(mut self, origins: &[NodeId]) -> Self {
        self.0.retain(|node, _| !origins.contains(node));
        self
    }

    /// Per origin, the counters of what we hold and `theirs` lacks; see [`Progress::lacking`] and
    /// [`Progress::lacking_data`].
    #[must_use]
    pub fn lacking(&self, theirs: &Self) -> Lacking {
        let mut lacking = Lacking::default();
        for (node, progress) in &self.0 {
            let their = theirs.0.get(node);
            let events = progress.lacking(their);
            let data = without(&progress.lacking_data(their), &events);
            for (all, ranges) in [(&mut lacking.events, events), (&mut lacking.data, data)] {
                if !ranges.is_empty() {
                    all.insert(*node, ranges);
                }
            }
        }
        lacking
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
