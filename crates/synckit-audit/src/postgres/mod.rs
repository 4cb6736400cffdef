//! An index in a PostgreSQL database.

mod config;
mod error;
mod schema;
mod statement;

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Postgres, pool::PoolConnection, postgres::PgPool,
};
use synckit_core::{
    Error, ErrorKind, EventId, LogId, Result,
    audit::{AuditEntry, AuditFilter},
};

use self::{
    config::Config,
    error::{at_place, failed},
};
use crate::{
    batch::survivors,
    index::{AuditIndex, AuditProgress, Kept},
};

const OPEN: &str = "open audit index";
const READ: &str = "read audit index";
const WRITE: &str = "record decisions";
const CLEAR: &str = "clear audit index";

/// The index of one log in a PostgreSQL database, beside those of other logs. Clones share their connections.
#[derive(Clone)]
pub struct PostgresAuditIndex(Arc<Inner>);

struct Inner {
    pool: PgPool,
    place: String,
    schema: String,
    log: LogId,
    number: i32,
}

impl fmt::Debug for PostgresAuditIndex {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAuditIndex")
            .field("place", &self.0.place)
            .field("schema", &self.0.schema)
            .field("log", &self.0.log)
            .finish_non_exhaustive()
    }
}

impl PostgresAuditIndex {
    /// Opens the index of a log in the database that a URL names, and makes schema and tables if they are missing. The
    /// crate's page lists the URL's parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a URL that makes no sense, or a schema with something else in it;
    /// [`ErrorKind::SchemaTooNew`] for tables of a newer version; [`ErrorKind::Corrupt`] for damaged ones;
    /// [`ErrorKind::Unauthorized`], [`ErrorKind::Unavailable`], [`ErrorKind::NotFound`] or [`ErrorKind::Forbidden`] as the
    /// server says; [`ErrorKind::Unsupported`] for a database that is not in UTF8.
    pub async fn open(url: &str, log: LogId) -> Result<Self> {
        let config = Config::from_url(url)?;
        let mut connection = connect(&config).await?;
        let number = schema::open(&mut connection, &config, log).await?;
        connection.close().await.map_err(failed(OPEN))?;
        let (pool, place) = (config.pool(), config.place());
        Ok(Self(Arc::new(Inner { pool, place, schema: config.schema, log, number })))
    }

    /// Works in a task of its own: a future that is dropped half way would leave its connection in the middle of an answer.
    async fn run<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Arc<Inner>, PoolConnection<Postgres>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let connection = inner.pool.acquire().await.map_err(failed(operation))?;
            work(inner, connection).await
        });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, operation, "the work did not end").with_source(e))
        })
    }
}

async fn connect(config: &Config) -> Result<PgConnection> {
    match tokio::time::timeout(config.acquire_timeout, config.connect.connect()).await {
        Ok(connected) => connected.map_err(|e| at_place(&config.place(), e)),
        Err(_) => {
            let what = format!("{}: no answer in {} ms", config.place(), config.acquire_timeout.as_millis());
            Err(Error::new(ErrorKind::Unavailable, OPEN, what))
        }
    }
}

impl Inner {
    async fn record(
        &self,
        connection: &mut PgConnection,
        entries: &[AuditEntry],
        from: Option<AuditProgress>,
        to: AuditProgress,
    ) -> Result<bool> {
        let entries = survivors(entries, &to)?;
        if to.log != self.log {
            return Err(to.foreign(self.log));
        }
        let mut tx = connection.begin().await.map_err(failed(WRITE))?;
        if statement::progress(&mut tx, self.number, self.log, true).await? != from {
            return Ok(false);
        }
        if !entries.is_empty() {
            statement::put(&mut tx, self.number, &entries).await?;
        }
        statement::put_progress(&mut tx, self.number, Some(to.mark)).await?;
        tx.commit().await.map_err(failed(WRITE))?;
        Ok(true)
    }

    async fn clear(&self, connection: &mut PgConnection) -> Result<()> {
        let failed = failed(CLEAR);
        let mut tx = connection.begin().await.map_err(failed)?;
        // Locks the log, as those who record do.
        statement::put_progress(&mut tx, self.number, None).await?;
        let delete = sqlx::query("DELETE FROM entries WHERE log = $1").bind(self.number);
        delete.execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}

#[async_trait]
impl AuditIndex for PostgresAuditIndex {
    fn log(&self) -> Option<LogId> {
        Some(self.0.log)
    }

    async fn progress(&self) -> Result<Option<AuditProgress>> {
        self.run(READ, move |inner, mut connection| async move {
            statement::progress(&mut connection, inner.number, inner.log, false).await
        })
        .await
    }

    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        let (entries, from, to) = (entries.to_vec(), from.copied(), *to);
        self.run(WRITE, move |inner, mut connection| async move {
            inner.record(&mut connection, &entries, from, to).await
        })
        .await
    }

    async fn clear(&self) -> Result<()> {
        self.run(CLEAR, move |inner, mut connection| async move { inner.clear(&mut connection).await }).await
    }

    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        let filter = filter.clone();
        let found = self.run(READ, move |inner, mut connection| async move {
            statement::find(&mut connection, inner.number, &filter, after, limit).await
        });
        found.await?.into_iter().map(|row| row.entry).collect()
    }

    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>> {
        let event = event.clone();
        let found = self.run(READ, move |inner, mut connection| async move {
            statement::of_event(&mut connection, inner.number, event.as_str()).await
        });
        found.await?.map(|row| row.entry).transpose()
    }

    async fn count(&self, filter: &AuditFilter) -> Result<u64> {
        let filter = filter.clone();
        self.run(READ, move |inner, mut connection| async move {
            statement::count(&mut connection, inner.number, &filter).await
        })
        .await
    }

    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>> {
        self.run(READ, move |inner, mut connection| async move {
            let all = AuditFilter::default();
            statement::find(&mut connection, inner.number, &all, after, limit).await
        })
        .await
    }
}
