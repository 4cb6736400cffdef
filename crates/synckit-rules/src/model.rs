//! What a rule file says, as it stands there.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::located::Located;

/// Free notes of whoever wrote the file.
pub type Notes = BTreeMap<String, Value>;

/// A rule file. Lists mean "any of", and several kinds of conditions mean "all of".
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleFile {
    /// The version of the schema: `1`, or `1.` and a number.
    pub version: Located<String>,
    /// The name of the rules.
    pub name: Located<String>,
    /// What they are for.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<String>,
    /// Notes.
    #[serde(default)]
    pub metadata: Notes,
    /// What is for all of them.
    #[serde(default)]
    pub settings: Settings,
    /// Groups, in the order in which they are asked.
    #[serde(default)]
    pub groups: Vec<Located<GroupEntry>>,
    /// Rules outside of groups; they are asked before groups.
    #[serde(default)]
    pub rules: Vec<Located<RuleEntry>>,
}

/// What is for all rules of a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Who decides what no rule is for; a person, unless given.
    #[serde(default, deserialize_with = "given")]
    pub default_fallback: Option<Located<ResolutionEntry>>,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How many of something there may be.
    #[serde(default)]
    pub limits: LimitsEntry,
    /// Features that rules and groups may depend on, and custom matchers and strategies may ask for.
    #[serde(default)]
    pub features: BTreeMap<String, bool>,
    /// Values for custom matchers and strategies.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// How long things may take.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Timeouts {
    /// The longest that deciding a conflict may take, in milliseconds; then a person decides.
    #[serde(default, deserialize_with = "given")]
    pub resolution_timeout_ms: Option<Located<u64>>,
    /// After so many milliseconds, a review that nobody answered is overdue.
    #[serde(default, deserialize_with = "given")]
    pub manual_review_timeout_ms: Option<Located<u64>>,
}

/// How many of something there may be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsEntry {
    /// The most conflicts that are decided together.
    #[serde(default, deserialize_with = "given")]
    pub max_conflicts_per_batch: Option<Located<usize>>,
    /// The most rules of its own that a group may have.
    #[serde(default, deserialize_with = "given")]
    pub max_rules_per_group: Option<Located<usize>>,
}

/// A group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupEntry {
    /// Its name, which no other group beside it has.
    pub name: Located<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<String>,
    /// Whether it takes part from the beginning.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// A feature without which it takes no part.
    #[serde(default, deserialize_with = "given")]
    pub feature: Option<Located<String>>,
    /// Who decides what no rule is for.
    #[serde(default, deserialize_with = "given")]
    pub fallback: Option<Located<ResolutionEntry>>,
    /// Whether its fallback decides before later groups are asked.
    #[serde(default)]
    pub final_fallback: bool,
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<Located<RuleEntry>>,
    /// Groups within it.
    #[serde(default)]
    pub subgroups: Vec<Located<Self>>,
    /// Notes.
    #[serde(default)]
    pub metadata: Notes,
}

/// A rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleEntry {
    /// Its name, which no other rule beside it has.
    pub name: Located<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<String>,
    /// Whether it takes part.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// A feature without which it takes no part.
    #[serde(default, deserialize_with = "given")]
    pub feature: Option<Located<String>>,
    /// Rules of a higher priority are asked first.
    #[serde(default)]
    pub priority: i32,
    /// Which conflicts it is for.
    pub conditions: Located<Conditions>,
    /// Who decides them.
    pub resolution: Located<ResolutionEntry>,
    /// Notes.
    #[serde(default)]
    pub metadata: Notes,
}

