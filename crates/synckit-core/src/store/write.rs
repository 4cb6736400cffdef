//! What one asks stores to write, and what becomes of it.

use serde::{Deserialize, Serialize};

use super::read::Quarantined;
use crate::{
    cursor::Mark,
    decision::{Decision, Review},
    event::Event,
    hash::Hash,
    ids::{AggregateId, EventId, LogId, NodeId, VertexId},
    stamp::{Stamp, Timestamp},
};

/// Something to write, in one transaction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Write {
    /// New events of this node.
    Append(Vec<Event>),
    /// Entries from elsewhere, with the checkpoint that covers them.
    Apply(Apply),
    /// What a peer said of entries that were pushed to it, with the checkpoint that covers them.
    Acknowledge(Acknowledged),
    /// Decisions on conflicts.
    Decide(Vec<DecisionDraft>),
    /// Conflicts to open for review.
    Review(Vec<(AggregateId, Review)>),
    /// Own events to give up.
    Withdraw(Vec<EventId>),
    /// Own events, refused because their stamps are in the future, to offer again under smaller stamps.
    Restamp(Vec<Event>),
    /// Refusals to forget.
    Release(Vec<Quarantined>),
    /// Refusals by peers after which the events are to be offered again all the same.
    Reoffer(Vec<Quarantined>),
    /// An event to issue again under a new id, with the refusals of the old one, which are forgotten if it is taken.
    Reissue(Event, Vec<Quarantined>),
}

/// An entry as one node offers it to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The event; a stub has no data and no metadata.
    pub event: Event,
    /// Its stamp; none if it comes from a client that knows no stamps.
    pub stamp: Option<Stamp>,
    /// For a stub, the hash of the content.
    pub stub: Option<Hash>,
    /// Its position in the log that it comes from; 0 if unknown.
    pub position: u64,
}

impl Offered {
    /// An event without a stamp.
    #[must_use]
    pub const fn unstamped(event: Event) -> Self {
        Self { event, stamp: None, stub: None, position: 0 }
    }
}

/// Entries from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Apply {
    /// The log that they come from, if they were pulled.
    pub peer: Option<LogId>,
    /// The node that pushes them, if they were pushed.
    pub author: Option<NodeId>,
    /// The entries.
    pub entries: Vec<Offered>,
    /// Whether to hold what cannot be taken, in quarantine. A puller does; a hub leaves it with the pusher.
    pub hold: bool,
    /// Whether to try again what is held already.
    pub retry_held: bool,
    /// Rows of the quarantine that the entries come from, when they are tried again.
    pub retried: Vec<Quarantined>,
    /// The checkpoint to record in the same transaction.
    pub checkpoint: Option<Checkpoint>,
    /// A log whose checkpoint is void: another log answers at its address now.
    pub forget: Option<LogId>,
}

/// What a node durably knows of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The peer's log.
    pub log: LogId,
    /// Where it was reached last, for people; without credentials.
    pub address: String,
    /// How far its log was pulled.
    pub pull: Mark,
    /// How far our log was pushed.
    pub push: u64,
    /// The greatest position that it has shown, acknowledgements included, as of the last greeting that verified it.
    pub seen: Mark,
    /// The greatest position that it has shown since. It takes the place of `seen` once a greeting has verified both: an
    /// acknowledgement may come from a log that was restored meanwhile, which must not hide that.
    pub shown: Mark,
    /// What we received from it up to this position of our log is sent back to it: it lost things once.
    pub echo_floor: u64,
    /// The fingerprint of the filter under which it was pulled and pushed.
    pub filter: Hash,
    /// When it was last synced to the end.
    pub synced_at: Timestamp,
}

impl Checkpoint {
    /// The checkpoint of a peer of which nothing is known.
    #[must_use]
    pub fn start(log: LogId, address: impl Into<String>, filter: Hash) -> Self {
        Self {
            log,
            address: address.into(),
            pull: Mark::START,
            push: 0,
            seen: Mark::START,
            shown: Mark::START,
            echo_floor: 0,
            filter,
            synced_at: Timestamp::default(),
        }
    }

    /// Takes note of a mark that the peer has shown.
    pub fn saw(&mut self, mark: Mark) {
        if mark.position > self.seen.position.max(self.shown.position) {
            self.shown = mark;
        }
    }

