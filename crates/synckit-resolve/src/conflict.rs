//! What a resolver sees.

use synckit_core::{
    AggregateId, ConflictId, Event, Stamp,
    graph::{ConflictOutline, SideOutline},
};

use crate::changed;

/// A conflict between branches of one aggregate's history.
#[derive(Debug, Clone)]
pub struct Conflict {
    outline: ConflictOutline,
    sides: Vec<Side>,
    common: Vec<Event>,
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
    pub const fn new(outline: ConflictOutline, sides: Vec<Side>, common: Vec<Event>) -> Self {
        Self { outline, sides, common }
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

    /// The events of the shared view, oldest first, if the resolver reads them.
    #[must_use]
    pub fn common(&self) -> &[Event] {
        &self.common
    }

    /// The JSON pointers at which the newest events of the sides differ, sorted. Empty unless the resolver reads the sides'
    /// events; data of other codecs is not looked into.
    #[must_use]
    pub fn changed_fields(&self) -> Vec<String> {
        let newest = self.sides.iter().filter_map(|s| s.events.last()).filter_map(|(e, _)| e.data.as_json());
        changed::fields(newest)
    }
}
