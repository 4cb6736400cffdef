//! An index in a SQLite file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Row, TransactionBehavior, params, params_from_iter,
    types::Value,
};
use synckit_core::{
    Error, ErrorKind, EventId, Result,
    audit::{AuditEntry, AuditFilter},
};

use crate::{
    batch::survivors,
    index::{AuditIndex, AuditProgress, Kept},
    row::{ANEW, Columns, damaged, group_path, groups_within, json, signed, unsigned},
};

/// "syau": what tells a file with an index from other SQLite files.
const APPLICATION: i64 = 0x7379_6175;
const VERSION: i64 = 1;
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), log BLOB NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE decisions (
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
) STRICT;
CREATE INDEX by_aggregate ON decisions (aggregate, position);
CREATE INDEX by_conflict ON decisions (conflict, position) WHERE conflict IS NOT NULL;
CREATE INDEX by_person ON decisions (person, position) WHERE person IS NOT NULL;
CREATE INDEX by_resolver ON decisions (resolver, position);
CREATE INDEX by_rule ON decisions (rule, position) WHERE rule IS NOT NULL;
CREATE INDEX by_group ON decisions (group_path, position) WHERE group_path IS NOT NULL;
CREATE INDEX by_time ON decisions (written_at);
";
const COLUMNS: &str =
    "position, event, aggregate, origin, written_at, conflict, person, resolver, rule, group_path, decision";

/// An index in a SQLite file, of any log, one at a time. Clones and other processes may use it at once.
///
/// It is written with a write-ahead log and full durability. Reading and writing happen on tokio's threads for blocking work, one
/// call at a time.
#[derive(Debug, Clone)]
pub struct SqliteAuditIndex(Arc<File>);

#[derive(Debug)]
struct File {
    connection: Mutex<Connection>,
}

impl SqliteAuditIndex {
    /// The index in this file, which is made if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the file is something else; [`ErrorKind::SchemaTooNew`] if a newer version wrote it;
    /// [`ErrorKind::Corrupt`] if it is damaged; any error of the system.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        blocking(move || {
            let connection = Connection::open(&path).map_err(failed)?;
            Self::set_up(connection, &path)
        })
        .await
    }

    /// The index that a URL names: `sqlite:PATH`, with special characters as `%XX`, or `sqlite::memory:`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a URL that makes no sense; as [`open`](Self::open).
    pub async fn from_url(url: &str) -> Result<Self> {
        let invalid = |what: &str| Error::invalid("read index URL", what.to_owned());
        let path = url.strip_prefix("sqlite:").ok_or_else(|| invalid("a SQLite URL begins with sqlite:"))?;
        if path.is_empty() {
            return Err(invalid("the SQLite URL names no file; for example sqlite:audit.db"));
        }
        if path.contains('?') {
            return Err(invalid("the SQLite URL of an index has no parameters; a ? in a path is %3F"));
        }
        if path == ":memory:" {
            let connection = Connection::open_in_memory().map_err(failed)?;
            return Self::set_up(connection, Path::new(path));
        }
        let path = percent_encoding::percent_decode_str(path).decode_utf8();
        Self::open(path.map_err(|e| invalid("the path is not UTF-8").with_source(e))?.as_ref()).await
    }

    fn set_up(mut connection: Connection, path: &Path) -> Result<Self> {
        connection.busy_timeout(BUSY).map_err(failed)?;
        look(&connection, path)?;
        // The answer is the mode that it has now, which for a database in memory is another.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(failed)?;
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if look(&tx, path)? {
            tx.execute_batch(TABLES).map_err(failed)?;
            tx.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
            tx.pragma_update(None, "user_version", VERSION).map_err(failed)?;
        }
        tx.commit().map_err(failed)?;
        Ok(Self(Arc::new(File { connection: Mutex::new(connection) })))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let file = Arc::clone(&self.0);
        blocking(move || work(&mut file.connection.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Whether the tables have to be made; an error if the file is something else.
fn look(connection: &Connection, path: &Path) -> Result<bool> {
    let number =
        |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(true);
    }
    if application != APPLICATION {
        let what = format!("{} is another database, and not an audit index", path.display());
        return Err(Error::invalid("open audit index", what));
    }
    match version {
        VERSION => Ok(false),
        newer if newer > VERSION => {
            let what = format!("the index has version {newer}, and {VERSION} is known; use a newer synckit");
            Err(Error::new(ErrorKind::SchemaTooNew, "open audit index", what))
        }
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "open audit index",
            format!("its version is {version}; {ANEW}"),
        )),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| {
        Err(Error::new(ErrorKind::Internal, "use audit index", "the work ended early").with_source(e))
    })
}

