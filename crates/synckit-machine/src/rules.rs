//! Which transitions there are.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::state::State;

/// How many transitions a machine remembers unless its rules say otherwise.
pub const DEFAULT_HISTORY: usize = 50;

/// What happens when a machine has been in a state for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutAction<S> {
    /// The machine moves to this state.
    TransitionTo(S),
    /// Observers are told, once per stay in the state.
    Report,
}

/// Checked rules: the states of a machine, its transitions and its timeouts. Cheap to clone.
#[derive(Clone)]
pub struct Rules<S: State>(Arc<Checked<S>>);

struct Checked<S> {
    name: Arc<str>,
    initial: S,
    states: Vec<S>,
    targets: HashMap<S, Vec<S>>,
    timeouts: HashMap<S, Vec<Timeout<S>>>,
    history: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout<S> {
    pub(crate) after: u64,
    pub(crate) action: TimeoutAction<S>,
}

impl<S: State> Rules<S> {
    /// Rules in the making, with a name and the state in which machines begin.
    #[must_use]
    pub fn builder(name: impl Into<String>, initial: S) -> RulesBuilder<S> {
        RulesBuilder {
            name: name.into(),
            initial,
            allowed: Vec::new(),
            timeouts: Vec::new(),
            history: DEFAULT_HISTORY,
        }
    }

    /// The name. A snapshot can be restored only with rules of the same name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The state in which machines begin.
    #[must_use]
    pub fn initial(&self) -> S {
        self.0.initial
    }

    /// All states, in the order in which the builder heard of them.
    #[must_use]
    pub fn states(&self) -> &[S] {
        &self.0.states
    }

    /// Where one can go from a state, in the builder's order; nowhere from an unknown one.
    #[must_use]
    pub fn targets(&self, from: S) -> &[S] {
        self.0.targets.get(&from).map_or(&[], Vec::as_slice)
    }

    /// Whether there is a transition between these states.
    #[must_use]
    pub fn allows(&self, from: S, to: S) -> bool {
        self.targets(from).contains(&to)
    }

    /// Whether no transition leaves the state.
    #[must_use]
    pub fn is_terminal(&self, state: S) -> bool {
        self.targets(state).is_empty()
    }

    pub(crate) fn knows(&self, state: S) -> bool {
        self.0.states.contains(&state)
    }

    pub(crate) fn timeouts(&self, state: S) -> &[Timeout<S>] {
        self.0.timeouts.get(&state).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn history(&self) -> usize {
        self.0.history
    }
}

impl<S: State> fmt::Debug for Rules<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("name", &self.0.name)
            .field("initial", &self.0.initial)
            .field("states", &self.0.states)
            .finish_non_exhaustive()
    }
}

/// Rules in the making. Nothing is checked before [`build`](Self::build).
#[derive(Debug, Clone)]
pub struct RulesBuilder<S: State> {
    name: String,
    initial: S,
    allowed: Vec<(S, Vec<S>)>,
    timeouts: Vec<(S, Duration, TimeoutAction<S>)>,
    history: usize,
}

impl<S: State> RulesBuilder<S> {
    /// Allows transitions from one state to others, beside those allowed before. States without any are terminal.
    #[must_use]
    pub fn allow(mut self, from: S, to: impl IntoIterator<Item = S>) -> Self {
        self.allowed.push((from, to.into_iter().collect()));
        self
    }

    /// Says what happens after so long in a state. A state may have several timeouts: each happens once per stay.
    #[must_use]
    pub fn timeout(mut self, state: S, after: Duration, action: TimeoutAction<S>) -> Self {
        self.timeouts.push((state, after, action));
        self
    }

