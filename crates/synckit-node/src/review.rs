//! The review queue, and what people decide.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, Event, EventId, Result, VertexId,
    decision::Decision,
    graph::{AggregateGraph, ViewEvent},
    store::{DecisionDraft, LogEntry, OpenConflict, Outcome, ReviewRow, Write},
};

use crate::node::{Inner, SyncNode};

/// A conflict, with the events that its sides do not share.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConflictView {
    /// What identifies the conflict.
    pub id: ConflictId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// Whether it is still undecided.
    pub open: bool,
    /// Why it was opened for review; several, if several nodes opened it. Empty if it was not.
    pub reasons: Vec<String>,
    /// The sides.
    pub sides: Vec<SideView>,
    /// How many events all sides share.
    pub shared: usize,
    /// The decisions taken on it, the deciding one last, by their vertex ids.
    pub decisions: Vec<(VertexId, Decision)>,
}

/// One side of a conflict.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SideView {
    /// The head. Keeping it keeps the whole side.
    pub head: VertexId,
    /// The events that the side has and the others lack, oldest first.
    pub events: Vec<LogEntry>,
    /// Events that an earlier decision brought along.
    pub merged: Vec<Event>,
}

impl SyncNode {
    /// The open conflicts of aggregates after `after`, in bytewise order, at most `limit`.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        let mut open = self.0.store.conflicts(after, limit).await?;
        for conflict in open.iter_mut().filter(|c| c.in_review) {
            conflict.in_review = !self.0.waiting_reviews(&conflict.aggregate).await?.is_empty();
        }
        Ok(open)
    }

    /// The conflict with this id: open, in review, or decided.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; any error of the store.
    pub async fn conflict(&self, id: &ConflictId) -> Result<ConflictView> {
        let found = self.find(id).await?;
        let outline = found.graph.conflict_between(&found.heads)?;
        let ids: Vec<EventId> =
            outline.sides.iter().flat_map(|s| &s.beyond).map(|e| e.id().clone()).collect();
        let entries = self.0.store.load(&ids).await?;
        let loaded: HashMap<EventId, LogEntry> =
            entries.into_iter().map(|e| (e.event.id.clone(), e)).collect();
        let sides = outline
            .sides
            .into_iter()
            .map(|side| SideView {
                head: side.head,
                merged: side
                    .beyond
                    .iter()
                    .filter_map(|e| match e {
                        ViewEvent::Merged(event) => Some(event.clone()),
                        ViewEvent::Logged(_) => None,
                    })
                    .collect(),
                events: side.beyond.iter().filter_map(|e| loaded.get(e.id()).cloned()).collect(),
            })
            .collect();
        let decisions = found
            .graph
            .decisions_on(id)
            .into_iter()
            .filter_map(|v| found.graph.decision_at(&v).cloned().map(|d| (v, d)))
            .collect();
        Ok(ConflictView {
            id: id.clone(),
            aggregate: found.graph.aggregate().clone(),
            open: found.open,
            reasons: found.reasons,
            sides,
            shared: outline.common.len(),
            decisions,
        })
    }

    /// Decides a conflict as a person: of what the sides do not share, exactly the named events count. A head stands for
    /// its whole side. A conflict that was decided already is decided anew: a person goes before a machine, and the later
    /// person before the earlier one.
    ///
    /// If the conflict has grown since it was opened for review, what was answered is settled, and a smaller conflict is
    /// left.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such conflict; [`ErrorKind::Invalid`] if nothing is kept or an event is not
    /// part of it; any error of the store.
    pub async fn resolve_conflict(
        &self,
        id: &ConflictId,
        keep: &[EventId],
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.check_open("resolve")?;
        if keep.is_empty() {
            return Err(Error::invalid("resolve", "name at least one event to keep"));
        }
        let found = self.find(id).await?;
        let decided = !found.open && !found.graph.decisions_on(id).is_empty();
        let (mut decision, parents) = if decided {
            found.graph.keep_instead(&found.heads, keep)?
        } else {
            (found.graph.keep(&found.heads, keep)?, found.heads)
        };
        decision.conflict = Some(id.clone());
        self.decide(found.graph.aggregate().clone(), parents, decision, by, reason).await
    }

    /// Takes back what was decided on a conflict: what the decision took out of the view counts again, and what it brought
    /// in does not. Taking back twice restores the decision.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such conflict, or no decision on it that counts here; any error of the store.
    pub async fn undo(&self, id: &ConflictId, by: Option<&str>, reason: Option<&str>) -> Result<EventId> {
        self.check_open("undo")?;
        let found = self.find(id).await?;
        let none =
            || Error::new(ErrorKind::NotFound, "undo", format!("nothing was decided on the conflict {id}"));
        let decided = found.graph.decisions_on(id).pop().ok_or_else(none)?;
        let last = last_undo(&found.graph, decided);
        let (decision, parents) = found.graph.undo(&last)?;
        self.decide(found.graph.aggregate().clone(), parents, decision, by, reason).await
    }

    async fn decide(
        &self,
        aggregate: AggregateId,
        parents: Vec<VertexId>,
        mut decision: Decision,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<EventId> {
        decision.user = by.map(str::to_owned);
        decision.reasons.extend(reason.map(str::to_owned));
        let draft = DecisionDraft { aggregate, parents, decision, by_machine: false, expect_heads: false };
        let written = self.0.store.write(Write::Decide(vec![draft])).await?;
        let Some(Outcome::Accepted { position }) = written.outcomes.first() else {
            return Err(Error::new(ErrorKind::Stale, "decide", "the history changed meanwhile; look again"));
        };
        if let Err(error) = self.0.follow_decisions().await {
            tracing::warn!(%error, "workflows learn of the decision with the next sync");
        }
        let read = synckit_core::store::ReadRequest::after(position - 1).limit(1);
        let page = self.0.store.read(read).await?;
        page.entries
            .into_iter()
            .next()
            .map(|e| e.event.id)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "decide", "the decision is not in the log"))
    }

    pub(crate) async fn find(&self, id: &ConflictId) -> Result<Found> {
        let store = &self.0.store;
        let reviews = store.reviews(id).await?;
        let decided = store.decisions(id).await?;
        let known = reviews
            .first()
            .map(|r| r.aggregate.clone())
            .or_else(|| decided.first().map(|d| d.aggregate.clone()));
        let aggregate = match known {
            Some(aggregate) => aggregate,
            None => self.aggregate_in_conflict(id).await?,
        };
        let none = || Error::new(ErrorKind::NotFound, "find conflict", format!("there is no conflict {id}"));
        let graph = store.graphs(&[aggregate]).await?.pop().ok_or_else(none)?;
        let outline = graph.conflict().filter(|c| c.id == *id);
        let open = outline.is_some();
        let of_decision = || {
            let vertex = decided.first().map(|d| d.vertex.clone())?;
            graph.vertices().iter().find(|v| v.id == vertex).map(|v| v.parents.clone())
        };
        let waiting = self.0.waiting_reviews(graph.aggregate()).await?;
        let reasons = if open && reviews.is_empty() { &waiting } else { &reviews };
        let reasons = reasons.iter().map(|r| r.reason.clone()).collect();
        let heads = outline
            .map(|c| c.heads)
            .or_else(|| reviews.first().map(|r| r.heads.clone()))
            .or_else(of_decision)
            .ok_or_else(none)?;
        Ok(Found { graph, heads, open, reasons })
    }

    async fn aggregate_in_conflict(&self, id: &ConflictId) -> Result<AggregateId> {
        let mut after: Option<AggregateId> = None;
        loop {
            let page = self.0.store.conflicts(after.as_ref(), 1_000).await?;
            if let Some(found) = page.iter().find(|c| c.id == *id) {
                return Ok(found.aggregate.clone());
            }
            let Some(last) = page.last() else {
                let what = format!(
                    "there is no conflict {id}; one that grew has a new id, which the list of conflicts shows"
                );
                return Err(Error::new(ErrorKind::NotFound, "find conflict", what));
            };
            after = Some(last.aggregate.clone());
        }
    }
}

