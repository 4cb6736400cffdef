//! What follows from the entries: pasts, facts and views, with whole sets at every vertex.

use std::collections::HashMap;

use synckit_core::{
    AggregateId, EventId, VertexId,
    decision::{Decision, MergedEvent},
};

use super::{
    Violation,
    entries::{Body, Entries},
    history::{History, Point},
    set::Set,
};

impl History {
    /// Works everything out, parents before children.
    ///
    /// Vertices are numbers in canonical order; what decisions brought along has the numbers after them.
    pub(super) fn derived(entries: Entries, aggregate: AggregateId) -> Result<Self, Violation> {
        let index: HashMap<VertexId, usize> =
            entries.vertices.iter().enumerate().map(|(i, v)| (v.id.clone(), i)).collect();
        let parents: Vec<Vec<usize>> = entries
            .vertices
            .iter()
            .map(|v| v.parents.iter().filter_map(|p| index.get(p).copied()).collect())
            .collect();
        let mut history = Self { aggregate, entries, index, parents, merged: Vec::new(), points: Vec::new() };
        history.merged = history.brought_along();
        let n = history.entries.vertices.len();
        let nothing = Point {
            past: history.empty(),
            facts: history.empty(),
            depth: 0,
            view: history.empty(),
            spoken: None,
        };
        history.points = vec![nothing; n];
        let mut done = vec![false; n];
        let mut waiting: Vec<usize> = (0..n).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|&i| {
                let ready = history.parents[i].iter().all(|p| done[*p]);
                if ready {
                    history.points[i] = history.derive(i);
                    done[i] = true;
                }
                !ready
            });
            if waiting.len() == before {
                let id = &history.entries.vertices[waiting[0]].id;
                return Err(Violation::new("L3", format!("{id} is built on itself")));
            }
        }
        Ok(history)
    }

    fn brought_along(&self) -> Vec<MergedEvent> {
        let mut merged: Vec<MergedEvent> = Vec::new();
        for decision in (0..self.len()).filter_map(|i| self.decision(i)) {
            for event in &decision.merged {
                if self.logged(&event.id).is_none() && merged.iter().all(|m| m.id != event.id) {
                    merged.push(event.clone());
                }
            }
        }
        merged
    }

    fn logged(&self, id: &EventId) -> Option<usize> {
        self.index.get(id.as_str()).copied().filter(|i| self.decision(*i).is_none())
    }

    /// The number of an event that may be in a view.
    pub(super) fn element(&self, id: &EventId) -> Option<usize> {
        self.logged(id).or_else(|| self.merged.iter().position(|m| m.id == *id).map(|j| self.len() + j))
    }

    pub(super) fn empty(&self) -> Set {
        Set::below(self.len() + self.merged.len())
    }

    /// The numbers of the events with these ids.
    fn elements<'a>(&self, ids: impl IntoIterator<Item = &'a EventId>) -> Set {
        let mut set = self.empty();
        ids.into_iter().filter_map(|id| self.element(id)).for_each(|e| set.insert(e));
        set
    }

    fn derive(&self, i: usize) -> Point {
        let (mut past, mut facts) = (self.empty(), self.empty());
        for parent in &self.parents[i] {
            past.add(&self.points[*parent].past);
            facts.add(&self.points[*parent].facts);
        }
        past.insert(i);
        let above = self.parents[i].iter().map(|p| self.points[*p].depth).max().unwrap_or_default();
        let depth = above + usize::from(self.decision(i).is_some());
        let Some(decision) = self.decision(i) else {
            facts.insert(i);
            let lead = self.lead(&self.parents[i]);
            let mut view = lead.map_or_else(|| self.empty(), |l| self.points[l].view.clone());
            view.insert(i);
            return Point { past, facts, depth, view, spoken: None };
        };
        if decision.is_person() {
            facts.insert(i);
        }
        let merged = self.elements(decision.merged.iter().map(|m| &m.id));
        merged.iter().filter(|e| *e >= self.len()).for_each(|e| past.insert(e));
        let (view, spoken) = self.decided(i, decision, &merged, &past);
        Point { past, facts, depth, view, spoken }
    }

    /// The view at a decision and, if it is a person's, what it speaks on: what its active parents disagree on, and what it
    /// names of its past. What people said before stays said.
    fn decided(&self, i: usize, decision: &Decision, merged: &Set, past: &Set) -> (Set, Option<Set>) {
        let (mut hidden, mut restored) = (self.elements(&decision.hidden), self.elements(&decision.restored));
        hidden.keep(past);
        restored.keep(past);
        let mut view = self.empty();
        let parents = &self.parents[i];
        for adopted in decision.adopts.iter().filter_map(|a| self.index.get(a)) {
            if parents.contains(adopted) {
                view.add(&self.points[*adopted].view);
            }
        }
        view.add(merged);
        view.take(&hidden);
        view.add(&restored);
        let own = view.clone();
        for earlier in past.iter().take_while(|p| *p < self.len()).filter(|p| *p != i) {
            let earlier = &self.points[earlier];
            if let Some(spoken) = &earlier.spoken {
                say(&mut view, spoken, &earlier.view);
            }
        }
        if !decision.is_person() {
            return (view, None);
        }
        let mut spoken = self.disagreement(&self.active(parents));
        spoken.add(&hidden);
        spoken.add(&restored);
        say(&mut view, &spoken, &own);
        (view, Some(spoken))
    }

    /// What is in some of these vertices' views and not in all.
    pub(super) fn disagreement(&self, sides: &[usize]) -> Set {
        let (mut some, mut all) = (self.empty(), None::<Set>);
        for view in sides.iter().map(|s| &self.points[*s].view) {
            some.add(view);
            all.get_or_insert_with(|| view.clone()).keep(view);
        }
        if let Some(all) = all {
            some.take(&all);
        }
        some
    }

    /// Whether `f` settles `e`.
    pub(super) fn settles(&self, f: usize, e: usize) -> bool {
        let (Some(df), Some(de)) = (self.decision(f), self.decision(e)) else { return false };
        let ranks_higher = match (df.is_person(), de.is_person()) {
            (true, true) => f > e,
            (false, false) => self.id(f) > self.id(e),
            (f_is_person, _) => f_is_person,
        };
        let same_heads = self.entries.vertices[f].parents == self.entries.vertices[e].parents;
        if same_heads && df.conflict.is_some() && df.conflict == de.conflict {
            return ranks_higher;
        }
        let (known, knows) = (&self.points[e].facts, &self.points[f].facts);
        known.is_within(knows) && (known != knows || ranks_higher)
    }

    /// Those that no other of them settles.
    pub(super) fn active(&self, of: &[usize]) -> Vec<usize> {
        of.iter().copied().filter(|e| !of.iter().any(|f| f != e && self.settles(*f, *e))).collect()
    }

    /// The newest domain event of a vertex's view. Stubs and withdrawn events are among them: they are never listed, and are
    /// vertices all the same.
    pub(super) fn newest(&self, i: usize) -> Option<usize> {
        self.points[i].view.iter().take_while(|e| *e < self.len()).last()
    }

    /// The active one whose view has the newest domain event.
    pub(super) fn lead(&self, of: &[usize]) -> Option<usize> {
        let active = self.active(of);
        if let [only] = active[..] {
            return Some(only);
        }
        active.into_iter().max_by_key(|a| (self.newest(*a), self.id(*a)))
    }

    pub(super) fn is_listed(&self, i: usize) -> bool {
        i >= self.len() || self.entries.vertices[i].body == Body::Domain
    }
}

/// A person's verdict: of what was spoken on, exactly what is in the person's view counts.
fn say(view: &mut Set, spoken: &Set, verdict: &Set) {
    let mut counts = spoken.clone();
    counts.keep(verdict);
    view.take(spoken);
    view.add(&counts);
}
