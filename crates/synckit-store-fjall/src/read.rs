//! Reading what is known of the log.

use std::collections::BTreeSet;

use synckit_core::{
    AggregateId, ConflictId, EventId, Hash, Result,
    store::{Checkpoint, LogEntry, OpenConflict, ReviewRow, StoredDecision},
};

use crate::{
    engine::View,
    keys::{self, Kind},
    lookup,
    row::name,
    rows,
};

/// The rows of small things whose keys begin so.
pub(crate) fn rows<T>(view: &View<'_>, prefix: &[u8], decode: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
    view.prefix(&view.tables.small, prefix).map(|row| decode(&row?.1)).collect()
}

pub(crate) fn hashes(view: &View<'_>, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
    let end = crate::schema::node(view)?.state.head.position;
    let hash = |position: &u64| match *position {
        0 => Ok(Some(Hash::ZERO)),
        position if position > end => Ok(None),
        position => view.entry(position, |entry| Ok(Some(entry.hash))),
    };
    positions.iter().map(hash).collect()
}

pub(crate) fn load(view: &View<'_>, ids: &[EventId]) -> Result<Vec<LogEntry>> {
    let mut positions = BTreeSet::new();
    for id in ids {
        positions.extend(lookup::position_of(view, id)?);
    }
    lookup::at_positions(view, positions)
}

pub(crate) fn aggregates(
    view: &View<'_>,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let after = after.map_or("", AggregateId::as_str).as_bytes();
    view.after(&view.tables.heads, after, None).take(limit).map(|row| name(&row?.0)).collect()
}

/// The aggregates under a kind of keys that have nothing but the aggregate.
fn listed(
    view: &View<'_>,
    kind: Kind,
    after: Option<&AggregateId>,
) -> impl Iterator<Item = Result<(AggregateId, fjall::Slice)>> {
    let after = kind.of(after.map_or("", AggregateId::as_str).as_bytes());
    view.after(&view.tables.small, &after, Some(&kind.end())).map(|row| {
        let (key, value) = row?;
        Ok((name(key.get(1..).unwrap_or_default())?, value))
    })
}

pub(crate) fn disputed(
    view: &View<'_>,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let mut found = BTreeSet::new();
    for kind in [Kind::Conflict, Kind::Disputed] {
        for aggregate in listed(view, kind, after).take(limit) {
            found.insert(aggregate?.0);
        }
    }
    Ok(found.into_iter().take(limit).collect())
}

pub(crate) fn conflicts(
    view: &View<'_>,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<OpenConflict>> {
    listed(view, Kind::Conflict, after)
        .take(limit)
        .map(|row| {
            let (aggregate, conflict) = row?;
            let reviews = Kind::ReviewOfAggregate.under(aggregate.as_str());
            Ok(OpenConflict {
                id: name(&conflict)?,
                in_review: view.has(&view.tables.small, &reviews)?,
                aggregate,
            })
        })
        .collect()
}

/// The rows that an index names: their keys end with what comes after the zero byte.
fn indexed<T>(
    view: &View<'_>,
    index: &[u8],
    of: Kind,
    decode: impl Fn(&[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for row in view.prefix(&view.tables.small, index) {
        let (key, _) = row?;
        if let Some(row) = view.get(&view.tables.small, of.of(keys::after_zero(&key)?))? {
            found.push(decode(&row)?);
        }
    }
    Ok(found)
}

pub(crate) fn reviews(view: &View<'_>, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
    let index = Kind::ReviewOfConflict.under(conflict.as_str());
    indexed(view, &index, Kind::Review, rows::decode_review)
}

pub(crate) fn reviews_of(view: &View<'_>, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
    let index = Kind::ReviewOfAggregate.under(aggregate.as_str());
    indexed(view, &index, Kind::Review, rows::decode_review)
}

pub(crate) fn decisions(view: &View<'_>, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
    let index = Kind::DecisionOnConflict.under(conflict.as_str());
    let mut decisions = indexed(view, &index, Kind::Decision, rows::decode_decision)?;
    // A copy may have taken a decision's place.
    decisions.retain(|d| d.conflict.as_ref() == Some(conflict));
    Ok(decisions)
}

pub(crate) fn checkpoints(view: &View<'_>) -> Result<Vec<Checkpoint>> {
    rows(view, &Kind::Checkpoint.alone(), rows::decode_checkpoint)
}