fn failed(error: rusqlite::Error) -> Error {
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Busy, "another process holds the index".to_owned())
        }
        Some(ErrorCode::ReadOnly) => (ErrorKind::Forbidden, "the file cannot be written".to_owned()),
        Some(ErrorCode::CannotOpen) => (ErrorKind::NotFound, "the file cannot be opened or made".to_owned()),
        Some(ErrorCode::DiskFull) => {
            (ErrorKind::Storage, "the disk is full; nothing of this was stored".to_owned())
        }
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Storage, "the system does not read or write the file".to_owned())
        }
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::Unknown,
        )
        | None => (ErrorKind::Corrupt, format!("the file is damaged, or not an index; {ANEW}")),
        Some(_) => (ErrorKind::Storage, "SQLite failed".to_owned()),
    };
    Error::new(kind, "use audit index", what).with_source(error)
}

fn progress(connection: &Connection) -> Result<Option<AuditProgress>> {
    let row =
        |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?));
    let found = connection
        .query_row("SELECT log, position, hash FROM progress", [], row)
        .optional()
        .map_err(failed)?;
    found.map(|(log, position, hash)| crate::row::progress(&log, position, &hash)).transpose()
}

/// What a filter says in SQL, with its parameters.
fn condition(filter: &AuditFilter) -> (String, Vec<Value>) {
    let mut sql = String::new();
    let mut values = Vec::new();
    let mut and = |test: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(test);
        values.push(value);
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let bytes = |text: &str| Value::Blob(text.as_bytes().to_vec());
    if let Some(aggregate) = &filter.aggregate {
        and("aggregate = ?", text(aggregate.as_str()));
    }
    if let Some(conflict) = &filter.conflict {
        and("conflict = ?", text(conflict.as_str()));
    }
    if let Some(user) = &filter.user {
        and("person = ?", bytes(user));
    }
    if let Some(resolver) = &filter.resolver {
        and("resolver = ?", bytes(resolver));
    }
    if let Some(rule) = &filter.rule {
        and("rule = ?", bytes(rule));
    }
    if let Some(group) = &filter.group {
        let (first, end) = groups_within(group);
        and("group_path >= ?", Value::Blob(first));
        and("group_path < ?", Value::Blob(end));
    }
    if let Some(from) = filter.from {
        and("written_at >= ?", Value::Integer(signed(from.as_micros())));
    }
    if let Some(to) = filter.to {
        and("written_at <= ?", Value::Integer(signed(to.as_micros())));
    }
    (sql, values)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let position: i64 = row.get(0)?;
    let read = || -> rusqlite::Result<Result<AuditEntry>> {
        let columns = Columns {
            position,
            event: row.get_ref(1)?.as_str()?,
            aggregate: row.get_ref(2)?.as_str()?,
            origin: row.get_ref(3)?.as_blob()?,
            written_at: row.get(4)?,
            conflict: row.get_ref(5)?.as_str_or_null()?,
            person: row.get_ref(6)?.as_blob_or_null()?,
            resolver: row.get_ref(7)?.as_blob()?,
            rule: row.get_ref(8)?.as_blob_or_null()?,
            group_path: row.get_ref(9)?.as_blob_or_null()?,
            decision: row.get_ref(10)?.as_str()?,
        };
        Ok(columns.entry())
    };
    let entry = read().unwrap_or_else(|error| Err(damaged(position).with_source(error)));
    Ok(Kept::new(unsigned(position).unwrap_or_default(), entry))
}

