//! The events of a conflict in the order of their writing, and what each was built on.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;
use synckit_core::{
    Event, EventId, Stamp, VertexId,
    graph::{BroughtEvent, ConflictOutline},
};

use super::{PRODUCT, exact::holds_its_numbers};
use crate::conflict::Conflict;

/// One event that says what some fields are after it.
#[derive(Debug)]
pub(crate) struct Fact<'c> {
    pub(crate) event: &'c Event,
    pub(crate) is_logged: bool,
    pub(crate) value: Value,
    /// What it is built on: earlier facts.
    pub(super) parents: Vec<usize>,
}

/// An event whose data is no document, so that the whole conflict has none.
#[derive(Debug)]
pub(crate) enum NoDocument {
    NoObject(EventId),
    Number(EventId),
}

impl NoDocument {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NoObject(id) => format!("the event {id} has data that is not a JSON object"),
            Self::Number(id) => format!("the event {id} has a number that cannot be held exactly"),
        }
    }
}

/// The events of a conflict, each once.
///
/// They are in canonical order, which extends causality. An event that a person or a foreign resolver brought along is as
/// old as the decision that brought it, and built on what that decision is built on. What the merges of the kit brought along
/// is left out, for it says nothing that the other events do not.
#[derive(Debug)]
pub(crate) struct History<'c> {
    pub(crate) facts: Vec<Fact<'c>>,
    /// Per side, the facts that it does not share with all others.
    sides: Vec<Vec<usize>>,
    common: Vec<usize>,
    ruled_out: Vec<usize>,
    products: BTreeSet<EventId>,
}

type Written = (Event, Option<Stamp>);

impl<'c> History<'c> {
    pub(crate) fn read(conflict: &'c Conflict) -> Result<Self, NoDocument> {
        let sides = conflict.sides().iter().flat_map(|s| &s.events);
        let (products, events): (Vec<&Written>, Vec<&Written>) = conflict
            .common()
            .iter()
            .chain(sides)
            .partition(|(event, stamp)| stamp.is_none() && event.metadata.get(PRODUCT).is_some());
        let mut seen = HashSet::new();
        let mut events: Vec<&Written> = events.into_iter().filter(|(e, _)| seen.insert(&e.id)).collect();
        let brought: HashMap<&str, &BroughtEvent> =
            conflict.outline().brought.iter().map(|b| (b.id.as_str(), b)).collect();
        events.sort_by_cached_key(|(event, stamp)| match (stamp, brought.get(event.id.as_str())) {
            (Some(stamp), _) => (false, Some(stamp.key(&event.id)), None),
            (None, Some(b)) => (false, Some(b.age.after.clone()), Some((b.age.depth, &event.id))),
            (None, None) => (true, None, Some((0, &event.id))),
        });
        let index: HashMap<&str, usize> =
            events.iter().enumerate().map(|(i, (e, _))| (e.id.as_str(), i)).collect();
        let found = |id: &EventId| index.get(id.as_str()).copied();
        let listed = |of: &[Written]| -> Vec<usize> { of.iter().filter_map(|(e, _)| found(&e.id)).collect() };
        let sides: Vec<Vec<usize>> = conflict.sides().iter().map(|s| listed(&s.events)).collect();
        let common = listed(conflict.common());
        let ruled_out = conflict.outline().ruled_out.iter().filter_map(found).collect();
        let lineage = Lineage::of(conflict, &index);
        let mut facts: Vec<Fact<'c>> = Vec::with_capacity(events.len());
        for (i, &(event, stamp)) in events.iter().enumerate() {
            let parents = match (stamp, brought.get(event.id.as_str())) {
                (Some(stamp), _) => lineage.parents(event, stamp),
                (None, Some(brought)) => lineage.expand(brought.on.iter()),
                (None, None) => Vec::new(),
            };
            let text = event.data.as_json().unwrap_or_default();
            if !holds_its_numbers(text) {
                return Err(NoDocument::Number(event.id.clone()));
            }
            let value = serde_json::from_str(text).ok().filter(Value::is_object);
            let value = value.ok_or_else(|| NoDocument::NoObject(event.id.clone()))?;
            let parents = parents.into_iter().filter(|p| *p < i).collect();
            facts.push(Fact { event, is_logged: stamp.is_some(), value, parents });
        }
        let products = products.into_iter().map(|(e, _)| e.id.clone()).collect();
        Ok(Self { facts, sides, common, ruled_out, products })
    }

