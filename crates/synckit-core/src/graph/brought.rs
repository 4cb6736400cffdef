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
    /// How many decisions are in its past, itself included.
    pub decisions: usize,
}

/// What decisions brought along, and which did.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) events: Vec<MergedEvent>,
    by: Vec<Vec<usize>>,
    index: std::collections::HashMap<EventId, usize>,
    ages: std::collections::HashMap<usize, DecisionAge>,
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

    /// The oldest decision of these vertices that brought an event along.
    fn oldest(&self, event: usize, past: &Bits) -> Option<(&DecisionAge, usize)> {
        let by = self.by[event].iter().filter(|d| past.contains(**d));
        by.filter_map(|d| Some((self.ages.get(d)?, *d))).min()
    }

    pub(super) fn age(&self, event: usize, past: &Bits) -> Option<&DecisionAge> {
        self.oldest(event, past).map(|(age, _)| age)
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
        let newest = self.facts(by).iter().map(|f| &self.vertices[f].key).max().cloned();
        let decisions = self.ancestors(&[by]).iter().filter(|v| self.decision(*v).is_some()).count();
        let after = newest.unwrap_or_else(|| self.vertices[by].key.clone());
        self.brought.ages.insert(by, DecisionAge { after, decisions });
        brought.into_iter().for_each(|event| self.brought.add(event, by));
    }

    /// The events of a view that decisions brought along, by id; `past` is what the view follows from.
    pub(super) fn brought_in(&self, view: &Bits, past: &Bits) -> Vec<BroughtEvent> {
        let n = self.vertices.len();
        let brought = |event: usize| {
            let (age, first) = self.brought.oldest(event, past)?;
            let others = self.brought.by[event].iter().filter(|d| **d != first && past.contains(**d));
            let by = std::iter::once(&first).chain(others).map(|d| self.vertices[*d].id.clone()).collect();
            let id = self.brought.events[event].id.clone();
            Some(BroughtEvent { id, by, on: self.vertices[first].parents.clone(), age: age.clone() })
        };
        let mut events: Vec<BroughtEvent> = view.iter().filter_map(|e| brought(e.checked_sub(n)?)).collect();
        events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        events
    }
}
