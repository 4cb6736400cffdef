//! An index in a PostgreSQL database.

mod config;
mod error;
mod tables;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Postgres, QueryBuilder, Row as _,
    postgres::{PgPool, PgPoolOptions, PgRow},
};
use synckit_core::{
    Error, ErrorKind, EventId, LogId, Result,
    audit::{AuditEntry, AuditFilter},
};

use self::{config::Config, error::failed};
use crate::{
    batch::survivors,
    index::{AuditIndex, AuditProgress, Kept},
    row::{Columns, damaged, group_path, groups_within, json, signed, unsigned},
};

const CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const COLUMNS: &str =
    "position, event, aggregate, origin, written_at, conflict, person, resolver, rule, group_path, decision";

/// An index of one log in a PostgreSQL database. The indexes of other logs may be beside it, and other processes may use
/// the same one at once. Clones are the same index.
#[derive(Debug, Clone)]
pub struct PostgresAuditIndex {
    pool: PgPool,
    log: LogId,
    schema: String,
}

impl PostgresAuditIndex {
    /// The index of a log in the database that a URL names: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with parameters
    /// after a question mark. `schema` is where the tables are, `synckit_audit` by default; schema and tables are made if
    /// they are missing. `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host` and `application_name` are as for PostgreSQL's
    /// own programs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a URL that makes no sense; [`ErrorKind::SchemaTooNew`] if a newer version made the tables;
    /// [`ErrorKind::Corrupt`] if they are damaged; any error of the server.
    pub async fn open(url: &str, log: LogId) -> Result<Self> {
        let Config { connect, schema } = Config::from_url(url)?;
        // Alone, for a pool tries again and again where there is no server.
        let mut connection = PgConnection::connect_with(&connect).await.map_err(failed)?;
        tables::prepare(&mut connection, &schema).await?;
        connection.close().await.map_err(failed)?;
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = options.connect_lazy_with(connect);
        Ok(Self { pool, log, schema })
    }

