//! Views: the events of an aggregate that count, after decisions.

use std::{collections::BTreeMap, sync::Arc};

use super::{AggregateGraph, VertexBody, bits::Bits};
use crate::{
    decision::Decision,
    event::Event,
    ids::{EventId, VertexId},
    stamp::CanonicalKey,
};

/// Per event, the latest person's verdict on whether it counts, and that person's decision.
pub(super) type Verdicts = BTreeMap<usize, (bool, CanonicalKey)>;

/// An event of a view.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewEvent {
    /// A domain event of the log.
    Logged(EventId),
    /// An event that a decision brought along.
    Merged(Event),
}

impl ViewEvent {
    /// The event's id.
    #[must_use]
    pub const fn id(&self) -> &EventId {
        match self {
            Self::Logged(id) => id,
            Self::Merged(event) => &event.id,
        }
    }
}

impl AggregateGraph {
    /// The events that count now, oldest first; provisional while there is a conflict. Stubs and withdrawn events are
    /// left out.
    #[must_use]
    pub fn view(&self) -> Vec<ViewEvent> {
        self.lead(&self.head_indices()).map_or_else(Vec::new, |lead| self.listed_at(lead))
    }

    /// The events that counted at a vertex, oldest first.
    #[must_use]
    pub fn view_at(&self, vertex: &VertexId) -> Vec<ViewEvent> {
        self.index.get(vertex).map_or_else(Vec::new, |i| self.listed_at(*i))
    }

    fn listed_at(&self, vertex: usize) -> Vec<ViewEvent> {
        self.listed(&self.view_of(vertex), &self.ancestors(&[vertex]))
    }

    /// The events of a view, oldest first; one that a decision brought along is as old as the decision, for others may be
    /// built on it. `past` is what the view follows from.
    pub(super) fn listed(&self, view: &Bits, past: &Bits) -> Vec<ViewEvent> {
        let n = self.vertices.len();
        let is_event = |i: &usize| *i >= n || self.vertices[*i].body == VertexBody::Domain;
        let age = |i: usize| match i.checked_sub(n) {
            None => (Some(&self.vertices[i].key), None),
            Some(m) => {
                let (after, depth) = self.age_of_brought(m, past).unzip();
                (after, Some((depth, &self.brought.events[m].id)))
            }
        };
        let mut events: Vec<usize> = view.iter().filter(is_event).collect();
        events.sort_by_cached_key(|i| age(*i));
        let listed = |i: usize| match i.checked_sub(n) {
            None => Some(ViewEvent::Logged(EventId::from(&self.vertices[i].id))),
            Some(m) => self.brought.events[m].to_event(&self.aggregate).ok().map(ViewEvent::Merged),
        };
        events.into_iter().filter_map(listed).collect()
    }

    pub(super) fn view_of(&self, vertex: usize) -> Bits {
        let mut view = Bits::default();
        let mut next = Some(vertex);
        while let Some(i) = next {
            if let Some(decided) = self.decision_views.get(&i) {
                view.union(decided);
                break;
            }
            view.insert(i);
            next = self.base[i];
        }
        view
    }

    /// The element of a view with this event id: a domain vertex, or an event that a decision brought along.
    pub(super) fn element(&self, id: &EventId) -> Option<usize> {
        let vertex = self.index.get(id.as_str()).copied();
        vertex
            .filter(|i| self.decision(*i).is_none())
            .or_else(|| self.brought.position(id).map(|j| self.vertices.len() + j))
    }

    /// Fills in what every vertex derives from its parents, parents first.
    pub(super) fn compute_views(&mut self) {
        for i in 0..self.vertices.len() {
            let base = self.lead(&self.parents[i]);
            self.base.push(base);
            self.compute_age(i);
            let decision = match &self.vertices[i].body {
                VertexBody::Decision(d) => Arc::clone(d),
                _ => {
                    self.newest.push(Some(self.vertices[i].key.clone()));
                    self.verdicts.push(base.map_or_else(Arc::default, |b| Arc::clone(&self.verdicts[b])));
                    continue;
                }
            };
            let mut verdicts = self.verdicts_of(&self.parents[i]);
            let view = self.decided_view(i, &decision, &mut verdicts);
            let n = self.vertices.len();
            self.newest.push(view.iter().filter(|v| *v < n).map(|v| &self.vertices[v].key).max().cloned());
            self.verdicts.push(verdicts);
            self.decision_views.insert(i, view);
        }
    }

    fn decided_view(&mut self, i: usize, decision: &Decision, verdicts: &mut Arc<Verdicts>) -> Bits {
        let mut view = Bits::default();
        for adopted in decision.adopts.iter().filter_map(|a| self.index.get(a)) {
            view.union(&self.view_of(*adopted));
        }
        self.bring(i, decision);
        decision.merged.iter().filter_map(|m| self.element(&m.id)).for_each(|e| view.insert(e));
        let elements =
            |ids: &[EventId]| -> Vec<usize> { ids.iter().filter_map(|id| self.element(id)).collect() };
        let (mut hidden, mut restored) = (elements(&decision.hidden), elements(&decision.restored));
        if !(hidden.is_empty() && restored.is_empty()) {
            let past = self.ancestors(&[i]);
            hidden.retain(|e| self.lies_in(&past, *e));
            restored.retain(|e| self.lies_in(&past, *e));
        }
        hidden.iter().for_each(|e| view.remove(*e));
        restored.iter().for_each(|e| view.insert(*e));
        if decision.is_person() {
            let mut spoken = self.region(i);
            hidden.iter().chain(&restored).for_each(|e| spoken.insert(*e));
            let key = &self.vertices[i].key;
            let own = Arc::make_mut(verdicts);
            for e in spoken.iter() {
                own.insert(e, (view.contains(e), key.clone()));
            }
        }
        for (e, (counts, _)) in verdicts.iter() {
            if *counts { view.insert(*e) } else { view.remove(*e) }
        }
        view
    }

    /// Whether an event is one of these vertices, or was brought along by one.
    fn lies_in(&self, past: &Bits, element: usize) -> bool {
        match element.checked_sub(self.vertices.len()) {
            None => past.contains(element),
            Some(event) => self.brought.by(event).iter().any(|d| past.contains(*d)),
        }
    }

    /// The latest verdicts in the past of these vertices.
    pub(super) fn verdicts_of(&self, vertices: &[usize]) -> Arc<Verdicts> {
        let mut each = vertices.iter().map(|v| &self.verdicts[*v]);
        let Some(first) = each.next() else { return Arc::default() };
        let mut all = Arc::clone(first);
        for other in each.filter(|o| !Arc::ptr_eq(o, first)) {
            let merged = Arc::make_mut(&mut all);
            for (e, (counts, by)) in other.iter() {
                if merged.get(e).is_none_or(|(_, held)| by > held) {
                    merged.insert(*e, (*counts, by.clone()));
                }
            }
        }
        all
    }

    /// What the unsettled parents of a decision disagree on: in some of their views and not in all.
    fn region(&self, i: usize) -> Bits {
        let sides = self.unsettled(&self.parents[i]);
        if sides.len() < 2 { Bits::default() } else { self.difference(&sides) }
    }

    pub(super) fn difference(&self, sides: &[usize]) -> Bits {
        let mut views = sides.iter().map(|s| self.view_of(*s));
        let Some(first) = views.next() else { return Bits::default() };
        let (mut some, mut all) = (first.clone(), first);
        for view in views {
            some.union(&view);
            all.intersect(&view);
        }
        some.subtract(&all);
        some
    }
}