/// Which conflicts a rule is for: those for which all that is given holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Conditions {
    /// Every conflict; must be true and stand alone.
    #[serde(default, deserialize_with = "given")]
    pub always: Option<Located<bool>>,
    /// One of the events that the sides do not share has one of these types.
    #[serde(default, deserialize_with = "given")]
    pub event_types: Option<Located<Vec<Located<String>>>>,
    /// The aggregate's id is like one of these globs: `*`, `?` and `[…]`.
    #[serde(default, deserialize_with = "given")]
    pub aggregate_ids: Option<Located<Vec<Located<String>>>>,
    /// One of these regular expressions is found in the aggregate's id.
    #[serde(default, deserialize_with = "given")]
    pub aggregate_regex: Option<Located<Vec<Located<String>>>>,
    /// One of these fields changed.
    #[serde(default, deserialize_with = "given")]
    pub fields: Option<Located<Vec<Located<String>>>>,
    /// Nothing but these fields changed.
    #[serde(default, deserialize_with = "given")]
    pub only_fields: Option<Located<Vec<Located<String>>>>,
    /// For each key: one of the events has one of these values in its metadata.
    #[serde(default, deserialize_with = "given")]
    pub metadata: Option<Located<BTreeMap<String, Values>>>,
    /// One of the events has one of these keys in its metadata.
    #[serde(default, deserialize_with = "given")]
    pub has_metadata: Option<Located<Vec<Located<String>>>>,
    /// One of the events was written by one of these nodes.
    #[serde(default, deserialize_with = "given")]
    pub origins: Option<Located<Vec<Located<String>>>>,
    /// Whether the sides have events in common.
    #[serde(default, deserialize_with = "given")]
    pub relation: Option<Located<String>>,
    /// What the newest event of some side says, each for itself.
    #[serde(default, deserialize_with = "given")]
    pub data: Option<Located<Vec<Located<DataTest>>>>,
    /// Matchers that a program registered, by name, with what they are told.
    #[serde(default, deserialize_with = "given")]
    pub custom_match: Option<Located<BTreeMap<String, Located<Value>>>>,
    /// One of these holds.
    #[serde(default, deserialize_with = "given")]
    pub any_of: Option<Located<Vec<Located<Self>>>>,
    /// Each of these holds.
    #[serde(default, deserialize_with = "given")]
    pub all_of: Option<Located<Vec<Located<Self>>>>,
    /// This does not hold.
    #[serde(default, deserialize_with = "given")]
    pub not: Option<Box<Located<Self>>>,
}

/// A value, or a list of which one is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Values(pub Vec<Value>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Array(values) => values,
            value => vec![value],
        }))
    }
}

/// A test of a field; exactly one kind of test is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DataTest {
    /// The field: a JSON pointer, or the name of a top-level field.
    pub field: Located<String>,
    /// Whether it is there.
    #[serde(default, deserialize_with = "given")]
    pub exists: Option<bool>,
    /// What it is.
    #[serde(default, deserialize_with = "given")]
    pub equals: Option<Value>,
    /// What it is less than.
    #[serde(default, deserialize_with = "given")]
    pub less_than: Option<Value>,
    /// What it is at most.
    #[serde(default, deserialize_with = "given")]
    pub at_most: Option<Value>,
    /// What it is greater than.
    #[serde(default, deserialize_with = "given")]
    pub greater_than: Option<Value>,
    /// What it is at least.
    #[serde(default, deserialize_with = "given")]
    pub at_least: Option<Value>,
}

/// Who decides: the name of a strategy, or that with its options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResolutionEntry {
    /// The strategy.
    pub strategy: Located<String>,
    /// Its options.
    pub options: BTreeMap<String, Located<Value>>,
}

impl<'de> Deserialize<'de> for ResolutionEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            strategy: Located<String>,
            #[serde(default)]
            options: BTreeMap<String, Located<Value>>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ResolutionEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a strategy, or a map with strategy and options")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(ResolutionEntry { strategy: Located::anywhere(name.to_owned()), options: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let whole = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ResolutionEntry { strategy: whole.strategy, options: whole.options })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

const fn yes() -> bool {
    true
}

/// What stands behind a key, also if that is nothing: a key without a value is a mistake, unless nothing is a value.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