    /// Closes the connections, once what is running has ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn table(&self, name: &str) -> String {
        format!("\"{}\".{name}", self.schema)
    }

    /// A query for rows of this log.
    fn select(&self, what: &str) -> QueryBuilder<Postgres> {
        let mut query =
            QueryBuilder::new(format!("SELECT {what} FROM {} WHERE log = ", self.table("decisions")));
        query.push_bind(self.log.to_bytes().to_vec());
        query
    }

    async fn rows(&self, mut query: QueryBuilder<Postgres>) -> Result<Vec<Kept>> {
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(kept).collect()
    }

    async fn progress_in(&self, connection: &mut PgConnection) -> Result<Option<AuditProgress>> {
        let sql = format!("SELECT position, hash FROM {} WHERE log = $1", self.table("progress"));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(self.log.to_bytes().to_vec());
        let Some(row) = query.fetch_optional(connection).await.map_err(failed)? else { return Ok(None) };
        let (position, hash): (i64, Vec<u8>) =
            (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        crate::row::progress(&self.log.to_bytes(), position, &hash).map(Some)
    }

    /// Moves the progress, and locks it until the transaction ends; false if it is no longer `from`.
    async fn advance(
        &self,
        connection: &mut PgConnection,
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        let table = self.table("progress");
        let (log, position, hash) =
            (self.log.to_bytes().to_vec(), signed(to.mark.position), to.mark.hash.as_bytes().to_vec());
        let done = match from {
            None => {
                let sql = format!(
                    "INSERT INTO {table} (log, position, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
                );
                sqlx::query(AssertSqlSafe(sql)).bind(log).bind(position).bind(hash).execute(connection).await
            }
            Some(from) => {
                let sql = format!(
                    "UPDATE {table} SET position = $2, hash = $3 WHERE log = $1 AND position = $4 AND hash = $5"
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(log).bind(position).bind(hash);
                let query = query.bind(signed(from.mark.position)).bind(from.mark.hash.as_bytes().to_vec());
                query.execute(connection).await
            }
        };
        Ok(done.map_err(failed)?.rows_affected() == 1)
    }

    /// Puts entries into the table, all in two statements.
    async fn put(&self, connection: &mut PgConnection, entries: &[&AuditEntry]) -> Result<()> {
        fn each<'e, T>(entries: &[&'e AuditEntry], of: impl Fn(&'e AuditEntry) -> T) -> Vec<T> {
            entries.iter().map(|entry| of(entry)).collect()
        }
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        let table = self.table("decisions");
        let log = self.log.to_bytes().to_vec();
        let positions = each(entries, |e| signed(e.position));
        let events = each(entries, |e| e.event.as_str());
        let decisions: Vec<String> = entries.iter().map(|e| json(&e.decision)).collect::<Result<_>>()?;
        let sql = format!("DELETE FROM {table} WHERE log = $1 AND (event = ANY($2) OR position = ANY($3))");
        sqlx::query(AssertSqlSafe(sql))
            .bind(&log)
            .bind(&events)
            .bind(&positions)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let sql = format!(
            "INSERT INTO {table} (log, {COLUMNS}) SELECT $1, * FROM UNNEST($2::BIGINT[], $3::TEXT[], $4::TEXT[], \
             $5::BYTEA[], $6::BIGINT[], $7::TEXT[], $8::BYTEA[], $9::BYTEA[], $10::BYTEA[], $11::BYTEA[], $12::TEXT[])"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(&log)
            .bind(&positions)
            .bind(&events)
            .bind(each(entries, |e| e.aggregate.as_str()))
            .bind(each(entries, |e| e.origin.to_bytes().to_vec()))
            .bind(each(entries, |e| signed(e.written_at.as_micros())))
            .bind(each(entries, |e| e.decision.conflict.as_ref().map(|c| c.as_str())))
            .bind(each(entries, |e| bytes(e.decision.user.as_deref())))
            .bind(each(entries, |e| e.decision.resolver.as_bytes().to_vec()))
            .bind(each(entries, |e| bytes(e.decision.rule.as_deref())))
            .bind(each(entries, |e| e.decision.group.as_deref().map(group_path)))
            .bind(&decisions)
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

fn narrow(query: &mut QueryBuilder<Postgres>, filter: &AuditFilter) {
    let bytes = |text: &str| text.as_bytes().to_vec();
    if let Some(aggregate) = &filter.aggregate {
        query.push(" AND aggregate = ").push_bind(aggregate.as_str().to_owned());
    }
    if let Some(conflict) = &filter.conflict {
        query.push(" AND conflict = ").push_bind(conflict.as_str().to_owned());
    }
    if let Some(user) = &filter.user {
        query.push(" AND person = ").push_bind(bytes(user));
    }
    if let Some(resolver) = &filter.resolver {
        query.push(" AND resolver = ").push_bind(bytes(resolver));
    }
    if let Some(rule) = &filter.rule {
        query.push(" AND rule = ").push_bind(bytes(rule));
    }
    if let Some(group) = &filter.group {
        let (first, end) = groups_within(group);
        query.push(" AND group_path >= ").push_bind(first).push(" AND group_path < ").push_bind(end);
    }
    if let Some(from) = filter.from {
        query.push(" AND written_at >= ").push_bind(signed(from.as_micros()));
    }
    if let Some(to) = filter.to {
        query.push(" AND written_at <= ").push_bind(signed(to.as_micros()));
    }
}

fn kept(row: &PgRow) -> Result<Kept> {
    let position: i64 = row.try_get(0).map_err(failed)?;
    let read = || -> Result<AuditEntry, sqlx::Error> {
        let columns = Columns {
            position,
            event: row.try_get(1)?,
            aggregate: row.try_get(2)?,
            origin: row.try_get(3)?,
            written_at: row.try_get(4)?,
            conflict: row.try_get(5)?,
            person: row.try_get(6)?,
            resolver: row.try_get(7)?,
            rule: row.try_get(8)?,
            group_path: row.try_get(9)?,
            decision: row.try_get(10)?,
        };
        columns.entry().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    let entry = read().map_err(|error| damaged(position).with_source(error));
    Ok(Kept::new(unsigned(position).unwrap_or_default(), entry))
}

#[async_trait]
impl AuditIndex for PostgresAuditIndex {
    fn log(&self) -> Option<LogId> {
        Some(self.log)
    }

    async fn progress(&self) -> Result<Option<AuditProgress>> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        self.progress_in(&mut connection).await
    }

    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        if to.log != self.log {
            let what = format!("the index is for the log {}, and not for {}", self.log, to.log);
            return Err(Error::new(ErrorKind::LogChanged, "record decisions", what));
        }
        let entries = survivors(entries, to)?;
        let mut tx = self.pool.begin().await.map_err(failed)?;
        if from.is_some_and(|from| from.log != self.log) || !self.advance(&mut tx, from, to).await? {
            tx.rollback().await.map_err(failed)?;
            return Ok(false);
        }
        if !entries.is_empty() {
            self.put(&mut tx, &entries).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn clear(&self) -> Result<()> {
        let mut tx = self.pool.begin().await.map_err(failed)?;
        // Whoever records at the same time has locked the progress.
        for table in ["progress", "decisions"] {
            let sql = format!("DELETE FROM {} WHERE log = $1", self.table(table));
            let query = sqlx::query(AssertSqlSafe(sql)).bind(self.log.to_bytes().to_vec());
            query.execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        let mut query = self.select(COLUMNS);
        query.push(" AND position > ").push_bind(signed(after));
        narrow(&mut query, filter);
        query.push(" ORDER BY position LIMIT ").push_bind(signed(limit as u64));
        self.rows(query).await?.into_iter().map(|row| row.entry).collect()
    }

    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>> {
        let mut query = self.select(COLUMNS);
        query.push(" AND event = ").push_bind(event.as_str().to_owned());
        self.rows(query).await?.into_iter().next().map(|row| row.entry).transpose()
    }

    async fn count(&self, filter: &AuditFilter) -> Result<u64> {
        let mut query = self.select("count(*)");
        narrow(&mut query, filter);
        let count: i64 = query.build_query_scalar().fetch_one(&self.pool).await.map_err(failed)?;
        unsigned(count)
    }

    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>> {
        let mut query = self.select(COLUMNS);
        query.push(" AND position > ").push_bind(signed(after));
        query.push(" ORDER BY position LIMIT ").push_bind(signed(limit as u64));
        self.rows(query).await
    }
}
