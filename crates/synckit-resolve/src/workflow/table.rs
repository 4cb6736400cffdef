//! The workflows in memory: found, bounded, and marked when the store lags behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use synckit_core::{AggregateId, ConflictId, Timestamp};

use crate::workflow::{
    flow::{Flow, WorkflowRecord},
    observer::Observers,
    state::WorkflowState,
    summary::WorkflowOutcome,
    workflows::{WorkflowError, WorkflowLimits, WorkflowRun},
};

/// Workflows by the time at which they entered their state.
type Ages = BTreeSet<(Timestamp, ConflictId)>;

pub(super) struct Table {
    limits: WorkflowLimits,
    flows: BTreeMap<ConflictId, Flow>,
    active: Ages,
    waiting: Ages,
    ended: Ages,
    /// Whose record has to be written or deleted; none without a store.
    unsaved: Option<Unsaved>,
    observers: Arc<Observers>,
}

#[derive(Default)]
struct Unsaved {
    fresh: BTreeSet<ConflictId>,
    /// Being saved, or failed to be.
    tried: BTreeSet<ConflictId>,
    has_saver: bool,
}

/// What a store has to do about a conflict.
pub(super) enum Chore {
    Save(Box<WorkflowRecord>),
    Delete,
}

impl Table {
    pub(super) fn new(limits: WorkflowLimits, has_store: bool, observers: Arc<Observers>) -> Self {
        Self {
            limits,
            flows: BTreeMap::new(),
            active: Ages::new(),
            waiting: Ages::new(),
            ended: Ages::new(),
            unsaved: has_store.then(Unsaved::default),
            observers,
        }
    }

    /// Takes a workflow from a store; one that was active when its process ended has failed.
    pub(super) fn take(&mut self, record: WorkflowRecord, now: Timestamp) -> Result<(), String> {
        let conflict = record.conflict().clone();
        let mut flow = Flow::restore(record)?;
        if flow.state() == WorkflowState::Idle {
            return Err("it never began".to_owned());
        }
        let interrupted = flow.state().is_active();
        if interrupted {
            let reason = "the process ended before the resolver answered".to_owned();
            flow.end(WorkflowOutcome::Failed { reason }, now).map_err(|e| e.to_string())?;
        }
        self.put(conflict.clone(), flow);
        if interrupted {
            self.mark(&conflict);
        }
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        conflict: &ConflictId,
        aggregate: &AggregateId,
        now: Timestamp,
    ) -> Result<u64, WorkflowError> {
        self.prune(now);
        let limit = self.limits.active;
        let is_active = self.flows.get(conflict).is_some_and(|flow| flow.state().is_active());
        if !is_active && self.active.len() >= limit {
            return Err(WorkflowError::TooMany { limit });
        }
        if !self.flows.contains_key(conflict) {
            self.put(conflict.clone(), Flow::new(conflict, aggregate, now));
        }
        self.change(conflict, |flow| flow.begin(aggregate, now).map(|()| flow.run()).map_err(Into::into))
    }

    /// Has the workflow of a conflict end as this says; one that is not known begins first.
    pub(super) fn settle(
        &mut self,
        conflict: &ConflictId,
        aggregate: &AggregateId,
        outcome: WorkflowOutcome,
        now: Timestamp,
    ) -> Result<(), WorkflowError> {
        self.prune(now);
        if !self.flows.contains_key(conflict) {
            self.put(conflict.clone(), Flow::new(conflict, aggregate, now));
        }
        self.change(conflict, |flow| flow.settle(aggregate, outcome, now).map_err(Into::into))
    }

    pub(super) fn change_run<T>(
        &mut self,
        run: &WorkflowRun,
        change: impl FnOnce(&mut Flow) -> Result<T, WorkflowError>,
    ) -> Result<T, WorkflowError> {
        self.change(&run.conflict, |flow| {
            if flow.run() == run.number {
                change(flow)
            } else {
                Err(WorkflowError::Superseded { conflict: run.conflict.clone(), run: run.number })
            }
        })
    }

