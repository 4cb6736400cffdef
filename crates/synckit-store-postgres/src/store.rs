//! The store itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventStore, Hash, Mark, NodeId, Result, VectorCursor,
    graph::AggregateGraph,
    plan::{Changes, NodeState},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow, Rows,
        Standing, StoreMaintenance, StoredDecision, SyncTurn, Table, Write, Written,
    },
};
use tokio::sync::watch;

use crate::{
    config::PostgresConfig,
    error::{at_place, from_sqlx},
    lookup,
    maintain::{self, Step},
    notice::Ear,
    progress,
    queue::Queue,
    read::{self, Reviewed},
    schema::{self, How, Tenant},
    turn::Turns,
};

/// A connection that was idle for longer is tried before it is used: the server may have been restarted.
const TRIED_AFTER_IDLE: Duration = Duration::from_secs(1);
const STATEMENTS_KEPT: usize = 256;

/// An event store in a PostgreSQL database. Clones share their connections.
#[derive(Debug, Clone)]
pub struct PostgresStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) tenant: Tenant,
    pub(crate) config: PostgresConfig,
    pub(crate) writer: PgPool,
    readers: PgPool,
    pub(crate) queue: Queue,
    pub(crate) identity: Mutex<Identity>,
    copied: Option<(NodeId, NodeId)>,
    /// Where the log ends, as far as this value has seen.
    pub(crate) head: watch::Sender<u64>,
    ear: Ear,
    turns: Turns,
}

impl PostgresStore {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such database, schema or tenant; [`ErrorKind::SchemaTooNew`] or
    /// [`ErrorKind::Corrupt`] as the tables are; [`ErrorKind::Unauthorized`] or [`ErrorKind::Forbidden`] as the server says; [`ErrorKind::Unavailable`] if it cannot be
    /// reached; any error of PostgreSQL.
    pub async fn open(config: PostgresConfig) -> Result<Self> {
        Self::connect(config, How::Open).await
    }

    /// Opens a store, and makes tables and tenant first if they are not there. The database must exist.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for a schema or tenant that is not there.
    pub async fn create(config: PostgresConfig) -> Result<Self> {
        Self::connect(config, How::Create).await
    }

    /// Makes a tenant that is to be filled from the store with this identity, or opens one whose filling was interrupted; see
    /// [`StoreMaintenance`]. Label and mode are those of the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is a store already, or one that is filled from another log; else as
    /// [`create`](Self::create).
    pub async fn receive(config: PostgresConfig, identity: &Identity) -> Result<Self> {
        Self::connect(config, How::Receive(identity.clone())).await
    }

    async fn connect(config: PostgresConfig, how: How) -> Result<Self> {
        let options = options(&config);
        let mut connection = connect(&config, &options).await?;
        let opened = schema::open(&mut connection, &config, &how).await?;
        if let Some((former, now)) = opened.copied {
            tracing::warn!(%former, %now, "this store is a copy; it goes on as a new node");
        }
        let tenant = opened.tenant;
        let node = lookup::node(&mut connection, tenant.number).await?;
        connection.close().await.map_err(from_sqlx("open store"))?;
        let mut identity = Identity::new(node.log, node.node, tenant.label.clone(), tenant.mode);
        identity.former = node.former;
        let (head, _) = watch::channel(node.head.position);
        Ok(Self(Arc::new(Inner {
            tenant,
            writer: pool(&config, &options, 1),
            readers: pool(&config, &options, config.max_connections - 1),
            queue: Queue::default(),
            identity: Mutex::new(identity),
            copied: opened.copied,
            head,
            ear: Ear::new(options, config.acquire_timeout),
            turns: Turns::default(),
            config,
        })))
    }

    /// If the tenant turned out to be a copy when it was opened: the node that it was, and the node that it is now.
    #[must_use]
    pub fn copied_from(&self) -> Option<(NodeId, NodeId)> {
        self.0.copied
    }
}

fn options(config: &PostgresConfig) -> PgConnectOptions {
    config.connect.clone().disable_statement_logging().statement_cache_capacity(STATEMENTS_KEPT).options([
        ("search_path", config.schema.as_str()),
        ("lock_timeout", &config.lock_timeout.as_millis().to_string()),
        // What holds the lock and does nothing makes all others wait.
        ("idle_in_transaction_session_timeout", "30s"),
        ("standard_conforming_strings", "on"),
        // Every statement finds its few rows by an index. Plans are kept, and those made while the tables were empty
        // have to be good for full ones.
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ])
}

