//! How much of each origin's events the store holds: kept up to date by every write, so that asking costs nothing.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use synckit_core::{
    Error, NodeId, Progress, Result, VectorCursor,
    plan::{KnownStamp, NewEntry},
};

use crate::{
    error::failed,
    query::{all, each, first, one, run},
    row::{Columns as _, signed},
};

const RECORD: &str = "record progress";
const READ: &str = "read progress";

/// New stamps of an origin: their counters and shares.
type News = BTreeMap<NodeId, Vec<(u64, u128)>>;

/// Records the stamps of new entries, and those that are known without one.
pub(crate) fn record(connection: &Connection, entries: &[NewEntry], known: &[KnownStamp]) -> Result<()> {
    let mut news = News::new();
    // Only a stamp that is known without its entry can be there already, or come twice.
    if known.is_empty() {
        let failed = failed(RECORD);
        // An upsert would keep a statement journal for each of them.
        let sql = "INSERT OR IGNORE INTO stamps VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = connection.prepare_cached(sql).map_err(failed)?;
        let sql =
            "UPDATE stamps SET position = ?5 WHERE origin = ?1 AND counter = ?2 AND id = ?3 AND share = ?4";
        for e in entries {
            let (origin, counter, share) = (e.stamp.origin, e.stamp.counter, e.share);
            let (id, position) = (e.event.id.as_str(), signed(e.position));
            let row = (origin.to_bytes(), signed(counter), id, share.to_be_bytes(), position);
            if insert.execute(row).map_err(failed)? == 0 {
                run(connection, RECORD, sql, row)?;
            }
            news.entry(origin).or_default().push((counter, share));
        }
    } else {
        for e in entries {
            let (origin, counter) = (e.stamp.origin, e.stamp.counter);
            stamp(connection, &mut news, origin, counter, e.event.id.as_str(), e.share, Some(e.position))?;
        }
        for k in known {
            stamp(connection, &mut news, k.origin, k.counter, k.id.as_str(), k.share, None)?;
        }
    }
    news.into_iter().try_for_each(|(origin, stamps)| advance(connection, origin, stamps))
}

/// Records a stamp that may be there already.
fn stamp(
    connection: &Connection,
    news: &mut News,
    origin: NodeId,
    counter: u64,
    id: &str,
    share: u128,
    position: Option<u64>,
) -> Result<()> {
    let key = (origin.to_bytes(), signed(counter), id, share.to_be_bytes());
    let sql = "SELECT 1 FROM stamps WHERE origin = ? AND counter = ? AND id = ? AND share = ?";
    if first(connection, RECORD, sql, key, |_| Ok(()))?.is_none() {
        news.entry(origin).or_default().push((counter, share));
    }
    let sql = "INSERT INTO stamps VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin, counter, id, share) \
               DO UPDATE SET position = coalesce(excluded.position, position)";
    let (origin, counter, id, share) = key;
    run(connection, RECORD, sql, (origin, counter, id, share, position.map(signed)))
}

/// Takes new stamps of an origin into its progress.
fn advance(connection: &Connection, origin: NodeId, mut stamps: Vec<(u64, u128)>) -> Result<()> {
    let key = [origin.to_bytes()];
    let sql = "SELECT counter, held, ids FROM origins WHERE origin = ?";
    let row =
        first(connection, RECORD, sql, key, |row| Ok((row.number(0)?, row.number(1)?, mixed(row, 2)?)))?;
    let (before, mut held, ids) = row.unwrap_or_default();
    stamps.sort_unstable();
    let ids = stamps.iter().fold(ids, |ids, (_, share)| ids ^ share);
    let counter = stamps.last().map_or(before, |(counter, _)| before.max(*counter));
    let ascending = stamps.first().is_some_and(|(first, _)| *first > before)
        && stamps.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
    if ascending {
        held += stamps.len() as u64;
    } else {
        let sql = "SELECT count(DISTINCT counter) FROM stamps WHERE origin = ?";
        held = one(connection, RECORD, sql, key, |row| row.number(0))?;
    }
    let row = (origin.to_bytes(), signed(counter), signed(held), ids.to_be_bytes());
    run(connection, RECORD, "INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)", row)
}

