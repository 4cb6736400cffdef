//! The tables, and how a database gets them.

use rusqlite::{Connection, TransactionBehavior::Immediate, params};
use synckit_core::{
    CursorMode, Error, ErrorKind, NodeId, Result,
    store::{Identity, Standing, StoreSettings},
};

use crate::{config::SqliteConfig, error::failed};

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
pub(crate) fn look(connection: &Connection) -> Result<Found> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = failed("open store");
    let application = number("PRAGMA application_id").map_err(failed)?;
    let version = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
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
            "the file is a SQLite database, and not a synckit store, or damaged; `synckit doctor` says more",
        )),
    }
}

/// Makes the tables, and a node that is new or that of the log to be received, all or nothing. Does nothing if another
/// process was faster.
pub(crate) fn create(
    connection: &mut Connection,
    settings: &StoreSettings,
    received: Option<&Identity>,
) -> Result<()> {
    let failed = failed("create store");
    let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
    if !matches!(look(&tx)?, Found::Empty) {
        return Ok(());
    }
    tx.execute_batch(TABLES).map_err(failed)?;
    let new = settings.new_node();
    let (log, node) = received.map_or((new.log, new.node), |from| (from.log, from.node));
    let standing = if received.is_some() { Standing::Filling } else { Standing::Live };
    let label = received.map_or(&settings.label, |from| &from.label);
    let mode = received.map_or(settings.mode, |from| from.mode).to_string();
    tx.execute(
        "INSERT INTO node VALUES (1, ?, ?, x'', ?, ?, 0, 0, 0, zeroblob(32), NULL, ?)",
        params![log.to_bytes(), node.to_bytes(), label, mode, standing.to_text()],
    )
    .map_err(failed)?;
    set_version(&tx)?;
    tx.commit().map_err(failed)
}

/// Brings an older database up to date, all or nothing. Does nothing if another process was faster.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let failed = failed("migrate store");
    let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
    let Found::Older(version) = look(&tx)? else { return Ok(()) };
    let from = usize::try_from(version - 1).unwrap_or_default();
    for step in MIGRATIONS.get(from..).unwrap_or_default() {
        tx.execute_batch(step).map_err(failed)?;
    }
    set_version(&tx)?;
    tx.commit().map_err(failed)?;
    tracing::info!(from = version, to = VERSION, "the database was brought up to date");
    Ok(())
}

fn set_version(connection: &Connection) -> Result<()> {
    let failed = failed("create store");
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    connection.pragma_update(None, "user_version", VERSION).map_err(failed)
}

/// Gives a store that lives somewhere else than when it last wrote a new node and a new log: it was copied.
pub(crate) fn settle(connection: &mut Connection, config: &SqliteConfig) -> Result<Option<(NodeId, NodeId)>> {
    let Some(home) = config.path.as_deref().and_then(crate::home::of) else { return Ok(None) };
    let failed = failed("open store");
    let known = |connection: &Connection| {
        connection.query_row("SELECT home, node FROM node", [], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
    };
    if known(connection).map_err(failed)?.0.as_deref() == Some(&*home) {
        return Ok(None);
    }
    let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
    let (before, former) = known(&tx).map_err(failed)?;
    let former = NodeId::from_slice(&former).map_err(Error::of_stored_row)?;
    let copied = before.is_some_and(|before| before != home);
    if !copied {
        tx.execute("UPDATE node SET home = ?", [home]).map_err(failed)?;
        tx.commit().map_err(failed)?;
        return Ok(None);
    }
    let new = config.settings.new_node();
    tx.execute(
        "UPDATE node SET home = ?, former = CAST(former || node AS BLOB), node = ?, log = ?, counter = 0",
        params![home, new.node.to_bytes(), new.log.to_bytes()],
    )
    .map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(Some((former, new.node)))
}

/// The node's label and mode.
pub(crate) fn label_and_mode(connection: &Connection) -> Result<(String, CursorMode)> {
    let found = connection.query_row("SELECT label, mode FROM node", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    let (label, mode) = found.map_err(failed("open store"))?;
    Ok((label, mode.parse().map_err(Error::of_stored_row)?))
}
