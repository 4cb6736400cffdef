//! An index in a SQLite file.

mod error;
mod pool;
mod schema;
mod statement;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior::Immediate, params};
use synckit_core::{
    Error, EventId, Hash, LogCursor, LogId, Mark, Result,
    audit::{AuditEntry, AuditFilter},
};

use self::{error::failed, pool::Pool, statement::Statement};
use crate::{
    batch::survivors,
    index::{AuditIndex, AuditProgress, Kept},
    row::{Columns, damaged, group_path, json, signed, unsigned},
};

const READ: &str = "read audit index";
const WRITE: &str = "record decisions";

/// An index in one SQLite file. It takes any log, one at a time. Clones share their connections.
#[derive(Clone)]
pub struct SqliteAuditIndex {
    path: Option<PathBuf>,
    pool: Arc<Pool>,
}

impl fmt::Debug for SqliteAuditIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteAuditIndex").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteAuditIndex {
    /// Opens the index in this file, and makes it first if there is none. Its folder must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if there is something else in the file, which is left as it
    /// is; [`ErrorKind::SchemaTooNew`](synckit_core::ErrorKind::SchemaTooNew) for an index of a newer version;
    /// [`ErrorKind::Corrupt`](synckit_core::ErrorKind::Corrupt) if the file is damaged or no database;
    /// [`ErrorKind::NotFound`](synckit_core::ErrorKind::NotFound) if the file cannot be opened or made; any error of SQLite.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::connect(Some(path.into())).await
    }

    /// An index in a database in memory, which goes with the value.
    ///
    /// # Errors
    /// Any error of SQLite.
    pub async fn in_memory() -> Result<Self> {
        Self::connect(None).await
    }

    /// The index that a URL names: `sqlite:PATH`, or `sqlite::memory:`.
    pub(crate) async fn from_url(url: &str) -> Result<Self> {
        match path_of(url)? {
            Some(path) => Self::open(path).await,
            None => Self::in_memory().await,
        }
    }

    async fn connect(path: Option<PathBuf>) -> Result<Self> {
        let pool = Arc::new(Pool::new(path.clone()));
        pool.run("open audit index", |_| Ok(())).await?;
        Ok(Self { path, pool })
    }

    /// The file; none in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// `sqlite:a.db`, `sqlite:/abs/a.db`, `sqlite://a.db` and `sqlite:///abs/a.db` all name files.
fn path_of(url: &str) -> Result<Option<PathBuf>> {
    let invalid = |what: &str| Error::invalid("read index URL", what);
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    if rest == ":memory:" {
        return Ok(None);
    }
    if rest.contains('?') {
        return Err(invalid("the URL of an index in SQLite has no parameters; a ? in a path is %3F"));
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(invalid("the SQLite URL names no file; for example sqlite:audit.db"));
    }
    let decoded = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|e| invalid("the path in the SQLite URL is not UTF-8").with_source(e))?;
    let is_drive = |p: &str| p.len() > 2 && p.as_bytes()[0].is_ascii_alphabetic() && p.as_bytes()[1] == b':';
    let windows = decoded.strip_prefix('/').filter(|rest| is_drive(rest));
    Ok(Some(PathBuf::from(windows.unwrap_or(&decoded))))
}

const PROGRESS: &str = "SELECT log, position, hash FROM progress";
const PUT_PROGRESS: &str = "INSERT OR REPLACE INTO progress (one, log, position, hash) VALUES (1, ?, ?, ?)";
const PUT: &str = "INSERT OR REPLACE INTO entries (position, event, aggregate, origin, written_at, conflict, person, \
                   resolver, rule, group_path, decision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

fn progress(connection: &Connection) -> Result<Option<AuditProgress>> {
    let failed = failed(READ);
    let found = connection
        .prepare_cached(PROGRESS)
        .and_then(|mut statement| {
            let row = statement.query_row([], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
            });
            row.optional()
        })
        .map_err(failed)?;
    let Some((log, position, hash)) = found else { return Ok(None) };
    let read = || -> Result<AuditProgress> {
        let mark = Mark { position: unsigned(position)?, hash: Hash::from_slice(&hash)? };
        Ok(LogCursor { log: LogId::from_slice(&log)?, mark })
    };
    read().map(Some).map_err(error::damaged_progress)
}

fn put(connection: &Connection, entry: &AuditEntry) -> Result<()> {
    let decision = &entry.decision;
    let failed = failed(WRITE);
    let mut statement = connection.prepare_cached(PUT).map_err(failed)?;
    let put = statement.execute(params![
        signed(entry.position),
        entry.event.as_str(),
        entry.aggregate.as_str(),
        entry.origin.to_bytes(),
        signed(entry.written_at.as_micros()),
        decision.conflict.as_ref().map(|conflict| conflict.as_str()),
        decision.user.as_deref().map(str::as_bytes),
        decision.resolver.as_bytes(),
        decision.rule.as_deref().map(str::as_bytes),
        decision.group.as_deref().map(group_path),
        json(decision)?,
    ]);
    put.map(drop).map_err(failed)
}

