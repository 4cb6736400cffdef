//! Moving what a store holds, and examining it.

use rusqlite::{Connection, Row};
use synckit_core::{
    AggregateId, Error, EventId, Hash, NodeId, Result,
    graph::decode_heads,
    plan::{Changes, Claim, ClaimOf, KnownStamp, NewHeads, NodeState},
    store::{Rows, Standing, Table},
};

use crate::{
    lookup, progress,
    query::{all, each, one, run},
    read,
    row::{Columns as _, at_most, signed},
    write,
};

const OPERATION: &str = "read rows";

pub(crate) fn standing(connection: &Connection) -> Result<Standing> {
    one(connection, "open store", "SELECT standing FROM node", [], |row| Standing::parse(row.text(0)?))
}

fn foreign_key() -> Error {
    Error::invalid(OPERATION, "the key is not one that this store gave")
}

/// The rows of a table after a key: the first column of the last row, or the three of a stamp's.
pub(crate) fn rows(
    connection: &Connection,
    table: Table,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Rows> {
    if table == Table::KnownStamps {
        return known_stamps(connection, after, limit);
    }
    let sql = match table {
        Table::Heads => {
            "SELECT aggregate_id, heads, conflict FROM aggregates WHERE aggregate_id > ? ORDER BY 1 LIMIT ?"
        }
        Table::Decisions => {
            "SELECT vertex, event, aggregate_id, conflict, timestamp FROM decisions WHERE vertex > ? ORDER BY 1 LIMIT ?"
        }
        Table::Reviews => {
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE event > ? ORDER BY 1 LIMIT ?"
        }
        Table::Withdrawn => {
            "SELECT id, aggregate_id, origin, counter, timestamp, parents, content FROM withdrawn \
             WHERE id IN (SELECT DISTINCT id FROM withdrawn WHERE id > ? ORDER BY id LIMIT ?) ORDER BY 1"
        }
        Table::OtherClaims => {
            "SELECT id, aggregate_id, origin, counter, timestamp, parents, content FROM other_claims \
             WHERE id IN (SELECT DISTINCT id FROM other_claims WHERE id > ? ORDER BY id LIMIT ?) ORDER BY 1"
        }
        other => return Err(Error::invalid(OPERATION, format!("the table {other:?} is not known here"))),
    };
    let after = std::str::from_utf8(after.unwrap_or_default()).map_err(|_| foreign_key())?;
    let mut changes = Changes::default();
    let mut next = None;
    each(connection, OPERATION, sql, (after, at_most(limit.max(1))), |row| {
        match table {
            Table::Heads => changes.heads.push(heads(row)?),
            Table::Decisions => changes.decisions.push(read::decision(row)?),
            Table::Reviews => changes.reviews.push(read::review(row)?),
            Table::Withdrawn => changes.withdrawn.push(claim(row)?),
            _ => changes.others.push(claim(row)?),
        }
        next = Some(row.text(0)?.as_bytes().to_vec());
        Ok(())
    })?;
    Ok(Rows { changes, next })
}

fn heads(row: &Row<'_>) -> Result<NewHeads> {
    Ok(NewHeads {
        aggregate: AggregateId::new(row.text(0)?)?,
        heads: decode_heads(row.blob(1)?)?,
        conflict: row.optional_text(2)?.map(synckit_core::ConflictId::new).transpose()?,
    })
}

fn claim(row: &Row<'_>) -> Result<ClaimOf> {
    let claim = Claim {
        aggregate: AggregateId::new(row.text(1)?)?,
        stamp: row.stamp(2)?,
        content: Hash::from_slice(row.blob(6)?)?,
    };
    Ok(ClaimOf { id: EventId::new(row.text(0)?)?, claim })
}

fn known_stamps(connection: &Connection, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
    let (origin, counter, id, share) = match after {
        None => (&[][..], 0, "", &[][..]),
        Some(key) => {
            let (origin, rest) = key.split_at_checked(16).ok_or_else(foreign_key)?;
            let (counter, rest) = rest.split_first_chunk::<8>().ok_or_else(foreign_key)?;
            let (share, id) = rest.split_at_checked(16).ok_or_else(foreign_key)?;
            let id = std::str::from_utf8(id).map_err(|_| foreign_key())?;
            (origin, u64::from_be_bytes(*counter), id, share)
        }
    };
    let sql = "SELECT origin, counter, id, share FROM stamps \
               WHERE position IS NULL AND (origin, counter, id, share) > (?, ?, ?, ?) \
               ORDER BY origin, counter, id, share LIMIT ?";
    let page = (origin, signed(counter), id, share, at_most(limit.max(1)));
    let mut changes = Changes::default();
    changes.known_stamps = all(connection, OPERATION, sql, page, |row| {
        Ok(KnownStamp {
            origin: NodeId::from_slice(row.blob(0)?)?,
            counter: row.number(1)?,
            id: EventId::new(row.text(2)?)?,
            share: progress::mixed(row, 3)?,
        })
    })?;
    let next = changes.known_stamps.last().map(|last| {
        let mut key = last.origin.to_bytes().to_vec();
        key.extend(last.counter.to_be_bytes());
        key.extend(last.share.to_be_bytes());
        key.extend(last.id.as_str().as_bytes());
        key
    });
    Ok(Rows { changes, next })
}

pub(crate) fn fill(connection: &Connection, changes: &Changes) -> Result<()> {
    standing(connection)?.may_fill()?;
    let end = lookup::node(connection)?.head.position;
    if changes.entries.iter().zip(end + 1..).any(|(entry, position)| entry.position != position) {
        return Err(Error::invalid("fill store", format!("the entries do not follow on position {end}")));
    }
    write::store(connection, changes)
}

pub(crate) fn complete(connection: &Connection, node: &NodeState, home: Option<&str>) -> Result<()> {
    standing(connection)?.may_fill()?;
    let head = lookup::node(connection)?.head;
    if head != node.head {
        let (has, wanted) = (head.position, node.head.position);
        return Err(Error::invalid(
            "fill store",
            format!("the log ends at position {has}, not at {wanted}, or with another hash"),
        ));
    }
    progress::rebuild(connection)?;
    write::node(connection, node)?;
    let sql = "UPDATE node SET log = ?, home = ?, standing = ''";
    run(connection, "fill store", sql, (node.log.to_bytes(), home))
}

pub(crate) fn seal(connection: &Connection, successor: &str) -> Result<()> {
    let sealed = standing(connection)?.sealed(successor)?.to_text();
    run(connection, "seal store", "UPDATE node SET standing = ?", [&*sealed])
}

/// What should be so between the tables, and the count of rows of which it is not.
const FITTING: [(&str, &str); 4] = [
    (
        "positions are not dense from 1 to the head",
        "SELECT (SELECT count(*) FROM entries) <> (SELECT position FROM node) \
         OR (SELECT ifnull(max(position), 0) FROM entries) <> (SELECT position FROM node)",
    ),
    (
        "entries are not listed under their stamps",
        "SELECT count(*) FROM entries e WHERE NOT EXISTS (SELECT 1 FROM stamps s \
         WHERE s.origin = e.origin AND s.counter = e.counter AND s.id = e.id AND s.position IS NOT NULL)",
    ),
    (
        "stamps are listed under positions of other entries",
        "SELECT count(*) FROM stamps s WHERE s.position IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entries e \
         WHERE e.position = s.position AND e.origin = s.origin AND e.counter = s.counter AND e.id = s.id)",
    ),
    (
        "aggregates of entries have no heads",
        "SELECT count(*) FROM (SELECT DISTINCT aggregate_id FROM entries WHERE event_type NOT LIKE 'synckit.%') e \
         WHERE NOT EXISTS (SELECT 1 FROM aggregates a WHERE a.aggregate_id = e.aggregate_id)",
    ),
];

pub(crate) fn integrity(connection: &Connection) -> Result<Vec<String>> {
    let operation = "check store";
    let lines =
        all(connection, operation, "PRAGMA integrity_check(20)", [], |row| Ok(row.text(0)?.to_owned()))?;
    let mut findings: Vec<String> =
        lines.into_iter().filter(|line| line != "ok").map(|line| format!("SQLite: {line}")).collect();
    for (what, sql) in FITTING {
        match one(connection, operation, sql, [], |row| row.number(0))? {
            0 => {}
            count => findings.push(format!("{what} (rows: {count})")),
        }
    }
    Ok(findings)
}
