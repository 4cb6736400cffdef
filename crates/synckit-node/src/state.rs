//! What a node is doing.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use synckit_core::Clock;
use synckit_machine::{Machine, Note, Observer, ObserverId, Rules, State, Transition};

use crate::node::SyncNode;

/// What a node is doing, or how its last sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncState {
    /// Nothing, and no sync has ended yet, or the next is about to begin.
    Idle,
    /// It waits for its turn, or greets the peer.
    Initializing,
    /// It pulls.
    Pulling,
    /// It decides conflicts.
    ResolvingConflicts,
    /// It pushes.
    Pushing,
    /// The last sync did all that it was to do.
    Completed,
    /// The last sync ended with an error.
    Failed,
    /// Nobody waited for the last sync any more, or it took longer than it may.
    Cancelled,
}

static RULES: LazyLock<Rules<SyncState>> = LazyLock::new(|| {
    use SyncState::{Cancelled, Completed, Failed, Idle, Initializing, Pulling, Pushing, ResolvingConflicts};
    Rules::builder("synckit.sync", Idle)
        .allow(Idle, [Initializing])
        .allow(Initializing, [Pulling, ResolvingConflicts, Pushing, Completed, Failed, Cancelled])
        .allow(Pulling, [ResolvingConflicts, Initializing, Completed, Failed, Cancelled])
        .allow(ResolvingConflicts, [Pushing, Initializing, Completed, Failed, Cancelled])
        .allow(Pushing, [Initializing, Completed, Failed, Cancelled])
        .allow(Completed, [Idle])
        .allow(Failed, [Idle])
        .allow(Cancelled, [Idle])
        .build()
        .expect("the rules are constant")
});

impl SyncState {
    /// The transitions of every node.
    #[must_use]
    pub fn rules() -> &'static Rules<Self> {
        &RULES
    }

    /// Whether a sync is under way.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Initializing | Self::Pulling | Self::ResolvingConflicts | Self::Pushing)
    }
}

impl State for SyncState {
    fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Initializing => "initializing",
            Self::Pulling => "pulling",
            Self::ResolvingConflicts => "resolving_conflicts",
            Self::Pushing => "pushing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A node's machine.
#[derive(Debug)]
pub(crate) struct Phases {
    machine: Machine<SyncState>,
    clock: Arc<dyn Clock>,
}

impl Phases {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now().as_micros();
        Self { machine: Machine::new(SyncState::rules(), "sync", now), clock }
    }

    /// Begins a sync, which is cancelled unless it is ended.
    pub(crate) fn begin(&self) -> Phase<'_> {
        let before = self.machine.history().last().map_or(0, |t| t.sequence);
        if self.machine.current() != SyncState::Idle {
            self.enter(SyncState::Idle);
        }
        self.enter(SyncState::Initializing);
        Phase { phases: self, before }
    }

    /// Goes on to the next phase; staying in one is fine.
    pub(crate) fn enter(&self, to: SyncState) {
        if self.machine.current() == to {
            return;
        }
        if let Err(error) = self.machine.transition(to, self.clock.now().as_micros(), Note::new()) {
            tracing::error!(%error, "the node is in a state that it cannot be in");
        }
    }
}

/// A sync under way.
pub(crate) struct Phase<'a> {
    phases: &'a Phases,
    before: u64,
}

impl Phase<'_> {
    /// Ends the sync, and says which way it went.
    pub(crate) fn end(self, how: SyncState) -> Vec<Transition<SyncState>> {
        self.phases.enter(how);
        let mut path = self.phases.machine.history();
        path.retain(|t| t.sequence > self.before && t.to != SyncState::Idle);
        path
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        if self.phases.machine.current().is_active() {
            self.phases.enter(SyncState::Cancelled);
        }
    }
}

impl SyncNode {
    /// What the node is doing, or how its last sync ended.
    #[must_use]
    pub fn state(&self) -> SyncState {
        self.0.phases.machine.current()
    }

    /// Has an observer told of what the node does from now on.
    pub fn observe(&self, observer: Arc<dyn Observer<SyncState>>) -> ObserverId {
        self.0.phases.machine.subscribe(observer)
    }

    /// Ends a subscription of [`observe`](Self::observe); whether there was one.
    pub fn unobserve(&self, id: ObserverId) -> bool {
        self.0.phases.machine.unsubscribe(id)
    }
}
