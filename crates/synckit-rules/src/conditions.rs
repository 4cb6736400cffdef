//! Conditions become specs.

use std::collections::BTreeMap;

use serde_json::Value;
use synckit_core::{EventType, NodeId};
use synckit_resolve::{Comparison, Relation, Spec};

use crate::{
    error::Problem,
    loader::{Context, RuleLoader},
    located::{Located, Place},
    model::{Conditions, DataTest, Values},
};

/// Conditions within conditions, at most.
const MAX_DEPTH: usize = 16;

/// Turns conditions into a spec, and notes what is wrong with them.
pub(crate) struct Reader<'a> {
    pub(crate) loader: &'a RuleLoader,
    pub(crate) context: &'a Context,
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::at(place, message));
    }

    pub(crate) fn spec(&mut self, conditions: &Located<Conditions>, depth: usize) -> Spec {
        if depth > MAX_DEPTH {
            self.wrong(conditions.place, format!("conditions are nested deeper than {MAX_DEPTH}"));
            return Spec::always();
        }
        let mut all: Vec<Spec> = Vec::new();
        let given = &conditions.value;
        if let Some(types) = &given.event_types {
            all.push(self.event_types(types));
        }
        if let Some(globs) = &given.aggregate_ids {
            let any = self.patterns(globs, |p| Spec::aggregate_glob(p).map_err(|e| e.to_string()));
            all.push(any);
        }
        if let Some(regexes) = &given.aggregate_regex {
            let any = self.patterns(regexes, |p| Spec::aggregate_regex(p).map_err(|e| e.to_string()));
            all.push(any);
        }
        if let Some(fields) = &given.fields {
            all.push(Spec::any_field_in(self.texts(fields)));
        }
        if let Some(fields) = &given.only_fields {
            all.push(Spec::all_fields_in(self.texts(fields)));
        }
        if let Some(metadata) = &given.metadata {
            all.push(self.metadata(metadata));
        }
        if let Some(keys) = &given.has_metadata {
            all.push(one_of(self.texts(keys).into_iter().map(Spec::has_metadata)));
        }
        if let Some(origins) = &given.origins {
            all.push(self.origins(origins));
        }
        if let Some(relation) = &given.relation {
            all.push(self.relation(relation));
        }
        if let Some(tests) = &given.data {
            self.not_empty(tests.place, tests.is_empty());
            all.extend(tests.iter().map(|test| self.data(test)).collect::<Vec<_>>());
        }
        if let Some(custom) = &given.custom_match {
            all.extend(custom.iter().map(|(name, told)| self.custom(name, told)).collect::<Vec<_>>());
            self.not_empty(custom.place, custom.is_empty());
        }
        if let Some(any) = &given.any_of {
            self.not_empty(any.place, any.is_empty());
            let any: Vec<Spec> = any.iter().map(|c| self.spec(c, depth + 1)).collect();
            all.push(one_of(any));
        }
        if let Some(each) = &given.all_of {
            self.not_empty(each.place, each.is_empty());
            all.extend(each.iter().map(|c| self.spec(c, depth + 1)).collect::<Vec<_>>());
        }
        if let Some(not) = &given.not {
            all.push(self.spec(not, depth + 1).not());
        }
        match (&given.always, all.is_empty()) {
            (Some(always), true) if always.value => return Spec::always(),
            (Some(always), _) => {
                self.wrong(always.place, "expected `always: true` alone, or other conditions without it");
            }
            (None, true) => self.wrong(
                conditions.place,
                "there is no condition; for a rule that is for every conflict, write `always: true`",
            ),
            (None, false) => {}
        }
        each_of(all)
    }

    fn not_empty(&mut self, place: Place, empty: bool) {
        if empty {
            self.wrong(place, "expected at least one element: an empty list is never met");
        }
    }

    fn texts(&mut self, list: &Located<Vec<Located<String>>>) -> Vec<String> {
        self.not_empty(list.place, list.is_empty());
        for text in list.iter().filter(|t| t.is_empty()) {
            self.wrong(text.place, "expected a name, found an empty text");
        }
        list.iter().map(|t| t.value.clone()).collect()
    }

    fn event_types(&mut self, list: &Located<Vec<Located<String>>>) -> Spec {
        self.not_empty(list.place, list.is_empty());
        let mut types: Vec<EventType> = Vec::new();
        for name in &list.value {
            match name.parse() {
                Ok(event_type) => types.push(event_type),
                Err(e) => {
                    let e: synckit_core::Error = e;
                    self.wrong(name.place, e.message().to_owned());
                }
            }
        }
        Spec::event_types(types)
    }

    fn patterns(
        &mut self,
        list: &Located<Vec<Located<String>>>,
        read: impl Fn(&str) -> Result<Spec, String>,
    ) -> Spec {
        self.not_empty(list.place, list.is_empty());
        let mut any = Vec::new();
        for pattern in &list.value {
            match read(pattern) {
                Ok(spec) => any.push(spec),
                Err(message) => self.wrong(pattern.place, message),
            }
        }
        one_of(any)
    }

    fn metadata(&mut self, metadata: &Located<BTreeMap<String, Values>>) -> Spec {
        self.not_empty(metadata.place, metadata.is_empty());
        let each = metadata.iter().map(|(key, Values(values))| {
            if values.is_empty() {
                self.wrong(metadata.place, format!("expected at least one value for {key:?}"));
            }
            if values.iter().any(is_rounded) {
                self.wrong(metadata.place, ROUNDED);
            }
            one_of(values.iter().map(|v| Spec::metadata_eq(key.clone(), v.clone())))
        });
        each_of(each.collect())
    }

    fn origins(&mut self, list: &Located<Vec<Located<String>>>) -> Spec {
        self.not_empty(list.place, list.is_empty());
        let mut nodes: Vec<NodeId> = Vec::new();
        for origin in &list.value {
            match origin.parse() {
                Ok(node) => nodes.push(node),
                Err(_) => self.wrong(
                    origin.place,
                    format!("{:?} is not the id of a node, as `synckit status` shows it", origin.value),
                ),
            }
        }
        Spec::origins(nodes)
    }

    fn relation(&mut self, relation: &Located<String>) -> Spec {
        match relation.as_str() {
            "forked" => Spec::relation(Relation::Forked),
            "independent" => Spec::relation(Relation::Independent),
            other => {
                self.wrong(relation.place, format!("expected forked or independent, found {other:?}"));
                Spec::always()
            }
        }
    }

    fn data(&mut self, test: &Located<DataTest>) -> Spec {
        let field = test.field.value.clone();
        let compares =
            |comparison, value: &Value| Spec::data_compares(field.clone(), comparison, value.clone());
        let specs: Vec<Spec> = [
            test.exists.map(|exists| {
                let spec = Spec::data_exists(field.clone());
                if exists { spec } else { spec.not() }
            }),
            test.equals.as_ref().map(|v| Spec::data_equals(field.clone(), v.clone())),
            test.less_than.as_ref().map(|v| compares(Comparison::Less, v)),
            test.at_most.as_ref().map(|v| compares(Comparison::LessOrEqual, v)),
            test.greater_than.as_ref().map(|v| compares(Comparison::Greater, v)),
            test.at_least.as_ref().map(|v| compares(Comparison::GreaterOrEqual, v)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let limits = [&test.less_than, &test.at_most, &test.greater_than, &test.at_least];
        if limits.into_iter().flatten().any(|v| !v.is_number() && !v.is_string()) {
            self.wrong(test.place, "expected a number or a text to compare with");
        }
        let values = [&test.equals, &test.less_than, &test.at_most, &test.greater_than, &test.at_least];
        if values.into_iter().flatten().any(is_rounded) {
            self.wrong(test.place, ROUNDED);
        }
        if specs.is_empty() {
            self.wrong(
                test.place,
                "expected one of exists, equals, less_than, at_most, greater_than, at_least beside the field",
            );
        }
        each_of(specs)
    }

    fn custom(&mut self, name: &str, told: &Located<Value>) -> Spec {
        let made = match self.loader.matchers.get(name) {
            Some(make) => make(&told.value, self.context),
            None => Err(format!("there is no matcher {name:?}{}", known(self.loader.matchers.keys()))),
        };
        made.unwrap_or_else(|message| {
            self.wrong(told.place, message);
            Spec::always()
        })
    }
}

const ROUNDED: &str = "expected a number that can be held exactly: whole numbers go from -9223372036854775808 to \
                       18446744073709551615, and others have 15 digits";

/// Whether a number is in it that was rounded when it was read, or may have been.
fn is_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= 9e15),
        Value::Array(values) => values.iter().any(is_rounded),
        Value::Object(fields) => fields.values().any(is_rounded),
        _ => false,
    }
}

fn one_of(specs: impl IntoIterator<Item = Spec>) -> Spec {
    let mut specs: Vec<Spec> = specs.into_iter().collect();
    if specs.len() == 1 { specs.swap_remove(0) } else { Spec::any(specs) }
}

fn each_of(mut specs: Vec<Spec>) -> Spec {
    if specs.len() == 1 { specs.swap_remove(0) } else { Spec::all(specs) }
}

/// What could have been meant, for people.
pub(crate) fn known<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        "; none is registered".into()
    } else {
        format!("; expected one of {}", names.join(", "))
    }
}
