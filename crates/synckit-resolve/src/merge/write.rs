//! What one event writes: the places of its data, or those of them that it changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    Kind,
    amount::Amount,
    paths::{Paths, Place, Step},
    state::{Rank, Said, State},
    text,
};

/// Takes an event's data apart, on top of the state that its author saw.
pub(super) struct Writer<'w, 'c> {
    pub(super) paths: &'w mut Paths,
    /// What the author saw; after the writing, what the event leaves.
    pub(super) state: State<'c>,
    pub(super) rank: Rank,
    /// Whether a value that was there already is written again.
    pub(super) restates: bool,
    pub(super) writes: Vec<(Place, Said<'c>)>,
    pub(super) changes: Vec<(Place, Amount)>,
}

impl<'c> Writer<'_, 'c> {
    pub(super) fn object(&mut self, at: Place, fields: &'c Map<String, Value>) {
        for (name, value) in fields {
            let field = self.paths.field(at, name);
            self.value(field, value);
        }
    }

    fn value(&mut self, at: Place, value: &'c Value) {
        let kind = self.paths.kind(at).cloned();
        match (value, kind) {
            (Value::Array(items), Some(Kind::Set)) => self.set(at, items),
            (Value::Array(items), Some(Kind::List { key })) => match keyed(items, &key) {
                Some(elements) => self.list(at, elements),
                None => self.put(at, Said::Value(value), self.restates),
            },
            (Value::Number(number), Some(Kind::Counter)) => self.count(at, Amount::of(number)),
            (Value::Object(fields), _) if fields.is_empty() => {
                let object = self.paths.step(at, Step::Object);
                self.put(object, Said::Is, self.restates);
            }
            (Value::Object(fields), _) => self.object(at, fields),
            _ => self.put(at, Said::Value(value), self.restates),
        }
    }

    fn put(&mut self, at: Place, said: Said<'c>, restates: bool) {
        if restates || self.state.visible(self.paths, at) != Some(said) {
            self.state.put(at, self.rank, said);
            self.writes.push((at, said));
        }
    }

    fn take_out(&mut self, at: Place) {
        if self.state.visible(self.paths, at).is_some() {
            self.put(at, Said::Gone, true);
        }
    }

    fn count(&mut self, at: Place, number: Amount) {
        let count = self.paths.step(at, Step::Count);
        let change = number.since(self.state.shown.get(&count).copied().unwrap_or(Amount::ZERO));
        let is_seen = self.state.visible(self.paths, count).is_some();
        if is_seen && (change == Amount::ZERO || change == Amount::Real(0.0)) {
            return;
        }
        self.put(count, Said::Counted, true);
        self.changes.push((count, change));
        self.state.shown.insert(count, number);
    }

    fn set(&mut self, at: Place, items: &'c [Value]) {
        let before = self.writes.len();
        let mut stated = BTreeSet::new();
        for item in items {
            let element = self.paths.step(at, Step::Element(text::canonical(item).into()));
            if stated.insert(element) {
                self.put(element, Said::Value(item), false);
            }
        }
        for element in self.elements(at) {
            if !stated.contains(&element) {
                self.take_out(element);
            }
        }
        self.array(at, before);
    }

    /// Says that there is an array, again if this event changed it since it had made `before` writes.
    fn array(&mut self, at: Place, before: usize) {
        let touched = self.writes.len() > before;
        let array = self.paths.step(at, Step::Array);
        self.put(array, Said::Is, touched);
    }

    fn list(&mut self, at: Place, elements: BTreeMap<String, &'c Map<String, Value>>) {
        let before = self.writes.len();
        let mut stated = BTreeSet::new();
        let restates = std::mem::replace(&mut self.restates, false);
        for (key, fields) in elements {
            let element = self.paths.step(at, Step::Element(key.into()));
            stated.insert(element);
            let unchanged = self.writes.len();
            self.object(element, fields);
            self.take_out_others(element, fields);
            let marker = self.paths.step(element, Step::Object);
            let touched = self.writes.len() > unchanged;
            self.put(marker, Said::Is, touched);
        }
        self.restates = restates;
        for element in self.elements(at) {
            let marker = self.paths.child(element, &Step::Object).filter(|_| !stated.contains(&element));
            if let Some(marker) = marker {
                self.take_out(marker);
            }
        }
        self.array(at, before);
    }

    /// An element of a list is said whole: fields that it had and does not name are gone.
    fn take_out_others(&mut self, at: Place, fields: &'c Map<String, Value>) {
        let children: Vec<(Step, Place)> =
            self.paths.children(at).iter().map(|(step, place)| (step.clone(), *place)).collect();
        for (step, place) in children {
            let Step::Field(name) = step else { continue };
            match fields.get(&*name) {
                Some(Value::Object(inner)) => self.take_out_others(place, inner),
                Some(_) => {}
                None => self.take_out_all(place),
            }
        }
    }

    fn take_out_all(&mut self, at: Place) {
        self.take_out(at);
        let children: Vec<Place> = self.paths.children(at).values().copied().collect();
        children.into_iter().for_each(|child| self.take_out_all(child));
    }

    fn elements(&self, at: Place) -> Vec<Place> {
        let children = self.paths.children(at).iter();
        children.filter(|(step, _)| matches!(step, Step::Element(_))).map(|(_, place)| *place).collect()
    }
}

/// The elements by the text of their keys, if each is an object with a key of its own.
fn keyed<'c>(items: &'c [Value], key: &str) -> Option<BTreeMap<String, &'c Map<String, Value>>> {
    let mut elements = BTreeMap::new();
    for item in items {
        let fields = item.as_object()?;
        let key = fields.get(key).filter(|k| !k.is_object() && !k.is_array())?;
        if elements.insert(text::canonical(key), fields).is_some() {
            return None;
        }
    }
    Some(elements)
}