fn pool(config: &PostgresConfig, options: &PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(
                async move { Ok(metadata.idle_for < TRIED_AFTER_IDLE || connection.ping().await.is_ok()) },
            )
        })
        .connect_lazy_with(options.clone())
}

/// A connection for itself; its errors name the place.
async fn connect(config: &PostgresConfig, options: &PgConnectOptions) -> Result<PgConnection> {
    if let Some(file) = config.unreadable() {
        return Err(file);
    }
    match tokio::time::timeout(config.acquire_timeout, options.connect()).await {
        Ok(connected) => connected.map_err(|e| at_place(&config.place(), e)),
        Err(_) => {
            let what = format!("{}: no answer in {} ms", config.place(), config.acquire_timeout.as_millis());
            Err(Error::new(ErrorKind::Unavailable, "open store", what))
        }
    }
}

impl Inner {
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.writer.is_closed() {
            return Err(Error::new(ErrorKind::Closed, operation, "the store is closed"));
        }
        Ok(())
    }

    /// Takes note of where the log ends.
    pub(crate) fn saw(&self, position: u64) {
        self.head.send_if_modified(|head| {
            let further = position > *head;
            *head = position.max(*head);
            further
        });
    }

    /// Takes note of the node's ids.
    pub(crate) fn is_now(&self, node: NodeState) {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.log = node.log;
        identity.node = node.node;
        identity.former = node.former;
    }

    /// Looks where the log ends.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<()> {
        let tenant = self.tenant.number;
        let node = self.reading("read head", move |c| Box::pin(lookup::node(c, tenant))).await?;
        self.saw(node.head.position);
        Ok(())
    }

    /// Reads in a task of its own: a future that is dropped half way would leave its connection in the middle of an answer.
    async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut connection = store.readers.acquire().await.map_err(from_sqlx(operation))?;
            let done = read(&mut connection).await;
            if done.is_err() {
                connection.close_on_drop();
            }
            done
        });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, operation, "the reading did not end").with_source(e))
        })
    }

    /// Reads several things at one moment.
    async fn reading_at_once<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.reading(operation, move |connection| {
            Box::pin(async move {
                let failed = from_sqlx(operation);
                let mut tx = connection.begin_with(snapshot).await.map_err(failed)?;
                let done = read(&mut tx).await?;
                tx.rollback().await.map_err(failed)?;
                Ok(done)
            })
        })
        .await
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn identity(&self) -> Identity {
        self.0.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn head(&self) -> Result<Mark> {
        let tenant = self.0.tenant.number;
        Ok(self.0.reading("read head", move |c| Box::pin(lookup::node(c, tenant))).await?.head)
    }

    async fn write(&self, write: Write) -> Result<Written> {
        self.0.check_open("write")?;
        let answer = self.0.queue.push(write);
        tokio::spawn(Arc::clone(&self.0).write_next());
        answer.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, "write", "the write did not end").with_source(e))
        })
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        let tenant = self.0.tenant.number;
        let read = self
            .0
            .reading_at_once("read", move |c| Box::pin(async move { read::page(c, tenant, &request).await }));
        read.await
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        let (tenant, positions) = (self.0.tenant.number, positions.to_vec());
        let read = self.0.reading("read hashes", move |c| {
            Box::pin(async move { read::hashes(c, tenant, &positions).await })
        });
        read.await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        let (tenant, ids) = (self.0.tenant.number, ids.to_vec());
        let read =
            self.0.reading("load", move |c| Box::pin(async move { read::load(c, tenant, &ids).await }));
        read.await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        let (tenant, aggregates) = (self.0.tenant.number, aggregates.to_vec());
        let read = self.0.reading_at_once("read history", move |c| {
            Box::pin(async move { lookup::vertices(c, tenant, &aggregates).await })
        });
        let found = read.await?;
        found.into_iter().map(|(aggregate, vertices)| AggregateGraph::new(aggregate, vertices)).collect()
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let (tenant, after) = (self.0.tenant.number, after.cloned());
        let read = self.0.reading("list aggregates", move |c| {
            Box::pin(async move { read::aggregates(c, tenant, after.as_ref(), limit).await })
        });
        read.await
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let (tenant, after) = (self.0.tenant.number, after.cloned());
        let read = self.0.reading("list disputed aggregates", move |c| {
            Box::pin(async move { read::disputed(c, tenant, after.as_ref(), limit).await })
        });
        read.await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        let (tenant, after) = (self.0.tenant.number, after.cloned());
        let read = self.0.reading("list conflicts", move |c| {
            Box::pin(async move { read::conflicts(c, tenant, after.as_ref(), limit).await })
        });
        read.await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        let tenant = self.0.tenant.number;
        self.0.reading("count conflicts", move |c| Box::pin(read::count_conflicts(c, tenant))).await
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        let (tenant, of) = (self.0.tenant.number, Reviewed::Conflict(conflict.clone()));
        let read = self
            .0
            .reading("list reviews", move |c| Box::pin(async move { read::reviews(c, tenant, &of).await }));
        read.await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        let (tenant, of) = (self.0.tenant.number, Reviewed::Aggregate(aggregate.clone()));
        let read = self
            .0
            .reading("list reviews", move |c| Box::pin(async move { read::reviews(c, tenant, &of).await }));
        read.await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        let (tenant, conflict) = (self.0.tenant.number, conflict.clone());
        let read = self.0.reading("list decisions", move |c| {
            Box::pin(async move { read::decisions(c, tenant, &conflict).await })
        });
        read.await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        let tenant = self.0.tenant.number;
        self.0.reading("read checkpoints", move |c| Box::pin(read::checkpoints(c, tenant))).await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        let tenant = self.0.tenant.number;
        self.0.reading("read quarantine", move |c| Box::pin(lookup::quarantine(c, tenant))).await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        let tenant = self.0.tenant.number;
        self.0.reading_at_once("read progress", move |c| Box::pin(progress::vector(c, tenant))).await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        let (tenant, ranges) = (self.0.tenant.number, ranges.to_vec());
        let read = self.0.reading_at_once("read progress", move |c| {
            Box::pin(async move { progress::mixed_under(c, tenant, &ranges).await })
        });
        read.await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        self.0.check_open("sync")?;
        self.0.turns.wait(&options(&self.0.config), self.identity().log).await
    }

    async fn appended(&self, position: u64) -> Result<()> {
        let mut head = self.0.head.subscribe();
        let mut looked = false;
        loop {
            self.0.check_open("wait for an append")?;
            if *head.borrow_and_update() > position {
                return Ok(());
            }
            if looked {
                self.0.ear.open(Arc::downgrade(&self.0));
                // The sender lives as long as the store.
                let _ = head.changed().await;
            } else {
                looked = true;
                self.0.refresh().await?;
            }
        }
    }

    async fn close(&self) -> Result<()> {
        // Whoever waits is told by the end, and new calls are refused from the beginning.
        let (writing, reading) = (self.0.writer.close(), self.0.readers.close());
        self.0.ear.close().await;
        tokio::join!(writing, reading);
        self.0.head.send_modify(|_| {});
        Ok(())
    }

    fn maintenance(&self) -> Option<&dyn StoreMaintenance> {
        Some(self)
    }
}