impl Inner {
    /// The reviews of conflicts of this aggregate that wait for an answer: of its conflict, or of one that grew into it. None
    /// if its heads have settled each other meanwhile.
    pub(crate) async fn waiting_reviews(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        let mut reviews = self.store.reviews_of(aggregate).await?;
        if let Some(graph) = self.store.graphs(std::slice::from_ref(aggregate)).await?.first() {
            let is_open = graph.conflict().is_some();
            reviews.retain(|r| is_open && graph.in_review(&r.conflict, &r.heads));
        }
        Ok(reviews)
    }

    /// The conflicts of those of these reviews that were opened longer ago than that.
    pub(crate) async fn overdue(
        &self,
        reviews: &[ReviewRow],
        limit: Duration,
    ) -> Result<BTreeSet<ConflictId>> {
        let opened: Vec<EventId> = reviews.iter().map(|r| r.event.clone()).collect();
        let now = self.environment.clock.now();
        let late = |e: &LogEntry| u128::from(now.since(e.stamp.timestamp)) > limit.as_micros();
        let entries = self.store.load(&opened).await?;
        let late: BTreeSet<EventId> = entries.into_iter().filter(late).map(|e| e.event.id).collect();
        Ok(reviews.iter().filter(|r| late.contains(&r.event)).map(|r| r.conflict.clone()).collect())
    }
}

pub(crate) struct Found {
    pub(crate) graph: AggregateGraph,
    pub(crate) heads: Vec<VertexId>,
    open: bool,
    reasons: Vec<String>,
}

/// An undo that was undone is what is undone next: the last of the chain that begins with `decision`.
pub(crate) fn last_undo(graph: &AggregateGraph, decision: VertexId) -> VertexId {
    let mut last = decision;
    for vertex in graph.vertices() {
        if graph.decision_at(&vertex.id).is_some_and(|d| d.undoes.as_ref() == Some(&last)) {
            last = vertex.id.clone();
        }
    }
    last
}
