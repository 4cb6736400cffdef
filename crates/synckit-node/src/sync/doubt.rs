//! What cursors over counters do not tell.
//!
//! Copies of one node may have used a counter for different events: that both sides cover a counter is no sign yet that
//! they hold the same under it. The hashes of the cursors tell, wherever this node covers all that the peer covers of an
//! origin, and does not cover much more. Where they do not tell, or tell that the two differ, the origin is *in doubt*, and
//! what is new of it is exchanged by positions, whatever the cursors cover.

use synckit_core::{NodeId, Result, VectorCursor, limits::MAX_DOUBTED_COUNTERS};

use super::Run;

impl Run<'_> {
    /// The origins in doubt.
    pub(super) async fn doubted(&self, ours: &VectorCursor, theirs: &VectorCursor) -> Result<Vec<NodeId>> {
        let mut doubted = Vec::new();
        for doubt in ours.doubts(theirs) {
            let few = doubt.ranges.filter(|ranges| {
                let counters = ranges.iter().fold(0_u64, |sum, (from, to)| sum.saturating_add(to - from + 1));
                counters <= MAX_DOUBTED_COUNTERS
            });
            let same = match few {
                None => false,
                Some(ranges) if ranges.is_empty() => doubt.difference == 0,
                Some(ranges) => {
                    let ranges: Vec<_> =
                        ranges.into_iter().map(|(from, to)| (doubt.origin, from, to)).collect();
                    let beyond = self.node.store.mixed(&ranges).await?;
                    beyond.into_iter().fold(0, |sum, hash| sum ^ hash) == doubt.difference
                }
            };
            if !same {
                doubted.push(doubt.origin);
            }
        }
        Ok(doubted)
    }
}