    /// How many transitions a machine remembers, instead of [`DEFAULT_HISTORY`].
    #[must_use]
    pub const fn history(mut self, most: usize) -> Self {
        self.history = most;
        self
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// A [`RulesError`] if there is no transition, no transition has the initial state, a state has no name or
    /// another's, or a timeout is for an unknown state, along a transition that is not allowed, shorter than a
    /// microsecond or too long to count.
    pub fn build(self) -> Result<Rules<S>, RulesError> {
        let rules = self.name.clone();
        let mut states = Vec::new();
        let mut seen = HashSet::new();
        let mut targets: HashMap<S, Vec<S>> = HashMap::new();
        for (from, to) in self.allowed.into_iter().filter(|(_, to)| !to.is_empty()) {
            let held = targets.entry(from).or_default();
            for state in std::iter::once(from).chain(to.iter().copied()) {
                if seen.insert(state) {
                    states.push(state);
                }
            }
            for state in to {
                if !held.contains(&state) {
                    held.push(state);
                }
            }
        }
        if states.is_empty() {
            return Err(RulesError::Empty { rules });
        }
        if !seen.contains(&self.initial) {
            return Err(RulesError::UnknownInitial { rules, state: self.initial.name() });
        }
        if states.iter().any(|state| state.name().is_empty()) {
            return Err(RulesError::NoName { rules });
        }
        let mut names = HashSet::new();
        if let Some(twice) = states.iter().find(|state| !names.insert(state.name())) {
            return Err(RulesError::SameName { rules, name: twice.name() });
        }
        let mut timeouts: HashMap<S, Vec<Timeout<S>>> = HashMap::new();
        for (state, after, action) in self.timeouts {
            let rules = rules.clone();
            if !seen.contains(&state) {
                return Err(RulesError::UnknownTimeoutState { rules, state: state.name() });
            }
            if let TimeoutAction::TransitionTo(to) = action
                && !targets.get(&state).is_some_and(|held| held.contains(&to))
            {
                return Err(RulesError::TimeoutNotAllowed { rules, from: state.name(), to: to.name() });
            }
            let Some(after) = u64::try_from(after.as_micros()).ok().filter(|micros| *micros > 0) else {
                return Err(RulesError::TimeoutLength { rules, state: state.name(), after });
            };
            timeouts.entry(state).or_default().push(Timeout { after, action });
        }
        for held in timeouts.values_mut() {
            held.sort_by_key(|timeout| timeout.after);
        }
        Ok(Rules(Arc::new(Checked {
            name: self.name.into(),
            initial: self.initial,
            states,
            targets,
            timeouts,
            history: self.history,
        })))
    }
}

/// What is wrong with rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// There is no transition.
    #[error("the rules {rules:?} have no transitions")]
    Empty {
        /// The rules' name.
        rules: String,
    },
    /// No transition has the initial state.
    #[error("the rules {rules:?} begin in the state {state:?}, which no transition has")]
    UnknownInitial {
        /// The rules' name.
        rules: String,
        /// The state.
        state: &'static str,
    },
    /// A state's name is empty.
    #[error("the rules {rules:?} have a state without a name")]
    NoName {
        /// The rules' name.
        rules: String,
    },
    /// Two states cannot be told apart by name.
    #[error("the rules {rules:?} have two states named {name:?}")]
    SameName {
        /// The rules' name.
        rules: String,
        /// The name.
        name: &'static str,
    },
    /// A timeout is for a state that no transition has.
    #[error("the rules {rules:?} have a timeout for the state {state:?}, which no transition has")]
    UnknownTimeoutState {
        /// The rules' name.
        rules: String,
        /// The state.
        state: &'static str,
    },
    /// A timeout would move the machine where no transition leads.
    #[error("the rules {rules:?} have a timeout from {from:?} to {to:?}, but no such transition")]
    TimeoutNotAllowed {
        /// The rules' name.
        rules: String,
        /// The state that would be left.
        from: &'static str,
        /// The state that would be entered.
        to: &'static str,
    },
    /// A timeout is not of 1 to 2⁶⁴ - 1 microseconds.
    #[error(
        "the rules {rules:?} have a timeout of {after:?} for {state:?}; it takes 1 to 2^64 - 1 microseconds"
    )]
    TimeoutLength {
        /// The rules' name.
        rules: String,
        /// The state.
        state: &'static str,
        /// The timeout.
        after: Duration,
    },
}
