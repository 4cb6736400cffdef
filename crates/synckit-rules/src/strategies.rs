//! Names of strategies and their options become resolvers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use synckit_core::NodeId;
use synckit_resolve::{
    AdditiveMerge, ConflictResolver, Extreme, FieldwiseLastWrite, FirstWriteWins, KeepBoth, LastWriteWins,
    ManualReview, Priority, ThreeWayMerge,
};

use crate::{
    error::Problem,
    loader::{Context, RuleLoader},
    located::{Located, Place},
    model::ResolutionEntry,
};

/// The names of the built-in strategies, with what else they are called.
pub(crate) const BUILT_IN: [(&str, &[&str]); 10] = [
    ("last_write_wins", &["lww"]),
    ("first_write_wins", &["fww"]),
    ("fieldwise_last_write_wins", &["fieldwise"]),
    ("three_way_merge", &["three_way"]),
    ("additive_merge", &["merge"]),
    ("keep_both", &[]),
    ("priority", &[]),
    ("maximum", &["max"]),
    ("minimum", &["min"]),
    ("manual_review", &["manual"]),
];

/// The strategy that a name stands for, whatever its case.
fn built_in(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    BUILT_IN
        .iter()
        .find(|(full, short)| *full == name || short.contains(&name.as_str()))
        .map(|(full, _)| *full)
}

type Made = Arc<dyn ConflictResolver>;

/// The resolver, or what is wrong with it.
pub(crate) fn resolver(
    loader: &RuleLoader,
    context: &Context,
    entry: &Located<ResolutionEntry>,
    problems: &mut Vec<Problem>,
) -> Option<Made> {
    let strategy = &entry.strategy;
    // A strategy without options stands alone, and only the whole knows its place.
    let place = if strategy.place == Place::START { entry.place } else { strategy.place };
    if let Some(make) = loader.strategies.get(&strategy.value) {
        let options = entry.options.iter().map(|(name, v)| (name.clone(), v.value.clone())).collect();
        return make(&options, context).map_err(|message| problems.push(Problem::at(place, message))).ok();
    }
    let Some(name) = built_in(strategy) else {
        let mut known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        known.extend(loader.strategies.keys().map(String::as_str));
        let message = format!("unknown strategy {:?}; expected one of {}", strategy.value, known.join(", "));
        problems.push(Problem::at(place, message));
        return None;
    };
    let mut options =
        Options { strategy: name, place, given: &entry.options, taken: BTreeSet::new(), problems };
    let made = options.make(name);
    options.refuse_others();
    made
}