#[async_trait]
impl StoreMaintenance for PostgresStore {
    async fn standing(&self) -> Result<Standing> {
        let tenant = self.0.tenant.number;
        self.0.reading("read standing", move |c| Box::pin(lookup::standing(c, tenant))).await
    }

    async fn node(&self) -> Result<NodeState> {
        let tenant = self.0.tenant.number;
        self.0.reading("read node", move |c| Box::pin(lookup::node(c, tenant))).await
    }

    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
        let (tenant, after) = (self.0.tenant.number, after.map(<[u8]>::to_vec));
        let read = self.0.reading("read rows", move |c| {
            Box::pin(async move { maintain::rows(c, tenant, table, after.as_deref(), limit).await })
        });
        read.await
    }

    async fn fill(&self, changes: Changes) -> Result<()> {
        self.0.maintain(Step::Fill(Box::new(changes))).await
    }

    async fn complete(&self, node: NodeState) -> Result<()> {
        self.0.maintain(Step::Complete(node.clone())).await?;
        self.0.saw(node.head.position);
        self.0.is_now(node);
        Ok(())
    }

    async fn seal(&self, successor: &str) -> Result<()> {
        self.0.maintain(Step::Seal { successor: successor.to_owned() }).await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        let tenant = self.0.tenant.number;
        self.0.reading_at_once("check store", move |c| Box::pin(maintain::integrity(c, tenant))).await
    }
}
