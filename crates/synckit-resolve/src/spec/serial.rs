//! How specs are written and read.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap},
};
use synckit_core::EventType;

use super::{Node, Spec};

/// JSON takes two levels for each, and its reader stops at 128.
const MAX_DEPTH: usize = 32;

fn too_deep() -> String {
    format!("the spec is nested more than {MAX_DEPTH} deep")
}

const ALWAYS: &str = "always";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tag {
    EventType,
    EventTypes,
    AggregateGlob,
    AggregateRegex,
    Aggregates,
    FieldChanged,
    AnyFieldIn,
    AllFieldsIn,
    MetadataEq,
    HasMetadata,
    Origins,
    Relation,
    DataExists,
    DataEquals,
    DataCompares,
    All,
    Any,
    Not,
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { spec: self, depth: 1 }.serialize(serializer)
    }
}

struct Written<'a> {
    spec: &'a Spec,
    depth: usize,
}

struct WrittenList<'a> {
    specs: &'a [Spec],
    depth: usize,
}

impl Serialize for WrittenList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.specs.iter().map(|spec| Written { spec, depth: self.depth }))
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth > MAX_DEPTH {
            return Err(ser::Error::custom(too_deep()));
        }
        let depth = self.depth + 1;
        match &self.spec.node {
            Node::Always => serializer.serialize_str(ALWAYS),
            Node::EventTypes(types) => tagged(serializer, "event_types", types),
            Node::AggregateGlob(glob) => tagged(serializer, "aggregate_glob", glob.as_str()),
            Node::AggregateRegex(regex) => tagged(serializer, "aggregate_regex", regex.as_str()),
            Node::Aggregates(ids) => tagged(serializer, "aggregates", ids),
            Node::AnyFieldIn(fields) => tagged(serializer, "any_field_in", fields),
            Node::AllFieldsIn(fields) => tagged(serializer, "all_fields_in", fields),
            Node::MetadataEq(wanted) => tagged(serializer, "metadata_eq", wanted),
            Node::HasMetadata(key) => tagged(serializer, "has_metadata", key),
            Node::Origins(nodes) => tagged(serializer, "origins", nodes),
            Node::Relation(relation) => tagged(serializer, "relation", relation),
            Node::DataExists(place) => tagged(serializer, "data_exists", place),
            Node::DataEquals(wanted) => tagged(serializer, "data_equals", wanted),
            Node::DataCompares(wanted) => tagged(serializer, "data_compares", wanted),
            Node::Custom(custom) => Err(ser::Error::custom(format!(
                "the custom spec {:?} is code, which cannot be written",
                custom.name
            ))),
            Node::All(specs) => tagged(serializer, "all", &WrittenList { specs, depth }),
            Node::Any(specs) => tagged(serializer, "any", &WrittenList { specs, depth }),
            Node::Not(spec) => tagged(serializer, "not", &Written { spec, depth }),
        }
    }
}

fn tagged<S: Serializer>(
    serializer: S,
    tag: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read { depth: 1 }.deserialize(deserializer)
    }
}

#[derive(Clone, Copy)]
struct Read {
    depth: usize,
}

struct ReadList(Read);

impl<'de> DeserializeSeed<'de> for Read {
    type Value = Spec;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spec, D::Error> {
        if self.depth > MAX_DEPTH {
            return Err(de::Error::custom(too_deep()));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read {
    type Value = Spec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"always\" or a map with one entry, such as {\"event_types\": [...]}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Spec, E> {
        if text == ALWAYS {
            Ok(Spec::always())
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spec, A::Error> {
        let Some(tag) = map.next_key::<Tag>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let inner = Self { depth: self.depth + 1 };
        let node = match tag {
            Tag::EventType => Node::EventTypes([map.next_value::<EventType>()?].into()),
            Tag::EventTypes => Node::EventTypes(map.next_value()?),
            Tag::AggregateGlob => Node::AggregateGlob(map.next_value()?),
            Tag::AggregateRegex => Node::AggregateRegex(map.next_value()?),
            Tag::Aggregates => Node::Aggregates(map.next_value()?),
            Tag::FieldChanged => Node::AnyFieldIn([map.next_value()?].into()),
            Tag::AnyFieldIn => Node::AnyFieldIn(map.next_value()?),
            Tag::AllFieldsIn => Node::AllFieldsIn(map.next_value()?),
            Tag::MetadataEq => Node::MetadataEq(map.next_value()?),
            Tag::HasMetadata => Node::HasMetadata(map.next_value()?),
            Tag::Origins => Node::Origins(map.next_value()?),
            Tag::Relation => Node::Relation(map.next_value()?),
            Tag::DataExists => Node::DataExists(map.next_value()?),
            Tag::DataEquals => Node::DataEquals(map.next_value()?),
            Tag::DataCompares => Node::DataCompares(map.next_value()?),
            Tag::All => Node::All(map.next_value_seed(ReadList(inner))?),
            Tag::Any => Node::Any(map.next_value_seed(ReadList(inner))?),
            Tag::Not => Node::Not(Box::new(map.next_value_seed(inner)?)),
        };
        match map.next_key::<String>()? {
            None => Ok(node.into()),
            Some(other) => Err(de::Error::custom(format!(
                "a spec has one entry, but {other:?} follows; put several into \"all\" or \"any\""
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ReadList {
    type Value = Vec<Spec>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Spec>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ReadList {
    type Value = Vec<Spec>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of specs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Spec>, A::Error> {
        let mut specs = Vec::new();
        while let Some(spec) = seq.next_element_seed(self.0)? {
            specs.push(spec);
        }
        Ok(specs)
    }
}
