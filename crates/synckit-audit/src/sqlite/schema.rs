//! The tables, and how a file gets them.

use rusqlite::{Connection, TransactionBehavior::Immediate};
use synckit_core::{Error, ErrorKind, Result};

use super::error::failed;
use crate::row::ANEW;

/// "syka": marks the file as an index.
const APPLICATION_ID: i64 = 0x7379_6b61;
/// "syki": marks a file as a synckit store.
const OF_STORES: i64 = 0x7379_6b69;
const VERSION: i64 = 1;
const OPERATION: &str = "open audit index";

const TABLES: &str = "
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log BLOB NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE entries (
    position INTEGER PRIMARY KEY,
    event TEXT NOT NULL UNIQUE,
    aggregate TEXT NOT NULL,
    origin BLOB NOT NULL,
    written_at INTEGER NOT NULL,
    conflict TEXT,
    person BLOB,
    resolver BLOB NOT NULL,
    rule BLOB,
    group_path BLOB,
    decision TEXT NOT NULL
);
CREATE INDEX entries_by_aggregate ON entries (aggregate);
CREATE INDEX entries_by_conflict ON entries (conflict) WHERE conflict IS NOT NULL;
CREATE INDEX entries_by_person ON entries (person) WHERE person IS NOT NULL;
CREATE INDEX entries_by_resolver ON entries (resolver);
CREATE INDEX entries_by_rule ON entries (rule) WHERE rule IS NOT NULL;
CREATE INDEX entries_by_group ON entries (group_path) WHERE group_path IS NOT NULL;
CREATE INDEX entries_by_time ON entries (written_at);
";

/// Whether a file is an index already; false if it is empty. Nothing is changed.
fn is_index(connection: &Connection) -> Result<bool> {
    let number =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed(OPERATION));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let foreign =
        |what: &str| Error::invalid(OPERATION, format!("the file is {what}, and not an audit index"));
    match (application, version) {
        (0, 0) if tables == 0 => Ok(false),
        (APPLICATION_ID, VERSION) => Ok(true),
        (APPLICATION_ID, newer) if newer > VERSION => {
            let what = format!(
                "the index has schema {newer}, and this version knows {VERSION}; use a newer synckit"
            );
            Err(Error::new(ErrorKind::SchemaTooNew, OPERATION, what))
        }
        (APPLICATION_ID, _) => {
            Err(Error::new(ErrorKind::Corrupt, OPERATION, format!("the index's version is damaged; {ANEW}")))
        }
        (OF_STORES, _) => Err(foreign("a synckit store")),
        _ => Err(foreign("a database of something else")),
    }
}

/// Looks at a database before anything is changed, and makes the tables if it is empty. Sets the connection up.
pub(super) fn prepare(connection: &mut Connection) -> Result<()> {
    let failed = failed(OPERATION);
    let there = is_index(connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    if there {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
    // Another process may have been faster.
    if is_index(&tx)? {
        return Ok(());
    }
    tx.execute_batch(TABLES).map_err(failed)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    tx.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    tx.commit().map_err(failed)
}
