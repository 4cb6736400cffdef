//! What a resolver sees.

use std::{collections::BTreeSet, sync::OnceLock};

use serde::Serialize;
use serde_json::Value;
use synckit_core::{
    AggregateId, ConflictId, Event, EventType, Stamp,
    graph::{ConflictOutline, SideOutline},
};

use crate::{changed::Changed, merge::Documents};

/// A conflict between branches of one aggregate's history.
#[derive(Debug, Clone)]
pub struct Conflict {
    outline: ConflictOutline,
    sides: Vec<Side>,
    common: Vec<(Event, Option<Stamp>)>,
    facts: Facts,
}

/// What is worked out once, when it is asked for.
#[derive(Debug, Clone, Default)]
struct Facts {
    event_types: OnceLock<BTreeSet<EventType>>,
    changed: OnceLock<Changed>,
}

/// One side of a conflict.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Side {
    /// Its head, and what its view has beyond the shared view, without data.
    pub outline: SideOutline,
    /// The same events with their data, oldest first, if the resolver reads them; see [`Reads`](crate::Reads). Events that
    /// an earlier decision brought along have no stamp.
    pub events: Vec<(Event, Option<Stamp>)>,
}

/// What the sides of a conflict say in a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldDifference {
    /// The field, a JSON pointer.
    pub field: String,
    /// What the shared view says; none if it does not name the field.
    pub common: Option<Value>,
    /// What each side says, in their order.
    pub sides: Vec<Option<Value>>,
}

impl Side {
    /// A side with its events.
    #[must_use]
    pub const fn new(outline: SideOutline, events: Vec<(Event, Option<Stamp>)>) -> Self {
        Self { outline, events }
    }
}

impl Conflict {
    /// A conflict with the events that the resolver reads.
    #[must_use]
    pub fn new(outline: ConflictOutline, sides: Vec<Side>, common: Vec<(Event, Option<Stamp>)>) -> Self {
        Self { outline, sides, common, facts: Facts::default() }
    }

    /// What identifies the conflict.
    #[must_use]
    pub const fn id(&self) -> &ConflictId {
        &self.outline.id
    }

    /// The aggregate.
    #[must_use]
    pub const fn aggregate(&self) -> &AggregateId {
        &self.outline.aggregate
    }

    /// The conflict without data.
    #[must_use]
    pub const fn outline(&self) -> &ConflictOutline {
        &self.outline
    }

    /// The sides, sorted by their heads.
    #[must_use]
    pub fn sides(&self) -> &[Side] {
        &self.sides
    }

    /// The events of the shared view, oldest first, if the resolver reads them. As on a [`Side`], those that an earlier
    /// decision brought along have no stamp.
    #[must_use]
    pub fn common(&self) -> &[(Event, Option<Stamp>)] {
        &self.common
    }

    /// The JSON pointers at which the documents of the sides differ, sorted: the fields that some side changed and of which
    /// not all sides say the same. Of an object that only some sides have, each field is named.
    ///
    /// A side's document is what its events say together, each of them of the fields in its data. If some event's data is
    /// not a JSON object, the newest events of the sides are compared instead, and of values that are not objects the
    /// pointer is empty; data of other codecs is passed over. Empty unless the resolver reads the sides' events.
    #[must_use]
    pub fn changed_fields(&self) -> &[String] {
        &self.changed().fields
    }

    /// Per side, in the order of [`sides`](Self::sides), the JSON pointers at which its document differs from that of the
    /// shared view, sorted: what the side changed. Every field of a side, if the sides share nothing or the resolver does
    /// not read what they share. Data that is not a JSON object is compared as for [`changed_fields`](Self::changed_fields).
    #[must_use]
    pub fn changes(&self) -> &[Vec<String>] {
        &self.changed().by_side
    }

    /// The fields at which the sides differ, with what each side and the shared view say there; for people. Empty if there
    /// are no documents to compare.
    #[must_use]
    pub fn differences(&self) -> Vec<FieldDifference> {
        let Ok(documents) = Documents::of(self) else { return Vec::new() };
        let at = |document: &Value, field: &str| document.pointer(field).cloned();
        let difference = |field: &String| FieldDifference {
            common: at(&documents.common, field),
            sides: documents.sides.iter().map(|side| at(side, field)).collect(),
            field: field.clone(),
        };
        self.changed_fields().iter().map(difference).collect()
    }

    fn changed(&self) -> &Changed {
        self.facts.changed.get_or_init(|| Changed::of(self))
    }

    /// The events that the sides do not share, side by side, each oldest first; one that several sides have comes with each.
    /// Empty unless the resolver reads the sides' events.
    pub fn unshared(&self) -> impl Iterator<Item = (&Event, Option<&Stamp>)> {
        self.sides.iter().flat_map(|s| &s.events).map(|(event, stamp)| (event, stamp.as_ref()))
    }

    /// The types of the events that the sides do not share. Empty unless the resolver reads the sides' events.
    #[must_use]
    pub fn event_types(&self) -> &BTreeSet<EventType> {
        self.facts.event_types.get_or_init(|| self.unshared().map(|(e, _)| e.event_type.clone()).collect())
    }
}