    fn change<T>(
        &mut self,
        conflict: &ConflictId,
        change: impl FnOnce(&mut Flow) -> Result<T, WorkflowError>,
    ) -> Result<T, WorkflowError> {
        let Some(mut flow) = self.remove(conflict) else {
            return Err(WorkflowError::Unknown { conflict: conflict.clone() });
        };
        let changed = change(&mut flow);
        self.put(conflict.clone(), flow);
        if changed.is_ok() {
            self.mark(conflict);
        }
        changed
    }

    pub(super) fn get(&self, conflict: &ConflictId) -> Option<&Flow> {
        self.flows.get(conflict)
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Flow> {
        self.active.iter().filter_map(|(_, conflict)| self.flows.get(conflict))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }

    /// Forgets what ended too long ago, and the oldest of what is too much: first what ended, then what waits.
    pub(super) fn prune(&mut self, now: Timestamp) {
        let most_age = u64::try_from(self.limits.kept_for.as_micros()).unwrap_or(u64::MAX);
        while let Some((at, conflict)) = self.ended.first() {
            let excess = self.ended.len() + self.waiting.len() > self.limits.kept;
            if !excess && now.since(*at) <= most_age {
                break;
            }
            self.forget(&conflict.clone());
        }
        while self.waiting.len() > self.limits.kept
            && let Some((_, conflict)) = self.waiting.first()
        {
            self.forget(&conflict.clone());
        }
    }

    fn forget(&mut self, conflict: &ConflictId) {
        self.remove(conflict);
        let most = self.limits.kept.saturating_add(self.limits.active);
        if self.unsaved.as_ref().is_some_and(|u| u.fresh.len() + u.tried.len() < most) {
            self.mark(conflict);
        }
    }

    fn ages(&mut self, state: WorkflowState) -> &mut Ages {
        if state.is_active() {
            &mut self.active
        } else if state.is_waiting() {
            &mut self.waiting
        } else {
            &mut self.ended
        }
    }

    fn put(&mut self, conflict: ConflictId, mut flow: Flow) {
        self.remove(&conflict);
        self.observers.queue(flow.moved().into_iter().map(|moved| (conflict.clone(), moved)));
        self.ages(flow.state()).insert((flow.entered_at(), conflict.clone()));
        self.flows.insert(conflict, flow);
    }

    fn remove(&mut self, conflict: &ConflictId) -> Option<Flow> {
        let flow = self.flows.remove(conflict)?;
        self.ages(flow.state()).remove(&(flow.entered_at(), conflict.clone()));
        Some(flow)
    }

    fn mark(&mut self, conflict: &ConflictId) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.fresh.insert(conflict.clone());
        }
    }

    /// Whether a saver has to be started; it then counts as started.
    pub(super) fn wants_saver(&mut self) -> bool {
        self.unsaved.as_mut().is_some_and(|unsaved| {
            let wanted = !unsaved.has_saver && !unsaved.fresh.is_empty();
            unsaved.has_saver |= wanted;
            wanted
        })
    }

    /// What the saver has to do next. If there is nothing, it counts as ended.
    pub(super) fn next_fresh(&mut self) -> Option<ConflictId> {
        let unsaved = self.unsaved.as_mut()?;
        let next = unsaved.fresh.first().cloned();
        unsaved.has_saver = next.is_some();
        next
    }

    pub(super) fn saver_died(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.has_saver = false;
        }
    }

    /// All of which the store does not know yet, failures included.
    pub(super) fn unsaved(&self) -> Vec<ConflictId> {
        self.unsaved.as_ref().map_or_else(Vec::new, |u| u.fresh.union(&u.tried).cloned().collect())
    }

    /// What the store has to do about a conflict. From now on only another change makes it fresh again.
    pub(super) fn try_save(&mut self, conflict: &ConflictId) -> Chore {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.fresh.remove(conflict);
            unsaved.tried.insert(conflict.clone());
        }
        self.flows.get(conflict).map_or(Chore::Delete, |flow| Chore::Save(Box::new(flow.record())))
    }

    pub(super) fn saved(&mut self, conflict: &ConflictId) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.tried.remove(conflict);
        }
    }

    /// A deletion that failed is not tried again, or they would pile up.
    pub(super) fn not_saved(&mut self, conflict: &ConflictId) {
        if !self.flows.contains_key(conflict) {
            self.saved(conflict);
        }
    }
}
