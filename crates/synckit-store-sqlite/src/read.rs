//! Reading what is known of the log.

use rusqlite::{Connection, Row};
use synckit_core::{
    AggregateId, ConflictId, EventId, Hash, LogId, Mark, Result, Timestamp, VertexId, decode_parents,
    store::{Checkpoint, LogEntry, OpenConflict, ReviewRow, StoredDecision},
};

use crate::{
    query::{all, first, one},
    row::{Columns as _, at_most, entry, signed},
};

pub(crate) fn hashes(connection: &Connection, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
    let sql = "SELECT hash FROM entries WHERE position = ?";
    let hash = |position: &u64| match position {
        0 => Ok(Some(Hash::ZERO)),
        position => {
            first(connection, "read hashes", sql, [signed(*position)], |row| Hash::from_slice(row.blob(0)?))
        }
    };
    positions.iter().map(hash).collect()
}

/// The entries that count for these ids.
pub(crate) fn load<'a>(
    connection: &Connection,
    ids: impl Iterator<Item = &'a EventId>,
) -> Result<Vec<LogEntry>> {
    let sql = concat!("SELECT ", entry_columns!(), " FROM entries WHERE id = ? AND superseded = 0");
    let load = |id: &EventId| first(connection, "load", sql, [id.as_str()], |row| entry(row)?.verified());
    let mut found = Vec::new();
    for id in ids {
        found.extend(load(id)?);
    }
    found.sort_unstable_by_key(|e| e.position);
    found.dedup_by_key(|e| e.position);
    Ok(found)
}

fn after_name(after: Option<&AggregateId>) -> &str {
    after.map_or("", AggregateId::as_str)
}

pub(crate) fn aggregates(
    connection: &Connection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let sql = "SELECT aggregate_id FROM aggregates WHERE aggregate_id > ? ORDER BY aggregate_id LIMIT ?";
    let page = (after_name(after), at_most(limit));
    all(connection, "list aggregates", sql, page, |row| AggregateId::new(row.text(0)?))
}

pub(crate) fn disputed(
    connection: &Connection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let sql = "SELECT aggregate_id FROM aggregates WHERE conflict IS NOT NULL AND aggregate_id > ?1 \
               UNION SELECT aggregate_id FROM decisions WHERE aggregate_id > ?1 \
               UNION SELECT aggregate_id FROM withdrawn WHERE aggregate_id > ?1 ORDER BY 1 LIMIT ?2";
    let page = (after_name(after), at_most(limit));
    all(connection, "list disputed aggregates", sql, page, |row| AggregateId::new(row.text(0)?))
}

pub(crate) fn conflicts(
    connection: &Connection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<OpenConflict>> {
    let sql = "SELECT a.aggregate_id, a.conflict, EXISTS (SELECT 1 FROM reviews r WHERE r.aggregate_id = a.aggregate_id) \
               FROM aggregates a WHERE a.conflict IS NOT NULL AND a.aggregate_id > ? ORDER BY a.aggregate_id LIMIT ?";
    all(connection, "list conflicts", sql, (after_name(after), at_most(limit)), |row| {
        Ok(OpenConflict {
            aggregate: AggregateId::new(row.text(0)?)?,
            id: ConflictId::new(row.text(1)?)?,
            in_review: row.number(2)? != 0,
        })
    })
}

pub(crate) fn count_conflicts(connection: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM aggregates WHERE conflict IS NOT NULL";
    one(connection, "count conflicts", sql, [], |row| row.number(0))
}

/// A review in the columns event, conflict, aggregate, heads and reason.
pub(crate) fn review(row: &Row<'_>) -> Result<ReviewRow> {
    Ok(ReviewRow {
        event: EventId::new(row.text(0)?)?,
        conflict: ConflictId::new(row.text(1)?)?,
        aggregate: AggregateId::new(row.text(2)?)?,
        heads: decode_parents(row.blob(3)?)?,
        reason: row.text(4)?.to_owned(),
    })
}

pub(crate) fn reviews(connection: &Connection, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
    let sql =
        "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE conflict = ? ORDER BY event";
    all(connection, "list reviews", sql, [conflict.as_str()], review)
}

pub(crate) fn reviews_of(connection: &Connection, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
    let sql = "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE aggregate_id = ? ORDER BY event";
    all(connection, "list reviews", sql, [aggregate.as_str()], review)
}

/// A decision in the columns vertex, event, aggregate, conflict and timestamp.
pub(crate) fn decision(row: &Row<'_>) -> Result<StoredDecision> {
    Ok(StoredDecision {
        vertex: VertexId::new(row.text(0)?)?,
        event: EventId::new(row.text(1)?)?,
        aggregate: AggregateId::new(row.text(2)?)?,
        conflict: row.optional_text(3)?.map(ConflictId::new).transpose()?,
        timestamp: Timestamp::from_micros(row.number(4)?),
    })
}

pub(crate) fn decisions(connection: &Connection, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
    let sql = "SELECT vertex, event, aggregate_id, conflict, timestamp FROM decisions WHERE conflict = ? ORDER BY vertex";
    all(connection, "list decisions", sql, [conflict.as_str()], decision)
}

pub(crate) fn checkpoints(connection: &Connection) -> Result<Vec<Checkpoint>> {
    let sql = "SELECT log, address, filter, pull_position, pull_hash, push, seen_position, seen_hash, \
               shown_position, shown_hash, echo_floor, synced_at FROM checkpoints ORDER BY log";
    all(connection, "read checkpoints", sql, [], |row| {
        let mark = |i| Ok(Mark { position: row.number(i)?, hash: Hash::from_slice(row.blob(i + 1)?)? });
        let (log, filter) = (LogId::from_slice(row.blob(0)?)?, Hash::from_slice(row.blob(2)?)?);
        let mut checkpoint = Checkpoint::start(log, row.text(1)?, filter);
        checkpoint.pull = mark(3)?;
        checkpoint.push = row.number(5)?;
        checkpoint.seen = mark(6)?;
        checkpoint.shown = mark(8)?;
        checkpoint.echo_floor = row.number(10)?;
        checkpoint.synced_at = Timestamp::from_micros(row.number(11)?);
        Ok(checkpoint)
    })
}
