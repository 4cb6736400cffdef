//! What a sync did.

use std::time::Duration;

use serde::Serialize;
use synckit_core::{
    Error, EventId,
    store::{Notice, RefusalCode},
};
use synckit_machine::Transition;

use crate::state::SyncState;

/// What a sync did, exactly. Subscribers are given the report of a sync that failed, too: it says how far it came.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// Events that the peer accepted.
    pub pushed: usize,
    /// Events that came from the peer and were new here.
    pub pulled: usize,
    /// Events offered in either direction that were there already.
    pub duplicates: usize,
    /// Events that one of the two did not take.
    pub refused: Vec<RefusedEvent>,
    /// Conflicts.
    pub conflicts: ConflictCounts,
    /// What people should know.
    pub notices: Vec<Notice>,
    /// Whether the peer was found to have lost or replaced its log, so that everything is exchanged anew.
    pub started_over: bool,
    /// How long it took.
    pub duration: Duration,
    /// What it did one after the other, and when; the last is how it ended.
    pub path: Vec<Transition<SyncState>>,
    /// What ended it early, if something did.
    pub error: Option<Error>,
}

/// Conflicts in a sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConflictCounts {
    /// Conflicts that were open after pulling.
    pub found: usize,
    /// Conflicts that this node decided.
    pub resolved: usize,
    /// Conflicts that wait for a person.
    pub review: usize,
    /// Those of them that wait longer than the resolver's [limits](synckit_resolve::Limits) say.
    pub overdue: usize,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedEvent {
    /// The event.
    pub id: EventId,
    /// The reason, for code.
    pub code: RefusalCode,
    /// The reason, for people.
    pub reason: String,
}
