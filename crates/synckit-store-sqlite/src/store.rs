//! The store itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventStore, Hash, Mark, NodeId, Result, VectorCursor,
    graph::AggregateGraph,
    plan::{Known, Surroundings},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow,
        StoredDecision, SyncTurn, Write, Written,
    },
};
use tokio::sync::watch;

use crate::{
    config::{Durability, SqliteConfig},
    error::from_sqlx,
    lookup, progress, read, schema,
    turn::Turns,
    write,
};

const READERS: u32 = 4;
/// What a writer touches it often touches again: the inner pages of its indexes, and the pages of a transaction. In KiB.
const WRITER_CACHE: &str = "-32768";
/// A reader mostly goes along the log, and what it comes back to is in the system's cache. In KiB.
const READER_CACHE: &str = "-4096";
const OTHER_PROCESSES_SEEN_AFTER: Duration = Duration::from_millis(500);

/// An event store in one SQLite file. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    config: SqliteConfig,
    identity: Mutex<Identity>,
    copied: Option<(NodeId, NodeId)>,
    head: watch::Sender<u64>,
    turns: Turns,
    /// A database in memory lives as long as some connection to it: the pool may drop its own.
    anchor: Mutex<Option<SqliteConnection>>,
}

impl SqliteStore {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::SchemaTooNew`], [`ErrorKind::Corrupt`] or
    /// [`ErrorKind::Busy`] as the file is; any error of SQLite.
    pub async fn open(config: SqliteConfig) -> Result<Self> {
        Self::connect(config, false).await
    }

    /// Opens a store, and makes it first if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), and any error of making a file.
    pub async fn create(config: SqliteConfig) -> Result<Self> {
        Self::connect(config, true).await
    }

    async fn connect(config: SqliteConfig, create: bool) -> Result<Self> {
        let missing = |path: &std::path::Path| {
            Error::new(ErrorKind::NotFound, "open store", format!("there is no store at {}", path.display()))
        };
        if let Some(path) = config.path.as_deref().filter(|p| !create && !p.is_file()) {
            return Err(missing(path));
        }
        let options = options(&config, create)?;
        let failed = from_sqlx("open store");
        let mut anchor = None;
        let (writer, readers) = match &config.path {
            None => {
                anchor = Some(SqliteConnection::connect_with(&options).await.map_err(&failed)?);
                let only = SqlitePoolOptions::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_with(options)
                    .await
                    .map_err(&failed)?;
                (only.clone(), only)
            }
            Some(path) => {
                prepare(path, &config, options.clone(), create).await?;
                let pool = |n| SqlitePoolOptions::new().max_connections(n).min_connections(0);
                let reading = options.clone().pragma("cache_size", READER_CACHE);
                (pool(1).connect_lazy_with(options), pool(READERS).connect_lazy_with(reading))
            }
        };
        let mut connection = writer.acquire().await.map_err(&failed)?;
        if config.path.is_none() {
            schema::create(&mut connection, &config).await?;
        }
        let copied = schema::settle(&mut connection, &config).await?;
        if let Some((former, now)) = copied {
            tracing::warn!(%former, %now, "this store is a copy; it goes on as a new node");
        }
        let (label, mode) = schema::label_and_mode(&mut connection).await?;
        let node = lookup::node(&mut connection).await?;
        drop(connection);
        let mut identity = Identity::new(node.log, node.node, label, mode);
        identity.former = node.former;
        let turns = Turns::new(config.path.as_deref());
        let (head, _) = watch::channel(node.head.position);
        Ok(Self(Arc::new(Inner {
            writer,
            readers,
            config,
            identity: Mutex::new(identity),
            copied,
            head,
            turns,
            anchor: Mutex::new(anchor),
        })))
    }

    /// If the file turned out to be a copy when it was opened: the node that it was, and the node that it is now.
    #[must_use]
    pub fn copied_from(&self) -> Option<(NodeId, NodeId)> {
        self.0.copied
    }

    async fn reader(&self, operation: &'static str) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>> {
        self.0.readers.acquire().await.map_err(from_sqlx(operation))
    }

    async fn write_now(&self, request: Write) -> Result<Written> {
        let failed = from_sqlx("write");
        let config = &self.0.config;
        let mut connection = self.0.writer.acquire().await.map_err(&failed)?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let mut around =
            Surroundings::new(config.environment.clock.now(), config.environment.entropy.random());
        around.tolerance = config.tolerance;
        around.max_data = config.max_data;
        let (node, claimed) = lookup::node_and_claimed(&mut tx).await?;
        let mut known = Known::of(node);
        lookup::look_up(&mut tx, &request.lookup(&known.node), claimed, &mut known).await?;
        lookup::look_up(&mut tx, &request.lookup_again(&known), claimed, &mut known).await?;
        let wanted: Vec<AggregateId> = request.graphs(&known).into_iter().collect();
        known.graphs = lookup::vertices(&mut tx, &wanted).await?.into_iter().collect();
        let before = known.node.clone();
        let (changes, written) = request.plan(&mut known, &around)?;
        // Another process may have given the node a new id.
        let node = changes.node.clone().unwrap_or(before);
        if !changes.is_empty() {
            write::store(&mut tx, &changes).await?;
            // To free much takes time, which a commit has to spare.
            let (committed, ()) = tokio::join!(biased; tx.commit(), async { drop((changes, known)) });
            committed.map_err(&failed)?;
        }
        let mut identity = self.0.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.node = node.node;
        identity.former = node.former;
        drop(identity);
        self.0.head.send_replace(written.head.position);
        Ok(written)
    }
}

fn options(config: &SqliteConfig, create: bool) -> Result<SqliteConnectOptions> {
    let options = match &config.path {
        // Each parse gives the database a name of its own, under which several connections reach it.
        None => "sqlite::memory:".parse().map_err(from_sqlx("open store"))?,
        Some(path) => SqliteConnectOptions::new().filename(path).create_if_missing(create),
    };
    Ok(options
        .busy_timeout(config.busy_timeout)
        .journal_mode(if config.path.is_none() { SqliteJournalMode::Memory } else { SqliteJournalMode::Wal })
        .synchronous(match config.durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        })
        .foreign_keys(false)
        .pragma("cache_size", WRITER_CACHE)
        .pragma("temp_store", "memory")
        // Writes touch many pages more than once; a small interval would copy them again and again.
        .pragma("wal_autocheckpoint", "8192")
        .statement_cache_capacity(128))
}

/// Looks at the file before anything is changed, and makes the tables in one transaction if that is wanted.
async fn prepare(
    path: &std::path::Path,
    config: &SqliteConfig,
    options: SqliteConnectOptions,
    create: bool,
) -> Result<()> {
    let failed = from_sqlx("open store");
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(&failed)?;
    let found = schema::look(&mut connection).await;
    let result = match found {
        Ok(schema::Found::Empty) if create => schema::create(&mut connection, config).await,
        Ok(schema::Found::Empty) => Err(Error::new(
            ErrorKind::NotFound,
            "open store",
            format!("{} is an empty database, and not a store", path.display()),
        )),
        Ok(schema::Found::Store) => Ok(()),
        Err(e) => Err(e),
    };
    connection.close().await.map_err(&failed)?;
    result
}

#[async_trait]
impl EventStore for SqliteStore {
    fn identity(&self) -> Identity {
        self.0.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn head(&self) -> Result<Mark> {
        Ok(lookup::node(&mut *self.reader("read head").await?).await?.head)
    }

    async fn write(&self, write: Write) -> Result<Written> {
        let store = self.clone();
        let task = tokio::spawn(async move { store.write_now(write).await });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, "write", "the write did not end").with_source(e))
        })
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        let mut connection = self.reader("read").await?;
        let mut tx = connection.begin().await.map_err(from_sqlx("read"))?;
        read::page(&mut tx, &request).await
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        read::hashes(&mut *self.reader("read hashes").await?, positions).await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        read::load(&mut *self.reader("load").await?, ids).await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        let mut connection = self.reader("read history").await?;
        let mut tx = connection.begin().await.map_err(from_sqlx("read history"))?;
        let found = lookup::vertices(&mut tx, aggregates).await?;
        found.into_iter().map(|(aggregate, vertices)| AggregateGraph::new(aggregate, vertices)).collect()
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        read::aggregates(&mut *self.reader("list aggregates").await?, after, limit).await
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        read::disputed(&mut *self.reader("list disputed aggregates").await?, after, limit).await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        read::conflicts(&mut *self.reader("list conflicts").await?, after, limit).await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        read::count_conflicts(&mut *self.reader("count conflicts").await?).await
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        read::reviews(&mut *self.reader("list reviews").await?, read::Reviewed::Conflict(conflict)).await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        read::reviews(&mut *self.reader("list reviews").await?, read::Reviewed::Aggregate(aggregate)).await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        read::decisions(&mut *self.reader("list decisions").await?, conflict).await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        read::checkpoints(&mut *self.reader("read checkpoints").await?).await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        lookup::quarantine(&mut *self.reader("read quarantine").await?).await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        progress::vector(&mut *self.reader("read progress").await?).await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        progress::mixed_under(&mut *self.reader("read progress").await?, ranges).await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        if self.0.writer.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "sync", "the store is closed"));
        }
        self.0.turns.wait().await
    }

    async fn appended(&self, position: u64) -> Result<()> {
        let mut head = self.0.head.subscribe();
        loop {
            if self.head().await?.position > position {
                return Ok(());
            }
            tokio::select! {
                _ = head.changed() => {}
                () = tokio::time::sleep(OTHER_PROCESSES_SEEN_AFTER) => {}
            }
        }
    }

    async fn close(&self) -> Result<()> {
        self.0.readers.close().await;
        self.0.writer.close().await;
        self.0.anchor.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.head.send_modify(|_| {});
        Ok(())
    }
}
