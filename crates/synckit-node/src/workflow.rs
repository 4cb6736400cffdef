//! Workflows of the conflicts that this node meets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use synckit_core::{
    AggregateId, ConflictId, EventType, Filter, Result,
    decision::{Decision, RESOLUTION},
    graph::AggregateGraph,
    store::{ReadRequest, ReviewRow},
};
use synckit_resolve::{
    Conflict, Resolution,
    workflow::{
        RuleEvaluation, RuleVerdict, WorkflowError, WorkflowFilter, WorkflowOutcome, WorkflowRun,
        WorkflowState, WorkflowSummary, Workflows,
    },
};
use tokio::sync::{Mutex, MutexGuard};

use crate::node::Inner;

/// Entries read together.
const PAGE: usize = 1_000;

/// Workflows, and up to where in the log the decisions are known to them; none before the first look.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) workflows: Workflows,
    followed: Mutex<Option<u64>>,
    /// Whether a sync ended without knowing what became of its decisions: then everything is looked at again.
    interrupted: AtomicBool,
}

/// While it is held, nobody follows the log: what is made to wait meanwhile is not overtaken by its answer.
pub(crate) type Paused<'a> = MutexGuard<'a, Option<u64>>;

impl Tracked {
    pub(crate) fn new(workflows: Workflows) -> Self {
        Self { workflows, followed: Mutex::new(None), interrupted: AtomicBool::new(false) }
    }

    /// The workflows that a decision may end: those that wait, and those that failed, for the decision may have been stored all
    /// the same.
    fn unsettled(&self) -> BTreeMap<AggregateId, Vec<WorkflowSummary>> {
        let mut unsettled: BTreeMap<AggregateId, Vec<WorkflowSummary>> = BTreeMap::new();
        for state in [WorkflowState::ManualReview, WorkflowState::Escalated, WorkflowState::Failed] {
            let filter = WorkflowFilter { state: Some(state), ..WorkflowFilter::default() };
            for summary in self.workflows.list(&filter) {
                unsettled.entry(summary.aggregate.clone()).or_default().push(summary);
            }
        }
        unsettled
    }
}

/// A workflow that does not go on is no reason not to decide.
fn logged(result: Result<(), WorkflowError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a workflow does not go on");
    }
}

/// The runs of conflicts that are being decided. Those that are left when it is dropped fail.
pub(crate) struct Runs<'a> {
    node: &'a Inner,
    under_way: BTreeMap<ConflictId, (AggregateId, WorkflowRun)>,
}

impl<'a> Runs<'a> {
    pub(crate) const fn new(node: &'a Inner) -> Self {
        Self { node, under_way: BTreeMap::new() }
    }

    pub(crate) fn take_up(&mut self, conflict: &Conflict) {
        let Some(tracked) = &self.node.tracked else { return };
        match tracked.workflows.take_up(conflict, self.node.environment.clock.now()) {
            Ok(run) => {
                self.under_way.insert(conflict.id().clone(), (conflict.aggregate().clone(), run));
            }
            Err(error) => logged(Err(error)),
        }
    }

    /// Notes which rule matched, or why none did.
    pub(crate) fn answered(&self, conflict: &ConflictId, answer: &Result<Resolution, String>) {
        let (Some(tracked), Some((_, run))) = (&self.node.tracked, self.under_way.get(conflict)) else {
            return;
        };
        let evaluation = match answer {
            Ok(answer) => {
                let (Some(rule), group) = answer.rule() else { return };
                let group = group.map(str::to_owned);
                RuleEvaluation { rule: rule.to_owned(), group, verdict: RuleVerdict::Matched, why: None }
            }
            Err(why) => RuleEvaluation {
                rule: self.node.resolver.name().to_owned(),
                group: None,
                verdict: RuleVerdict::Failed,
                why: Some(why.clone()),
            },
        };
        logged(tracked.workflows.matched(run, evaluation));
    }

    pub(crate) fn end(&mut self, conflict: &ConflictId, outcome: WorkflowOutcome) {
        let (Some(tracked), Some((_, run))) = (&self.node.tracked, self.under_way.remove(conflict)) else {
            return;
        };
        logged(tracked.workflows.end(&run, outcome, self.node.environment.clock.now()));
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        let left: Vec<ConflictId> = self.under_way.keys().cloned().collect();
        for conflict in left {
            let reason = "the sync ended before it was known whether the decision was stored".to_owned();
            self.end(&conflict, WorkflowOutcome::Failed { reason });
            if let Some(tracked) = &self.node.tracked {
                tracked.interrupted.store(true, Ordering::SeqCst);
            }
        }
    }
}

