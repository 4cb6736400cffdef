//! The history of one aggregate.

use std::collections::HashMap;

use synckit_core::{
    AggregateId, CanonicalKey, ConflictId, EventId, VertexId,
    decision::{Decision, MergedEvent, conflict_id},
    graph::ViewEvent,
    store::LogEntry,
};

use super::{
    Violation,
    entries::{Body, Entries},
    set::Set,
};

/// What follows for one vertex from everything in its past.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// The vertices in its past, itself included, and what decisions there brought along.
    pub(super) past: Set,
    /// The domain events and the people's decisions in its past.
    pub(super) facts: Set,
    /// How many decisions are built one on the other in its past, at most, itself included.
    pub(super) depth: usize,
    /// The events that count here.
    pub(super) view: Set,
    /// For a person's decision, the events that it spoke on.
    pub(super) spoken: Option<Set>,
}

/// What a log says of one aggregate.
#[derive(Debug)]
pub struct History {
    pub(super) aggregate: AggregateId,
    pub(super) entries: Entries,
    pub(super) index: HashMap<VertexId, usize>,
    pub(super) parents: Vec<Vec<usize>>,
    /// What decisions brought along, and no log has.
    pub(super) merged: Vec<MergedEvent>,
    /// One for each vertex.
    pub(super) points: Vec<Point>,
}

impl History {
    /// The history of `aggregate`, from all entries of one log.
    ///
    /// # Errors
    /// What the log holds of the aggregate is no history: two entries count for one id, an event of the kit cannot be read,
    /// or events are built on each other in a circle.
    pub fn of(aggregate: &AggregateId, entries: &[LogEntry]) -> Result<Self, Violation> {
        Self::derived(Entries::of(aggregate, entries)?, aggregate.clone())
    }

    /// The aggregate.
    #[must_use]
    pub const fn aggregate(&self) -> &AggregateId {
        &self.aggregate
    }

    /// How many vertices there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.vertices.len()
    }

    /// Whether there is no vertex.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some domain event is held as a stub only.
    #[must_use]
    pub fn has_stubs(&self) -> bool {
        self.entries.vertices.iter().any(|v| v.body == Body::Stub)
    }

    /// Whether something was withdrawn.
    #[must_use]
    pub const fn has_withdrawals(&self) -> bool {
        !self.entries.withdrawals.is_empty()
    }

    /// Whether some event of the aggregate came to have another stamp or content than it had in this log before.
    #[must_use]
    pub const fn has_replaced(&self) -> bool {
        self.entries.replaced
    }

    /// Whether a person ever decided.
    #[must_use]
    pub fn people_decided(&self) -> bool {
        self.entries.decisions.iter().any(|d| d.decision.is_person())
    }

    /// The heads, sorted.
    #[must_use]
    pub fn heads(&self) -> Vec<VertexId> {
        self.sorted(&self.head_indices())
    }

    /// The heads that no other head settles, sorted.
    #[must_use]
    pub fn active_heads(&self) -> Vec<VertexId> {
        self.sorted(&self.active(&self.head_indices()))
    }

    /// The conflict, if there is one.
    #[must_use]
    pub fn conflict(&self) -> Option<ConflictId> {
        let active = self.active_heads();
        (active.len() > 1).then(|| conflict_id(&self.aggregate, &active))
    }

    /// The events that count now, oldest first; what decisions brought along comes after the newest fact that the first of
    /// them knew.
    #[must_use]
    pub fn view(&self) -> Vec<ViewEvent> {
        self.lead(&self.head_indices()).map_or_else(Vec::new, |lead| self.listed(lead))
    }

    /// The events that count at a vertex, in the same order.
    #[must_use]
    pub fn view_at(&self, vertex: &VertexId) -> Vec<ViewEvent> {
        self.index.get(vertex).map_or_else(Vec::new, |i| self.listed(*i))
    }

    pub(super) fn listed(&self, i: usize) -> Vec<ViewEvent> {
        let mut listed = Vec::new();
        for e in self.points[i].view.iter().filter(|e| self.is_listed(*e)) {
            if e < self.len() {
                listed.push((Some((Some(e), 0)), ViewEvent::Logged(EventId::from(self.id(e)))));
                continue;
            }
            let merged = &self.merged[e - self.len()];
            let brings = |d: &Decision| d.merged.iter().any(|m| m.id == merged.id);
            let by = self.points[i].past.iter().take_while(|v| *v < self.len());
            let by = by.filter(|v| self.decision(*v).is_some_and(brings));
            let event = merged.to_event(&self.aggregate).ok();
            listed.extend(event.map(|event| (by.map(|v| self.age(v)).min(), ViewEvent::Merged(event))));
        }
        listed.sort_by(|(a, x), (b, y)| (a, x.id()).cmp(&(b, y.id())));
        listed.into_iter().map(|(_, event)| event).collect()
    }

    /// The newest fact that a decision knows, and how many decisions are built one on the other up to it.
    fn age(&self, decision: usize) -> (Option<usize>, usize) {
        let Point { facts, depth, .. } = &self.points[decision];
        (facts.iter().last(), *depth)
    }

    pub(super) fn head_indices(&self) -> Vec<usize> {
        let mut is_head = vec![true; self.len()];
        self.parents.iter().flatten().for_each(|p| is_head[*p] = false);
        (0..self.len()).filter(|i| is_head[*i]).collect()
    }

    pub(super) fn sorted(&self, of: &[usize]) -> Vec<VertexId> {
        let mut ids: Vec<VertexId> = of.iter().map(|i| self.id(*i).clone()).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn id(&self, i: usize) -> &VertexId {
        &self.entries.vertices[i].id
    }

    pub(super) fn key(&self, i: usize) -> &CanonicalKey {
        &self.entries.vertices[i].key
    }

    pub(super) fn decision(&self, i: usize) -> Option<&Decision> {
        match self.entries.vertices[i].body {
            Body::Decision(d) => Some(&self.entries.decisions[d].decision),
            _ => None,
        }
    }

    /// The name of an event that may be in a view, for people.
    pub(super) fn name(&self, element: usize) -> &str {
        match element.checked_sub(self.len()) {
            None => self.id(element).as_str(),
            Some(m) => self.merged[m].id.as_str(),
        }
    }
}
