//! The tables, and how a database gets them.

use sqlx::{Connection as _, Row as _, SqliteConnection};
use synckit_core::{
    CursorMode, Error, ErrorKind, NodeId, Result,
    store::{Identity, Standing, StoreSettings},
};

use crate::{config::SqliteConfig, error::from_sqlx};

/// "syki": marks the file as ours.
const APPLICATION_ID: i64 = 0x7379_6b69;
const VERSION: i64 = 2;

/// What brings a database from a version to the next; the first one, from version 1.
const MIGRATIONS: [&str; 1] = ["ALTER TABLE node ADD COLUMN standing TEXT NOT NULL DEFAULT ''"];

/// `docs/digest.md` shows how to read `entries` from outside; keep the two in step.
const TABLES: &str = "
CREATE TABLE node (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log BLOB NOT NULL,
    node BLOB NOT NULL,
    former BLOB NOT NULL,
    label TEXT NOT NULL,
    mode TEXT NOT NULL,
    counter INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    home TEXT,
    standing TEXT NOT NULL DEFAULT ''
);
CREATE TABLE entries (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    codec TEXT,
    data BLOB NOT NULL,
    metadata TEXT,
    origin BLOB NOT NULL,
    counter INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    parents BLOB NOT NULL,
    content BLOB NOT NULL,
    hash BLOB NOT NULL,
    received_from BLOB,
    stub INTEGER NOT NULL,
    superseded INTEGER NOT NULL
);
CREATE UNIQUE INDEX entries_by_id ON entries (id) WHERE superseded = 0;
CREATE INDEX entries_by_aggregate ON entries (aggregate_id, position);
CREATE INDEX entries_of_stubs ON entries (origin, counter, id) WHERE stub = 1 AND superseded = 0;
CREATE TABLE stamps (
    origin BLOB NOT NULL,
    counter INTEGER NOT NULL,
    id TEXT NOT NULL,
    share BLOB NOT NULL,
    position INTEGER,
    PRIMARY KEY (origin, counter, id, share)
) WITHOUT ROWID;
CREATE TABLE origins (
    origin BLOB PRIMARY KEY,
    counter INTEGER NOT NULL,
    held INTEGER NOT NULL,
    ids BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE aggregates (
    aggregate_id TEXT PRIMARY KEY,
    heads BLOB NOT NULL,
    conflict TEXT
) WITHOUT ROWID;
CREATE INDEX aggregates_in_conflict ON aggregates (aggregate_id, conflict) WHERE conflict IS NOT NULL;
CREATE TABLE decisions (
    vertex TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    conflict TEXT,
    timestamp INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX decisions_by_conflict ON decisions (conflict);
CREATE INDEX decisions_by_aggregate ON decisions (aggregate_id);
CREATE TABLE reviews (
    event TEXT PRIMARY KEY,
    conflict TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    heads BLOB NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX reviews_by_conflict ON reviews (conflict);
CREATE INDEX reviews_by_aggregate ON reviews (aggregate_id);
CREATE TABLE withdrawn (
    id TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    origin BLOB NOT NULL,
    counter INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    parents BLOB NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (id, aggregate_id, origin, counter, timestamp, parents, content)
) WITHOUT ROWID;
CREATE INDEX withdrawn_by_aggregate ON withdrawn (aggregate_id);
CREATE TABLE other_claims (
    id TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    origin BLOB NOT NULL,
    counter INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    parents BLOB NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (id, aggregate_id, origin, counter, timestamp, parents, content)
) WITHOUT ROWID;
CREATE TABLE checkpoints (
    log BLOB PRIMARY KEY,
    address TEXT NOT NULL,
    pull_position INTEGER NOT NULL,
    pull_hash BLOB NOT NULL,
    push INTEGER NOT NULL,
    seen_position INTEGER NOT NULL,
    seen_hash BLOB NOT NULL,
    shown_position INTEGER NOT NULL,
    shown_hash BLOB NOT NULL,
    echo_floor INTEGER NOT NULL,
    filter BLOB NOT NULL,
    synced_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE quarantine (
    side TEXT NOT NULL,
    peer BLOB NOT NULL,
    id TEXT NOT NULL,
    origin BLOB NOT NULL,
    counter INTEGER NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    position INTEGER NOT NULL,
    held BLOB,
    PRIMARY KEY (side, peer, id, origin, counter)
) WITHOUT ROWID;
";

/// What a database file turned out to be.
pub(crate) enum Found {
    Empty,
    Store,
    /// A store of this older version.
    Older(i64),
}

/// Looks at a database without changing it.
pub(crate) async fn look(connection: &mut SqliteConnection) -> Result<Found> {
    let failed = from_sqlx("open store");
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(&failed)?;
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(&failed)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(Found::Empty),
        (APPLICATION_ID, VERSION) => Ok(Found::Store),
        (APPLICATION_ID, older) if (1..VERSION).contains(&older) => Ok(Found::Older(older)),
        (APPLICATION_ID, newer) if newer > VERSION => Err(Error::new(
            ErrorKind::SchemaTooNew,
            "open store",
            format!("the database has schema {newer}, and this version knows {VERSION}; use a newer synckit"),
        )),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "open store",
            "the file is a SQLite database, and not a synckit store",
        )),
    }
}

/// Makes the tables, and a node that is new or that of the log to be received, all or nothing. Does nothing if another
/// process was faster.
pub(crate) async fn create(
    connection: &mut SqliteConnection,
    settings: &StoreSettings,
    received: Option<&Identity>,
) -> Result<()> {
    let failed = from_sqlx("create store");
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    if !matches!(look(&mut tx).await?, Found::Empty) {
        return Ok(());
    }
    sqlx::raw_sql(TABLES).execute(&mut *tx).await.map_err(&failed)?;
    let new = settings.new_node();
    let (log, node) = received.map_or((new.log, new.node), |from| (from.log, from.node));
    let standing = if received.is_some() { Standing::Filling } else { Standing::Live };
    sqlx::query("INSERT INTO node VALUES (1, ?, ?, x'', ?, ?, 0, 0, 0, zeroblob(32), NULL, ?)")
        .bind(log.to_bytes().to_vec())
        .bind(node.to_bytes().to_vec())
        .bind(received.map_or(&settings.label, |from| &from.label).clone())
        .bind(received.map_or(settings.mode, |from| from.mode).to_string())
        .bind(standing.to_text())
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
    set_version(&mut tx).await?;
    tx.commit().await.map_err(&failed)
}

/// Brings an older database up to date, all or nothing. Does nothing if another process was faster.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let failed = from_sqlx("migrate store");
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    let Found::Older(version) = look(&mut tx).await? else { return Ok(()) };
    let from = usize::try_from(version - 1).unwrap_or_default();
    for step in MIGRATIONS.get(from..).unwrap_or_default() {
        sqlx::raw_sql(*step).execute(&mut *tx).await.map_err(&failed)?;
    }
    set_version(&mut tx).await?;
    tx.commit().await.map_err(&failed)?;
    tracing::info!(from = version, to = VERSION, "the database was brought up to date");
    Ok(())
}

