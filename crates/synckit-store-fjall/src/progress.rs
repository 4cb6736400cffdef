//! How much of each origin's events the store holds: kept up to date by every write, so that asking costs nothing.

use std::collections::BTreeMap;

use synckit_core::{
    NodeId, Progress, Result, VectorCursor,
    plan::{KnownStamp, NewEntry},
};

use crate::{
    batch::Batch,
    keys::{self, Kind},
    rows::OriginRow,
    view::View,
};

/// A stamp that is held or known.
pub(crate) struct Stamped {
    pub(crate) counter: u64,
    share: u128,
    /// The position of its entry, if it has one.
    pub(crate) position: Option<u64>,
}

/// The stamps of an origin from one counter to another, both included.
pub(crate) fn stamps(
    view: &View<'_>,
    origin: NodeId,
    from: u64,
    to: u64,
) -> impl Iterator<Item = Result<Stamped>> {
    let (first, end) = (keys::counter(origin, from), keys::counter(origin, to.saturating_add(1)));
    // Counters never reach the largest number; ids are never empty.
    view.after(&view.tables.stamps, &first, Some(&end)).map(|row| {
        let (key, position) = row?;
        let (counter, _, share) = keys::shared_of(&key)?;
        let position = Some(keys::number(&position)?).filter(|p| *p > 0);
        Ok(Stamped { counter, share, position })
    })
}

/// A stamp that a write brings.
struct New<'a> {
    counter: u64,
    id: &'a str,
    share: u128,
    position: Option<u64>,
}

/// Records the stamps of new entries, and those that are known without one.
pub(crate) fn record(
    view: &View<'_>,
    batch: &mut Batch,
    entries: &[NewEntry],
    known: &[KnownStamp],
) -> Result<()> {
    let mut origins: BTreeMap<NodeId, Vec<New<'_>>> = BTreeMap::new();
    for e in entries {
        let (counter, id) = (e.stamp.counter, e.event.id.as_str());
        let new = New { counter, id, share: e.share, position: Some(e.position) };
        origins.entry(e.stamp.origin).or_default().push(new);
    }
    for k in known {
        let new = New { counter: k.counter, id: k.id.as_str(), share: k.share, position: None };
        origins.entry(k.origin).or_default().push(new);
    }
    for (origin, new) in origins {
        advance(view, batch, origin, &new)?;
    }
    Ok(())
}

/// Takes new stamps of an origin into its progress.
fn advance(view: &View<'_>, batch: &mut Batch, origin: NodeId, new: &[New<'_>]) -> Result<()> {
    let key = Kind::Origin.of(&origin.to_bytes());
    let row = view.get(&view.tables.small, &key)?;
    let mut progress = row.map(|row| OriginRow::decode(&row)).transpose()?.unwrap_or_default();
    let before = progress.counter;
    // Counters that only ascend are all new, and nothing comes twice.
    let ascending = new.first().is_some_and(|first| first.counter > before)
        && new.windows(2).all(|pair| matches!(pair, [a, b] if a.counter < b.counter));
    let mut put = |key: Vec<u8>, position: Option<u64>| {
        let position = keys::position(position.unwrap_or(0));
        batch.put(&view.tables.stamps, key, &position[..]);
    };
    if ascending {
        for stamp in new {
            progress.ids ^= stamp.share;
            put(keys::shared(origin, stamp.counter, stamp.id, stamp.share), stamp.position);
        }
        progress.held += new.len() as u64;
        progress.counter = new.last().map_or(before, |last| last.counter);
    } else {
        let mut brought: BTreeMap<u64, BTreeMap<(&str, u128), Option<u64>>> = BTreeMap::new();
        for stamp in new {
            let shares = brought.entry(stamp.counter).or_default();
            let position = shares.entry((stamp.id, stamp.share)).or_default();
            *position = stamp.position.or(*position);
        }
        for (counter, shares) in brought {
            let known = counter <= before;
            let held = known && view.has(&view.tables.stamps, &keys::counter(origin, counter))?;
            progress.held += u64::from(!held);
            progress.counter = progress.counter.max(counter);
            for ((id, share), position) in shares {
                let key = keys::shared(origin, counter, id, share);
                let before = if held { view.get(&view.tables.stamps, &key)? } else { None };
                if before.is_none() {
                    progress.ids ^= share;
                }
                if before.is_none() || position.is_some() {
                    put(key, position);
                }
            }
        }
    }
    batch.put_small(key, progress.encode());
    Ok(())
}

/// The hash over the ids under each range of counters.
pub(crate) fn mixed(view: &View<'_>, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
    let mixed = |(origin, from, to): &(NodeId, u64, u64)| {
        stamps(view, *origin, *from, *to).try_fold(0, |hash, stamp| Ok(hash ^ stamp?.share))
    };
    ranges.iter().map(mixed).collect()
}

/// All that the store holds.
pub(crate) fn vector(view: &View<'_>) -> Result<VectorCursor> {
    let mut origins = BTreeMap::new();
    for row in view.prefix(&view.tables.small, &Kind::Origin.alone()) {
        let (key, row) = row?;
        let origin = keys::origin_of(key.get(1..).unwrap_or_default())?;
        let row = OriginRow::decode(&row)?;
        let gaps = if row.held < row.counter { gaps(view, origin, row.counter)? } else { Vec::new() };
        let stubs = Progress::ranges(stubs(view, origin)?);
        origins.insert(origin, Progress { counter: row.counter, gaps, stubs, ids: row.ids });
    }
    VectorCursor::from_progress(origins)
}

fn gaps(view: &View<'_>, origin: NodeId, counter: u64) -> Result<Vec<(u64, u64)>> {
    let (mut gaps, mut next) = (Vec::new(), 1);
    for stamp in stamps(view, origin, 0, counter) {
        let held = stamp?.counter;
        if held > next {
            gaps.push((next, held - 1));
        }
        next = next.max(held.saturating_add(1));
    }
    Ok(gaps)
}

/// The key that says that a stub counts.
pub(crate) fn stub_key(origin: NodeId, counter: u64, id: &str) -> Vec<u8> {
    Kind::Stub.of(&keys::stamp(origin, counter, id))
}

/// The counters of an origin's stubs that count, in order.
fn stubs(view: &View<'_>, origin: NodeId) -> Result<Vec<u64>> {
    let mut counters = Vec::new();
    for row in view.prefix(&view.tables.small, &Kind::Stub.of(&origin.to_bytes())) {
        let (key, _) = row?;
        let (counter, id) = keys::stamp_of(key.get(1..).unwrap_or_default())?;
        if !is_withdrawn(view, origin, counter, id)? {
            counters.push(counter);
        }
    }
    Ok(counters)
}

fn is_withdrawn(view: &View<'_>, origin: NodeId, counter: u64, id: &str) -> Result<bool> {
    for row in view.prefix(&view.tables.small, &Kind::Withdrawn.under(id)) {
        let claim = crate::rows::decode_claim(&row?.1)?;
        if (claim.stamp.origin, claim.stamp.counter) == (origin, counter) {
            return Ok(true);
        }
    }
    Ok(false)
}
