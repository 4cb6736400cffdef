//! Field-wise last write.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Policy, result};
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Resolution, ResolveError},
};

/// Merges documents field by field: each field is what the newest event that names it says.
///
/// An event counts as a write of every field of its data, changed or not. If events state whole documents, use
/// [`ThreeWayMerge`](crate::ThreeWayMerge), or the newest one takes all.
///
/// The merged document does not depend on the order of the sides, on a side that comes twice, or on the stages in which the
/// conflict is decided. Where some data is not a JSON object, a person decides.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct FieldwiseLastWrite;

impl FieldwiseLastWrite {
    /// The strategy.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl ConflictResolver for FieldwiseLastWrite {
    fn name(&self) -> &str {
        "fieldwise_last_write_wins"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        result::merge(conflict, self.name(), &Policy { restates: true, kinds: BTreeMap::new() })
    }
}
