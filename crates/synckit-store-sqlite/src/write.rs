//! Storing what a write changes.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use synckit_core::{
    JSON, LogId, Result, encode_offered, encode_parents,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads, NodeState},
    store::{Checkpoint, QuarantineSide, Quarantined},
};

use crate::{
    error::from_sqlx,
    pack::{Packed, ROWS, Rows, run_all},
    progress,
    read::signed,
};

const OPERATION: &str = "write";
/// Heads a statement. They lie all over their table, and each statement first copies the pages that it changes.
const HEADS: usize = 1_024;

pub(crate) async fn store(connection: &mut SqliteConnection, changes: &Changes) -> Result<()> {
    if !changes.superseded.is_empty() {
        let positions = serde_json::Value::from_iter(changes.superseded.iter().copied()).to_string();
        run(
            connection,
            sqlx::query(
                "UPDATE entries SET superseded = 1 WHERE position IN (SELECT value FROM json_each(?))",
            )
            .bind(positions),
        )
        .await?;
    }
    run_all(connection, &changes.entries, ROWS, OPERATION, entries).await?;
    run_all(connection, &changes.heads, HEADS, OPERATION, heads).await?;
    progress::record(connection, &changes.entries, &changes.known_stamps).await?;
    for rows in changes.decisions.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT OR REPLACE INTO decisions ");
        query.push_values(rows, |mut q, decision| {
            q.push_bind(decision.vertex.as_str().to_owned());
            q.push_bind(decision.event.as_str().to_owned());
            q.push_bind(decision.aggregate.as_str().to_owned());
            q.push_bind(decision.conflict.as_ref().map(|c| c.as_str().to_owned()));
            q.push_bind(signed(decision.timestamp.as_micros()));
        });
        query.build().execute(&mut *connection).await.map_err(from_sqlx(OPERATION))?;
    }
    for rows in changes.reviews.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT OR IGNORE INTO reviews ");
        query.push_values(rows, |mut q, review| {
            q.push_bind(review.event.as_str().to_owned());
            q.push_bind(review.conflict.as_str().to_owned());
            q.push_bind(review.aggregate.as_str().to_owned());
            q.push_bind(encode_parents(&review.heads));
            q.push_bind(review.reason.clone());
        });
        query.build().execute(&mut *connection).await.map_err(from_sqlx(OPERATION))?;
    }
    claims(connection, "withdrawn", &changes.withdrawn).await?;
    claims(connection, "other_claims", &changes.others).await?;
    for row in &changes.released {
        release(connection, row).await?;
    }
    for row in &changes.quarantined {
        quarantine(connection, row).await?;
    }
    if let Some(log) = changes.forget {
        forget(connection, log).await?;
    }
    if let Some(row) = &changes.checkpoint {
        checkpoint(connection, row).await?;
    }
    if let Some(state) = &changes.node {
        node(connection, state).await?;
    }
    Ok(())
}

type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

async fn run(connection: &mut SqliteConnection, query: Query) -> Result<()> {
    query.execute(connection).await.map_err(from_sqlx(OPERATION)).map(drop)
}

async fn claims(connection: &mut SqliteConnection, table: &'static str, rows: &[ClaimOf]) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT OR IGNORE INTO ");
        query.push(table).push(" ").push_values(rows, |mut q, ClaimOf { id, claim }| {
            q.push_bind(id.as_str().to_owned());
            q.push_bind(claim.aggregate.as_str().to_owned());
            q.push_bind(claim.stamp.origin.to_bytes().to_vec());
            q.push_bind(signed(claim.stamp.counter));
            q.push_bind(signed(claim.stamp.timestamp.as_micros()));
            q.push_bind(encode_parents(&claim.stamp.parents));
            q.push_bind(claim.content.as_bytes().to_vec());
        });
        query.build().execute(&mut *connection).await.map_err(from_sqlx(OPERATION))?;
    }
    Ok(())
}

/// What has a length of its own comes before what has not, and small lengths share a number.
const ENTRY_COLUMNS: &str = "position, counter, timestamp, bits, origin, id, data, metadata, parents, ends";
/// Whatever fails, the transaction ends: so that SQLite need not keep every page as it was before the statement.
const INSERT_ENTRIES: &str = "INSERT OR FAIL INTO entries SELECT position, \
    CAST(substr({bytes}, id, bits & 255) AS TEXT), \
    CAST(substr({bytes}, id + (bits & 255), bits >> 8 & 255) AS TEXT), \
    CAST(substr({bytes}, id + (bits & 255) + (bits >> 8 & 255), bits >> 16 & 255) AS TEXT), \
    iif(bits >> 24 & 255, CAST(substr({bytes}, data - (bits >> 24 & 255), bits >> 24 & 255) AS TEXT), NULL), \
    substr({bytes}, data, metadata - data), \
    iif(metadata < parents, CAST(substr({bytes}, metadata, parents - metadata) AS TEXT), NULL), \
    substr({bytes}, origin, 16), counter, timestamp, substr({bytes}, parents, ends - parents), \
    substr({bytes}, origin + 16, 32), substr({bytes}, origin + 48, 32), \
    iif(origin + 80 < id, substr({bytes}, origin + 80, 16), NULL), bits >> 32 & 1, bits >> 33 & 1 FROM r \
    WHERE position > 0";