impl Inner {
    /// Keeps workflows from being ended by decisions until the guard is dropped.
    pub(crate) async fn pause_following(&self) -> Option<Paused<'_>> {
        match &self.tracked {
            Some(tracked) => Some(tracked.followed.lock().await),
            None => None,
        }
    }

    /// Has the conflicts of these reviews wait for a person, also those that were opened elsewhere; the overdue ones are
    /// escalated.
    pub(crate) fn await_answers(
        &self,
        aggregate: &AggregateId,
        reviews: &[ReviewRow],
        overdue: &BTreeSet<ConflictId>,
    ) {
        let Some(Tracked { workflows, .. }) = &self.tracked else { return };
        let now = self.environment.clock.now();
        for review in reviews {
            let state = workflows.get(&review.conflict).map(|known| known.state);
            if !state.is_some_and(WorkflowState::is_waiting) {
                let reason = review.reason.clone();
                let outcome = WorkflowOutcome::ManualReview { reason };
                logged(workflows.settle(&review.conflict, aggregate, outcome, now));
            }
            if state != Some(WorkflowState::Escalated) && overdue.contains(&review.conflict) {
                let reason = format!("nobody answered in time; {}", review.reason);
                logged(workflows.settle(
                    &review.conflict,
                    aggregate,
                    WorkflowOutcome::Escalated { reason },
                    now,
                ));
            }
        }
    }

    /// Ends the workflows of conflicts that were decided since the last look, here or elsewhere. What it costs follows the
    /// new entries of the log.
    ///
    /// # Errors
    /// Any error of the store; the next look begins where this one did.
    pub(crate) async fn follow_decisions(&self) -> Result<()> {
        let Some(tracked) = &self.tracked else { return Ok(()) };
        let mut followed = tracked.followed.lock().await;
        if tracked.interrupted.swap(false, Ordering::SeqCst) {
            *followed = None;
        }
        let head = self.store.head().await?.position;
        let decided = match *followed {
            // Whatever is unsettled may have been decided before.
            None => None,
            Some(position) if tracked.workflows.waiting() > 0 => Some(self.decided_after(position).await?),
            Some(_) => Some(BTreeSet::new()),
        };
        let mut unsettled = BTreeMap::new();
        if decided.as_ref().is_none_or(|decided| !decided.is_empty()) {
            unsettled = tracked.unsettled();
        }
        unsettled.retain(|aggregate, _| decided.as_ref().is_none_or(|decided| decided.contains(aggregate)));
        for (aggregate, summaries) in unsettled {
            let reviews = self.waiting_reviews(&aggregate).await?;
            let graph = self.store.graphs(std::slice::from_ref(&aggregate)).await?.pop();
            for summary in summaries.iter().filter(|s| reviews.iter().all(|r| r.conflict != s.conflict)) {
                let decided = decision_on(graph.as_ref(), &summary.conflict);
                if decided.is_none() && !summary.state.is_waiting() {
                    continue;
                }
                let outcome =
                    decided.map_or_else(settled, |decision| resolved(decision, !decision.is_person()));
                let now = self.environment.clock.now();
                logged(tracked.workflows.settle(&summary.conflict, &aggregate, outcome, now));
            }
        }
        *followed = Some(head);
        Ok(())
    }

    async fn decided_after(&self, position: u64) -> Result<BTreeSet<AggregateId>> {
        let wanted = Filter::everything().with_type(EventType::new(RESOLUTION)?);
        let mut decided = BTreeSet::new();
        let mut after = position;
        loop {
            let request = ReadRequest::after(after).limit(PAGE).filter(wanted.clone());
            let page = self.store.read(request).await?;
            let decisions = page.entries.into_iter().filter(|e| e.event.event_type.as_str() == RESOLUTION);
            decided.extend(decisions.map(|e| e.event.aggregate_id));
            if !page.has_more {
                return Ok(decided);
            }
            after = page.next.position;
        }
    }
}

fn decision_on<'g>(graph: Option<&'g AggregateGraph>, conflict: &ConflictId) -> Option<&'g Decision> {
    let graph = graph?;
    let vertex = graph.decisions_on(conflict).pop()?;
    graph.decision_at(&vertex)
}

fn settled() -> WorkflowOutcome {
    WorkflowOutcome::Resolved {
        outcome: "settled".to_owned(),
        resolver: "another decision".to_owned(),
        reasons: vec!["a decision on more of the aggregate brought its sides together".to_owned()],
    }
}

pub(crate) fn resolved(decision: &Decision, by_machine: bool) -> WorkflowOutcome {
    let person = decision.user.as_ref().filter(|_| !by_machine);
    WorkflowOutcome::Resolved {
        outcome: decision.outcome.clone(),
        resolver: person.unwrap_or(&decision.resolver).clone(),
        reasons: decision.reasons.clone(),
    }
}
