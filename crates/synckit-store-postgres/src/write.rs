//! Storing what a write changes.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Postgres, postgres::PgArguments};
use synckit_core::{
    Hash, JSON, LogId, NodeId, Result, encode_offered, encode_parents,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads, NodeState},
    store::{Checkpoint, QuarantineSide, Quarantined},
};

use crate::{
    error::from_sqlx,
    pack::{self, Rows},
    progress::Recorded,
    read::signed,
};

const OPERATION: &str = "write";
/// From so many rows on, entries are copied.
const MANY: usize = 200;
/// From so many bytes of data on, entries are copied.
const MUCH: usize = 256 * 1024;

/// What a write stores: its changes, and what follows from them.
pub(crate) struct Stored<'a> {
    pub(crate) changes: &'a Changes,
    /// The node as it is afterwards.
    pub(crate) node: &'a NodeState,
    /// The origins of the new stamps as they are afterwards.
    pub(crate) origins: BTreeMap<NodeId, Recorded>,
}

pub(crate) async fn store(connection: &mut PgConnection, tenant: i32, stored: Stored<'_>) -> Result<()> {
    let changes = stored.changes;
    if !changes.superseded.is_empty() {
        let positions: Vec<i64> = changes.superseded.iter().map(|p| signed(*p)).collect();
        let sql = "UPDATE entries SET superseded = true WHERE tenant = $1 AND position = ANY($2)";
        run(connection, sqlx::query(sql).bind(tenant).bind(positions)).await?;
    }
    entries(connection, tenant, &changes.entries).await?;
    known_stamps(connection, tenant, changes).await?;
    decisions(connection, tenant, changes).await?;
    reviews(connection, tenant, changes).await?;
    claims(connection, tenant, "withdrawn", &changes.withdrawn).await?;
    claims(connection, tenant, "other_claims", &changes.others).await?;
    if !changes.released.is_empty() {
        release(connection, tenant, &changes.released).await?;
    }
    if !changes.quarantined.is_empty() {
        quarantine(connection, tenant, &changes.quarantined).await?;
    }
    if let Some(log) = changes.forget {
        forget(connection, tenant, log).await?;
    }
    if let Some(row) = &changes.checkpoint {
        checkpoint(connection, tenant, row).await?;
    }
    state(connection, tenant, &changes.heads, &stored.origins, stored.node).await
}

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

async fn run(connection: &mut PgConnection, query: Query<'_>) -> Result<()> {
    query.execute(connection).await.map_err(from_sqlx(OPERATION)).map(drop)
}

const COPY_ENTRIES: &str = "COPY entries (tenant, stub, superseded, position, counter, timestamp, id, event_type, \
    aggregate_id, codec, data, metadata, origin, parents, content, hash, received_from) FROM STDIN (FORMAT binary)";

async fn entries(connection: &mut PgConnection, tenant: i32, new: &[NewEntry]) -> Result<()> {
    let bytes = || new.iter().map(|n| n.event.data.bytes().len()).sum::<usize>();
    if new.is_empty() {
        Ok(())
    } else if new.len() < MANY && bytes() < MUCH {
        insert_entries(connection, tenant, new).await
    } else {
        copy_entries(connection, tenant, new).await
    }
}

fn codec(new: &NewEntry) -> Option<&str> {
    Some(new.event.data.codec()).filter(|codec| *codec != JSON)
}

fn metadata(new: &NewEntry) -> Option<&str> {
    Some(new.event.metadata.as_json()).filter(|_| !new.event.metadata.is_empty())
}

