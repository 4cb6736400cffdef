//! Moving what a store holds, and examining it.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use synckit_core::{
    AggregateId, ConflictId, Error, EventId, NodeId, Result, VertexId, decode_parents,
    graph::decode_heads,
    plan::{Changes, ClaimOf, KnownStamp, NewHeads, NodeState},
    store::{ReviewRow, Rows, Standing, StoredDecision, Table},
};

use crate::{
    error::from_sqlx,
    lookup,
    packed::{self, Fields, rows as fields},
    progress,
    read::signed,
    write::{self, Stored},
};

const OPERATION: &str = "read rows";

/// A change beside the daily work.
pub(crate) enum Step {
    Fill(Box<Changes>),
    Complete(NodeState),
    Seal { successor: String },
}

impl Step {
    pub(crate) async fn run(self, connection: &mut PgConnection, tenant: i32) -> Result<()> {
        let (node, standing) = lookup::lock(connection, tenant).await?;
        match self {
            Self::Fill(changes) => {
                standing.may_fill()?;
                fill(connection, tenant, node, &changes).await
            }
            Self::Complete(state) => {
                standing.may_fill()?;
                complete(connection, tenant, &node, &state).await
            }
            Self::Seal { successor } => {
                stand(connection, tenant, node.log.to_bytes(), &standing.sealed(&successor)?).await
            }
        }
    }
}

async fn stand(connection: &mut PgConnection, tenant: i32, log: [u8; 16], standing: &Standing) -> Result<()> {
    let sql = "UPDATE tenants SET log = $2, standing = $3 WHERE tenant = $1";
    let query = sqlx::query(sql).bind(tenant).bind(log).bind(standing.to_text());
    query.execute(connection).await.map(drop).map_err(from_sqlx("maintain store"))
}

async fn fill(connection: &mut PgConnection, tenant: i32, node: NodeState, changes: &Changes) -> Result<()> {
    let end = node.head.position;
    if changes.entries.iter().zip(end + 1..).any(|(entry, position)| entry.position != position) {
        return Err(Error::invalid("fill store", format!("the entries do not follow on position {end}")));
    }
    let node = changes.node.clone().unwrap_or(node);
    let stored = Stored { changes, node: &node, origins: BTreeMap::new() };
    write::store(connection, tenant, stored).await
}

async fn complete(
    connection: &mut PgConnection,
    tenant: i32,
    before: &NodeState,
    node: &NodeState,
) -> Result<()> {
    if before.head != node.head {
        let (has, wanted) = (before.head.position, node.head.position);
        return Err(Error::invalid(
            "fill store",
            format!("the log ends at position {has}, not at {wanted}, or with another hash"),
        ));
    }
    let origins = progress::worked_out(connection, tenant).await?;
    let changes = Changes::default();
    let stored = Stored { changes: &changes, node, origins };
    write::store(connection, tenant, stored).await?;
    stand(connection, tenant, node.log.to_bytes(), &Standing::Live).await
}

/// The rows of a table after a key: the first column of the last row, or the three of a stamp's.
pub(crate) async fn rows(
    connection: &mut PgConnection,
    tenant: i32,
    table: Table,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Rows> {
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    if table == Table::KnownStamps {
        return known_stamps(connection, tenant, after, limit).await;
    }
    let sql = match table {
        Table::Heads => {
            "SELECT aggregate_id, heads, conflict FROM aggregates WHERE tenant = $1 AND aggregate_id > $2 \
             ORDER BY aggregate_id LIMIT $3"
        }
        Table::Decisions => {
            "SELECT vertex, event, aggregate_id, conflict, timestamp FROM decisions WHERE tenant = $1 AND vertex > $2 \
             ORDER BY vertex LIMIT $3"
        }
        Table::Reviews => {
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE tenant = $1 AND event > $2 \
             ORDER BY event LIMIT $3"
        }
        // The columns of a claim, where `packed::claim` looks for them.
        Table::Withdrawn => {
            "SELECT c.id, c.id, NULL, c.aggregate_id, NULL, c.counter, c.timestamp, NULL, c.origin, c.parents, c.content \
             FROM (SELECT DISTINCT id FROM withdrawn WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3) j \
             CROSS JOIN LATERAL (SELECT * FROM withdrawn c WHERE c.tenant = $1 AND c.id = j.id OFFSET 0) c ORDER BY c.id"
        }
        Table::OtherClaims => {
            "SELECT c.id, c.id, NULL, c.aggregate_id, NULL, c.counter, c.timestamp, NULL, c.origin, c.parents, c.content \
             FROM (SELECT DISTINCT id FROM other_claims WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3) j \
             CROSS JOIN LATERAL (SELECT * FROM other_claims c WHERE c.tenant = $1 AND c.id = j.id OFFSET 0) c ORDER BY c.id"
        }
        other => return Err(Error::invalid(OPERATION, format!("the table {other:?} is not known here"))),
    };
    let after = std::str::from_utf8(after.unwrap_or_default()).map_err(|_| foreign_key())?;
    let query = sqlx::query(sql).bind(tenant).bind(after).bind(limit);
    let found = query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))?;
    let mut changes = Changes::default();
    match table {
        Table::Heads => changes.heads = fields(&found, heads)?,
        Table::Decisions => changes.decisions = fields(&found, decision)?,
        Table::Reviews => changes.reviews = fields(&found, review)?,
        Table::Withdrawn => changes.withdrawn = fields(&found, claim)?,
        _ => changes.others = fields(&found, claim)?,
    }
    let next =
        found.last().map(|row| packed::row(row, |row| row.bytes(0).map(<[u8]>::to_vec))).transpose()?;
    Ok(Rows { changes, next })
}

