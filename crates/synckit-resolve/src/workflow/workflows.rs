//! All workflows of a node.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use synckit_core::{AggregateId, ConflictId, Timestamp};
use synckit_machine::{InvalidTransition, Note};
use tokio::runtime::Handle;

use crate::{
    conflict::Conflict,
    workflow::{
        observer::{Observers, WorkflowObserver},
        state::WorkflowState,
        store::{WorkflowStore, WorkflowStoreError},
        summary::{RuleEvaluation, WorkflowOutcome, WorkflowSummary},
        table::{Chore, Table},
    },
};

/// How many workflows there may be, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkflowLimits {
    /// How many may be active at once: 1,000. Further ones are refused.
    pub active: usize,
    /// How many others are kept: 10,000. Beyond, the oldest are forgotten, those that wait for a person last.
    pub kept: usize,
    /// For how long those that ended are kept: 24 hours. Those that wait for a person are kept until they end.
    pub kept_for: Duration,
}

impl Default for WorkflowLimits {
    fn default() -> Self {
        Self { active: 1_000, kept: 10_000, kept_for: Duration::from_secs(24 * 60 * 60) }
    }
}

/// Which workflows are meant: those that have all that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowFilter {
    /// In this state.
    pub state: Option<WorkflowState>,
    /// Of this aggregate.
    pub aggregate: Option<AggregateId>,
}

/// One run of a workflow. What is asked on behalf of a run that is no longer the latest is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkflowRun {
    pub(super) conflict: ConflictId,
    pub(super) number: u64,
}

impl WorkflowRun {
    /// The conflict.
    #[must_use]
    pub const fn conflict(&self) -> &ConflictId {
        &self.conflict
    }

    /// The how-manieth run it is, from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// The workflows of conflicts, one for each. Clones are the same workflows.
///
/// Everything is in memory, within [`WorkflowLimits`]; what has outlived its time is forgotten when another
/// workflow starts. With a store, changes are saved in the background where there is a tokio runtime, and by
/// [`flush`](Self::flush); failures are logged.
#[derive(Clone)]
pub struct Workflows(Arc<Shared>);

struct Shared {
    table: Mutex<Table>,
    store: Option<Arc<dyn WorkflowStore>>,
    /// Held while the store works, so that it never gets an older record after a newer one.
    saving: tokio::sync::Mutex<()>,
    observers: Arc<Observers>,
}

impl Workflows {
    /// Workflows that end with the process.
    #[must_use]
    pub fn new(limits: WorkflowLimits) -> Self {
        Self::with(limits, None)
    }

    /// The workflows of a store, which is kept up to date from now on. Those that were active when their process
    /// ended have failed. Records that are damaged are logged and left out.
    ///
    /// # Errors
    /// A [`WorkflowStoreError`] if the store cannot be read.
    pub async fn open(
        store: Arc<dyn WorkflowStore>,
        limits: WorkflowLimits,
        now: Timestamp,
    ) -> Result<Self, WorkflowStoreError> {
        let stored = store.list().await?;
        for error in stored.damaged {
            tracing::warn!(%error, "a workflow on record is left out");
        }
        let workflows = Self::with(limits, Some(store));
        let mut table = workflows.lock();
        for record in stored.records {
            let conflict = record.conflict().clone();
            if let Err(error) = table.take(record, now) {
                tracing::warn!(%conflict, error, "a workflow on record is left out");
            }
        }
        table.prune(now);
        drop(table);
        workflows.save_soon();
        Ok(workflows)
    }

    fn with(limits: WorkflowLimits, store: Option<Arc<dyn WorkflowStore>>) -> Self {
        let observers = Arc::new(Observers::default());
        let table = Mutex::new(Table::new(limits, store.is_some(), Arc::clone(&observers)));
        Self(Arc::new(Shared { table, store, saving: tokio::sync::Mutex::default(), observers }))
    }

    /// Has an observer told of all transitions from now on, after those that came before it.
    pub fn observe(&self, observer: Arc<dyn WorkflowObserver>) {
        self.0.observers.add(observer);
    }