    /// Takes note that the peer's log leads through everything that it has shown.
    pub fn verified(&mut self) {
        if self.shown.position > self.seen.position {
            self.seen = self.shown;
        }
        self.shown = Mark::START;
    }

    /// The marks by which the peer is recognised.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let shown = (self.shown != Mark::START).then_some(self.shown);
        [self.pull, self.seen].into_iter().chain(shown).collect()
    }
}

/// What a peer said of entries that were pushed to it.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The checkpoint, with its push cursor after the entries.
    pub checkpoint: Checkpoint,
    /// Entries that the peer refused or that wait for a parent there.
    pub refused: Vec<Quarantined>,
    /// Entries that the peer has taken after all.
    pub released: Vec<Quarantined>,
    /// A log whose checkpoint is void: another log answers at its address now.
    pub forget: Option<LogId>,
}

/// A decision that is ready to be written.
#[derive(Debug, Clone)]
pub struct DecisionDraft {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The heads decided.
    pub parents: Vec<VertexId>,
    /// The decision; a machine's gets its id when it is written.
    pub decision: Decision,
    /// Whether a machine decided.
    pub by_machine: bool,
    /// Whether the parents must be all heads still; if not, the outcome is [`Outcome::Stale`].
    pub expect_heads: bool,
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for code.
    pub code: RefusalCode,
    /// The reason, for people.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Why an event was not taken, for code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// Its id already names another content.
    ContentMismatch,
    /// An event that it builds on is not there.
    WaitingForParent,
    /// Its stamp is too far in the future.
    ClockSkew,
    /// It breaks a rule that nothing will change.
    Invalid,
    /// It is larger than this node takes.
    TooLarge,
    /// The pusher may not write it.
    Forbidden,
    /// There is no room for it now.
    Quota,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl RefusalCode {
    /// The code as a stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentMismatch => "content_mismatch",
            Self::WaitingForParent => "waiting_for_parent",
            Self::ClockSkew => "clock_skew",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Forbidden => "forbidden",
            Self::Quota => "quota",
            Self::Other => "other",
        }
    }

    /// The code for a word; [`RefusalCode::Other`] for one that this version does not know.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "content_mismatch" => Self::ContentMismatch,
            "waiting_for_parent" => Self::WaitingForParent,
            "clock_skew" => Self::ClockSkew,
            "invalid" => Self::Invalid,
            "too_large" => Self::TooLarge,
            "forbidden" => Self::Forbidden,
            "quota" => Self::Quota,
            _ => Self::Other,
        }
    }

    /// Whether the cause may go away by itself, so that the event is worth offering again at every sync.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::ContentMismatch | Self::Invalid)
    }
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is in the log, durably, at this position.
    Accepted {
        /// The position.
        position: u64,
    },
    /// It was there already.
    Duplicate,
    /// It was not taken.
    Refused(Refusal),
    /// The heads changed since they were read; read again.
    Stale,
}

impl Outcome {
    /// The refusal, if there is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// This store's node wrote events that the store does not hold: it was copied, or restored from an old copy. It goes
    /// on under a new node id; both events are kept.
    ForkedOrigin {
        /// The node id that is used no longer.
        former: NodeId,
        /// The node id from now on.
        now: NodeId,
        /// The event met, which was not held.
        met: EventId,
        /// The event held under the same counter, if there is one.
        held: Option<EventId>,
    },
    /// Another event with a smaller stamp took over an id; the event that had it is in quarantine.
    Displaced {
        /// The id.
        id: EventId,
    },
}

/// What became of a write.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Written {
    /// One outcome for each event, in the order in which they were given.
    pub outcomes: Vec<Outcome>,
    /// For held entries that were tried again and taken: how many.
    pub released: usize,
    /// What people should know.
    pub notices: Vec<Notice>,
    /// Where the log ends now.
    pub head: Mark,
    /// How many aggregates came into conflict.
    pub conflicts_opened: usize,
}

impl Written {
    /// How many events were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.outcomes.iter().filter(|o| matches!(o, Outcome::Accepted { .. })).count()
    }

    /// How many events were there already.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.outcomes.iter().filter(|o| matches!(o, Outcome::Duplicate)).count()
    }
}
