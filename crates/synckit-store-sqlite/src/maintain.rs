//! Moving what a store holds, and examining it.

use sqlx::{Row as _, SqliteConnection};
use synckit_core::{
    AggregateId, ConflictId, Error, EventId, Hash, NodeId, Result, Timestamp, VertexId, decode_parents,
    graph::decode_heads,
    plan::{Changes, Claim, ClaimOf, KnownStamp, NewHeads, NodeState},
    store::{ReviewRow, Rows, Standing, StoredDecision, Table},
};

use crate::{
    error::from_sqlx,
    lookup::{self, Columns as _},
    progress,
    read::signed,
    write,
};

const OPERATION: &str = "read rows";

/// A change beside the daily work.
pub(crate) enum Step {
    Fill(Box<Changes>),
    Complete { node: NodeState, home: Option<String> },
    Seal { successor: String },
}

impl Step {
    pub(crate) async fn run(self, connection: &mut SqliteConnection) -> Result<()> {
        match self {
            Self::Fill(changes) => fill(connection, &changes).await,
            Self::Complete { node, home } => complete(connection, &node, home.as_deref()).await,
            Self::Seal { successor } => seal(connection, &successor).await,
        }
    }
}

pub(crate) async fn standing(connection: &mut SqliteConnection) -> Result<Standing> {
    let sql = "SELECT standing FROM node";
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(from_sqlx("open store"))?;
    Standing::parse(&row.text(0)?)
}

/// The rows of a table after a key: the first column of the last row, or the three of a stamp's.
pub(crate) async fn rows(
    connection: &mut SqliteConnection,
    table: Table,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Rows> {
    let foreign_key = |_| Error::invalid(OPERATION, "the key is not one that this store gave");
    if table == Table::KnownStamps {
        return known_stamps(connection, after, limit).await;
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
    let after = std::str::from_utf8(after.unwrap_or_default()).map_err(foreign_key)?.to_owned();
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let found = sqlx::query(sql).bind(after).bind(limit).fetch_all(connection).await;
    let found = found.map_err(from_sqlx(OPERATION))?;
    let mut changes = Changes::default();
    for row in &found {
        match table {
            Table::Heads => changes.heads.push(NewHeads {
                aggregate: AggregateId::new(row.text(0)?)?,
                heads: decode_heads(&row.blob(1)?)?,
                conflict: optional_conflict(row, 2)?,
            }),
            Table::Decisions => changes.decisions.push(StoredDecision {
                vertex: VertexId::new(row.text(0)?)?,
                event: EventId::new(row.text(1)?)?,
                aggregate: AggregateId::new(row.text(2)?)?,
                conflict: optional_conflict(row, 3)?,
                timestamp: Timestamp::from_micros(row.number(4)?),
            }),
            Table::Reviews => changes.reviews.push(ReviewRow {
                event: EventId::new(row.text(0)?)?,
                conflict: ConflictId::new(row.text(1)?)?,
                aggregate: AggregateId::new(row.text(2)?)?,
                heads: decode_parents(&row.blob(3)?)?,
                reason: row.text(4)?,
            }),
            _ => {
                let claim = Claim {
                    aggregate: AggregateId::new(row.text(1)?)?,
                    stamp: row.stamp(2)?,
                    content: Hash::from_slice(&row.blob(6)?)?,
                };
                let of = ClaimOf { id: EventId::new(row.text(0)?)?, claim };
                let claims =
                    if table == Table::Withdrawn { &mut changes.withdrawn } else { &mut changes.others };
                claims.push(of);
            }
        }
    }
    let next = found.last().map(|row| row.text(0)).transpose()?.map(String::into_bytes);
    Ok(Rows { changes, next })
}

fn optional_conflict(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<Option<ConflictId>> {
    let text: Option<String> = row.try_get(column).map_err(from_sqlx(OPERATION))?;
    text.map(ConflictId::new).transpose()
}

async fn known_stamps(connection: &mut SqliteConnection, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
    let foreign_key = || Error::invalid(OPERATION, "the key is not one that this store gave");
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
    let found = sqlx::query(sql)
        .bind(origin.to_vec())
        .bind(signed(counter))
        .bind(id.to_owned())
        .bind(share.to_vec())
        .bind(i64::try_from(limit.max(1)).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(from_sqlx(OPERATION))?;
    let stamps: Result<Vec<KnownStamp>> = found
        .iter()
        .map(|row| {
            Ok(KnownStamp {
                origin: NodeId::from_slice(&row.blob(0)?)?,
                counter: row.number(1)?,
                id: EventId::new(row.text(2)?)?,
                share: progress::mixed(&row.blob(3)?)?,
            })
        })
        .collect();
    let mut changes = Changes::default();
    changes.known_stamps = stamps?;
    let next = changes.known_stamps.last().map(|last| {
        let mut key = last.origin.to_bytes().to_vec();
        key.extend(last.counter.to_be_bytes());
        key.extend(last.share.to_be_bytes());
        key.extend(last.id.as_str().as_bytes());
        key
    });
    Ok(Rows { changes, next })
}

async fn fill(connection: &mut SqliteConnection, changes: &Changes) -> Result<()> {
    standing(connection).await?.may_fill()?;
    let end = lookup::node(connection).await?.head.position;
    if changes.entries.iter().zip(end + 1..).any(|(entry, position)| entry.position != position) {
        return Err(Error::invalid("fill store", format!("the entries do not follow on position {end}")));
    }
    write::store(connection, changes).await
}

async fn complete(connection: &mut SqliteConnection, node: &NodeState, home: Option<&str>) -> Result<()> {
    standing(connection).await?.may_fill()?;
    let head = lookup::node(connection).await?.head;
    if head != node.head {
        let (has, wanted) = (head.position, node.head.position);
        return Err(Error::invalid(
            "fill store",
            format!("the log ends at position {has}, not at {wanted}, or with another hash"),
        ));
    }
    progress::rebuild(connection).await?;
    write::node(connection, node).await?;
    let sql = "UPDATE node SET log = ?, home = ?, standing = ''";
    let query = sqlx::query(sql).bind(node.log.to_bytes().to_vec()).bind(home.map(str::to_owned));
    query.execute(connection).await.map(drop).map_err(from_sqlx("fill store"))
}

async fn seal(connection: &mut SqliteConnection, successor: &str) -> Result<()> {
    let sealed = standing(connection).await?.sealed(successor)?.to_text();
    let query = sqlx::query("UPDATE node SET standing = ?").bind(sealed);
    query.execute(connection).await.map(drop).map_err(from_sqlx("seal store"))
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

pub(crate) async fn integrity(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let failed = from_sqlx("check store");
    let mut findings = Vec::new();
    let rows =
        sqlx::query("PRAGMA integrity_check(20)").fetch_all(&mut *connection).await.map_err(&failed)?;
    for row in &rows {
        let line = row.text(0)?;
        if line != "ok" {
            findings.push(format!("SQLite: {line}"));
        }
    }
    for (what, sql) in FITTING {
        let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(&failed)?;
        match row.number(0)? {
            0 => {}
            count => findings.push(format!("{what} (rows: {count})")),
        }
    }
    Ok(findings)
}