fn select(connection: &Connection, rest: &str, values: Vec<Value>) -> Result<Vec<Kept>> {
    let sql = format!("SELECT {COLUMNS} FROM decisions WHERE {rest}");
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let rows = statement.query_map(params_from_iter(values), kept).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn put(connection: &Connection, entry: &AuditEntry) -> Result<()> {
    let decision = &entry.decision;
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql).and_then(|mut s| s.execute(values)).map_err(failed)
    };
    let position = signed(entry.position);
    run("DELETE FROM decisions WHERE event = ? OR position = ?", &[&entry.event.as_str(), &position])?;
    run(
        &format!("INSERT INTO decisions ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        params![
            position,
            entry.event.as_str(),
            entry.aggregate.as_str(),
            entry.origin.to_bytes(),
            signed(entry.written_at.as_micros()),
            decision.conflict.as_ref().map(|c| c.as_str()),
            decision.user.as_deref().map(str::as_bytes),
            decision.resolver.as_bytes(),
            decision.rule.as_deref().map(str::as_bytes),
            decision.group.as_deref().map(group_path),
            json(decision)?,
        ],
    )?;
    Ok(())
}

#[async_trait]
impl AuditIndex for SqliteAuditIndex {
    async fn progress(&self) -> Result<Option<AuditProgress>> {
        self.run(|connection| progress(connection)).await
    }

    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        let entries: Vec<AuditEntry> = survivors(entries, to)?.into_iter().cloned().collect();
        let (from, to) = (from.copied(), *to);
        self.run(move |connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            if progress(&tx)? != from {
                return Ok(false);
            }
            entries.iter().try_for_each(|entry| put(&tx, entry))?;
            tx.execute(
                "INSERT OR REPLACE INTO progress (one, log, position, hash) VALUES (1, ?, ?, ?)",
                params![to.log.to_bytes(), signed(to.mark.position), to.mark.hash.as_bytes()],
            )
            .map_err(failed)?;
            tx.commit().map_err(failed)?;
            Ok(true)
        })
        .await
    }

    async fn clear(&self) -> Result<()> {
        self.run(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            tx.execute_batch("DELETE FROM decisions; DELETE FROM progress;").map_err(failed)?;
            tx.commit().map_err(failed)
        })
        .await
    }

    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        let (condition, mut values) = condition(filter);
        values.insert(0, Value::Integer(signed(after)));
        values.push(Value::Integer(signed(limit as u64)));
        let rest = format!("position > ?{condition} ORDER BY position LIMIT ?");
        let rows = self.run(move |connection| select(connection, &rest, values)).await?;
        rows.into_iter().map(|row| row.entry).collect()
    }

    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>> {
        let value = Value::Text(event.as_str().to_owned());
        let found = self.run(move |connection| select(connection, "event = ?", vec![value])).await?;
        found.into_iter().next().map(|row| row.entry).transpose()
    }

    async fn count(&self, filter: &AuditFilter) -> Result<u64> {
        let (condition, values) = condition(filter);
        let sql = format!("SELECT count(*) FROM decisions WHERE TRUE{condition}");
        let count = move |connection: &mut Connection| {
            connection.query_row(&sql, params_from_iter(values), |row| row.get::<_, i64>(0)).map_err(failed)
        };
        unsigned(self.run(count).await?)
    }

    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>> {
        let values = vec![Value::Integer(signed(after)), Value::Integer(signed(limit as u64))];
        self.run(move |connection| select(connection, "position > ? ORDER BY position LIMIT ?", values)).await
    }
}