    /// The events that earlier merges brought along.
    pub(super) fn products(&self) -> impl Iterator<Item = EventId> {
        self.products.iter().cloned()
    }

    /// Which facts count when all sides do.
    pub(super) fn together(&self) -> Vec<bool> {
        let mut counts = vec![true; self.facts.len()];
        self.ruled_out.iter().for_each(|i| counts[*i] = false);
        counts
    }

    /// Which facts all sides share.
    pub(super) fn shared(&self) -> Vec<bool> {
        self.of(&[])
    }

    /// Per side, in their order, which facts count there.
    pub(super) fn each_side(&self) -> impl Iterator<Item = Vec<bool>> {
        self.sides.iter().map(|side| self.of(side))
    }

    /// The newest logged fact that the sides do not share; failing that, of all.
    pub(super) fn newest(&self) -> Option<&Fact<'c>> {
        let logged = |i: &&usize| self.facts[**i].is_logged && !self.ruled_out.contains(*i);
        let unshared = self.sides.iter().flatten().filter(logged).max();
        unshared.or_else(|| self.common.iter().filter(logged).max()).map(|i| &self.facts[*i])
    }

    /// The ids of the logged events that the sides do not share, sorted.
    pub(super) fn unshared_ids(&self) -> BTreeSet<&EventId> {
        let facts = self.sides.iter().flatten().map(|i| &self.facts[*i]);
        facts.filter(|f| f.is_logged).map(|f| &f.event.id).collect()
    }

    fn of(&self, side: &[usize]) -> Vec<bool> {
        let mut counts = vec![false; self.facts.len()];
        self.common.iter().chain(side).for_each(|i| counts[*i] = true);
        counts
    }
}

/// What stands between facts: decisions and events that do not count.
struct Lineage<'c> {
    continues: HashMap<&'c str, &'c [VertexId]>,
    /// What decisions brought along, and whether some of it is built on all that the decision is built on.
    brought: HashMap<&'c str, (Vec<usize>, bool)>,
    index: &'c HashMap<&'c str, usize>,
}

impl<'c> Lineage<'c> {
    fn of(conflict: &'c Conflict, index: &'c HashMap<&'c str, usize>) -> Self {
        let ConflictOutline { lineage, brought: events, .. } = conflict.outline();
        let mut brought: HashMap<&str, (Vec<usize>, bool)> = HashMap::new();
        for event in events {
            let Some(fact) = index.get(event.id.as_str()) else { continue };
            for (nth, by) in event.by.iter().enumerate() {
                let (facts, covers) = brought.entry(by.as_str()).or_default();
                facts.push(*fact);
                *covers |= nth == 0;
            }
        }
        let continues = lineage.iter().map(|(v, continues)| (v.as_str(), continues.as_slice())).collect();
        Self { continues, brought, index }
    }

    fn parents(&self, event: &Event, stamp: &Stamp) -> Vec<usize> {
        let told = self.continues.get(event.id.as_str()).copied().unwrap_or(&stamp.parents);
        self.expand(told.iter())
    }

    /// The nearest facts at or before these vertices, sorted.
    fn expand<'v>(&self, vertices: impl Iterator<Item = &'v VertexId>) -> Vec<usize>
    where
        'c: 'v,
    {
        let mut facts = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut open: Vec<&VertexId> = vertices.collect();
        while let Some(vertex) = open.pop() {
            if let Some(fact) = self.index.get(vertex.as_str()) {
                facts.insert(*fact);
            } else if seen.insert(vertex) {
                let brought = self.brought.get(vertex.as_str());
                facts.extend(brought.iter().flat_map(|(facts, _)| facts));
                if brought.is_some_and(|(_, covers)| *covers) {
                    continue;
                }
                open.extend(self.continues.get(vertex.as_str()).copied().unwrap_or_default());
            }
        }
        facts.into_iter().collect()
    }
}
