//! Where sides changed one field apart, to different values.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    history::History,
    paths::Place,
    replay::Replay,
    state::{Rank, Said},
};

/// A side's last write to a place.
struct LastWrite<'c> {
    side: usize,
    rank: Rank,
    said: Said<'c>,
}

/// The JSON pointers of the fields that two sides changed to different values, sorted, when neither saw what the other
/// wrote. A side that replaced a whole object has changed what another wrote within it.
pub(super) fn overlaps(history: &History<'_>, replay: &Replay<'_>) -> Vec<String> {
    let (paths, shared) = (replay.paths(), history.shared());
    let sides: Vec<Vec<bool>> = history.each_side().collect();
    let mut changes: BTreeMap<Place, Vec<LastWrite<'_>>> = BTreeMap::new();
    for (side, counts) in sides.iter().enumerate() {
        let state = replay.state(counts);
        for at in 0..paths.len() {
            let Some((rank, said)) = state.said(at).filter(|(rank, _)| !shared[rank - 1]) else { continue };
            if state.visible(paths, at).is_some() {
                changes.entry(at).or_default().push(LastWrite { side, rank, said });
            }
        }
    }
    let unseen =
        |a: &LastWrite<'_>, b: &LastWrite<'_>| !sides[b.side][a.rank - 1] && !sides[a.side][b.rank - 1];
    let mut found = BTreeSet::new();
    for (at, writes) in &changes {
        let differ = |a: &LastWrite<'_>| writes.iter().any(|b| a.said != b.said && unseen(a, b));
        if writes.iter().any(differ) {
            found.insert(paths.pointer(*at));
        }
        let mut within = *at;
        while within != paths.within(within) {
            within = paths.within(within);
            let above = changes.get(&within).map(Vec::as_slice).unwrap_or_default();
            if above.iter().any(|a| writes.iter().any(|b| unseen(a, b))) {
                found.insert(paths.pointer(within));
            }
        }
    }
    found.into_iter().collect()
}
