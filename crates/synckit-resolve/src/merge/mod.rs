//! Merges of documents.
//!
//! An event whose data is a JSON object says what those fields are after it: nested objects field by field, an array as one
//! value, null as a value like any other. What each event *writes* depends on its own past alone, and a merged document is
//! per place the last write of all events that count. It is thus a function of the set of events: the order of the sides
//! does not matter, a side that comes twice changes nothing, and a conflict decided in stages gives what it gives at once.

mod additive;
mod amount;
mod document;
mod exact;
mod fieldwise;
mod history;
mod overlap;
mod paths;
mod pick;
mod replay;
mod result;
mod state;
mod text;
mod three_way;
mod write;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use self::text::push_name;
pub use self::{
    additive::AdditiveMerge,
    fieldwise::FieldwiseLastWrite,
    pick::{Extreme, KeepBoth, Priority},
    three_way::ThreeWayMerge,
};
use self::{
    history::{History, NoDocument},
    replay::Replay,
};
use crate::conflict::Conflict;

/// The name in the metadata of an event that a merge brought along; its value is the name of the strategy.
const PRODUCT: &str = "synckit.merge";

/// How a declared field is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// An array of values, each at most once.
    Set,
    /// A number of which all changes count.
    Counter,
    /// An array of objects, each with a key of its own in this field.
    List { key: String },
}

/// What an event writes.
#[derive(Debug, Clone, Default)]
struct Policy {
    /// Whether it writes all that it says; otherwise, only what differs from what its author saw.
    restates: bool,
    /// The declared fields, by JSON pointer.
    kinds: BTreeMap<String, Kind>,
}

impl Policy {
    fn needs_past(&self) -> bool {
        !self.restates || !self.kinds.is_empty()
    }
}

/// The documents of a conflict, by three-way merge within each side.
pub(crate) struct Documents {
    /// What all sides share; without fields if they share nothing.
    pub(crate) common: Value,
    /// Those of the sides, in their order.
    pub(crate) sides: Vec<Value>,
}

impl Documents {
    /// The documents, or none if some data is not a JSON object.
    pub(crate) fn of(conflict: &Conflict) -> Result<Self, NoDocument> {
        let history = History::read(conflict)?;
        let replay = Replay::of(&history, &Policy::default());
        // Only declared counters overflow.
        let document = |counts: &[bool]| replay.document(counts).unwrap_or_default();
        Ok(Self {
            common: document(&history.shared()),
            sides: history.each_side().map(|side| document(&side)).collect(),
        })
    }
}
