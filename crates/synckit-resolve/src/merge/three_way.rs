//! Three-way merge.

use async_trait::async_trait;

use super::{Policy, history::History, overlap::overlaps, replay::Replay, result};
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Resolution, ResolveError},
};

/// Merges documents by what each side changed: a field that one side changed is what that side says, and of changes to one
/// field the last one counts.
///
/// An event counts as a write of the fields that differ from what its author saw, so events may state whole documents.
///
/// The merged document does not depend on the order of the sides, on a side that comes twice, or on the stages in which the
/// conflict is decided. With [`review_overlaps`](Self::review_overlaps) the same holds of the document, but whether a person
/// is asked may depend on the stages: a person who is asked at one of them has decided that part. Where some data is not a
/// JSON object, a person decides.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ThreeWayMerge {
    review_overlaps: bool,
}

impl ThreeWayMerge {
    /// The strategy, with the last write where two sides changed one field.
    #[must_use]
    pub const fn new() -> Self {
        Self { review_overlaps: false }
    }

    /// Whether a person decides if two sides changed one field to different values, neither knowing of the other.
    #[must_use]
    pub const fn review_overlaps(mut self, review: bool) -> Self {
        self.review_overlaps = review;
        self
    }
}

#[async_trait]
impl ConflictResolver for ThreeWayMerge {
    fn name(&self) -> &str {
        "three_way_merge"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let policy = Policy::default();
        if !self.review_overlaps {
            return result::merge(conflict, self.name(), &policy);
        }
        let history = match History::read(conflict) {
            Ok(history) => history,
            Err(none) => return Ok(Resolution::review(none.reason())),
        };
        let replay = Replay::of(&history, &policy);
        let overlaps = overlaps(&history, &replay);
        if overlaps.is_empty() {
            return result::finish(conflict, self.name(), &policy, &history, &replay);
        }
        let fields = result::named(overlaps.iter().map(String::as_str));
        Ok(Resolution::review(format!("several sides changed {fields}")))
    }
}
