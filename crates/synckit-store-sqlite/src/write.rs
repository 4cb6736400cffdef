//! Storing what a write changes.

use rusqlite::{Connection, ToSql, params};
use synckit_core::{
    JSON, LogId, Result, encode_offered, encode_parents,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads, NodeState},
    store::{Checkpoint, QuarantineSide, Quarantined},
};

use crate::{error::failed, progress, query::run, row::signed};

const OPERATION: &str = "write";

pub(crate) fn store(connection: &Connection, changes: &Changes) -> Result<()> {
    for position in &changes.superseded {
        let sql = "UPDATE entries SET superseded = 1 WHERE position = ?";
        run(connection, OPERATION, sql, [signed(*position)])?;
    }
    entries(connection, &changes.entries)?;
    heads(connection, &changes.heads)?;
    progress::record(connection, &changes.entries, &changes.known_stamps)?;
    for decision in &changes.decisions {
        let row = (
            decision.vertex.as_str(),
            decision.event.as_str(),
            decision.aggregate.as_str(),
            decision.conflict.as_ref().map(|c| c.as_str()),
            signed(decision.timestamp.as_micros()),
        );
        run(connection, OPERATION, "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?)", row)?;
    }
    for review in &changes.reviews {
        let heads = encode_parents(&review.heads);
        let (event, conflict) = (review.event.as_str(), review.conflict.as_str());
        let row = (event, conflict, review.aggregate.as_str(), heads, &review.reason);
        run(connection, OPERATION, "INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?)", row)?;
    }
    claims(connection, "INSERT OR IGNORE INTO withdrawn VALUES (?, ?, ?, ?, ?, ?, ?)", &changes.withdrawn)?;
    claims(connection, "INSERT OR IGNORE INTO other_claims VALUES (?, ?, ?, ?, ?, ?, ?)", &changes.others)?;
    changes.released.iter().try_for_each(|row| release(connection, row))?;
    changes.quarantined.iter().try_for_each(|row| quarantine(connection, row))?;
    if let Some(log) = changes.forget {
        forget(connection, log)?;
    }
    if let Some(row) = &changes.checkpoint {
        checkpoint(connection, row)?;
    }
    if let Some(state) = &changes.node {
        node(connection, state)?;
    }
    Ok(())
}

fn entries(connection: &Connection, new: &[NewEntry]) -> Result<()> {
    let failed = failed(OPERATION);
    let sql = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut insert = connection.prepare_cached(sql).map_err(failed)?;
    for new in new {
        let event = &new.event;
        let row = params![
            signed(new.position),
            event.id.as_str(),
            event.event_type.as_str(),
            event.aggregate_id.as_str(),
            Some(event.data.codec()).filter(|codec| *codec != JSON),
            &event.data.bytes()[..],
            (!event.metadata.is_empty()).then(|| event.metadata.as_json()),
            new.stamp.origin.to_bytes(),
            signed(new.stamp.counter),
            signed(new.stamp.timestamp.as_micros()),
            encode_parents(&new.stamp.parents),
            new.content.as_bytes(),
            new.hash.as_bytes(),
            new.from.map(LogId::to_bytes),
            new.stub,
            new.superseded,
        ];
        insert.execute(row).map_err(failed)?;
    }
    Ok(())
}

/// Most aggregates are known. To update them by their key takes no statement journal, which an upsert keeps.
fn heads(connection: &Connection, new: &[NewHeads]) -> Result<()> {
    let failed = failed(OPERATION);
    let sql = "UPDATE aggregates SET heads = ?2, conflict = ?3 WHERE aggregate_id = ?1";
    let mut update = connection.prepare_cached(sql).map_err(failed)?;
    let mut insert =
        connection.prepare_cached("INSERT INTO aggregates VALUES (?1, ?2, ?3)").map_err(failed)?;
    for new in new {
        let conflict = new.conflict.as_ref().map(|c| c.as_str());
        let row = (new.aggregate.as_str(), encode_heads(&new.heads), conflict);
        if update.execute((row.0, &row.1, row.2)).map_err(failed)? == 0 {
            insert.execute(row).map_err(failed)?;
        }
    }
    Ok(())
}

fn claims(connection: &Connection, sql: &'static str, rows: &[ClaimOf]) -> Result<()> {
    for ClaimOf { id, claim } in rows {
        let row = (
            id.as_str(),
            claim.aggregate.as_str(),
            claim.stamp.origin.to_bytes(),
            signed(claim.stamp.counter),
            signed(claim.stamp.timestamp.as_micros()),
            encode_parents(&claim.stamp.parents),
            claim.content.as_bytes(),
        );
        run(connection, OPERATION, sql, row)?;
    }
    Ok(())
}

const fn side(side: QuarantineSide) -> &'static str {
    match side {
        QuarantineSide::Held => "held",
        _ => "refused",
    }
}

fn origin(row: &Quarantined) -> Vec<u8> {
    row.origin.map(|o| o.to_bytes().to_vec()).unwrap_or_default()
}

fn release(connection: &Connection, row: &Quarantined) -> Result<()> {
    let sql = "DELETE FROM quarantine WHERE side = ? AND peer = ? AND id = ? AND origin = ? AND counter = ?";
    let key = (side(row.side), row.peer.to_bytes(), row.id.as_str(), origin(row), signed(row.counter));
    run(connection, OPERATION, sql, key)
}

fn quarantine(connection: &Connection, row: &Quarantined) -> Result<()> {
    let row = (
        side(row.side),
        row.peer.to_bytes(),
        row.id.as_str(),
        origin(row),
        signed(row.counter),
        row.refusal.code.as_str(),
        &row.refusal.detail,
        signed(row.position),
        row.held.as_ref().map(encode_offered),
    );
    run(connection, OPERATION, "INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
}

fn forget(connection: &Connection, log: LogId) -> Result<()> {
    let log = log.to_bytes();
    run(connection, OPERATION, "DELETE FROM checkpoints WHERE log = ?", [log])?;
    run(connection, OPERATION, "DELETE FROM quarantine WHERE peer = ? AND side = 'refused'", [log])
}

fn checkpoint(connection: &Connection, row: &Checkpoint) -> Result<()> {
    let row: [&dyn ToSql; 12] = [
        &row.log.to_bytes(),
        &row.address,
        &signed(row.pull.position),
        row.pull.hash.as_bytes(),
        &signed(row.push),
        &signed(row.seen.position),
        row.seen.hash.as_bytes(),
        &signed(row.shown.position),
        row.shown.hash.as_bytes(),
        &signed(row.echo_floor),
        row.filter.as_bytes(),
        &signed(row.synced_at.as_micros()),
    ];
    let sql = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(connection, OPERATION, sql, row)
}

pub(crate) fn node(connection: &Connection, state: &NodeState) -> Result<()> {
    let former: Vec<u8> = state.former.iter().flat_map(|n| n.to_bytes()).collect();
    let row = (
        state.node.to_bytes(),
        former,
        signed(state.counter),
        signed(state.clock.as_micros()),
        signed(state.head.position),
        state.head.hash.as_bytes(),
    );
    let sql = "UPDATE node SET node = ?, former = ?, counter = ?, clock = ?, position = ?, hash = ?";
    run(connection, OPERATION, sql, row)
}
