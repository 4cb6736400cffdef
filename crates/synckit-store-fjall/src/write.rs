//! Storing what a write changes.

use std::collections::HashSet;

use synckit_core::{
    EventId, Result,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads},
    store::{QuarantineSide, Quarantined},
};

use crate::{
    engine::{Batch, Engine, View},
    entry,
    keys::{self, Kind},
    progress,
    row::RowWriter,
    rows::{
        encode_checkpoint, encode_claim, encode_decision, encode_quarantined, encode_review,
        key_of_checkpoint, key_of_claim,
    },
    schema::{self, Node},
};

/// The batch that stores the changes, and the node afterwards.
pub(crate) fn batch(
    engine: &Engine,
    view: &View<'_>,
    before: &Node,
    changes: &Changes,
) -> Result<(Batch, Node)> {
    let mut batch = engine.batch(changes.entries.len() * 4 + changes.heads.len() + 8);
    let mut after = before.clone();
    let small = &view.tables.small;
    supersede(view, &mut batch, changes)?;
    entries(view, &mut batch, &changes.entries);
    progress::record(view, &mut batch, &changes.entries, &changes.known_stamps)?;
    heads(view, &mut batch, &changes.heads, &mut after)?;
    for decision in &changes.decisions {
        let vertex = decision.vertex.as_str().as_bytes();
        batch.put_small(Kind::Decision.of(vertex), encode_decision(decision));
        batch.mark_small(Kind::Disputed.of(decision.aggregate.as_str().as_bytes()));
        if let Some(conflict) = &decision.conflict {
            batch.mark_small(Kind::DecisionOnConflict.at(conflict.as_str(), vertex));
        }
    }
    for review in &changes.reviews {
        let event = review.event.as_str().as_bytes();
        let key = Kind::Review.of(event);
        if !batch.puts_small(&key) && view.get(small, &key)?.is_none() {
            batch.put_small(key, encode_review(review));
            batch.mark_small(Kind::ReviewOfConflict.at(review.conflict.as_str(), event));
            batch.mark_small(Kind::ReviewOfAggregate.at(review.aggregate.as_str(), event));
        }
    }
    claims(&mut batch, Kind::Withdrawn, &changes.withdrawn);
    claims(&mut batch, Kind::Other, &changes.others);
    for ClaimOf { id, claim } in &changes.withdrawn {
        let aggregate = claim.aggregate.as_str();
        batch.mark_small(Kind::WithdrawnOfAggregate.at(aggregate, id.as_str().as_bytes()));
        batch.mark_small(Kind::Disputed.of(aggregate.as_bytes()));
    }
    quarantine(view, &mut batch, changes)?;
    if let Some(log) = changes.forget {
        batch.remove_small(key_of_checkpoint(log));
    }
    if let Some(checkpoint) = &changes.checkpoint {
        batch.put_small(key_of_checkpoint(checkpoint.log), encode_checkpoint(checkpoint));
    }
    if let Some(state) = &changes.node {
        after.state.clone_from(state);
    }
    if changes.node.is_some() || after.conflicts != before.conflicts {
        schema::put_node(&mut batch, &after);
    }
    Ok((batch, after))
}

fn entries(view: &View<'_>, batch: &mut Batch, new: &[NewEntry]) {
    let tables = view.tables;
    for entry in new {
        let position = keys::position(entry.position);
        let id = entry.event.id.as_str();
        batch.put(&tables.entries, &position[..], entry::encode(entry));
        batch.put(&tables.positions, keys::aggregate_at(&entry.event.aggregate_id, entry.position), &[][..]);
        if entry.superseded {
            continue;
        }
        batch.put(&tables.ids, id, &position[..]);
        if entry.stub {
            batch.mark_small(progress::stub_key(entry.stamp.origin, entry.stamp.counter, id));
        }
    }
}

/// Older entries no longer count for their ids.
fn supersede(view: &View<'_>, batch: &mut Batch, changes: &Changes) -> Result<()> {
    if changes.superseded.is_empty() {
        return Ok(());
    }
    let counting = changes.entries.iter().filter(|e| !e.superseded);
    let counting: HashSet<&EventId> = counting.map(|e| &e.event.id).collect();
    for position in &changes.superseded {
        let entry = view.entry(*position, |entry| entry.entry())?;
        batch.put(&view.tables.entries, &keys::position(*position)[..], entry::superseded(&entry));
        let id = &entry.event.id;
        if !counting.contains(id) {
            batch.remove(&view.tables.ids, id.as_str());
        }
        if entry.stub {
            batch.remove_small(progress::stub_key(entry.stamp.origin, entry.stamp.counter, id.as_str()));
        }
    }
    Ok(())
}

fn heads(view: &View<'_>, batch: &mut Batch, new: &[NewHeads], node: &mut Node) -> Result<()> {
    let small = &view.tables.small;
    let in_conflict = node.conflicts > 0;
    for new in new {
        let heads = encode_heads(&new.heads);
        let mut row = RowWriter::with_room(heads.len());
        row.fixed(&heads);
        batch.put(&view.tables.heads, new.aggregate.as_str(), row.seal(0));
        let key = Kind::Conflict.of(new.aggregate.as_str().as_bytes());
        let was = in_conflict && view.get(small, &key)?.is_some();
        match &new.conflict {
            Some(conflict) => {
                node.conflicts += u64::from(!was);
                batch.put_small(key, conflict.as_str().into());
            }
            None if was => {
                node.conflicts = node.conflicts.saturating_sub(1);
                batch.remove_small(key);
            }
            None => {}
        }
    }
    Ok(())
}

fn claims(batch: &mut Batch, kind: Kind, claims: &[ClaimOf]) {
    for ClaimOf { id, claim } in claims {
        let row = encode_claim(claim);
        batch.put_small(key_of_claim(kind, id, &row), row);
    }
}

/// Rows are removed before others are added, and what a forgotten peer refused is removed after that.
fn quarantine(view: &View<'_>, batch: &mut Batch, changes: &Changes) -> Result<()> {
    for row in &changes.released {
        batch.remove_small(keys::quarantine(row));
    }
    for row in &changes.quarantined {
        batch.put_small(keys::quarantine(row), encode_quarantined(row));
    }
    if let Some(log) = changes.forget {
        for row in view.prefix(&view.tables.small, &keys::quarantine_of(QuarantineSide::Refused, log)) {
            batch.remove_small(row?.0.to_vec());
        }
        let refused = |row: &&Quarantined| row.peer == log && row.side == QuarantineSide::Refused;
        for row in changes.quarantined.iter().filter(refused) {
            batch.remove_small(keys::quarantine(row));
        }
    }
    Ok(())
}
