//! The store itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventStore, Hash, Mark, NodeId, Result, VectorCursor,
    graph::AggregateGraph,
    plan::{Changes, Known, NodeState},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow, Rows,
        Standing, StoreMaintenance, StoredDecision, SyncTurn, Table, Write, Written,
    },
};
use tokio::sync::watch;

use crate::{
    config::SqliteConfig,
    error::from_sqlx,
    lookup,
    maintain::{self, Step},
    opening::{self, How},
    progress, read,
    turn::Turns,
    write,
};

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
        Self::connect(config, How::Open).await
    }

    /// Opens a store, and makes it first if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), and any error of making a file.
    pub async fn create(config: SqliteConfig) -> Result<Self> {
        Self::connect(config, How::Create).await
    }

    /// Makes a store that is to be filled from the one with this identity, or opens one whose filling was interrupted; see
    /// [`StoreMaintenance`]. Label and mode are those of the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is a store already, or one that is filled from another log; else as
    /// [`create`](Self::create).
    pub async fn receive(config: SqliteConfig, identity: &Identity) -> Result<Self> {
        Self::connect(config, How::Receive(identity.clone())).await
    }

    async fn connect(config: SqliteConfig, how: How) -> Result<Self> {
        let opened = opening::open(&config, how).await?;
        let turns = Turns::new(config.path.as_deref());
        let (head, _) = watch::channel(opened.head);
        Ok(Self(Arc::new(Inner {
            writer: opened.writer,
            readers: opened.readers,
            config,
            identity: Mutex::new(opened.identity),
            copied: opened.copied,
            head,
            turns,
            anchor: Mutex::new(opened.anchor),
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

    /// Changes the store in one transaction, which comes to its end even if the caller goes away.
    async fn maintain(&self, step: Step) -> Result<()> {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let failed = from_sqlx("maintain store");
            let mut connection = store.0.writer.acquire().await.map_err(&failed)?;
            let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
            step.run(&mut tx).await?;
            tx.commit().await.map_err(&failed)
        });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, "maintain store", "the change did not end").with_source(e))
        })
    }

    async fn write_now(&self, request: Write) -> Result<Written> {
        let failed = from_sqlx("write");
        let mut connection = self.0.writer.acquire().await.map_err(&failed)?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let around = self.0.config.settings.surroundings();
        let (node, claimed, standing) = lookup::node_and_claimed(&mut tx).await?;
        standing.may_write()?;
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

    fn maintenance(&self) -> Option<&dyn StoreMaintenance> {
        Some(self)
    }
}

#[async_trait]
impl StoreMaintenance for SqliteStore {
    async fn standing(&self) -> Result<Standing> {
        maintain::standing(&mut *self.reader("read standing").await?).await
    }

    async fn node(&self) -> Result<NodeState> {
        lookup::node(&mut *self.reader("read node").await?).await
    }

    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
        maintain::rows(&mut *self.reader("read rows").await?, table, after, limit).await
    }

    async fn fill(&self, changes: Changes) -> Result<()> {
        self.maintain(Step::Fill(Box::new(changes))).await
    }

    async fn complete(&self, node: NodeState) -> Result<()> {
        let home = self.0.config.path.as_deref().and_then(crate::home::of);
        self.maintain(Step::Complete { node: node.clone(), home }).await?;
        self.0.head.send_replace(node.head.position);
        let mut identity = self.0.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.log = node.log;
        identity.node = node.node;
        identity.former = node.former;
        Ok(())
    }

    async fn seal(&self, successor: &str) -> Result<()> {
        self.maintain(Step::Seal { successor: successor.to_owned() }).await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        maintain::integrity(&mut *self.reader("check store").await?).await
    }
}
