//! Storing what a write changes.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use synckit_core::{
    JSON, LogId, Result, encode_offered, encode_parents,
    graph::encode_heads,
    plan::{Changes, ClaimOf, NewEntry, NewHeads, NodeState},
    store::{Checkpoint, QuarantineSide, Quarantined},
};

use crate::{error::from_sqlx, progress, read::signed};

const OPERATION: &str = "write";
/// Rows a statement: few enough for SQLite's limit of parameters, many enough to make a statement's cost small.
const ROWS: usize = 500;

pub(crate) async fn store(connection: &mut SqliteConnection, changes: Changes) -> Result<()> {
    if !changes.superseded.is_empty() {
        let positions = serde_json::Value::from_iter(changes.superseded).to_string();
        run(
            connection,
            sqlx::query(
                "UPDATE entries SET superseded = 1 WHERE position IN (SELECT value FROM json_each(?))",
            )
            .bind(positions),
        )
        .await?;
    }
    for rows in changes.entries.chunks(ROWS) {
        entries(connection, rows).await?;
    }
    for rows in changes.heads.chunks(ROWS) {
        heads(connection, rows).await?;
    }
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

async fn entries(connection: &mut SqliteConnection, rows: &[NewEntry]) -> Result<()> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO entries ");
    query.push_values(rows, |mut q, row| {
        let codec = (row.event.data.codec() != JSON).then(|| row.event.data.codec().to_owned());
        let metadata = (!row.event.metadata.is_empty()).then(|| row.event.metadata.as_json().to_owned());
        q.push_bind(signed(row.position));
        q.push_bind(row.event.id.as_str().to_owned());
        q.push_bind(row.event.event_type.as_str().to_owned());
        q.push_bind(row.event.aggregate_id.as_str().to_owned());
        q.push_bind(codec);
        q.push_bind(row.event.data.bytes().to_vec());
        q.push_bind(metadata);
        q.push_bind(row.stamp.origin.to_bytes().to_vec());
        q.push_bind(signed(row.stamp.counter));
        q.push_bind(signed(row.stamp.timestamp.as_micros()));
        q.push_bind(encode_parents(&row.stamp.parents));
        q.push_bind(row.content.as_bytes().to_vec());
        q.push_bind(row.hash.as_bytes().to_vec());
        q.push_bind(row.from.map(|log| log.to_bytes().to_vec()));
        q.push_bind(row.stub);
        q.push_bind(row.superseded);
    });
    query.build().execute(connection).await.map_err(from_sqlx(OPERATION)).map(drop)
}

async fn heads(connection: &mut SqliteConnection, rows: &[NewHeads]) -> Result<()> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO aggregates ");
    query.push_values(rows, |mut q, row| {
        q.push_bind(row.aggregate.as_str().to_owned());
        q.push_bind(encode_heads(&row.heads));
        q.push_bind(row.conflict.as_ref().map(|c| c.as_str().to_owned()));
    });
    query.push(
        " ON CONFLICT (aggregate_id) DO UPDATE SET heads = excluded.heads, conflict = excluded.conflict",
    );
    query.build().execute(connection).await.map_err(from_sqlx(OPERATION)).map(drop)
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
    let query = sqlx::query("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(row.log.to_bytes().to_vec())
        .bind(row.address.clone())
        .bind(signed(row.pull.position))
        .bind(row.pull.hash.as_bytes().to_vec())
        .bind(signed(row.push))
        .bind(signed(row.seen.position))
        .bind(row.seen.hash.as_bytes().to_vec())
        .bind(signed(row.echo_floor))
        .bind(row.filter.as_bytes().to_vec())
        .bind(signed(row.synced_at.as_micros()));
    run(connection, query).await
}

async fn node(connection: &mut SqliteConnection, state: &NodeState) -> Result<()> {
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
