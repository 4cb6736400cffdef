//! Deciding conflicts.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use synckit_core::{
    AggregateId, ConflictId, Event, EventId, Result, Stamp,
    decision::{Decision, Review},
    graph::{AggregateGraph, ConflictOutline, SideOutline, ViewEvent},
    limits::{DECIDE_ANYWHERE_AFTER_MICROS, MAX_PARENTS},
    plant::{Plant, planted},
    store::{DecisionDraft, Identity, LogEntry, Outcome, Write},
};
use synckit_resolve::{Conflict, Reads, Resolution, Side, workflow::WorkflowOutcome};

use super::Run;
use crate::{
    config::DecideScope,
    state::SyncState,
    workflow::{Runs, resolved},
};

/// Conflicts that are read and decided together.
const BATCH: usize = 250;
/// Events that are in memory at once while conflicts are decided, unless a single one has more.
const EVENTS: usize = 2_000;

/// What is to be written for a batch of conflicts.
#[derive(Default)]
struct Verdicts {
    drafts: Vec<DecisionDraft>,
    reviews: Vec<(AggregateId, Review)>,
    /// The conflicts whose review is for someone with more say.
    escalated: BTreeSet<ConflictId>,
}

impl Run<'_> {
    /// Decides the open conflicts that are this node's to decide, a batch in one transaction.
    pub(super) async fn resolve(&mut self) -> Result<()> {
        self.node.phases.enter(SyncState::ResolvingConflicts);
        let store = std::sync::Arc::clone(&self.node.store);
        let identity = store.identity();
        let limits = self.node.resolver.limits();
        let batch = limits.batch.unwrap_or(BATCH).clamp(1, BATCH);
        let mut after: Option<AggregateId> = None;
        self.node.follow_decisions().await?;
        loop {
            let open = store.conflicts(after.as_ref(), batch).await?;
            let Some(last) = open.last() else { break };
            after = Some(last.aggregate.clone());
            self.report.conflicts.found += open.len();
            let mut undecided: Vec<AggregateId> = Vec::with_capacity(open.len());
            for conflict in open {
                // A conflict that waits for a person is left to people, also when it grows meanwhile.
                if !conflict.in_review || !self.waits(&conflict.aggregate, limits.review).await? {
                    undecided.push(conflict.aggregate);
                }
            }
            let outlines: Vec<ConflictOutline> = store
                .graphs(&undecided)
                .await?
                .iter()
                .filter_map(decidable)
                .filter(|outline| self.may_decide(outline, &identity))
                .collect();
            for outlines in self.portions(outlines) {
                let mut runs = Runs::new(self.node);
                let verdicts = self.verdicts(outlines, &mut runs).await?;
                self.write(verdicts, &mut runs).await?;
            }
        }
        Ok(())
    }

    /// Whether a conflict of this aggregate waits for a person. It is counted, and its workflow waits.
    async fn waits(&mut self, aggregate: &AggregateId, limit: Option<Duration>) -> Result<bool> {
        let _paused = self.node.pause_following().await;
        let waiting = self.node.waiting_reviews(aggregate).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        self.report.conflicts.review += 1;
        let overdue = match limit {
            Some(limit) => self.node.overdue(&waiting, limit).await?,
            None => BTreeSet::new(),
        };
        self.report.conflicts.overdue += usize::from(!overdue.is_empty());
        self.node.await_answers(aggregate, &waiting, &overdue);
        Ok(true)
    }

    /// The conflicts in portions of which the events are in memory together.
    fn portions(&self, outlines: Vec<ConflictOutline>) -> Vec<Vec<ConflictOutline>> {
        let mut portions: Vec<Vec<ConflictOutline>> = Vec::new();
        let mut events = 0;
        for outline in outlines {
            let needs = self.needed(&outline).count();
            match portions.last_mut().filter(|_| events + needs <= EVENTS) {
                Some(portion) => portion.push(outline),
                None => {
                    portions.push(vec![outline]);
                    events = 0;
                }
            }
            events += needs;
        }
        portions
    }

    /// The events that the resolver reads to decide a conflict.
    fn needed<'o>(&self, outline: &'o ConflictOutline) -> impl Iterator<Item = &'o EventId> + use<'o> {
        let reads = self.node.resolver.reads();
        let sides = outline.sides.iter().filter(move |_| reads >= Reads::Sides).flat_map(|s| &s.beyond);
        let common = outline.common.iter().filter(move |_| reads >= Reads::Everything);
        sides.chain(common).map(ViewEvent::id)
    }

    fn may_decide(&self, outline: &ConflictOutline, identity: &Identity) -> bool {
        if outline.has_stubs {
            return false;
        }
        let newest = outline.sides.iter().filter_map(|s| s.newest.as_ref()).map(|k| k.timestamp).max();
        let age = self.node.environment.clock.now().since(newest.unwrap_or_default());
        match self.node.config.decide {
            DecideScope::Nothing => false,
            DecideScope::Every => true,
            DecideScope::Own => {
                outline.origins.iter().any(|o| identity.is_or_was(*o)) || age > DECIDE_ANYWHERE_AFTER_MICROS
            }
        }
    }

    async fn verdicts(&self, outlines: Vec<ConflictOutline>, runs: &mut Runs<'_>) -> Result<Verdicts> {
        let loaded = self.load(&outlines).await?;
        let mut verdicts = Verdicts::default();
        for outline in outlines {
            let (id, aggregate, heads) =
                (outline.id.clone(), outline.aggregate.clone(), outline.heads.clone());
            let adopted: Vec<_> = outline.sides.iter().map(|s| s.head.clone()).collect();
            let own = self.node.store.identity().node;
            let is_own = |s: &&SideOutline| s.newest.as_ref().is_some_and(|k| k.origin == own);
            let local = outline.sides.iter().find(is_own).map(|s| s.head.clone());
            let review = |reason: String| Review { conflict: id.clone(), heads: heads.clone(), reason };
            let conflict = conflict(outline, &loaded);
            runs.take_up(&conflict);
            let answer = self.node.ask(conflict).await;
            runs.answered(&id, &answer);
            match answer {
                Ok(Resolution::Adopt {
                    heads: adopts,
                    hidden,
                    restored,
                    merged,
                    outcome,
                    resolver,
                    rule,
                    group,
                    reasons,
                    user,
                    session,
                }) => {
                    let resolver = resolver.unwrap_or_else(|| self.node.resolver.name().to_owned());
                    let local = local.filter(|_| planted(Plant::LocalSideWins));
                    let adopts = local.map_or(adopts, |head| vec![head]);
                    if adopts.is_empty() || !adopts.iter().all(|h| adopted.contains(h)) {
                        let reason =
                            format!("the resolver {resolver} adopted a view that is not one of the sides");
                        verdicts.reviews.push((aggregate, review(reason)));
                        continue;
                    }
                    let mut decision = Decision::adopting(adopts, outcome, resolver);
                    decision.conflict = Some(id);
                    (decision.hidden, decision.restored, decision.merged) = (hidden, restored, merged);
                    (decision.rule, decision.group, decision.reasons) = (rule, group, reasons);
                    (decision.user, decision.session) = (user, session);
                    verdicts.drafts.push(DecisionDraft {
                        aggregate,
                        parents: heads,
                        decision,
                        by_machine: true,
                        expect_heads: true,
                    });
                }
                Ok(Resolution::Review { reason, escalated, rule, .. }) => {
                    let reason = rule.map_or(reason.clone(), |rule| format!("{reason} (rule {rule})"));
                    if escalated {
                        verdicts.escalated.insert(id.clone());
                    }
                    verdicts.reviews.push((aggregate, review(reason)));
                }
                Err(reason) => verdicts.reviews.push((aggregate, review(reason))),
                Ok(_) => {
                    verdicts.reviews.push((aggregate, review("the resolver gave an unknown answer".into())))
                }
            }
        }
        Ok(verdicts)
    }

    /// The events that the resolver reads, by id.
    async fn load(&self, outlines: &[ConflictOutline]) -> Result<HashMap<EventId, LogEntry>> {
        let ids: Vec<EventId> = outlines.iter().flat_map(|o| self.needed(o)).cloned().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let entries = self.node.store.load(&ids).await?;
        Ok(entries.into_iter().map(|e| (e.event.id.clone(), e)).collect())
    }

    async fn write(&mut self, mut verdicts: Verdicts, runs: &mut Runs<'_>) -> Result<()> {
        if !verdicts.drafts.is_empty() {
            let about = |d: &DecisionDraft| {
                (
                    d.aggregate.clone(),
                    d.decision.conflict.clone(),
                    d.parents.clone(),
                    resolved(&d.decision, d.by_machine),
                )
            };
            let abouts: Vec<_> = verdicts.drafts.iter().map(about).collect();
            let written = self.node.store.write(Write::Decide(verdicts.drafts)).await?;
            let taken = |o: &&Outcome| matches!(o, Outcome::Accepted { .. } | Outcome::Duplicate);
            self.report.conflicts.resolved += written.outcomes.iter().filter(taken).count();
            for ((aggregate, conflict, heads, resolved), outcome) in abouts.into_iter().zip(&written.outcomes)
            {
                let Some(conflict) = conflict else { continue };
                match outcome {
                    // What can never be stored is for a person to decide.
                    Outcome::Refused(refusal) => {
                        let reason = format!("the decision cannot be stored: {refusal}");
                        verdicts.reviews.push((aggregate, Review { conflict, heads, reason }));
                    }
                    Outcome::Accepted { .. } | Outcome::Duplicate => runs.end(&conflict, resolved),
                    _ => {
                        let reason = "the aggregate went on meanwhile; it is looked at again".to_owned();
                        runs.end(&conflict, WorkflowOutcome::Failed { reason });
                    }
                }
            }
        }
        if !verdicts.reviews.is_empty() {
            self.report.conflicts.review += verdicts.reviews.len();
            let opened: Vec<(ConflictId, String)> =
                verdicts.reviews.iter().map(|(_, r)| (r.conflict.clone(), r.reason.clone())).collect();
            let _paused = self.node.pause_following().await;
            self.node.store.write(Write::Review(verdicts.reviews)).await?;
            for (conflict, reason) in opened {
                let outcome = if verdicts.escalated.contains(&conflict) {
                    WorkflowOutcome::Escalated { reason }
                } else {
                    WorkflowOutcome::ManualReview { reason }
                };
                runs.end(&conflict, outcome);
            }
        }
        Ok(())
    }
}

/// The conflict as far as one decision reaches: over more heads than an event may name, it is decided in stages.
fn decidable(graph: &AggregateGraph) -> Option<ConflictOutline> {
    let conflict = graph.conflict()?;
    match conflict.heads.get(..MAX_PARENTS) {
        Some(some) if conflict.heads.len() > MAX_PARENTS => graph.conflict_between(some).ok(),
        _ => Some(conflict),
    }
}

pub(crate) fn conflict(outline: ConflictOutline, loaded: &HashMap<EventId, LogEntry>) -> Conflict {
    let sides = outline
        .sides
        .iter()
        .map(|side| Side::new(side.clone(), side.beyond.iter().filter_map(|e| event(e, loaded)).collect()))
        .collect();
    let common = outline.common.iter().filter_map(|e| event(e, loaded)).collect();
    Conflict::new(outline, sides, common)
}

fn event(of: &ViewEvent, loaded: &HashMap<EventId, LogEntry>) -> Option<(Event, Option<Stamp>)> {
    match of {
        ViewEvent::Logged(id) => loaded.get(id).map(|e| (e.event.clone(), Some(e.stamp.clone()))),
        ViewEvent::Merged(event) => Some((event.clone(), None)),
    }
}
