//! Strategies that pick one side, or keep all as they are.

use std::cmp::{Ordering, Reverse};

use async_trait::async_trait;
use serde_json::Value;
use synckit_core::{CanonicalKey, NodeId, VertexId};

use super::{Documents, amount, text};
use crate::{
    conflict::{Conflict, Side},
    resolver::{ConflictResolver, Reads, Resolution, ResolveError},
};

/// All sides count: their events are united, and no document is merged.
///
/// The events that count do not depend on the order of the sides, on a side that comes twice, or on the stages in which the
/// conflict is decided.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepBoth;

/// The side whose newest event comes first in a list wins; one that is not in the list comes last, and the last write
/// decides between equals.
///
/// The same side wins in whatever order the sides come, and if the conflict is decided in stages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Priority {
    by: By,
}

#[derive(Debug, Clone)]
enum By {
    Origin(Vec<NodeId>),
    Metadata { name: String, values: Vec<String> },
}

/// The side with the greatest or the least value in a field of its document wins; the last write decides between equals.
///
/// Numbers compare by what they count, exactly, and strings bytewise. A number wins over a string, and both over all else
/// and over a field that is not there. The same side wins in whatever order the sides come, and if the conflict is decided
/// in stages. Where some data is not a JSON object, a person decides.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extreme {
    field: String,
    is_greatest: bool,
}

impl Priority {
    /// By the node that wrote the newest event.
    #[must_use]
    pub fn by_origin(first: impl IntoIterator<Item = NodeId>) -> Self {
        Self { by: By::Origin(first.into_iter().collect()) }
    }

    /// By a value in the metadata of the newest event: the text of a string, or the JSON text of another value.
    #[must_use]
    pub fn by_metadata<V: Into<String>>(name: impl Into<String>, first: impl IntoIterator<Item = V>) -> Self {
        Self { by: By::Metadata { name: name.into(), values: first.into_iter().map(Into::into).collect() } }
    }

    fn place(&self, side: &Side, conflict: &Conflict) -> Option<usize> {
        let newest = side.outline.newest.as_ref()?;
        match &self.by {
            By::Origin(first) => first.iter().position(|node| *node == newest.origin),
            By::Metadata { name, values } => {
                let mut events = side.events.iter().chain(conflict.common());
                let (event, _) = events.find(|(event, _)| event.id == newest.id)?;
                let value = event.metadata.get_str(name).or_else(|| event.metadata.get(name))?;
                values.iter().position(|v| *v == value)
            }
        }
    }
}

impl Extreme {
    /// The greatest value wins. `total` means `/total`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if it is not a JSON pointer to a field.
    pub fn maximum(field: &str) -> synckit_core::Result<Self> {
        Ok(Self { field: text::pointer(field)?, is_greatest: true })
    }

    /// The least value wins. `total` means `/total`.
    ///
    /// # Errors
    /// As [`maximum`](Self::maximum).
    pub fn minimum(field: &str) -> synckit_core::Result<Self> {
        Ok(Self { field: text::pointer(field)?, is_greatest: false })
    }

    fn compare(&self, left: Option<&Value>, right: Option<&Value>) -> Ordering {
        let class = |value: Option<&Value>| match value {
            Some(Value::Number(_)) => 2,
            Some(Value::String(_)) => 1,
            _ => 0,
        };
        let by_value = match (left, right) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => amount::compare(a, b),
            (Some(Value::String(a)), Some(Value::String(b))) => a.as_bytes().cmp(b.as_bytes()),
            _ => return class(left).cmp(&class(right)),
        };
        if self.is_greatest { by_value } else { by_value.reverse() }
    }
}

/// The last write, by the newest event of a side's view.
fn last_write(side: &Side) -> (Option<&CanonicalKey>, &VertexId) {
    (side.outline.newest.as_ref(), &side.outline.head)
}

fn won(side: Option<&Side>, why: String) -> Result<Resolution, ResolveError> {
    let side = side.ok_or_else(|| ResolveError::new("a conflict without sides"))?;
    Ok(Resolution::adopt([side.outline.head.clone()]).because(why))
}

#[async_trait]
impl ConflictResolver for KeepBoth {
    fn name(&self) -> &str {
        "keep_both"
    }

    fn reads(&self) -> Reads {
        Reads::Outline
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let heads = conflict.sides().iter().map(|s| s.outline.head.clone());
        Ok(Resolution::adopt(heads).because("the events of all sides count"))
    }
}

#[async_trait]
impl ConflictResolver for Priority {
    fn name(&self) -> &str {
        "priority"
    }

    fn reads(&self) -> Reads {
        match self.by {
            By::Origin(_) => Reads::Outline,
            By::Metadata { .. } => Reads::Everything,
        }
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let rank = |side: &Side| Reverse(self.place(side, conflict).unwrap_or(usize::MAX));
        let sides = conflict.sides().iter();
        let best = sides.max_by(|a, b| (rank(a), last_write(a)).cmp(&(rank(b), last_write(b))));
        let why = match &self.by {
            By::Origin(_) => "its newest event is from the node that comes first".to_owned(),
            By::Metadata { name, .. } => format!("the {name} of its newest event comes first"),
        };
        won(best, why)
    }
}

#[async_trait]
impl ConflictResolver for Extreme {
    fn name(&self) -> &str {
        if self.is_greatest { "maximum" } else { "minimum" }
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let documents = match Documents::of(conflict) {
            Ok(documents) => documents,
            Err(none) => return Ok(Resolution::review(none.reason())),
        };
        let sides = conflict.sides().iter().zip(documents.sides.iter().map(|d| d.pointer(&self.field)));
        let best = sides
            .max_by(|(a, x), (b, y)| self.compare(*x, *y).then_with(|| last_write(a).cmp(&last_write(b))));
        won(best.map(|(side, _)| side), format!("it has the {} of {}", self.name(), self.field))
    }
}