fn foreign_key() -> Error {
    Error::invalid(OPERATION, "the key is not one that this store gave")
}

fn optional_conflict(row: &Fields<'_>, column: usize) -> Result<Option<ConflictId>> {
    row.optional_text(column)?.map(ConflictId::new).transpose()
}

fn heads(row: &Fields<'_>) -> Result<NewHeads> {
    Ok(NewHeads {
        aggregate: AggregateId::new(row.text(0)?)?,
        heads: decode_heads(row.bytes(1)?)?,
        conflict: optional_conflict(row, 2)?,
    })
}

fn decision(row: &Fields<'_>) -> Result<StoredDecision> {
    Ok(StoredDecision {
        vertex: VertexId::new(row.text(0)?)?,
        event: EventId::new(row.text(1)?)?,
        aggregate: AggregateId::new(row.text(2)?)?,
        conflict: optional_conflict(row, 3)?,
        timestamp: row.timestamp(4)?,
    })
}

fn review(row: &Fields<'_>) -> Result<ReviewRow> {
    Ok(ReviewRow {
        event: EventId::new(row.text(0)?)?,
        conflict: ConflictId::new(row.text(1)?)?,
        aggregate: AggregateId::new(row.text(2)?)?,
        heads: decode_parents(row.bytes(3)?)?,
        reason: row.text(4)?.to_owned(),
    })
}

fn claim(row: &Fields<'_>) -> Result<ClaimOf> {
    packed::claim(row).map(|(id, claim)| ClaimOf { id, claim })
}

async fn known_stamps(
    connection: &mut PgConnection,
    tenant: i32,
    after: Option<&[u8]>,
    limit: i64,
) -> Result<Rows> {
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
    let sql = "SELECT origin, counter, id, share FROM known_stamps \
               WHERE tenant = $1 AND (origin, counter, id, share) > ($2, $3, $4, $5) \
               ORDER BY origin, counter, id, share LIMIT $6";
    let query =
        sqlx::query(sql).bind(tenant).bind(origin).bind(signed(counter)).bind(id).bind(share).bind(limit);
    let found = query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))?;
    let mut changes = Changes::default();
    changes.known_stamps = fields(&found, |row| {
        Ok(KnownStamp {
            origin: NodeId::from_slice(row.bytes(0)?)?,
            counter: row.number(1)?,
            id: EventId::new(row.text(2)?)?,
            share: progress::hash(row, 3)?,
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

/// What should be so between the tables, and the count of rows of which it is not.
const FITTING: [(&str, &str); 3] = [
    (
        "positions are not dense from 1 to the head",
        "SELECT count(*) FROM tenants t WHERE t.tenant = $1 AND \
         (t.position <> (SELECT count(*) FROM entries e WHERE e.tenant = $1) \
         OR t.position <> (SELECT coalesce(max(e.position), 0) FROM entries e WHERE e.tenant = $1))",
    ),
    (
        "entries are not covered by the progress of their origins",
        "SELECT count(*) FROM (SELECT e.origin, max(e.counter) AS counter FROM entries e WHERE e.tenant = $1 \
         GROUP BY e.origin) e WHERE NOT EXISTS (SELECT 1 FROM origins o \
         WHERE o.tenant = $1 AND o.origin = e.origin AND o.counter >= e.counter)",
    ),
    (
        "aggregates of entries have no heads",
        "SELECT count(*) FROM (SELECT DISTINCT aggregate_id FROM entries \
         WHERE tenant = $1 AND event_type NOT LIKE 'synckit.%') e \
         WHERE NOT EXISTS (SELECT 1 FROM aggregates a WHERE a.tenant = $1 AND a.aggregate_id = e.aggregate_id)",
    ),
];

/// PostgreSQL checks its pages itself, if it was set up with checksums, as they are read; an examination reads them all.
pub(crate) async fn integrity(connection: &mut PgConnection, tenant: i32) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (what, sql) in FITTING {
        let query = sqlx::query_scalar(sql).bind(tenant);
        let count: i64 = query.fetch_one(&mut *connection).await.map_err(from_sqlx("check store"))?;
        if count != 0 {
            findings.push(format!("{what} (rows: {count})"));
        }
    }
    Ok(findings)
}
