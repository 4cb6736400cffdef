//! States, and what is said about moves between them.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::rules::TimeoutAction;

/// A state of a machine: usually a plain enum.
pub trait State: Copy + Eq + Hash + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name that errors and drawings show. States of the same rules have different names.
    fn name(&self) -> &'static str;
}

/// What a transition is to remember beside the states: short texts by name. The history keeps it, so it should be
/// small.
pub type Note = BTreeMap<String, String>;

/// One move of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "S: State", deserialize = "S: State"))]
#[non_exhaustive]
pub struct Transition<S: State> {
    /// Counts the machine's transitions, from 1, also those that the history no longer has.
    pub sequence: u64,
    /// The state that was left.
    pub from: S,
    /// The state that was entered.
    pub to: S,
    /// When, in microseconds since 1970 UTC.
    pub at: u64,
    /// How many microseconds the machine was in the state that was left; zero if the clock went backwards.
    pub stayed: u64,
    /// What the caller noted.
    #[serde(default, skip_serializing_if = "Note::is_empty")]
    pub note: Note,
}

/// When a machine will have been in a state for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline<S: State> {
    /// The state.
    pub state: S,
    /// From when on, in microseconds since 1970 UTC.
    pub at: u64,
    /// What happens then.
    pub action: TimeoutAction<S>,
}
