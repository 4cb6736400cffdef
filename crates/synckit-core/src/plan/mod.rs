//! What a write does, as a pure function of what the store knows: no I/O, no clock and no randomness of its own.
//!
//! A store answers [`Write::lookup`] with a [`Known`], adds the histories that [`Write::graphs`] asks for, calls
//! [`Write::plan`], and stores the [`Changes`]. Every backend thereby behaves alike.

mod apply;
mod claim;
mod claims;
mod decide;
mod lookup;
mod own;
mod planner;

use std::collections::{BTreeSet, HashMap};

pub use self::{claim::Claim, planner::vertex_of};
use crate::{
    cursor::{Mark, Progress},
    event::Event,
    graph::{Head, Vertex},
    hash::Hash,
    ids::{AggregateId, ConflictId, EventId, EventType, LogId, NodeId, VertexId},
    limits::{DEFAULT_CLOCK_TOLERANCE_MICROS, MAX_DATA_BYTES},
    stamp::{Stamp, Timestamp},
    store::{Checkpoint, Offered, Quarantined, ReviewRow, StoredDecision, Write, Written},
};

/// What a store has to look up before a write can be planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// Event ids: the entries that count for them, their withdrawals, and their other claims.
    pub ids: BTreeSet<EventId>,
    /// Event ids: the events of the entries that count for them.
    pub events: BTreeSet<EventId>,
    /// Decision ids: the aggregates and timestamps of the decisions.
    pub decisions: BTreeSet<VertexId>,
    /// Aggregates: their heads.
    pub aggregates: BTreeSet<AggregateId>,
    /// Counters of this node's own events: the ids held under them.
    pub own_counters: BTreeSet<u64>,
    /// Whether the quarantine is needed.
    pub quarantine: bool,
    /// Logs without stamps: the last event of each aggregate in `aggregates` that came from them.
    pub unstamped_from: Option<LogId>,
}

impl Lookup {
    /// What is known of these ids.
    #[must_use]
    pub fn of_ids(ids: BTreeSet<EventId>) -> Self {
        Self { ids, ..Self::default() }
    }
}

/// The entry that counts for an id, as far as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEntry {
    /// Its position.
    pub position: u64,
    /// Its type.
    pub event_type: EventType,
    /// Its aggregate.
    pub aggregate: AggregateId,
    /// Its stamp.
    pub stamp: Stamp,
    /// The hash of its content.
    pub content: Hash,
    /// Whether it is a stub.
    pub stub: bool,
}

impl KnownEntry {
    /// Whether a stub under a smaller stamp is offered for the event that is held here with its data.
    pub(crate) fn lends_data(&self, offered: &Offered) -> bool {
        let smaller = offered.stamp.as_ref().is_some_and(|stamp| stamp.is_before(&self.stamp));
        !self.stub && smaller && offered.stub == Some(self.content)
    }
}

/// The state of the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The log.
    pub log: LogId,
    /// The node.
    pub node: NodeId,
    /// Nodes that it was before.
    pub former: Vec<NodeId>,
    /// The counter of its last own event.
    pub counter: u64,
    /// The last reading of its clock.
    pub clock: Timestamp,
    /// Where its log ends.
    pub head: Mark,
}

/// What a store answers to a [`Lookup`].
#[derive(Debug, Clone)]
pub struct Known {
    /// The node itself.
    pub node: NodeState,
    /// The entries that count.
    pub entries: HashMap<EventId, KnownEntry>,
    /// Whole events, if they were asked for.
    pub events: HashMap<EventId, Event>,
    /// Events withdrawn, by id. Another event with such an id is not withdrawn.
    pub withdrawn: HashMap<EventId, Vec<Claim>>,
    /// Events that are known by an id and do not count, or count under another stamp.
    pub others: HashMap<EventId, Vec<Claim>>,
    /// Decisions: their aggregates, and the smallest timestamps of their copies.
    pub decisions: HashMap<VertexId, (AggregateId, Timestamp)>,
    /// Heads; aggregates without events are left out.
    pub heads: HashMap<AggregateId, Vec<Head>>,
    /// Own events by counter.
    pub own: HashMap<u64, EventId>,
    /// The quarantine, if it was asked for.
    pub quarantine: Vec<Quarantined>,
    /// Per aggregate, the last event that came from the log without stamps.
    pub last_unstamped: HashMap<AggregateId, EventId>,
    /// Whole histories of all aggregates that [`Write::graphs`] named, empty ones included.
    pub graphs: HashMap<AggregateId, Vec<Vertex>>,
}

impl Known {
    /// A node of which nothing else is known yet.
    #[must_use]
    pub fn of(node: NodeState) -> Self {
        Self {
            node,
            entries: HashMap::new(),
            events: HashMap::new(),
            withdrawn: HashMap::new(),
            others: HashMap::new(),
            decisions: HashMap::new(),
            heads: HashMap::new(),
            own: HashMap::new(),
            quarantine: Vec::new(),
            last_unstamped: HashMap::new(),
            graphs: HashMap::new(),
        }
    }
}

