//! What may go wrong.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A request never arrives.
    LostRequest,
    /// A request is carried out, and its answer never arrives.
    LostAnswer,
    /// A request arrives twice.
    Duplicate,
    /// A request arrives after one that was sent later.
    Reorder,
    /// A request or an answer takes long.
    Delay,
    /// Requests of one node to another are lost for a while, or the answers are.
    OneWayPartition,
    /// The answer breaks off in the middle.
    TruncatedPage,
    /// An older page is given instead of the one asked for.
    ReplayedPage,
    /// A request is carried out, and the answer is an error.
    ErrorAfterCommit,
    /// A clock runs ahead.
    ClockAhead,
    /// A clock is set back.
    ClockBack,
    /// A node ends at some point and starts again.
    Crash,
    /// A sync is given up at some point; the node goes on.
    Cancelled,
    /// A node loses all that it has, and begins with an empty store.
    Wiped,
    /// A node's store is replaced by an older copy of itself.
    Restored,
    /// A node's store is copied, and the copy lives on beside it.
    Cloned,
    /// A node takes no more of some events for a while.
    Refusal,
    /// A node wants other events than before.
    ChangedFilter,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::OneWayPartition,
        Self::TruncatedPage,
        Self::ReplayedPage,
        Self::ErrorAfterCommit,
        Self::ClockAhead,
        Self::ClockBack,
        Self::Crash,
        Self::Cancelled,
        Self::Wiped,
        Self::Restored,
        Self::Cloned,
        Self::Refusal,
        Self::ChangedFilter,
    ];

    /// The kind in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostRequest => "lost request",
            Self::LostAnswer => "lost answer",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::OneWayPartition => "one-way partition",
            Self::TruncatedPage => "truncated page",
            Self::ReplayedPage => "replayed page",
            Self::ErrorAfterCommit => "error after commit",
            Self::ClockAhead => "clock ahead",
            Self::ClockBack => "clock back",
            Self::Crash => "crash and restart",
            Self::Cancelled => "cancelled sync",
            Self::Wiped => "hub wiped",
            Self::Restored => "restored from a copy",
            Self::Cloned => "cloned node",
            Self::Refusal => "refusal and release",
            Self::ChangedFilter => "changed filter",
        }
    }
}
