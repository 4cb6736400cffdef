//! The place of events that decisions brought along among the others.

use super::{AggregateGraph, bits::Bits};
use crate::{
    decision::{Decision, MergedEvent},
    ids::{EventId, VertexId},
    stamp::CanonicalKey,
};

/// An event of a conflict that a decision brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroughtEvent {
    /// The event.
    pub id: EventId,
    /// The decisions in the past of the sides that brought it along, the oldest first: it is as old as that one.
    pub by: Vec<VertexId>,
    /// What that decision is built on.
    pub on: Vec<VertexId>,
    /// How old that decision is.
    pub age: DecisionAge,
}

/// How old a decision is, by what it is built on: a function of its past, whoever made a copy of it and when.
///
/// What a decision brings along comes after the newest fact in its past, and before everything that is built on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DecisionAge {
    /// The newest fact in its past: a domain event or a person's decision, be it itself.
    pub after: CanonicalKey,
    /// How many decisions are built one on the other in its past, at most, itself included.
    pub depth: usize,
}

/// What decisions brought along, and which did.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) events: Vec<MergedEvent>,
    by: Vec<Vec<usize>>,
    index: std::collections::HashMap<EventId, usize>,
}

impl Brought {
    pub(super) fn position(&self, id: &EventId) -> Option<usize> {
        self.index.get(id).copied()
    }

    pub(super) fn by(&self, event: usize) -> &[usize] {
        &self.by[event]
    }

    fn add(&mut self, event: &MergedEvent, by: usize) {
        let position = self.index.get(&event.id).copied().unwrap_or_else(|| {
            self.index.insert(event.id.clone(), self.events.len());
            self.events.push(event.clone());
            self.by.push(Vec::new());
            self.events.len() - 1
        });
        self.by[position].push(by);
    }
}

impl AggregateGraph {
    /// Takes note of what a decision brings along beside the events of the log.
    pub(super) fn bring(&mut self, by: usize, decision: &Decision) {
        let is_logged =
            |id: &EventId| self.index.get(id.as_str()).is_some_and(|i| self.decision(*i).is_none());
        let brought: Vec<&MergedEvent> = decision.merged.iter().filter(|m| !is_logged(&m.id)).collect();
        if brought.is_empty() {
            return;
        }
        brought.into_iter().for_each(|event| self.brought.add(event, by));
    }

    /// What there is to know of a vertex's past, from what is known of its parents.
    pub(super) fn compute_age(&mut self, i: usize) {
        let is_fact = self.decision(i).is_none_or(Decision::is_person);
        let known = |p: &usize| self.ages[*p].0;
        let newest = self.parents[i].iter().map(known).chain([is_fact.then_some(i)]).flatten();
        let newest = newest.max_by_key(|f| &self.vertices[*f].key);
        let deepest = self.parents[i].iter().map(|p| self.ages[*p].1).max().unwrap_or_default();
        self.ages.push((newest, deepest + usize::from(self.decision(i).is_some())));
    }

    /// The oldest decision of these vertices that brought an event along, and how old it is.
    fn oldest(&self, event: usize, past: &Bits) -> Option<(&CanonicalKey, usize, usize)> {
        let by = self.brought.by(event).iter().filter(|d| past.contains(**d));
        by.map(|d| (&self.vertices[self.ages[*d].0.unwrap_or(*d)].key, self.ages[*d].1, *d)).min()
    }

    pub(super) fn age_of_brought(&self, event: usize, past: &Bits) -> Option<(&CanonicalKey, usize)> {
        self.oldest(event, past).map(|(after, depth, _)| (after, depth))
    }

    /// The events of a view that decisions brought along, by id; `past` is what the view follows from.
    pub(super) fn brought_in(&self, view: &Bits, past: &Bits) -> Vec<BroughtEvent> {
        let n = self.vertices.len();
        let brought = |event: usize| {
            let (after, depth, first) = self.oldest(event, past)?;
            let age = DecisionAge { after: after.clone(), depth };
            let others = self.brought.by(event).iter().filter(|d| **d != first && past.contains(**d));
            let by = std::iter::once(&first).chain(others).map(|d| self.vertices[*d].id.clone()).collect();
            let id = self.brought.events[event].id.clone();
            Some(BroughtEvent { id, by, on: self.vertices[first].parents.clone(), age })
        };
        let mut events: Vec<BroughtEvent> = view.iter().filter_map(|e| brought(e.checked_sub(n)?)).collect();
        events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        events
    }
}
