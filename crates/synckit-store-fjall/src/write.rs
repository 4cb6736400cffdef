//! Storing what a write changes.

use std::collections::HashSet;

use synckit_core::{
    EventId, Result,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads},
    store::{QuarantineSide, Quarantined},
};

use crate::{
    batch::Batch,
    engine::Engine,
    entry,
    keys::{self, Kind},
    opening::Writer,
    progress,
    row::RowWriter,
    rows::{
        encode_checkpoint, encode_claim, encode_decision, encode_quarantined, encode_review,
        key_of_checkpoint, key_of_claim,
    },
    schema::{self, Node},
    view::View,
};

/// Stores the changes, all or nothing.
pub(crate) fn store(engine: &Engine, view: &View<'_>, writer: &mut Writer, changes: &Changes) -> Result<()> {
    let (batch, node) = batch(view, &writer.node, changes)?;
    engine.commit(batch, node.state.head)?;
    writer.node = node;
    writer.claimed.withdrawn |= !changes.withdrawn.is_empty();
    writer.claimed.others |= !changes.others.is_empty();
    Ok(())
}

/// The batch that stores the changes, and the node afterwards.
fn batch(view: &View<'_>, before: &Node, changes: &Changes) -> Result<(Batch, Node)> {
    let mut after = before.clone();
    let entries = &changes.entries;
    let batch = Batch::prepared(
        &view.tables.small,
        entries.len(),
        |batch| {
            supersede(view, batch, changes)?;
            rows_and_ids(view, batch, entries);
            Ok(())
        },
        |batch| {
            positions(view, batch, entries);
            others(view, batch, changes, before, &mut after)
        },
    )?;
    Ok((batch, after))
}

/// What changes beside the entries, and the node with it.
fn others(
    view: &View<'_>,
    batch: &mut Batch,
    changes: &Changes,
    before: &Node,
    after: &mut Node,
) -> Result<()> {
    let small = &view.tables.small;
    progress::record(view, batch, &changes.entries, &changes.known_stamps)?;
    heads(view, batch, &changes.heads, after)?;
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
    claims(batch, Kind::Withdrawn, &changes.withdrawn);
    claims(batch, Kind::Other, &changes.others);
    for ClaimOf { id, claim } in &changes.withdrawn {
        let aggregate = claim.aggregate.as_str();
        batch.mark_small(Kind::WithdrawnOfAggregate.at(aggregate, id.as_str().as_bytes()));
        batch.mark_small(Kind::Disputed.of(aggregate.as_bytes()));
    }
    quarantine(view, batch, changes)?;
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
        schema::put_node(batch, after);
    }
    Ok(())
}

fn positions(view: &View<'_>, batch: &mut Batch, new: &[NewEntry]) {
    for entry in new {
        let key = keys::aggregate_at(&entry.event.aggregate_id, entry.position);
        batch.put(&view.tables.positions, key, &[][..]);
    }
}

fn rows_and_ids(view: &View<'_>, batch: &mut Batch, new: &[NewEntry]) {
    let tables = view.tables;
    for entry in new {
        let position = keys::position(entry.position);
        let id = entry.event.id.as_str();
        batch.put(&tables.entries, &position[..], entry::encode(entry));
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