    /// Begins the workflow of a conflict, which is then being analysed. If there is one already, it begins anew and
    /// keeps its path; a run that is under way fails.
    ///
    /// # Errors
    /// [`WorkflowError::TooMany`] if as many as the limits allow are active.
    pub fn start(
        &self,
        conflict: &ConflictId,
        aggregate: &AggregateId,
        now: Timestamp,
    ) -> Result<WorkflowRun, WorkflowError> {
        let number = self.lock().start(conflict, aggregate, now);
        self.changed();
        Ok(WorkflowRun { conflict: conflict.clone(), number: number? })
    }

    /// The latest run of a conflict's workflow: for rules that want to say what they did, and for answers to what
    /// waits.
    #[must_use]
    pub fn run(&self, conflict: &ConflictId) -> Option<WorkflowRun> {
        let number = self.lock().get(conflict)?.run();
        Some(WorkflowRun { conflict: conflict.clone(), number })
    }

    /// The analysis is over, and the resolver decides. What the analysis found goes into the path.
    ///
    /// # Errors
    /// [`WorkflowError::Unknown`] or [`WorkflowError::Superseded`] if the run is not there any more,
    /// [`WorkflowError::Refused`] if it is not being analysed.
    pub fn apply(&self, run: &WorkflowRun, found: Note, now: Timestamp) -> Result<(), WorkflowError> {
        self.change(run, |flow| flow.apply(now, found).map_err(Into::into))
    }

    /// A rule was tried.
    ///
    /// # Errors
    /// [`WorkflowError::Unknown`] or [`WorkflowError::Superseded`] if the run is not there any more.
    pub fn evaluated(&self, run: &WorkflowRun, evaluation: RuleEvaluation) -> Result<(), WorkflowError> {
        self.change(run, |flow| {
            flow.evaluated(evaluation);
            Ok(())
        })
    }

    /// Like [`evaluated`](Self::evaluated), unless the run knows already that the rule matched.
    ///
    /// # Errors
    /// As [`evaluated`](Self::evaluated).
    pub fn matched(&self, run: &WorkflowRun, evaluation: RuleEvaluation) -> Result<(), WorkflowError> {
        self.change(run, |flow| {
            if !flow.has_match(&evaluation.rule, evaluation.group.as_deref()) {
                flow.evaluated(evaluation);
            }
            Ok(())
        })
    }

    /// The run ended, or what waited for a person was answered.
    ///
    /// # Errors
    /// [`WorkflowError::Unknown`] or [`WorkflowError::Superseded`] if the run is not there any more,
    /// [`WorkflowError::Refused`] if no transition leads from its state to that of the outcome.
    pub fn end(
        &self,
        run: &WorkflowRun,
        outcome: WorkflowOutcome,
        now: Timestamp,
    ) -> Result<(), WorkflowError> {
        self.change(run, |flow| flow.end(outcome, now).map_err(Into::into))
    }

    fn change(
        &self,
        run: &WorkflowRun,
        change: impl FnOnce(&mut super::flow::Flow) -> Result<(), WorkflowError>,
    ) -> Result<(), WorkflowError> {
        let changed = self.lock().change_run(run, change);
        self.changed();
        changed
    }

    /// Begins the workflow of a conflict, as [`start`](Self::start) does, and has it decided: the analysis is how many
    /// sides there are, and whether events are missing.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn take_up(&self, conflict: &Conflict, now: Timestamp) -> Result<WorkflowRun, WorkflowError> {
        let run = self.start(conflict.id(), conflict.aggregate(), now)?;
        let mut found = Note::from([("sides".to_owned(), conflict.sides().len().to_string())]);
        if conflict.outline().has_stubs {
            found.insert("stubs".to_owned(), "some events are held as stubs only".to_owned());
        }
        self.apply(&run, found, now)?;
        Ok(run)
    }

    /// Has the workflow of a conflict end as this says, whatever state it is in: for what was decided elsewhere. One that
    /// is not known begins first, and one that has ended, or cannot get there, begins anew.
    ///
    /// # Errors
    /// [`WorkflowError::Refused`] if no transition leads there, which the rules rule out.
    pub fn settle(
        &self,
        conflict: &ConflictId,
        aggregate: &AggregateId,
        outcome: WorkflowOutcome,
        now: Timestamp,
    ) -> Result<(), WorkflowError> {
        let settled = self.lock().settle(conflict, aggregate, outcome, now);
        self.changed();
        settled
    }