/// Few entries: one request and one answer. A `COPY` is two of each; and its end is a message of its own after the rows,
/// which over TCP waits until the server has confirmed those, for it has nothing to answer to them.
async fn insert_entries(connection: &mut PgConnection, tenant: i32, new: &[NewEntry]) -> Result<()> {
    let sql = "INSERT INTO entries (tenant, stub, superseded, position, counter, timestamp, id, event_type, \
               aggregate_id, codec, data, metadata, origin, parents, content, hash, received_from) \
               SELECT $1, * FROM unnest($2::boolean[], $3::boolean[], $4::bigint[], $5::bigint[], $6::bigint[], \
               $7::text[], $8::text[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::bytea[], $14::bytea[], \
               $15::bytea[], $16::bytea[], $17::bytea[])";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(new.iter().map(|n| n.stub).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.superseded).collect::<Vec<_>>())
        .bind(new.iter().map(|n| signed(n.position)).collect::<Vec<_>>())
        .bind(new.iter().map(|n| signed(n.stamp.counter)).collect::<Vec<_>>())
        .bind(new.iter().map(|n| signed(n.stamp.timestamp.as_micros())).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.event.id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.event.event_type.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.event.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(codec).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.event.data.bytes().as_ref()).collect::<Vec<&[u8]>>())
        .bind(new.iter().map(metadata).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.stamp.origin.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(new.iter().map(|n| encode_parents(&n.stamp.parents)).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.content.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.hash.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(new.iter().map(|n| n.from.map(|log| log.to_bytes().to_vec())).collect::<Vec<_>>());
    run(connection, query).await
}

async fn copy_entries(connection: &mut PgConnection, tenant: i32, new: &[NewEntry]) -> Result<()> {
    let write = |rows: &mut Rows, new: &NewEntry| {
        let event = &new.event;
        rows.row(17)
            .integer(tenant)
            .flag(new.stub)
            .flag(new.superseded)
            .number(signed(new.position))
            .number(signed(new.stamp.counter))
            .number(signed(new.stamp.timestamp.as_micros()))
            .text(event.id.as_str())
            .text(event.event_type.as_str())
            .text(event.aggregate_id.as_str())
            .optional(codec(new).map(str::as_bytes))
            .bytes(event.data.bytes())
            .optional(metadata(new).map(str::as_bytes))
            .bytes(&new.stamp.origin.to_bytes())
            .bytes(&encode_parents(&new.stamp.parents))
            .bytes(new.content.as_bytes())
            .bytes(new.hash.as_bytes())
            .optional(new.from.map(LogId::to_bytes).as_ref().map(|log| log.as_slice()));
    };
    pack::copy(connection, COPY_ENTRIES, OPERATION, new, write).await
}

/// What nearly every write changes, in one statement: heads, progress, and the node.
const STATE: &str = "
WITH changed AS (
    INSERT INTO aggregates (tenant, aggregate_id, heads, conflict)
    SELECT $1, r.aggregate_id, r.heads, r.conflict
    FROM unnest($2::text[], $3::bytea[], $4::text[]) r (aggregate_id, heads, conflict)
    ON CONFLICT (tenant, aggregate_id) DO UPDATE SET heads = excluded.heads, conflict = excluded.conflict
), advanced AS (
    INSERT INTO origins (tenant, origin, counter, held, ids)
    SELECT $1, r.origin, r.counter, r.held, r.ids
    FROM unnest($5::bytea[], $6::bigint[], $7::bigint[], $8::bytea[]) r (origin, counter, held, ids)
    ON CONFLICT (tenant, origin) DO UPDATE SET counter = excluded.counter, held = excluded.held, ids = excluded.ids
)
UPDATE tenants SET node = $9, former = $10, counter = $11, clock = $12, position = $13, hash = $14 WHERE tenant = $1";

async fn state(
    connection: &mut PgConnection,
    tenant: i32,
    heads: &[NewHeads],
    origins: &BTreeMap<NodeId, Recorded>,
    node: &NodeState,
) -> Result<()> {
    let former: Vec<u8> = node.former.iter().flat_map(|n| n.to_bytes()).collect();
    let query = sqlx::query(STATE)
        .bind(tenant)
        .bind(heads.iter().map(|h| h.aggregate.as_str()).collect::<Vec<_>>())
        .bind(heads.iter().map(|h| encode_heads(&h.heads)).collect::<Vec<_>>())
        .bind(heads.iter().map(|h| h.conflict.as_ref().map(|c| c.as_str())).collect::<Vec<_>>())
        .bind(origins.keys().map(|o| o.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(origins.values().map(|o| signed(o.counter)).collect::<Vec<_>>())
        .bind(origins.values().map(|o| signed(o.held)).collect::<Vec<_>>())
        .bind(origins.values().map(|o| o.ids.to_be_bytes().to_vec()).collect::<Vec<_>>())
        .bind(node.node.to_bytes())
        .bind(former)
        .bind(signed(node.counter))
        .bind(signed(node.clock.as_micros()))
        .bind(signed(node.head.position))
        .bind(node.head.hash.as_bytes().as_slice());
    run(connection, query).await
}

async fn known_stamps(connection: &mut PgConnection, tenant: i32, changes: &Changes) -> Result<()> {
    let rows = &changes.known_stamps;
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO known_stamps (tenant, origin, counter, id, share) \
               SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bytea[]) ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(rows.iter().map(|k| k.origin.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(rows.iter().map(|k| signed(k.counter)).collect::<Vec<_>>())
        .bind(rows.iter().map(|k| k.id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|k| k.share.to_be_bytes().to_vec()).collect::<Vec<_>>());
    run(connection, query).await
}

async fn decisions(connection: &mut PgConnection, tenant: i32, changes: &Changes) -> Result<()> {
    // A later copy with a smaller timestamp takes the place of an earlier one.
    let rows: BTreeMap<_, _> = changes.decisions.iter().map(|d| (&d.vertex, d)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO decisions (tenant, vertex, event, aggregate_id, conflict, timestamp) \
               SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) \
               ON CONFLICT (tenant, vertex) DO UPDATE SET event = excluded.event, \
               aggregate_id = excluded.aggregate_id, conflict = excluded.conflict, timestamp = excluded.timestamp";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(rows.keys().map(|vertex| vertex.as_str()).collect::<Vec<_>>())
        .bind(rows.values().map(|d| d.event.as_str()).collect::<Vec<_>>())
        .bind(rows.values().map(|d| d.aggregate.as_str()).collect::<Vec<_>>())
        .bind(rows.values().map(|d| d.conflict.as_ref().map(|c| c.as_str())).collect::<Vec<_>>())
        .bind(rows.values().map(|d| signed(d.timestamp.as_micros())).collect::<Vec<_>>());
    run(connection, query).await
}

async fn reviews(connection: &mut PgConnection, tenant: i32, changes: &Changes) -> Result<()> {
    let rows = &changes.reviews;
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO reviews (tenant, event, conflict, aggregate_id, heads, reason) \
               SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[]) \
               ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(rows.iter().map(|r| r.event.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.conflict.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.aggregate.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| encode_parents(&r.heads)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.reason.as_bytes()).collect::<Vec<_>>());
    run(connection, query).await
}

/// What tells claims of one id apart, short enough for an index.
fn distinction(ClaimOf { claim, .. }: &ClaimOf) -> Vec<u8> {
    let stamp = &claim.stamp;
    let mut bytes = stamp.origin.to_bytes().to_vec();
    bytes.extend(stamp.counter.to_be_bytes());
    bytes.extend(stamp.timestamp.as_micros().to_be_bytes());
    bytes.extend(claim.content.as_bytes());
    bytes.extend(claim.aggregate.as_str().as_bytes());
    // No name has it in it.
    bytes.push(0);
    bytes.extend(encode_parents(&stamp.parents));
    Hash::of(&bytes).as_bytes().to_vec()
}

async fn claims(
    connection: &mut PgConnection,
    tenant: i32,
    table: &'static str,
    rows: &[ClaimOf],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO {table} (tenant, id, claim, aggregate_id, origin, counter, timestamp, parents, content) \
         SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], \
         $8::bytea[], $9::bytea[]) ON CONFLICT DO NOTHING"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant)
        .bind(rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(distinction).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.claim.aggregate.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.claim.stamp.origin.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| signed(r.claim.stamp.counter)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| signed(r.claim.stamp.timestamp.as_micros())).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| encode_parents(&r.claim.stamp.parents)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.claim.content.as_bytes().to_vec()).collect::<Vec<_>>());
    run(connection, query).await
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