struct Options<'a> {
    strategy: &'static str,
    place: Place,
    given: &'a BTreeMap<String, Located<Value>>,
    taken: BTreeSet<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Options<'a> {
    fn make(&mut self, name: &str) -> Option<Made> {
        Some(match name {
            "last_write_wins" => {
                if self.by_event_time() {
                    Arc::new(LastWriteWins::by_event_time())
                } else {
                    Arc::new(LastWriteWins::default())
                }
            }
            "first_write_wins" => {
                if self.by_event_time() {
                    Arc::new(FirstWriteWins::by_event_time())
                } else {
                    Arc::new(FirstWriteWins::default())
                }
            }
            "fieldwise_last_write_wins" => Arc::new(FieldwiseLastWrite::new()),
            "three_way_merge" => Arc::new(ThreeWayMerge::new().review_overlaps(self.flag("review_overlaps"))),
            "additive_merge" => Arc::new(self.additive()),
            "keep_both" => Arc::new(KeepBoth),
            "priority" => return self.priority(),
            "maximum" => return self.extreme(Extreme::maximum),
            "minimum" => return self.extreme(Extreme::minimum),
            _ => match self.text("reason") {
                Some(reason) => Arc::new(ManualReview::because(reason)),
                None => Arc::new(ManualReview::default()),
            },
        })
    }

    fn get(&mut self, name: &'static str) -> Option<&'a Located<Value>> {
        self.taken.insert(name);
        self.given.get(name)
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::at(place, message));
    }

    fn refuse_others(mut self) {
        for (name, value) in
            self.given.iter().filter(|(name, _)| !self.taken.contains(name.as_str())).collect::<Vec<_>>()
        {
            let known = self.taken.iter().copied().collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { "it has none".to_owned() } else { format!("expected one of {known}") };
            let message = format!("{} has no option {name:?}; {known}", self.strategy);
            self.wrong(value.place, message);
        }
    }

    fn flag(&mut self, name: &'static str) -> bool {
        let Some(value) = self.get(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(value.place, format!("expected true or false for {name}"));
            false
        })
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name)?;
        let text = value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        if text.is_none() {
            self.wrong(value.place, format!("expected a text for {name}"));
        }
        text
    }

    fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let texts: Option<Vec<String>> = value
            .as_array()
            .map(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        texts.filter(|texts| !texts.is_empty()).unwrap_or_else(|| {
            self.wrong(value.place, format!("expected a list of texts for {name}, with at least one"));
            Vec::new()
        })
    }

    fn by_event_time(&mut self) -> bool {
        let place = self.get("by").map(|v| v.place);
        match (self.text("by").as_deref(), place) {
            (None | Some("clock"), _) | (_, None) => false,
            (Some("event_time"), _) => true,
            (Some(other), Some(place)) => {
                self.wrong(place, format!("expected clock or event_time for by, found {other:?}"));
                false
            }
        }
    }

    fn extreme(&mut self, make: fn(&str) -> synckit_core::Result<Extreme>) -> Option<Made> {
        let Some(place) = self.get("field").map(|v| v.place) else {
            let message = format!("{} needs the option field", self.strategy);
            self.wrong(self.place, message);
            return None;
        };
        let field = self.text("field")?;
        let made = make(&field).map_err(|e| self.wrong(place, e.message().to_owned())).ok()?;
        Some(Arc::new(made))
    }

    fn additive(&mut self) -> AdditiveMerge {
        let mut merge = AdditiveMerge::new();
        for set in self.texts("sets") {
            merge = self.with(merge, "sets", |m| m.set(&set));
        }
        for counter in self.texts("counters") {
            merge = self.with(merge, "counters", |m| m.counter(&counter));
        }
        let Some(lists) = self.get("lists") else { return merge };
        let Some(keys) = lists.as_object() else {
            self.wrong(lists.place, "expected a map of fields to the keys of their elements for lists");
            return merge;
        };
        for (field, key) in keys {
            match key.as_str() {
                Some(key) => merge = self.with(merge, "lists", |m| m.list(field, key)),
                None => self.wrong(lists.place, format!("expected the name of a key for the list {field:?}")),
            }
        }
        merge
    }

    /// The merge with something more, or as it was if that is wrong.
    fn with(
        &mut self,
        merge: AdditiveMerge,
        option: &'static str,
        more: impl FnOnce(AdditiveMerge) -> synckit_core::Result<AdditiveMerge>,
    ) -> AdditiveMerge {
        more(merge.clone()).unwrap_or_else(|e| {
            let place = self.given.get(option).map_or(self.place, |v| v.place);
            self.wrong(place, e.message().to_owned());
            merge
        })
    }

    fn priority(&mut self) -> Option<Made> {
        let origins = self.get("origins").map(|v| v.place);
        let metadata = self.text("metadata");
        match (origins, metadata) {
            (Some(place), None) => {
                let mut nodes: Vec<NodeId> = Vec::new();
                for origin in self.texts("origins") {
                    match origin.parse() {
                        Ok(node) => nodes.push(node),
                        Err(_) => self.wrong(place, format!("{origin:?} is not the id of a node")),
                    }
                }
                Some(Arc::new(Priority::by_origin(nodes)))
            }
            (None, Some(key)) => {
                let values = self.get("values").and_then(|v| v.as_array().cloned());
                let Some(values) = values.filter(|v| !v.is_empty()) else {
                    self.wrong(
                        self.place,
                        "expected a list of values beside metadata, the first the strongest",
                    );
                    return None;
                };
                let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
                Some(Arc::new(Priority::by_metadata(key, values.iter().map(text))))
            }
            _ => {
                self.wrong(
                    self.place,
                    "expected either origins or metadata with values among the options of priority",
                );
                None
            }
        }
    }
}
