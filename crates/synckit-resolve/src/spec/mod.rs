//! Specs: what a rule can ask of a conflict.

mod explain;
mod field;
mod matching;
mod pattern;
mod serial;
mod show;
mod value;

use std::{collections::BTreeSet, fmt, ops, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use synckit_core::{AggregateId, EventType, NodeId};

pub use self::{explain::Explanation, pattern::SpecError};
use self::{
    field::Field,
    pattern::{Glob, Pattern},
};
use crate::{conflict::Conflict, resolver::Reads};

/// A predicate over conflicts: which ones a rule is for.
///
/// It can be written and read with serde, except for [`custom`](Spec::custom) ones. The shape is a name and what belongs to
/// it, such as `{"event_types":["flight.delayed"]}` or `{"not":{"aggregate_glob":"test-*"}}`; `"always"` stands alone. Beside
/// the names that are written, `{"event_type":"a"}` and `{"field_changed":"status"}` can be read. Specs nested more than 32
/// deep are neither written nor read.
///
/// A spec can judge only what was read of a conflict: at least what [`reads`](Spec::reads) tells.
#[derive(Debug, Clone)]
pub struct Spec {
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Always,
    EventTypes(BTreeSet<EventType>),
    AggregateGlob(Glob),
    AggregateRegex(Pattern),
    Aggregates(BTreeSet<AggregateId>),
    AnyFieldIn(BTreeSet<Field>),
    AllFieldsIn(BTreeSet<Field>),
    MetadataEq(MetadataEq),
    HasMetadata(String),
    Origins(BTreeSet<NodeId>),
    Relation(Relation),
    DataExists(Field),
    DataEquals(DataEquals),
    DataCompares(DataCompares),
    Custom(Custom),
    All(Vec<Spec>),
    Any(Vec<Spec>),
    Not(Box<Spec>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataEq {
    key: String,
    value: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataEquals {
    pointer: Field,
    value: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataCompares {
    pointer: Field,
    comparison: Comparison,
    value: Value,
}

#[derive(Clone)]
struct Custom {
    name: String,
    test: Arc<dyn Fn(&Conflict) -> bool + Send + Sync>,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How the sides of a conflict hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relation {
    /// They have events in common, from which they went apart.
    Forked,
    /// They have no event in common: the aggregate was begun more than once.
    Independent,
}

/// How a value in an event's data is compared with that of a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Comparison {
    /// The value in the data is the lesser.
    Less,
    /// The value in the data is the lesser, or they are equal.
    LessOrEqual,
    /// The value in the data is the greater.
    Greater,
    /// The value in the data is the greater, or they are equal.
    GreaterOrEqual,
}

impl From<Node> for Spec {
    fn from(node: Node) -> Self {
        Self { node }
    }
}

fn fields<F: AsRef<str>>(fields: impl IntoIterator<Item = F>) -> BTreeSet<Field> {
    fields.into_iter().map(|f| Field::new(f.as_ref())).collect()
}

impl Spec {
    /// Every conflict.
    #[must_use]
    pub const fn always() -> Self {
        Self { node: Node::Always }
    }

    /// Some event that the sides do not share has this type.
    #[must_use]
    pub fn event_type(event_type: EventType) -> Self {
        Self::event_types([event_type])
    }

    /// Some event that the sides do not share has one of these types.
    #[must_use]
    pub fn event_types(event_types: impl IntoIterator<Item = EventType>) -> Self {
        Node::EventTypes(event_types.into_iter().collect()).into()
    }

    /// The whole id of the aggregate matches a glob: `*` stands for any run of characters, `?` for one, `[abc]`, `[a-z]` and
    /// `[!a]` for one of or not of a set; `\` takes the next character as it is. Matching takes time linear in the id.
    ///
    /// # Errors
    /// [`SpecError`] if the glob is malformed or longer than 1,000 bytes.
    pub fn aggregate_glob(pattern: impl Into<String>) -> Result<Self, SpecError> {
        Ok(Node::AggregateGlob(Glob::new(pattern.into())?).into())
    }

    /// A regular expression finds a match in the aggregate's id; `^` and `$` anchor it. Its syntax is that of the crate
    /// `regex-lite`, and matching takes time linear in the id.
    ///
    /// # Errors
    /// [`SpecError`] if the expression is malformed, longer than 1,000 bytes, or takes over 64 KiB once compiled.
    pub fn aggregate_regex(pattern: impl Into<String>) -> Result<Self, SpecError> {
        Ok(Node::AggregateRegex(Pattern::new(pattern.into())?).into())
    }

    /// The aggregate is one of these.
    #[must_use]
    pub fn aggregates(aggregates: impl IntoIterator<Item = AggregateId>) -> Self {
        Node::Aggregates(aggregates.into_iter().collect()).into()
    }

    /// A field changed, or something below or above it did.
    ///
    /// A field is a JSON pointer, such as `/address/city`, or the name of a top-level field, such as `status`. The empty
    /// text is the pointer to the whole. See [`Conflict::changed_fields`].
    #[must_use]
    pub fn field_changed(field: impl AsRef<str>) -> Self {
        Self::any_field_in([field])
    }

    /// One of these fields changed, or something below or above one did. Fields are as in
    /// [`field_changed`](Self::field_changed).
    #[must_use]
    pub fn any_field_in<F: AsRef<str>>(names: impl IntoIterator<Item = F>) -> Self {
        Node::AnyFieldIn(fields(names)).into()
    }

    /// Something changed, and all that did is one of these fields or below one. Fields are as in
    /// [`field_changed`](Self::field_changed).
    #[must_use]
    pub fn all_fields_in<F: AsRef<str>>(names: impl IntoIterator<Item = F>) -> Self {
        Node::AllFieldsIn(fields(names)).into()
    }

    /// Some event that the sides do not share has this metadata. Numbers are compared by value, so that 1 equals 1.0, in
    /// arrays and objects too.
    #[must_use]
    pub fn metadata_eq(key: impl Into<String>, value: Value) -> Self {
        Node::MetadataEq(MetadataEq { key: key.into(), value }).into()
    }

    /// Some event that the sides do not share has metadata under this key, be it null.
    #[must_use]
    pub fn has_metadata(key: impl Into<String>) -> Self {
        Node::HasMetadata(key.into()).into()
    }

    /// Some event that the sides do not share was written by one of these nodes. Events that an earlier decision brought
    /// along were written by none.
    #[must_use]
    pub fn origins(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        Node::Origins(nodes.into_iter().collect()).into()
    }

    /// The sides hang together like this.
    #[must_use]
    pub const fn relation(relation: Relation) -> Self {
        Self { node: Node::Relation(relation) }
    }

    /// The newest event of some side has something at this place of its data, be it null. The place is a JSON pointer or
    /// the name of a top-level field; data of other codecs than JSON, or nested over 127 deep, is not looked into.
    #[must_use]
    pub fn data_exists(pointer: impl AsRef<str>) -> Self {
        Node::DataExists(Field::new(pointer.as_ref())).into()
    }

    /// The newest event of some side has this value at this place of its data. Places are as in
    /// [`data_exists`](Self::data_exists), equality as in [`metadata_eq`](Self::metadata_eq).
    #[must_use]
    pub fn data_equals(pointer: impl AsRef<str>, value: Value) -> Self {
        Node::DataEquals(DataEquals { pointer: Field::new(pointer.as_ref()), value }).into()
    }

    /// The newest event of some side has a value at this place of its data that compares like this with `value`. Numbers
    /// compare exactly, strings bytewise; nothing else compares. Places are as in [`data_exists`](Self::data_exists).
    #[must_use]
    pub fn data_compares(pointer: impl AsRef<str>, comparison: Comparison, value: Value) -> Self {
        Node::DataCompares(DataCompares { pointer: Field::new(pointer.as_ref()), comparison, value }).into()
    }

    /// A test in code. It cannot be written with serde. It must depend on the conflict alone, or replicas decide differently;
    /// if it panics, so do [`matches`](Self::matches) and [`explain`](Self::explain).
    #[must_use]
    pub fn custom(name: impl Into<String>, test: impl Fn(&Conflict) -> bool + Send + Sync + 'static) -> Self {
        Node::Custom(Custom { name: name.into(), test: Arc::new(test) }).into()
    }

    /// All of these hold. No specs at all match every conflict.
    #[must_use]
    pub fn all(specs: impl IntoIterator<Item = Self>) -> Self {
        Node::All(specs.into_iter().collect()).into()
    }

    /// At least one of these holds. No specs at all match no conflict.
    #[must_use]
    pub fn any(specs: impl IntoIterator<Item = Self>) -> Self {
        Node::Any(specs.into_iter().collect()).into()
    }

    /// This and the other hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut parts = match self.node {
            Node::All(parts) => parts,
            node => vec![node.into()],
        };
        parts.push(other);
        Self::all(parts)
    }

    /// This or the other holds, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut parts = match self.node {
            Node::Any(parts) => parts,
            node => vec![node.into()],
        };
        parts.push(other);
        Self::any(parts)
    }

    /// This does not hold. Twice is as not at all.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the trait is implemented, too")]
    pub fn not(self) -> Self {
        match self.node {
            Node::Not(inner) => *inner,
            node => Node::Not(Box::new(node.into())).into(),
        }
    }

    /// How much of a conflict must be read for this to be judged.
    #[must_use]
    pub fn reads(&self) -> Reads {
        match &self.node {
            Node::Always
            | Node::AggregateGlob(_)
            | Node::AggregateRegex(_)
            | Node::Aggregates(_)
            | Node::Relation(_) => Reads::Outline,
            Node::EventTypes(_)
            | Node::MetadataEq(_)
            | Node::HasMetadata(_)
            | Node::Origins(_)
            | Node::DataExists(_)
            | Node::DataEquals(_)
            | Node::DataCompares(_) => Reads::Sides,
            Node::AnyFieldIn(_) | Node::AllFieldsIn(_) | Node::Custom(_) => Reads::Everything,
            Node::All(parts) | Node::Any(parts) => {
                parts.iter().map(Self::reads).max().unwrap_or(Reads::Outline)
            }
            Node::Not(inner) => inner.reads(),
        }
    }

    /// The types of which an event that the sides do not share must have one for this to match; none if it can match without.
    /// An empty set means that it never matches. Rules can be indexed by it.
    #[must_use]
    pub fn event_types_needed(&self) -> Option<BTreeSet<EventType>> {
        match &self.node {
            Node::EventTypes(types) => Some(types.clone()),
            Node::All(parts) => parts.iter().filter_map(Self::event_types_needed).min_by_key(BTreeSet::len),
            Node::Any(parts) => parts.iter().try_fold(BTreeSet::new(), |mut types, part| {
                types.append(&mut part.event_types_needed()?);
                Some(types)
            }),
            _ => None,
        }
    }
}

impl ops::Not for Spec {
    type Output = Self;

    fn not(self) -> Self {
        Self::not(self)
    }
}
