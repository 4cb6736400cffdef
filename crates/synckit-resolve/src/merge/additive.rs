//! Additive merge.

use std::collections::BTreeMap;

use async_trait::async_trait;
use synckit_core::Error;

use super::{Kind, Policy, result, text};
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Resolution, ResolveError},
};

/// Merges documents so that what every side added counts: declared sets are united, counters summed and lists merged by
/// key. Every other field is what the newest event that names it says, arrays included.
///
/// Of a declared field, each event counts with what it changed against what its author saw:
///
/// * a set has the elements that some side has; one that a side took out is gone, unless another side adds it later. It is
///   sorted, numbers by size and before all else, the rest by text.
/// * a counter is the sum of all changes: exact for whole numbers, in canonical order for others. A sum beyond what JSON
///   readers take (64 bits) goes to a person.
/// * a list has the elements that some side has, by their keys; each is merged field by field by last write, and one that a
///   side took out is gone, unless another side changes it later. It is sorted by key. An array whose elements are not all
///   objects with a key of their own is one value.
///
/// For sets, lists and all other fields the merged document does not depend on the order of the sides, on a side that comes
/// twice, or on the stages in which the conflict is decided. The same holds of counters as long as all merges of the
/// aggregate are by this strategy with the same declarations: an event's change to a counter is against the sum that its
/// author saw. Where some data is not a JSON object, a person decides.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdditiveMerge {
    policy: Policy,
}

impl Default for AdditiveMerge {
    fn default() -> Self {
        Self::new()
    }
}

impl AdditiveMerge {
    /// The strategy without declared fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { policy: Policy { restates: true, kinds: BTreeMap::new() } }
    }

    /// Declares a field whose array is a set. `status` means `/status`, as in all declarations.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if it is not a JSON pointer to a field, or if it, a field
    /// above or one below is declared otherwise.
    pub fn set(self, field: &str) -> synckit_core::Result<Self> {
        self.declare(field, Kind::Set)
    }

    /// Declares a field whose number is a counter.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn counter(self, field: &str) -> synckit_core::Result<Self> {
        self.declare(field, Kind::Counter)
    }

    /// Declares a field whose array holds objects that are told apart by what is in their field `key`.
    ///
    /// # Errors
    /// As [`set`](Self::set), and if the key has no name.
    pub fn list(self, field: &str, key: &str) -> synckit_core::Result<Self> {
        let key = key.strip_prefix('/').unwrap_or(key);
        if key.is_empty() {
            return Err(Error::invalid("declare a field", format!("the list {field:?} has no key")));
        }
        self.declare(field, Kind::List { key: key.to_owned() })
    }

    fn declare(mut self, field: &str, kind: Kind) -> synckit_core::Result<Self> {
        let at = text::pointer(field)?;
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let rival = self.policy.kinds.iter().find(|(other, declared)| {
            below(&at, other) || below(other, &at) || (**other == at && **declared != kind)
        });
        if let Some((other, _)) = rival {
            return Err(Error::invalid("declare a field", format!("{at} is at odds with {other}")));
        }
        self.policy.kinds.insert(at, kind);
        Ok(self)
    }
}

#[async_trait]
impl ConflictResolver for AdditiveMerge {
    fn name(&self) -> &str {
        "additive_merge"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        result::merge(conflict, self.name(), &self.policy)
    }
}