async fn set_version(connection: &mut SqliteConnection) -> Result<()> {
    let pragmas = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}");
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(pragmas)).execute(connection).await;
    done.map(drop).map_err(from_sqlx("create store"))
}

/// Gives a store that lives somewhere else than when it last wrote a new node and a new log: it was copied.
pub(crate) async fn settle(
    connection: &mut SqliteConnection,
    config: &SqliteConfig,
) -> Result<Option<(NodeId, NodeId)>> {
    let Some(home) = config.path.as_deref().and_then(crate::home::of) else { return Ok(None) };
    let failed = from_sqlx("open store");
    let known = |row: &sqlx::sqlite::SqliteRow| row.try_get::<Option<String>, _>(0);
    let row = sqlx::query("SELECT home FROM node").fetch_one(&mut *connection).await.map_err(&failed)?;
    if known(&row).map_err(&failed)?.as_deref() == Some(&*home) {
        return Ok(None);
    }
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    let row = sqlx::query("SELECT home, node FROM node").fetch_one(&mut *tx).await.map_err(&failed)?;
    let before = known(&row).map_err(&failed)?;
    let copied = before.is_some() && before.as_deref() != Some(&*home);
    let former = NodeId::from_slice(&row.try_get::<Vec<u8>, _>(1).map_err(&failed)?)?;
    // Only a copy draws on the randomness.
    let new = if copied { Some(config.settings.new_node()) } else { None };
    let node = new.as_ref().map_or(former, |new| new.node);
    let update = match new {
        Some(new) => {
            sqlx::query("UPDATE node SET home = ?, former = former || node, node = ?, log = ?, counter = 0")
                .bind(home)
                .bind(new.node.to_bytes().to_vec())
                .bind(new.log.to_bytes().to_vec())
        }
        None => sqlx::query("UPDATE node SET home = ?").bind(home),
    };
    update.execute(&mut *tx).await.map_err(&failed)?;
    tx.commit().await.map_err(&failed)?;
    Ok(copied.then_some((former, node)))
}

/// The node's label and mode.
pub(crate) async fn label_and_mode(connection: &mut SqliteConnection) -> Result<(String, CursorMode)> {
    let failed = from_sqlx("open store");
    let row = sqlx::query("SELECT label, mode FROM node").fetch_one(connection).await.map_err(&failed)?;
    let mode: String = row.try_get(1).map_err(&failed)?;
    Ok((row.try_get(0).map_err(&failed)?, mode.parse()?))
}
