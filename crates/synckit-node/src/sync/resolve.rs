//! Deciding conflicts.

use std::{collections::HashMap, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use synckit_core::{
    AggregateId, Event, EventId, Result, Stamp,
    decision::{Decision, Review},
    graph::{AggregateGraph, ConflictOutline, SideOutline, ViewEvent},
    limits::{DECIDE_ANYWHERE_AFTER_MICROS, MAX_PARENTS},
    plant::{Plant, planted},
    store::{DecisionDraft, Identity, LogEntry, Outcome, Write},
};
use synckit_resolve::{Conflict, Reads, Resolution, Side};

use super::Run;
use crate::config::DecideScope;

/// Conflicts that are read and decided together.
const BATCH: usize = 250;

/// What is to be written for a batch of conflicts.
#[derive(Default)]
struct Verdicts {
    drafts: Vec<DecisionDraft>,
    reviews: Vec<(AggregateId, Review)>,
}

impl Run<'_> {
    /// Decides the open conflicts that are this node's to decide, a batch in one transaction.
    pub(super) async fn resolve(&mut self) -> Result<()> {
        let store = std::sync::Arc::clone(&self.node.store);
        let identity = store.identity();
        let limits = self.node.resolver.limits();
        let batch = limits.batch.unwrap_or(BATCH).clamp(1, BATCH);
        let mut after: Option<AggregateId> = None;
        loop {
            let open = store.conflicts(after.as_ref(), batch).await?;
            let Some(last) = open.last() else { break };
            after = Some(last.aggregate.clone());
            self.report.conflicts.found += open.len();
            let mut undecided: Vec<AggregateId> = Vec::with_capacity(open.len());
            for conflict in open {
                // A conflict that waits for a person is left to people, also when it grows meanwhile.
                let waiting = if conflict.in_review {
                    self.node.waiting_reviews(&conflict.aggregate).await?
                } else {
                    Vec::new()
                };
                if waiting.is_empty() {
                    undecided.push(conflict.aggregate);
                    continue;
                }
                self.report.conflicts.review += 1;
                if let Some(limit) = limits.review
                    && self.node.waits_longer(&waiting, limit).await?
                {
                    self.report.conflicts.overdue += 1;
                }
            }
            let outlines: Vec<ConflictOutline> = store
                .graphs(&undecided)
                .await?
                .iter()
                .filter_map(decidable)
                .filter(|outline| self.may_decide(outline, &identity))
                .collect();
            let verdicts = self.verdicts(outlines).await?;
            self.write(verdicts).await?;
        }
        Ok(())
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

    async fn verdicts(&self, outlines: Vec<ConflictOutline>) -> Result<Verdicts> {
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
            match self.ask(conflict(outline, &loaded)).await {
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
                    verdicts.drafts.push(DecisionDraft {
                        aggregate,
                        parents: heads,
                        decision,
                        by_machine: true,
                        expect_heads: true,
                    });
                }
                Ok(Resolution::Review { reason, rule, .. }) => {
                    let reason = rule.map_or(reason.clone(), |rule| format!("{reason} (rule {rule})"));
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

    /// The resolver's answer; a resolver that fails, panics or hangs gives the reason for a review instead.
    async fn ask(&self, conflict: Conflict) -> Result<Resolution, String> {
        let name = self.node.resolver.name();
        let allowed = Duration::from_millis(self.node.config.resolver_timeout_ms);
        let limit = self.node.resolver.limits().answer.map_or(allowed, |limit| limit.min(allowed));
        let answer = AssertUnwindSafe(self.node.resolver.resolve(&conflict)).catch_unwind();
        match tokio::time::timeout(limit, answer).await {
            Err(_) => Err(format!("the resolver {name} did not answer within {} ms", limit.as_millis())),
            Ok(Err(_)) => Err(format!("the resolver {name} panicked")),
            Ok(Ok(Err(error))) => Err(format!("the resolver {name} failed: {error}")),
            Ok(Ok(Ok(resolution))) => Ok(resolution),
        }
    }

    /// The events that the resolver reads, by id.
    async fn load(&self, outlines: &[ConflictOutline]) -> Result<HashMap<EventId, LogEntry>> {
        let reads = self.node.resolver.reads();
        let mut ids: Vec<EventId> = Vec::new();
        for outline in outlines {
            if reads >= Reads::Sides {
                ids.extend(outline.sides.iter().flat_map(|s| &s.beyond).map(|e| e.id().clone()));
            }
            if reads >= Reads::Everything {
                ids.extend(outline.common.iter().map(|e| e.id().clone()));
            }
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let entries = self.node.store.load(&ids).await?;
        Ok(entries.into_iter().map(|e| (e.event.id.clone(), e)).collect())
    }

    async fn write(&mut self, mut verdicts: Verdicts) -> Result<()> {
        if !verdicts.drafts.is_empty() {
            let about =
                |d: &DecisionDraft| (d.aggregate.clone(), d.decision.conflict.clone(), d.parents.clone());
            let abouts: Vec<_> = verdicts.drafts.iter().map(about).collect();
            let written = self.node.store.write(Write::Decide(verdicts.drafts)).await?;
            let taken = |o: &&Outcome| matches!(o, Outcome::Accepted { .. } | Outcome::Duplicate);
            self.report.conflicts.resolved += written.outcomes.iter().filter(taken).count();
            for ((aggregate, conflict, heads), outcome) in abouts.into_iter().zip(&written.outcomes) {
                // What can never be stored is for a person to decide.
                if let (Outcome::Refused(refusal), Some(conflict)) = (outcome, conflict) {
                    let reason = format!("the decision cannot be stored: {refusal}");
                    verdicts.reviews.push((aggregate, Review { conflict, heads, reason }));
                }
            }
        }
        if !verdicts.reviews.is_empty() {
            self.report.conflicts.review += verdicts.reviews.len();
            self.node.store.write(Write::Review(verdicts.reviews)).await?;
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
