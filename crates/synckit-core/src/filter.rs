//! Filters: which events a node wants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    hash::Hash,
    ids::{AggregateId, EventType, NodeId},
    stamp::Stamp,
};

/// Which events are wanted. Lists mean "any of", kinds mean "all of"; an empty filter wants everything.
///
/// The kit's own events pass whenever their aggregate does. A filter by type, origin or metadata cuts through aggregates:
/// what it leaves out of an aggregate arrives as stubs, so that causality stays whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Filter {
    /// Event types wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventType>,
    /// Aggregates wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<AggregateId>,
    /// Origins wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<NodeId>,
    /// Metadata wanted: names and the string values they must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Filter {
    /// The filter that wants everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Wants this aggregate, beside those already named.
    #[must_use]
    pub fn with_aggregate(mut self, aggregate: AggregateId) -> Self {
        self.aggregates.push(aggregate);
        self
    }

    /// Wants this event type, beside those already named.
    #[must_use]
    pub fn with_type(mut self, event_type: EventType) -> Self {
        self.types.push(event_type);
        self
    }

    /// Wants this origin, beside those already named.
    #[must_use]
    pub fn with_origin(mut self, origin: NodeId) -> Self {
        self.origins.push(origin);
        self
    }

    /// Wants only events whose metadata has this string under this name.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Whether everything is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.aggregates.is_empty() && !self.cuts_aggregates()
    }

    /// Whether an aggregate may be wanted in part only.
    #[must_use]
    pub fn cuts_aggregates(&self) -> bool {
        !(self.types.is_empty() && self.origins.is_empty() && self.metadata.is_empty())
    }

    /// Whether anything of this aggregate is wanted.
    #[must_use]
    pub fn wants_aggregate(&self, aggregate: &AggregateId) -> bool {
        self.aggregates.is_empty() || self.aggregates.contains(aggregate)
    }

    /// Whether the event is wanted whole.
    #[must_use]
    pub fn wants(&self, event: &Event, stamp: &Stamp) -> bool {
        if !self.wants_aggregate(&event.aggregate_id) {
            return false;
        }
        if event.event_type.is_reserved() {
            return true;
        }
        (self.types.is_empty() || self.types.contains(&event.event_type))
            && (self.origins.is_empty() || self.origins.contains(&stamp.origin))
            && self.metadata.iter().all(|(name, value)| event.metadata.get_str(name).as_ref() == Some(value))
    }

    /// A hash of the filter; a checkpoint made under another filter starts a backfill.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        let mut sorted = self.clone();
        sorted.types.sort_unstable();
        sorted.aggregates.sort_unstable();
        sorted.origins.sort_unstable();
        Hash::of(serde_json::to_string(&sorted).unwrap_or_default().as_bytes())
    }
}