async fn release(connection: &mut PgConnection, tenant: i32, rows: &[Quarantined]) -> Result<()> {
    let sql = "DELETE FROM quarantine WHERE ctid = ANY(ARRAY(SELECT q.ctid FROM \
               unnest($2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[]) r (side, peer, id, origin, counter) \
               CROSS JOIN LATERAL (SELECT q.ctid FROM quarantine q WHERE q.tenant = $1 AND q.side = r.side \
               AND q.peer = r.peer AND q.id = r.id AND q.origin = r.origin AND q.counter = r.counter OFFSET 0) q))";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(rows.iter().map(|r| side(r.side)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.peer.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(origin).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| signed(r.counter)).collect::<Vec<_>>());
    run(connection, query).await
}

async fn quarantine(connection: &mut PgConnection, tenant: i32, rows: &[Quarantined]) -> Result<()> {
    // A later row takes the place of an earlier one.
    let rows: BTreeMap<_, _> = rows.iter().map(|row| (row.key(), row)).collect();
    let rows: Vec<&Quarantined> = rows.into_values().collect();
    let sql = "INSERT INTO quarantine (tenant, side, peer, id, origin, counter, code, detail, position, held) \
               SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::text[], \
               $8::bytea[], $9::bigint[], $10::bytea[]) \
               ON CONFLICT (tenant, side, peer, id, origin, counter) DO UPDATE SET code = excluded.code, \
               detail = excluded.detail, position = excluded.position, held = excluded.held";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(rows.iter().map(|r| side(r.side)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.peer.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| origin(r)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| signed(r.counter)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.refusal.code.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.refusal.detail.as_bytes()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| signed(r.position)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.held.as_ref().map(encode_offered)).collect::<Vec<_>>());
    run(connection, query).await
}

