//! The store itself.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventStore, Hash, Mark, NodeId, Result, VectorCursor,
    graph::AggregateGraph,
    plan::{Changes, Known, NodeState},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow, Rows,
        Standing, StoreMaintenance, StoreSettings, StoredDecision, SyncTurn, Table, Write, Written,
    },
};
use tokio::sync::{Mutex as AsyncMutex, RwLock, watch};

use crate::{
    config::FjallConfig,
    engine::Engine,
    error::{panicked, with_advice},
    integrity,
    lookup::{self, Claimed},
    maintain::{self, Step},
    opening::{self, How, Opened, Writer},
    page, progress, read, schema,
    view::View,
    write,
};

/// An event store in a folder, on the engine fjall. Clones share it.
///
/// [`close`](EventStore::close) it: to drop the last clone waits for the engine's threads, and blocks until they end.
#[derive(Debug, Clone)]
pub struct FjallStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None when the store is closed. Whoever uses the engine reads; who closes writes.
    engine: Arc<RwLock<Option<Engine>>>,
    /// What the next write builds on; writers take turns.
    writer: Arc<AsyncMutex<Writer>>,
    config: FjallConfig,
    url: String,
    identity: Mutex<Identity>,
    copied: Option<(NodeId, NodeId)>,
    head: watch::Sender<u64>,
    turn: Arc<AsyncMutex<()>>,
}

impl FjallStore {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, or only half of one; [`ErrorKind::Invalid`] if there is something else;
    /// [`ErrorKind::SchemaTooNew`], [`ErrorKind::Corrupt`], [`ErrorKind::Forbidden`] or [`ErrorKind::Busy`] as the folder is;
    /// any error of the engine.
    pub async fn open(config: FjallConfig) -> Result<Self> {
        Self::connect(config, How::Open).await
    }

    /// Opens a store, and makes it first if there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open), and any error of making a folder.
    pub async fn create(config: FjallConfig) -> Result<Self> {
        Self::connect(config, How::Create).await
    }

    /// Makes a store that is to be filled from the one with this identity, or opens one whose filling was interrupted; see
    /// [`StoreMaintenance`]. Label and mode are those of the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is a store already, or one that is filled from another log; else as
    /// [`create`](Self::create).
    pub async fn receive(config: FjallConfig, identity: &Identity) -> Result<Self> {
        Self::connect(config, How::Receive(identity.clone())).await
    }

    async fn connect(config: FjallConfig, how: How) -> Result<Self> {
        let url = config.url();
        let wanted = config.clone();
        let opened = blocking("open store", move || opening::open(&wanted, &how)).await;
        let Opened { engine, writer, copied } = opened.map_err(|e| with_advice(e, &url))?;
        if let Some((former, now)) = copied {
            tracing::warn!(%former, %now, "this store is a copy; it goes on as a new node");
        }
        let (head, _) = watch::channel(writer.node.state.head.position);
        Ok(Self(Arc::new(Inner {
            engine: Arc::new(RwLock::new(Some(engine))),
            identity: Mutex::new(writer.identity()),
            writer: Arc::new(AsyncMutex::new(writer)),
            config,
            url,
            copied,
            head,
            turn: Arc::default(),
        })))
    }

    /// If the folder turned out to be a copy when it was opened: the node that it was, and the node that it is now.
    #[must_use]
    pub fn copied_from(&self) -> Option<(NodeId, NodeId)> {
        self.0.copied
    }

    /// Lets `work` use the engine, on a thread that may block.
    pub(crate) async fn with_engine<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = Arc::clone(&self.0.engine).read_owned().await;
        let work = move || {
            let closed = || Error::new(ErrorKind::Closed, operation, "the store is closed");
            work(engine.as_ref().ok_or_else(closed)?)
        };
        blocking(operation, work).await.map_err(|e| with_advice(e, &self.0.url))
    }

    async fn look<T: Send + 'static>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&View<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.with_engine(operation, move |engine| look(&engine.view(operation))).await
    }

    /// Changes the store, to the end even if the caller goes away. Writers take turns.
    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Engine, &mut Writer, &StoreSettings) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let mut writer = Arc::clone(&store.0.writer).lock_owned().await;
            let inner = Arc::clone(&store.0);
            let work = move |engine: &Engine| {
                let changed = change(engine, &mut writer, &inner.config.settings)?;
                *inner.identity.lock().unwrap_or_else(PoisonError::into_inner) = writer.identity();
                inner.head.send_replace(writer.node.state.head.position);
                Ok(changed)
            };
            store.with_engine(operation, work).await
        });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, operation, "the change did not end").with_source(e))
        })
    }
}

/// Runs what may block, and turns a panic in it into an error.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => Err(panicked(operation, &*panic)),
            Err(e) => Err(Error::new(ErrorKind::Closed, operation, "the runtime is ending").with_source(e)),
        },
    }
}

