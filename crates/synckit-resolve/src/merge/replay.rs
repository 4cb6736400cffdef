//! What each event of a history writes, and the documents that come of it.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{
    Policy,
    amount::{Amount, Overflow},
    document,
    history::History,
    paths::{Paths, Place},
    state::{Said, State},
    write::Writer,
};

/// The writes of every fact of a history. What a fact writes depends on its own past alone.
#[derive(Debug)]
pub(crate) struct Replay<'h> {
    paths: Paths,
    writes: Vec<Vec<(Place, Said<'h>)>>,
    changes: Vec<Vec<(Place, Amount)>>,
}

/// The states that facts still to come are built on. A state is moved to the last of them, never copied for it.
struct States<'h> {
    held: Vec<Option<State<'h>>>,
    awaited: Vec<usize>,
}

impl<'h> States<'h> {
    fn new(history: &'h History<'_>) -> Self {
        let mut awaited = vec![0; history.facts.len()];
        history.facts.iter().flat_map(|f| &f.parents).for_each(|p| awaited[*p] += 1);
        Self { held: vec![None; history.facts.len()], awaited }
    }

    fn take(&mut self, of: usize) -> State<'h> {
        self.awaited[of] -= 1;
        let state = if self.awaited[of] == 0 { self.held[of].take() } else { self.held[of].clone() };
        state.unwrap_or_default()
    }

    fn keep(&mut self, of: usize, state: State<'h>) {
        if self.awaited[of] > 0 {
            self.held[of] = Some(state);
        }
    }
}

impl<'h> Replay<'h> {
    pub(crate) fn of(history: &'h History<'_>, policy: &Policy) -> Self {
        let mut replay = Self { paths: Paths::new(&policy.kinds), writes: Vec::new(), changes: Vec::new() };
        let mut states = States::new(history);
        for (i, fact) in history.facts.iter().enumerate() {
            let before = if policy.needs_past() {
                replay.before(history, &mut states, &fact.parents)
            } else {
                State::default()
            };
            let mut writer = Writer {
                paths: &mut replay.paths,
                state: before,
                rank: i + 1,
                restates: policy.restates,
                writes: Vec::new(),
                changes: Vec::new(),
            };
            if let Value::Object(fields) = &fact.value {
                writer.object(Paths::ROOT, fields);
            }
            let Writer { state, writes, changes, .. } = writer;
            states.keep(i, state);
            replay.writes.push(writes);
            replay.changes.push(changes);
        }
        replay
    }

    fn before(&self, history: &History<'_>, states: &mut States<'h>, parents: &[usize]) -> State<'h> {
        let mut each = parents.iter();
        let Some(first) = each.next() else { return State::default() };
        let mut state = states.take(*first);
        for parent in each {
            state.join(&states.take(*parent));
        }
        if parents.len() > 1 && self.changes.iter().any(|c| !c.is_empty()) {
            state.shown = self.counted(&past(history, parents));
        }
        state
    }

    /// What each counter shows when these facts count: the sum of their changes, in canonical order.
    fn counted(&self, counts: &[bool]) -> HashMap<Place, Amount> {
        let mut changes: BTreeMap<Place, Vec<Amount>> = BTreeMap::new();
        for (made, _) in self.changes.iter().zip(counts).filter(|(_, counts)| **counts) {
            made.iter().for_each(|(at, change)| changes.entry(*at).or_default().push(*change));
        }
        changes.into_iter().map(|(at, changes)| (at, Amount::sum(changes.into_iter()))).collect()
    }

    pub(super) fn state(&self, counts: &[bool]) -> State<'h> {
        let mut state = State::showing(self.counted(counts));
        for (i, writes) in self.writes.iter().enumerate().filter(|(i, _)| counts[*i]) {
            writes.iter().for_each(|(at, said)| state.put(*at, i + 1, *said));
        }
        state
    }

    /// The document when these facts count: per place the last write.
    pub(crate) fn document(&self, counts: &[bool]) -> Result<Value, Overflow> {
        document::build(&self.paths, &self.state(counts))
    }

    pub(super) const fn paths(&self) -> &Paths {
        &self.paths
    }
}

/// The facts at or before these.
fn past(history: &History<'_>, of: &[usize]) -> Vec<bool> {
    let mut counts = vec![false; history.facts.len()];
    let mut open = of.to_vec();
    while let Some(i) = open.pop() {
        if !std::mem::replace(&mut counts[i], true) {
            open.extend(&history.facts[i].parents);
        }
    }
    counts
}