fn record(
    connection: &mut Connection,
    entries: &[AuditEntry],
    from: Option<AuditProgress>,
    to: AuditProgress,
) -> Result<bool> {
    let failed = failed(WRITE);
    let entries = survivors(entries, &to)?;
    let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
    if progress(&tx)? != from {
        return Ok(false);
    }
    for entry in entries {
        put(&tx, entry)?;
    }
    let (position, hash) = (signed(to.mark.position), to.mark.hash.as_bytes());
    tx.execute(PUT_PROGRESS, params![to.log.to_bytes(), position, hash]).map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(true)
}

fn rows(connection: &Connection, statement: &Statement) -> Result<Vec<Kept>> {
    let failed = failed(READ);
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failed)?;
    let values = rusqlite::params_from_iter(&statement.values);
    let rows = prepared.query_map(values, |row| Ok(Kept::new(position(row)?, entry(row)))).map_err(failed)?;
    rows.map(|row| row.map_err(failed)).collect()
}

fn position(row: &Row<'_>) -> rusqlite::Result<u64> {
    row.get::<_, i64>(0).map(|position| u64::try_from(position).unwrap_or_default())
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    let columns = || -> Result<Columns<'_>, rusqlite::types::FromSqlError> {
        let text = |i| row.get_ref(i).map_err(|_| rusqlite::types::FromSqlError::InvalidType);
        Ok(Columns {
            position: text(0)?.as_i64()?,
            event: text(1)?.as_str()?,
            aggregate: text(2)?.as_str()?,
            origin: text(3)?.as_blob()?,
            written_at: text(4)?.as_i64()?,
            conflict: text(5)?.as_str_or_null()?,
            person: text(6)?.as_blob_or_null()?,
            resolver: text(7)?.as_blob()?,
            rule: text(8)?.as_blob_or_null()?,
            group_path: text(9)?.as_blob_or_null()?,
            decision: text(10)?.as_str()?,
        })
    };
    let columns = columns().map_err(|e| damaged(row.get(0).unwrap_or_default()).with_source(e))?;
    columns.entry()
}

#[async_trait]
impl AuditIndex for SqliteAuditIndex {
    async fn progress(&self) -> Result<Option<AuditProgress>> {
        self.pool.run(READ, |connection| progress(connection)).await
    }

    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        let (entries, from, to) = (entries.to_vec(), from.copied(), *to);
        self.pool.run(WRITE, move |connection| record(connection, &entries, from, to)).await
    }

    async fn clear(&self) -> Result<()> {
        let failed = failed("clear audit index");
        let clear = move |connection: &mut Connection| {
            let tx = connection.transaction_with_behavior(Immediate).map_err(failed)?;
            tx.execute_batch("DELETE FROM entries; DELETE FROM progress").map_err(failed)?;
            tx.commit().map_err(failed)
        };
        self.pool.run("clear audit index", clear).await
    }

    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        let statement = Statement::find(filter, after, limit);
        let found = self.pool.run(READ, move |connection| rows(connection, &statement)).await?;
        found.into_iter().map(|row| row.entry).collect()
    }

    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>> {
        let statement = Statement::of_event(event);
        let found = self.pool.run(READ, move |connection| rows(connection, &statement)).await?;
        found.into_iter().next().map(|row| row.entry).transpose()
    }

    async fn count(&self, filter: &AuditFilter) -> Result<u64> {
        let statement = Statement::count(filter);
        let count = move |connection: &mut Connection| {
            let values = rusqlite::params_from_iter(&statement.values);
            let counted = connection.query_row(&statement.sql, values, |row| row.get::<_, i64>(0));
            unsigned(counted.map_err(failed(READ))?)
        };
        self.pool.run(READ, count).await
    }

    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>> {
        let statement = Statement::find(&AuditFilter::default(), after, limit);
        self.pool.run(READ, move |connection| rows(connection, &statement)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files() {
        let path = |url: &str| path_of(url).unwrap().unwrap().to_str().unwrap().to_owned();
        assert_eq!(path("sqlite:a.db"), "a.db");
        assert_eq!(path("sqlite:///x/a%20b%3F.db"), "/x/a b?.db");
        assert_eq!(path("sqlite:///C:/x/a.db"), "C:/x/a.db");
        assert_eq!(path_of("sqlite::memory:").unwrap(), None);
        for bad in ["sqlite:", "sqlite://", "sqlite:a?x=1", "sqlite:%ff"] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
    }
}