/// Performs a write; gives what it has come to, and what is to be freed.
fn perform(
    engine: &Engine,
    writer: &mut Writer,
    settings: &StoreSettings,
    request: Write,
) -> Result<(Written, (Changes, Known))> {
    writer.about.standing.may_write()?;
    let view = engine.view("write");
    let mut known = Known::of(writer.node.state.clone());
    lookup::look_up(&view, &request.lookup(&known.node), writer.claimed, &mut known)?;
    lookup::look_up(&view, &request.lookup_again(&known), writer.claimed, &mut known)?;
    for aggregate in request.graphs(&known) {
        let vertices = lookup::vertices(&view, writer.claimed, &aggregate)?;
        known.graphs.insert(aggregate, vertices);
    }
    let (changes, written) = request.plan(&mut known, &settings.surroundings())?;
    if !changes.is_empty() {
        write::store(engine, &view, writer, &changes)?;
    }
    Ok((written, (changes, known)))
}

#[async_trait]
impl EventStore for FjallStore {
    fn identity(&self) -> Identity {
        self.0.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn head(&self) -> Result<Mark> {
        self.look("read head", |view| Ok(schema::node(view)?.state.head)).await
    }

    async fn write(&self, write: Write) -> Result<Written> {
        let perform = |engine: &Engine, writer: &mut Writer, settings: &StoreSettings| {
            perform(engine, writer, settings, write)
        };
        let (written, left) = self.change("write", perform).await?;
        // Thousands of small pieces: nobody has to wait for that.
        drop(tokio::task::spawn_blocking(move || drop(left)));
        Ok(written)
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        self.look("read", move |view| page::page(view, &request)).await
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        let positions = positions.to_vec();
        self.look("read hashes", move |view| read::hashes(view, &positions)).await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        let ids = ids.to_vec();
        self.look("load", move |view| read::load(view, &ids)).await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        let aggregates = aggregates.to_vec();
        self.look("read history", move |view| {
            let claimed = Claimed::of(view)?;
            let graph = |aggregate: AggregateId| {
                let vertices = lookup::vertices(view, claimed, &aggregate)?;
                AggregateGraph::new(aggregate, vertices)
            };
            aggregates.into_iter().map(graph).collect()
        })
        .await
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let after = after.cloned();
        self.look("list aggregates", move |view| read::aggregates(view, after.as_ref(), limit)).await
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        let after = after.cloned();
        self.look("list disputed aggregates", move |view| read::disputed(view, after.as_ref(), limit)).await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        let after = after.cloned();
        self.look("list conflicts", move |view| read::conflicts(view, after.as_ref(), limit)).await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        self.look("count conflicts", |view| Ok(schema::node(view)?.conflicts)).await
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        let conflict = conflict.clone();
        self.look("list reviews", move |view| read::reviews(view, &conflict)).await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        let aggregate = aggregate.clone();
        self.look("list reviews", move |view| read::reviews_of(view, &aggregate)).await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        let conflict = conflict.clone();
        self.look("list decisions", move |view| read::decisions(view, &conflict)).await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        self.look("read checkpoints", read::checkpoints).await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        self.look("read quarantine", lookup::quarantine).await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        self.look("read progress", progress::vector).await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        let ranges = ranges.to_vec();
        self.look("read progress", move |view| progress::mixed(view, &ranges)).await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        self.with_engine("sync", |_| Ok(())).await?;
        // No other process has the store open.
        Ok(SyncTurn::new(Arc::clone(&self.0.turn).lock_owned().await))
    }

    async fn appended(&self, position: u64) -> Result<()> {
        let mut head = self.0.head.subscribe();
        loop {
            if self.head().await?.position > position {
                return Ok(());
            }
            if head.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Closed, "wait", "the store is closed"));
            }
        }
    }

    async fn close(&self) -> Result<()> {
        let mut engine = Arc::clone(&self.0.engine).write_owned().await;
        let closing = blocking("close", move || {
            let Some(engine) = engine.take() else { return Ok(()) };
            let finished = engine.finish();
            drop(engine);
            finished
        });
        let closed = closing.await.map_err(|e| with_advice(e, &self.0.url));
        self.0.head.send_modify(|_| {});
        closed
    }

    fn maintenance(&self) -> Option<&dyn StoreMaintenance> {
        Some(self)
    }
}

#[async_trait]
impl StoreMaintenance for FjallStore {
    async fn standing(&self) -> Result<Standing> {
        self.look("read standing", |view| Ok(schema::about(view)?.standing)).await
    }

    async fn node(&self) -> Result<NodeState> {
        self.look("read node", |view| Ok(schema::node(view)?.state)).await
    }

    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
        let after = after.map(<[u8]>::to_vec);
        self.look("read rows", move |view| maintain::page(view, table, after.as_deref(), limit)).await
    }

    async fn fill(&self, changes: Changes) -> Result<()> {
        let step = Step::Fill(Box::new(changes));
        self.change("fill store", |engine, writer, _| step.run(engine, writer)).await
    }

    async fn complete(&self, node: NodeState) -> Result<()> {
        self.change("fill store", |engine, writer, _| Step::Complete(node).run(engine, writer)).await
    }

    async fn seal(&self, successor: &str) -> Result<()> {
        let step = Step::Seal(successor.to_owned());
        self.change("seal store", |engine, writer, _| step.run(engine, writer)).await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        self.look("check store", integrity::check).await
    }
}
