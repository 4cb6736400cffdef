//! Machines at rest.

use serde::{Deserialize, Serialize};

use crate::{
    rules::Rules,
    state::{State, Transition},
};

pub(crate) const VERSION: u32 = 1;

/// A machine at one moment, for serde. It has all but the rules and the observers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "S: State", deserialize = "S: State"))]
pub struct Snapshot<S: State> {
    pub(crate) version: u32,
    pub(crate) rules: String,
    pub(crate) machine: String,
    pub(crate) state: S,
    pub(crate) entered_at: u64,
    pub(crate) sequence: u64,
    pub(crate) timeouts_passed: usize,
    pub(crate) history: Vec<Transition<S>>,
}

impl<S: State> Snapshot<S> {
    /// The machine's name.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> S {
        self.state
    }

    /// Since when the machine is in that state, in microseconds since 1970 UTC.
    #[must_use]
    pub const fn entered_at(&self) -> u64 {
        self.entered_at
    }

    /// The transitions that the machine remembers, oldest first.
    #[must_use]
    pub fn history(&self) -> &[Transition<S>] {
        &self.history
    }

    pub(crate) fn check(&self, rules: &Rules<S>) -> Result<(), RestoreError> {
        if self.version != VERSION {
            return Err(RestoreError::Version { found: self.version, known: VERSION });
        }
        if self.rules != rules.name() {
            return Err(RestoreError::OtherRules {
                found: self.rules.clone(),
                expected: rules.name().to_owned(),
            });
        }
        let passed = self.history.iter().flat_map(|t| [t.from, t.to]);
        if let Some(state) = passed.chain([self.state]).find(|state| !rules.knows(*state)) {
            return Err(RestoreError::UnknownState { rules: self.rules.clone(), state: state.name() });
        }
        let follows = self.history.windows(2).all(|pair| {
            pair[0].to == pair[1].from && pair[0].sequence.checked_add(1) == Some(pair[1].sequence)
        });
        let ends = self.history.last().is_none_or(|last| {
            last.to == self.state && last.sequence == self.sequence && last.at == self.entered_at
        });
        if follows && ends { Ok(()) } else { Err(RestoreError::Broken { machine: self.machine.clone() }) }
    }
}

/// Why a machine cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The snapshot is of another version of this crate.
    #[error("the snapshot has version {found}; version {known} is known")]
    Version {
        /// The snapshot's version.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// The snapshot belongs to other rules.
    #[error("the snapshot is of the rules {found:?}, not of {expected:?}")]
    OtherRules {
        /// The snapshot's rules.
        found: String,
        /// The rules that were given.
        expected: String,
    },
    /// The rules do not have a state of the snapshot.
    #[error("the rules {rules:?} do not have the state {state:?}")]
    UnknownState {
        /// The rules' name.
        rules: String,
        /// The state.
        state: &'static str,
    },
    /// The history does not lead to the snapshot's state without gaps.
    #[error("the snapshot of {machine:?} has a history that does not lead to its state")]
    Broken {
        /// The machine's name.
        machine: String,
    },
}