async fn forget(connection: &mut PgConnection, tenant: i32, log: LogId) -> Result<()> {
    let checkpoints = "DELETE FROM checkpoints WHERE tenant = $1 AND log = $2";
    run(connection, sqlx::query(checkpoints).bind(tenant).bind(log.to_bytes())).await?;
    let refused = "DELETE FROM quarantine WHERE tenant = $1 AND side = 'refused' AND peer = $2";
    run(connection, sqlx::query(refused).bind(tenant).bind(log.to_bytes())).await
}

async fn checkpoint(connection: &mut PgConnection, tenant: i32, row: &Checkpoint) -> Result<()> {
    let sql = "INSERT INTO checkpoints (tenant, log, address, pull_position, pull_hash, push, seen_position, seen_hash, \
               shown_position, shown_hash, echo_floor, filter, synced_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
               ON CONFLICT (tenant, log) DO UPDATE SET address = excluded.address, \
               pull_position = excluded.pull_position, pull_hash = excluded.pull_hash, push = excluded.push, \
               seen_position = excluded.seen_position, seen_hash = excluded.seen_hash, \
               shown_position = excluded.shown_position, shown_hash = excluded.shown_hash, \
               echo_floor = excluded.echo_floor, filter = excluded.filter, synced_at = excluded.synced_at";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(row.log.to_bytes())
        .bind(row.address.as_bytes())
        .bind(signed(row.pull.position))
        .bind(row.pull.hash.as_bytes().as_slice())
        .bind(signed(row.push))
        .bind(signed(row.seen.position))
        .bind(row.seen.hash.as_bytes().as_slice())
        .bind(signed(row.shown.position))
        .bind(row.shown.hash.as_bytes().as_slice())
        .bind(signed(row.echo_floor))
        .bind(row.filter.as_bytes().as_slice())
        .bind(signed(row.synced_at.as_micros()));
    run(connection, query).await
}