/// Works the progress of all origins out anew from the stamps.
pub(crate) fn rebuild(connection: &Connection) -> Result<()> {
    run(connection, RECORD, "DELETE FROM origins", [])?;
    let mut origins: BTreeMap<NodeId, (u64, u128)> = BTreeMap::new();
    each(connection, RECORD, "SELECT origin, counter, share FROM stamps", [], |row| {
        let (counter, ids) = origins.entry(NodeId::from_slice(row.blob(0)?)?).or_default();
        *counter = row.number(1)?.max(*counter);
        *ids ^= mixed(row, 2)?;
        Ok(())
    })?;
    let sql = "INSERT INTO origins VALUES (?1, ?2, (SELECT count(DISTINCT counter) FROM stamps WHERE origin = ?1), ?3)";
    for (origin, (counter, ids)) in origins {
        run(connection, RECORD, sql, (origin.to_bytes(), signed(counter), ids.to_be_bytes()))?;
    }
    Ok(())
}

/// A hash over ids in a column.
pub(crate) fn mixed(row: &Row<'_>, column: usize) -> Result<u128> {
    let bytes = row.blob(column)?.try_into();
    bytes.map(u128::from_be_bytes).map_err(|_| Error::damaged_row("a hash over ids does not have 16 bytes"))
}

/// The hash over the ids under each range of counters.
pub(crate) fn mixed_under(connection: &Connection, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
    let sql = "SELECT share FROM stamps WHERE origin = ? AND counter BETWEEN ? AND ?";
    let mixed = |(origin, from, to): &(NodeId, u64, u64)| {
        let mut hash = 0;
        each(connection, READ, sql, (origin.to_bytes(), signed(*from), signed(*to)), |row| {
            hash ^= mixed(row, 0)?;
            Ok(())
        })?;
        Ok(hash)
    };
    ranges.iter().map(mixed).collect()
}

/// All that the store holds.
pub(crate) fn vector(connection: &Connection) -> Result<VectorCursor> {
    let mut origins = BTreeMap::new();
    each(connection, READ, "SELECT origin, counter, held, ids FROM origins", [], |row| {
        let origin = NodeId::from_slice(row.blob(0)?)?;
        let (counter, held) = (row.number(1)?, row.number(2)?);
        let gaps = if held < counter { gaps(connection, origin)? } else { Vec::new() };
        origins.insert(origin, Progress { counter, gaps, stubs: Vec::new(), ids: mixed(row, 3)? });
        Ok(())
    })?;
    stubs(connection, &mut origins)?;
    VectorCursor::from_progress(origins).map_err(Error::of_stored_row)
}

/// Adds the ranges of stubs that count. The index over them is empty for a node without stubs.
fn stubs(connection: &Connection, origins: &mut BTreeMap<NodeId, Progress>) -> Result<()> {
    let sql = "SELECT origin, min(counter), max(counter) FROM \
               (SELECT origin, counter, counter - row_number() OVER (PARTITION BY origin ORDER BY counter) AS run \
               FROM (SELECT DISTINCT e.origin, e.counter FROM entries e WHERE e.stub = 1 AND e.superseded = 0 \
               AND NOT EXISTS (SELECT 1 FROM withdrawn w \
               WHERE w.id = e.id AND w.origin = e.origin AND w.counter = e.counter))) \
               GROUP BY origin, run ORDER BY 1, 2";
    each(connection, READ, sql, [], |row| {
        if let Some(progress) = origins.get_mut(&NodeId::from_slice(row.blob(0)?)?) {
            progress.stubs.push((row.number(1)?, row.number(2)?));
        }
        Ok(())
    })
}

fn gaps(connection: &Connection, origin: NodeId) -> Result<Vec<(u64, u64)>> {
    let sql = "SELECT before + 1, counter - 1 FROM \
               (SELECT counter, lag(counter, 1, 0) OVER (ORDER BY counter) AS before FROM \
               (SELECT DISTINCT counter FROM stamps WHERE origin = ?)) WHERE counter > before + 1";
    all(connection, READ, sql, [origin.to_bytes()], |row| Ok((row.number(0)?, row.number(1)?)))
}
