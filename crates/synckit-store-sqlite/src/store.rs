//! The store itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
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
    error::failed,
    lookup::{self, Claimed},
    maintain,
    opening::{self, How},
    page,
    pool::Pool,
    progress, read,
    turn::Turns,
    wal::{self, WriteBack},
    write,
};

const OTHER_PROCESSES_SEEN_AFTER: Duration = Duration::from_millis(500);

/// An event store in one SQLite file. Clones share their connections.
#[derive(Debug, Clone)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Arc<Pool>,
    readers: Arc<Pool>,
    write_back: WriteBack,
    config: SqliteConfig,
    identity: Mutex<Identity>,
    copied: Option<(NodeId, NodeId)>,
    head: watch::Sender<u64>,
    turns: Turns,
}

impl SqliteStore {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::SchemaTooNew`], [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Forbidden`] or [`ErrorKind::Busy`] as the file is; any error of SQLite.
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
        let opening = config.clone();
        let opened = tokio::task::spawn_blocking(move || opening::open(&opening, &how)).await;
        let opened = opened.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, "open store", "the work did not end").with_source(e))
        })?;
        let turns = Turns::new(config.path.as_deref());
        let (head, _) = watch::channel(opened.head);
        Ok(Self(Arc::new(Inner {
            writer: opened.writer,
            readers: opened.readers,
            write_back: WriteBack::default(),
            config,
            identity: Mutex::new(opened.identity),
            copied: opened.copied,
            head,
            turns,
        })))
    }

    /// If the file turned out to be a copy when it was opened: the node that it was, and the node that it is now.
    #[must_use]
    pub fn copied_from(&self) -> Option<(NodeId, NodeId)> {
        self.0.copied
    }

    /// Reads in one snapshot of the database.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let snapshot = move |connection: &mut Connection| {
            let tx = connection.transaction().map_err(failed(operation))?;
            let found = read(&tx)?;
            tx.commit().map_err(failed(operation))?;
            Ok(found)
        };
        self.0.readers.run(operation, snapshot).await
    }

    /// Changes the database in one transaction, and takes note of the node as it is afterwards, if it may be another one. It
    /// comes to its end even if the caller goes away.
    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Inner, &Connection) -> Result<(T, Option<NodeState>)> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let transaction = move |connection: &mut Connection| {
            let failed = failed(operation);
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            let (changed, node) = change(&inner, &tx)?;
            tx.commit().map_err(failed)?;
            if let Some(node) = node {
                inner.is_now(&node);
            }
            Ok((changed, wal::pages()))
        };
        let (changed, pages) = self.0.writer.run(operation, transaction).await?;
        self.0.write_back.start_if_due(pages, &self.0.readers);
        Ok(changed)
    }
}

/// What a write has come to, and what is to be freed when there is time.
type Done = (Written, (Changes, Known));

impl Inner {
    fn write(&self, connection: &Connection, request: Write) -> Result<(Done, Option<NodeState>)> {
        let around = self.config.settings.surroundings();
        let (node, standing) = lookup::node_and_standing(connection)?;
        standing.may_write()?;
        let claimed = Claimed::of(connection)?;
        let mut known = Known::of(node);
        lookup::look_up(connection, &request.lookup(&known.node), claimed, &mut known)?;
        lookup::look_up(connection, &request.lookup_again(&known), claimed, &mut known)?;
        let wanted = request.graphs(&known);
        known.graphs = lookup::vertices(connection, claimed, wanted)?.into_iter().collect();
        let before = known.node.clone();
        let (changes, written) = request.plan(&mut known, &around)?;
        if !changes.is_empty() {
            write::store(connection, &changes)?;
        }
        // Another process may have given the node a new id.
        let node = changes.node.clone().unwrap_or(before);
        Ok(((written, (changes, known)), Some(node)))
    }

    fn is_now(&self, node: &NodeState) {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.log = node.log;
        identity.node = node.node;
        identity.former.clone_from(&node.former);
        drop(identity);
        self.head.send_replace(node.head.position);
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn identity(&self) -> Identity {
        self.0.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn head(&self) -> Result<Mark> {
        self.read("read head", |c| Ok(lookup::node(c)?.head)).await
    }

    async fn write(&self, write: Write) -> Result<Written> {
        let write = move |inner: &Inner, connection: &Connection| inner.write(connection, write);
        let (written, left) = self.change("write", write).await?;
        // Thousands of small pieces: nobody has to wait for that.
        drop(tokio::task::spawn_blocking(move || drop(left)));
        Ok(written)
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        self.read("read", move |c| page::page(c, &request)).await
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        let positions = positions.to_vec();
        self.read("read hashes", move |c| read::hashes(c, &positions)).await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        let ids = ids.to_vec();
        self.read("load", move |c| read::load(c, ids.iter())).await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        let aggregates = aggregates.to_vec();
        let read = |c: &Connection| lookup::vertices(c, Claimed::of(c)?, aggregates);
        let found = self.read("read history", read).await?;
        found.into_iter().map(|(aggregate, vertices)| AggregateGraph::new(aggregate, vertices)).collect()
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let after = after.cloned();
        self.read("list aggregates", move |c| read::aggregates(c, after.as_ref(), limit)).await
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let after = after.cloned();
        self.read("list disputed aggregates", move |c| read::disputed(c, after.as_ref(), limit)).await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        let after = after.cloned();
        self.read("list conflicts", move |c| read::conflicts(c, after.as_ref(), limit)).await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        self.read("count conflicts", read::count_conflicts).await
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        let conflict = conflict.clone();
        self.read("list reviews", move |c| read::reviews(c, &conflict)).await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        let aggregate = aggregate.clone();
        self.read("list reviews", move |c| read::reviews_of(c, &aggregate)).await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        let conflict = conflict.clone();
        self.read("list decisions", move |c| read::decisions(c, &conflict)).await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        self.read("read checkpoints", read::checkpoints).await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        self.read("read quarantine", lookup::quarantine).await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        self.read("read progress", progress::vector).await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        let ranges = ranges.to_vec();
        self.read("read progress", move |c| progress::mixed_under(c, &ranges)).await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        self.0.writer.check_open("sync")?;
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
        self.read("read standing", maintain::standing).await
    }

    async fn node(&self) -> Result<NodeState> {
        self.read("read node", lookup::node).await
    }

    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
        let after = after.map(<[u8]>::to_vec);
        self.read("read rows", move |c| maintain::rows(c, table, after.as_deref(), limit)).await
    }

    async fn fill(&self, changes: Changes) -> Result<()> {
        self.change("fill store", move |_, c| Ok((maintain::fill(c, &changes)?, None))).await
    }

    async fn complete(&self, node: NodeState) -> Result<()> {
        let home = self.0.config.path.as_deref().and_then(crate::home::of);
        let complete = move |_: &Inner, c: &Connection| {
            maintain::complete(c, &node, home.as_deref())?;
            Ok(((), Some(node)))
        };
        self.change("fill store", complete).await
    }

    async fn seal(&self, successor: &str) -> Result<()> {
        let successor = successor.to_owned();
        self.change("seal store", move |_, c| Ok((maintain::seal(c, &successor)?, None))).await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        self.read("check store", maintain::integrity).await
    }
}
