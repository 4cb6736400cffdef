//! Whether a conflict matches.

use serde_json::Value;

use super::{Field, Node, Relation, Spec, value};
use crate::conflict::Conflict;

impl Spec {
    /// Whether the conflict matches.
    #[must_use]
    pub fn matches(&self, conflict: &Conflict) -> bool {
        match &self.node {
            Node::Always => true,
            Node::EventTypes(types) => !types.is_disjoint(conflict.event_types()),
            Node::AggregateGlob(glob) => glob.matches(conflict.aggregate().as_str()),
            Node::AggregateRegex(regex) => regex.matches(conflict.aggregate().as_str()),
            Node::Aggregates(ids) => ids.contains(conflict.aggregate()),
            Node::AnyFieldIn(fields) => {
                let changed = conflict.changed_fields();
                fields.iter().any(|field| changed.iter().any(|c| field.is_touched_by(c)))
            }
            Node::AllFieldsIn(fields) => {
                let changed = conflict.changed_fields();
                !changed.is_empty() && changed.iter().all(|c| fields.iter().any(|field| field.holds(c)))
            }
            Node::MetadataEq(wanted) => {
                metadata(conflict, &wanted.key).any(|found| value::equal(&found, &wanted.value))
            }
            Node::HasMetadata(key) => conflict.unshared().any(|(e, _)| e.metadata.get(key).is_some()),
            Node::Origins(nodes) => {
                conflict.unshared().filter_map(|(_, stamp)| stamp).any(|s| nodes.contains(&s.origin))
            }
            Node::Relation(wanted) => relation(conflict) == *wanted,
            Node::DataExists(place) => newest(conflict, place).any(|found| found.is_some()),
            Node::DataEquals(wanted) => {
                newest(conflict, &wanted.pointer).flatten().any(|found| value::equal(&found, &wanted.value))
            }
            Node::DataCompares(wanted) => newest(conflict, &wanted.pointer)
                .flatten()
                .any(|found| value::compares(&found, wanted.comparison, &wanted.value)),
            Node::Custom(custom) => (custom.test)(conflict),
            Node::All(parts) => parts.iter().all(|part| part.matches(conflict)),
            Node::Any(parts) => parts.iter().any(|part| part.matches(conflict)),
            Node::Not(inner) => !inner.matches(conflict),
        }
    }
}

/// The values under a key, of each event that has one which can be read.
pub(super) fn metadata(conflict: &Conflict, key: &str) -> impl Iterator<Item = Value> {
    let texts = conflict.unshared().filter_map(move |(e, _)| e.metadata.get(key));
    texts.filter_map(|text| serde_json::from_str(&text).ok())
}

/// What the newest event of each side has at a place of its data.
pub(super) fn newest(conflict: &Conflict, place: &Field) -> impl Iterator<Item = Option<Value>> {
    conflict.sides().iter().map(move |side| {
        let (event, _) = side.events.last()?;
        let mut data: Value = serde_json::from_str(event.data.as_json()?).ok()?;
        data.pointer_mut(place.as_str()).map(Value::take)
    })
}

pub(super) fn relation(conflict: &Conflict) -> Relation {
    if conflict.outline().common.is_empty() { Relation::Independent } else { Relation::Forked }
}