/// What surrounds a write: time, randomness and limits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Surroundings {
    /// The time now.
    pub now: Timestamp,
    /// 128 random bits, for a new node id should one be needed.
    pub random: u128,
    /// How far a stamp may be ahead of the clock, in microseconds.
    pub tolerance: u64,
    /// Largest event data taken, in bytes.
    pub max_data: usize,
    /// For how many bytes of entries, as [`LogEntry::size`](crate::store::LogEntry::size) counts them, there is room; none
    /// if that is not limited. What does not fit is refused with [`RefusalCode::Quota`](crate::store::RefusalCode::Quota);
    /// for the kit's own events, which are small and settle things, there always is room.
    pub room: Option<usize>,
}

impl Surroundings {
    /// Surroundings with the default limits.
    #[must_use]
    pub const fn new(now: Timestamp, random: u128) -> Self {
        Self { now, random, tolerance: DEFAULT_CLOCK_TOLERANCE_MICROS, max_data: MAX_DATA_BYTES, room: None }
    }
}

/// A new entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Its position.
    pub position: u64,
    /// The event; a stub has no data.
    pub event: Event,
    /// Its stamp.
    pub stamp: Stamp,
    /// The hash of its content.
    pub content: Hash,
    /// The hash of the log up to it.
    pub hash: Hash,
    /// The log that it was pulled from.
    pub from: Option<LogId>,
    /// Whether it is a stub.
    pub stub: bool,
    /// Whether a later entry of the same write counts for its id.
    pub superseded: bool,
    /// Its share in the hash over its origin's ids, see [`Progress::share`].
    pub share: u128,
}

/// The heads of an aggregate after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHeads {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// Its heads.
    pub heads: Vec<Head>,
    /// Its conflict, if it has one.
    pub conflict: Option<ConflictId>,
}

/// A stamp that is known for an event that counts under another, or was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownStamp {
    /// The stamp's origin.
    pub origin: NodeId,
    /// The stamp's counter.
    pub counter: u64,
    /// The event.
    pub id: EventId,
    /// Its share in the hash over the origin's ids.
    pub share: u128,
}

impl KnownStamp {
    /// The stamp of a claim to an id.
    pub(crate) fn of(id: &EventId, claim: &Claim) -> Self {
        let share = Progress::share(id, &claim.stamp, &claim.content);
        Self { origin: claim.stamp.origin, counter: claim.stamp.counter, id: id.clone(), share }
    }
}

/// A claim with the id that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimOf {
    /// The id.
    pub id: EventId,
    /// The claim.
    pub claim: Claim,
}

/// Everything that one write changes.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Changes {
    /// The node afterwards; none if nothing about it changes.
    pub node: Option<NodeState>,
    /// New entries, in the order of their positions.
    pub entries: Vec<NewEntry>,
    /// Positions of older entries that no longer count for their ids.
    pub superseded: Vec<u64>,
    /// Heads.
    pub heads: Vec<NewHeads>,
    /// New decisions, and copies with smaller timestamps of known ones, which replace them.
    pub decisions: Vec<StoredDecision>,
    /// New reviews.
    pub reviews: Vec<ReviewRow>,
    /// Events withdrawn.
    pub withdrawn: Vec<ClaimOf>,
    /// Claims that are known beside those of the entries that count.
    pub others: Vec<ClaimOf>,
    /// Stamps that are known without an entry.
    pub known_stamps: Vec<KnownStamp>,
    /// Rows of the quarantine to remove; removed before others are added.
    pub released: Vec<Quarantined>,
    /// Rows of the quarantine to add or replace.
    pub quarantined: Vec<Quarantined>,
    /// The checkpoint to record.
    pub checkpoint: Option<Checkpoint>,
    /// The checkpoint to remove, with what that peer refused.
    pub forget: Option<LogId>,
}

impl Changes {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Write {
    /// What the store has to look up.
    #[must_use]
    pub fn lookup(&self, node: &NodeState) -> Lookup {
        lookup::lookup(self, node)
    }

    /// What the store has to look up besides, once it knows what it has in quarantine: what is tried again.
    #[must_use]
    pub fn lookup_again(&self, known: &Known) -> Lookup {
        lookup::lookup_again(self, known)
    }

    /// The aggregates whose whole histories are needed.
    #[must_use]
    pub fn graphs(&self, known: &Known) -> BTreeSet<AggregateId> {
        lookup::graphs(self, known)
    }

    /// What the write does. What is known is brought up to date by it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the request makes no sense as a whole,
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if it names an event that is not there.
    pub fn plan(self, known: &mut Known, around: &Surroundings) -> crate::Result<(Changes, Written)> {
        let mut planner = planner::Planner::new(known, around);
        match self {
            Self::Append(events) => planner.append(events),
            Self::Apply(apply) => planner.apply(apply),
            Self::Acknowledge(acknowledged) => planner.acknowledge(acknowledged),
            Self::Decide(drafts) => planner.decide(drafts)?,
            Self::Review(reviews) => planner.review(reviews)?,
            Self::Withdraw(ids) => planner.withdraw(ids)?,
            Self::Restamp(events) => planner.restamp(events),
            Self::Release(rows) => planner.changes.released.extend(rows),
            Self::Reoffer(rows) => planner.reoffer(rows),
            Self::Reissue(event, rows) => planner.reissue(event, rows),
        }
        planner.finish()
    }
}