fn entries(new: &[NewEntry]) -> Option<Packed> {
    let mut rows = Rows::new();
    for new in new {
        let event = &new.event;
        let names = [event.id.as_str(), event.event_type.as_str(), event.aggregate_id.as_str()];
        let codec = if event.data.codec() == JSON { "" } else { event.data.codec() };
        let metadata = if event.metadata.is_empty() { "" } else { event.metadata.as_json() };
        let length = |text: &str, at: u32| i64::try_from(text.len()).unwrap_or(0) << at;
        let lengths = length(names[0], 0) | length(names[1], 8) | length(names[2], 16) | length(codec, 24);
        rows.row(&[
            signed(new.position),
            signed(new.stamp.counter),
            signed(new.stamp.timestamp.as_micros()),
            lengths | i64::from(new.stub) << 32 | i64::from(new.superseded) << 33,
        ])
        .part(&new.stamp.origin.to_bytes())
        .part(new.content.as_bytes())
        .part(new.hash.as_bytes())
        .bytes(new.from.map(LogId::to_bytes).as_ref().map_or(&[], |log| log))
        .part(names[0].as_bytes())
        .part(names[1].as_bytes())
        .part(names[2].as_bytes())
        .bytes(codec.as_bytes())
        .bytes(event.data.bytes())
        .bytes(metadata.as_bytes())
        .bytes(&encode_parents(&new.stamp.parents));
    }
    rows.statement(ENTRY_COLUMNS, INSERT_ENTRIES)
}

const INSERT_HEADS: &str = "INSERT INTO aggregates SELECT CAST(substr({bytes}, name, heads - name) AS TEXT), \
    substr({bytes}, heads, conflict - heads), \
    nullif(CAST(substr({bytes}, conflict, ends - conflict) AS TEXT), '') FROM r WHERE name > 0 \
    ON CONFLICT (aggregate_id) DO UPDATE SET heads = excluded.heads, conflict = excluded.conflict";

fn heads(new: &[NewHeads]) -> Option<Packed> {
    let mut rows = Rows::new();
    for new in new {
        rows.row(&[])
            .bytes(new.aggregate.as_str().as_bytes())
            .bytes(&encode_heads(&new.heads))
            .bytes(new.conflict.as_ref().map_or("", |c| c.as_str()).as_bytes());
    }
    rows.statement("name, heads, conflict, ends", INSERT_HEADS)
}

const fn side(side: QuarantineSide) -> &'static str {
    match side {
        QuarantineSide::Held => "held",
        _ => "refused",
    }
}

async fn release(connection: &mut SqliteConnection, row: &Quarantined) -> Result<()> {
    let sql = "DELETE FROM quarantine WHERE side = ? AND peer = ? AND id = ? AND origin = ? AND counter = ?";
    let query = sqlx::query(sql)
        .bind(side(row.side))
        .bind(row.peer.to_bytes().to_vec())
        .bind(row.id.as_str().to_owned())
        .bind(row.origin.map(|o| o.to_bytes().to_vec()).unwrap_or_default())
        .bind(signed(row.counter));
    run(connection, query).await
}

async fn quarantine(connection: &mut SqliteConnection, row: &Quarantined) -> Result<()> {
    let query = sqlx::query("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(side(row.side))
        .bind(row.peer.to_bytes().to_vec())
        .bind(row.id.as_str().to_owned())
        .bind(row.origin.map(|o| o.to_bytes().to_vec()).unwrap_or_default())
        .bind(signed(row.counter))
        .bind(row.refusal.code.as_str())
        .bind(row.refusal.detail.clone())
        .bind(signed(row.position))
        .bind(row.held.as_ref().map(encode_offered));
    run(connection, query).await
}

async fn forget(connection: &mut SqliteConnection, log: LogId) -> Result<()> {
    let log = log.to_bytes().to_vec();
    run(connection, sqlx::query("DELETE FROM checkpoints WHERE log = ?").bind(log.clone())).await?;
    run(connection, sqlx::query("DELETE FROM quarantine WHERE peer = ? AND side = 'refused'").bind(log)).await
}

async fn checkpoint(connection: &mut SqliteConnection, row: &Checkpoint) -> Result<()> {
    let query = sqlx::query("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(row.log.to_bytes().to_vec())
        .bind(row.address.clone())
        .bind(signed(row.pull.position))
        .bind(row.pull.hash.as_bytes().to_vec())
        .bind(signed(row.push))
        .bind(signed(row.seen.position))
        .bind(row.seen.hash.as_bytes().to_vec())
        .bind(signed(row.shown.position))
        .bind(row.shown.hash.as_bytes().to_vec())
        .bind(signed(row.echo_floor))
        .bind(row.filter.as_bytes().to_vec())
        .bind(signed(row.synced_at.as_micros()));
    run(connection, query).await
}

pub(crate) async fn node(connection: &mut SqliteConnection, state: &NodeState) -> Result<()> {
    let former: Vec<u8> = state.former.iter().flat_map(|n| n.to_bytes()).collect();
    let query =
        sqlx::query("UPDATE node SET node = ?, former = ?, counter = ?, clock = ?, position = ?, hash = ?")
            .bind(state.node.to_bytes().to_vec())
            .bind(former)
            .bind(signed(state.counter))
            .bind(signed(state.clock.as_micros()))
            .bind(signed(state.head.position))
            .bind(state.head.hash.as_bytes().to_vec());
    run(connection, query).await
}
