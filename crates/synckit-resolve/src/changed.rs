//! Where JSON values differ.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use synckit_core::{Event, Stamp};

use crate::{
    conflict::Conflict,
    merge::{Documents, push_name},
};

/// What the sides of a conflict changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    /// Where the sides differ.
    pub(crate) fields: Vec<String>,
    /// Per side, where it differs from what all share.
    pub(crate) by_side: Vec<Vec<String>>,
}

impl Changed {
    pub(crate) fn of(conflict: &Conflict) -> Self {
        match Documents::of(conflict) {
            Ok(documents) => Self {
                fields: apart(documents.sides.iter()),
                by_side: documents.sides.iter().map(|side| diff(&documents.common, side)).collect(),
            },
            Err(_) => Self::of_newest(conflict),
        }
    }

    fn of_newest(conflict: &Conflict) -> Self {
        let common = newest(conflict.common());
        let sides: Vec<Option<Value>> = conflict.sides().iter().map(|side| newest(&side.events)).collect();
        let change = |side: &Option<Value>| match (&common, side) {
            (Some(common), Some(side)) => diff(common, side),
            (None, Some(side)) => diff(&Value::Object(Map::new()), side),
            _ => Vec::new(),
        };
        Self { fields: apart(sides.iter().flatten()), by_side: sides.iter().map(change).collect() }
    }
}

fn newest(events: &[(Event, Option<Stamp>)]) -> Option<Value> {
    let (event, _) = events.last()?;
    event.data.as_json().and_then(|text| serde_json::from_str(text).ok())
}

/// Where values are not all the same.
fn apart<'v>(mut values: impl Iterator<Item = &'v Value>) -> Vec<String> {
    let Some(first) = values.next() else { return Vec::new() };
    let found: BTreeSet<String> = values.flat_map(|other| diff(first, other)).collect();
    found.into_iter().collect()
}

/// The JSON pointers at which two values differ, sorted bytewise.
///
/// Objects are compared field by field, and of an object that only one side has, each field is named. Arrays are compared
/// as one value. Values that differ and are not both objects give the pointer to themselves: the empty one at the top.
///
/// ```
/// use serde_json::json;
/// use synckit_resolve::diff;
///
/// let left = json!({"name": "Ann", "address": {"city": "Bonn", "zip": "53111"}});
/// let right = json!({"name": "Ann", "address": {"city": "Ulm"}});
/// assert_eq!(diff(&left, &right), ["/address/city", "/address/zip"]);
/// ```
#[must_use]
pub fn diff(left: &Value, right: &Value) -> Vec<String> {
    let mut search = Search { at: Vec::new(), found: Vec::new() };
    search.compare(left, right);
    search.found.sort_unstable();
    search.found
}

/// The names on the way down; a pointer is written only where values differ.
struct Search<'v> {
    at: Vec<&'v str>,
    found: Vec<String>,
}

impl<'v> Search<'v> {
    fn compare(&mut self, left: &'v Value, right: &'v Value) {
        let (Value::Object(a), Value::Object(b)) = (left, right) else {
            if left != right {
                self.report();
            }
            return;
        };
        let mut missing = b.len();
        for (name, x) in a {
            self.at.push(name);
            match b.get(name) {
                Some(y) => {
                    missing -= 1;
                    self.compare(x, y);
                }
                None => self.one_sided(x),
            }
            self.at.pop();
        }
        if missing > 0 {
            for (name, y) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                self.at.push(name);
                self.one_sided(y);
                self.at.pop();
            }
        }
    }

    fn one_sided(&mut self, value: &'v Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    self.at.push(name);
                    self.one_sided(field);
                    self.at.pop();
                }
            }
            _ => self.report(),
        }
    }

    fn report(&mut self) {
        let mut pointer = String::with_capacity(self.at.iter().map(|name| name.len() + 1).sum());
        self.at.iter().for_each(|name| push_name(&mut pointer, name));
        self.found.push(pointer);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{apart, diff};

    #[test]
    fn pointers_of_what_differs() {
        let (left, right) =
            (json!({"a":1,"b":{"c":[1],"d":2},"e/f":1}), json!({"a":1,"b":{"c":[2]},"e/f":2}));
        assert_eq!(diff(&left, &right), ["/b/c", "/b/d", "/e~1f"]);
        assert_eq!(diff(&right, &left), diff(&left, &right));
        assert_eq!(diff(&json!(1), &json!(2)), [""]);
        assert!(diff(&left, &left).is_empty());
    }

    #[test]
    fn an_object_on_one_side_is_named_by_its_fields() {
        let (left, right) = (json!({"a": {"b": {"c": 1}, "d": {}}}), json!({}));
        assert_eq!(diff(&left, &right), ["/a/b/c", "/a/d"]);
        assert_eq!(diff(&json!({"a": 1}), &json!({"a": {"b": 1}})), ["/a"]);
    }

    #[test]
    fn all_values_are_compared() {
        let values: [Value; 3] = [json!({"a": 1, "b": 1}), json!({"a": 1, "b": 2}), json!({"a": 3, "b": 1})];
        assert_eq!(apart(values.iter()), ["/a", "/b"]);
        assert!(apart([].into_iter()).is_empty());
    }
}