    /// Observers and the store are to know.
    fn changed(&self) {
        self.save_soon();
        self.0.observers.tell();
    }

    /// The workflow of a conflict, if it is known still.
    #[must_use]
    pub fn get(&self, conflict: &ConflictId) -> Option<WorkflowSummary> {
        self.lock().get(conflict).map(|flow| flow.summary())
    }

    /// The workflows that are under way, those that entered their state first first.
    #[must_use]
    pub fn active(&self) -> Vec<WorkflowSummary> {
        self.lock().active().map(|flow| flow.summary()).collect()
    }

    /// How many workflows wait for a person.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// The workflows that are meant, by conflict id.
    #[must_use]
    pub fn list(&self, filter: &WorkflowFilter) -> Vec<WorkflowSummary> {
        let table = self.lock();
        let meant = table.all().filter(|flow| {
            filter.state.is_none_or(|state| flow.state() == state)
                && filter.aggregate.as_ref().is_none_or(|aggregate| flow.aggregate() == aggregate)
        });
        meant.map(|flow| flow.summary()).collect()
    }

    /// The workflow of a conflict as a Graphviz graph, with its state filled.
    #[must_use]
    pub fn to_dot(&self, conflict: &ConflictId) -> Option<String> {
        self.lock().get(conflict).map(|flow| flow.to_dot())
    }

    /// Saves all that the store does not know yet, also what failed to be saved before. Call it before the process
    /// ends.
    ///
    /// # Errors
    /// The last [`WorkflowStoreError`], after everything has been tried.
    pub async fn flush(&self) -> Result<(), WorkflowStoreError> {
        let unsaved = self.lock().unsaved();
        let mut result = Ok(());
        for conflict in unsaved {
            if let Err(error) = self.save(&conflict).await {
                result = Err(error);
            }
        }
        result
    }

    fn save_soon(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.lock().wants_saver() {
            let mut saver = Saver { workflows: self.clone(), ended: false };
            runtime.spawn(async move { saver.work().await });
        }
    }

    async fn save(&self, conflict: &ConflictId) -> Result<(), WorkflowStoreError> {
        let Some(store) = &self.0.store else { return Ok(()) };
        let _turn = self.0.saving.lock().await;
        let chore = self.lock().try_save(conflict);
        let saved = match chore {
            Chore::Save(record) => store.save(&record).await,
            Chore::Delete => store.delete(conflict).await.map(drop),
        };
        match &saved {
            Ok(()) => self.lock().saved(conflict),
            Err(error) => {
                tracing::warn!(%conflict, %error, "a workflow was not saved");
                self.lock().not_saved(conflict);
            }
        }
        saved
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Saves what is fresh until nothing is; if it is stopped or a store panics, another may take its place.
struct Saver {
    workflows: Workflows,
    ended: bool,
}

impl Saver {
    async fn work(&mut self) {
        loop {
            let next = self.workflows.lock().next_fresh();
            let Some(conflict) = next else {
                self.ended = true;
                return;
            };
            // The failure is logged, and a later flush tries again.
            let _ = self.workflows.save(&conflict).await;
        }
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        if !self.ended {
            self.workflows.lock().saver_died();
        }
    }
}

impl Default for Workflows {
    fn default() -> Self {
        Self::new(WorkflowLimits::default())
    }
}

impl fmt::Debug for Workflows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workflows").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// Why a workflow does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// As many workflows as the limits allow are active.
    #[error("{limit} workflows are active; no more are allowed")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The conflict has no workflow, or has one no longer.
    #[error("the conflict {conflict} has no workflow")]
    Unknown {
        /// The conflict.
        conflict: ConflictId,
    },
    /// The conflict was taken up anew.
    #[error("run {run} of the workflow of the conflict {conflict} is not the latest")]
    Superseded {
        /// The conflict.
        conflict: ConflictId,
        /// The run that was meant.
        run: u64,
    },
    /// No transition leads there.
    #[error(transparent)]
    Refused(#[from] InvalidTransition<WorkflowState>),
}
