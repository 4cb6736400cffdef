//! Stores and transports that misbehave at a chosen moment.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use synckit_core::{
    AggregateId, ConflictId, CursorMode, Error, ErrorKind, Event, EventId, EventStore, Hash, Mark, NodeId,
    Result, Transport, VectorCursor,
    graph::AggregateGraph,
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow,
        StoredDecision, SyncTurn, Write, Written,
    },
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};
use synckit_node::{DecideScope, SyncNode, SyncNodeBuilder};
use synckit_store_mem::MemStore;
use synckit_transport_mem::{MemNetwork, MemTransport};
use tokio::sync::Semaphore;

pub(crate) const MODES: [CursorMode; 2] = [CursorMode::Integer, CursorMode::Vector];

pub(crate) fn store(mode: CursorMode) -> MemStore {
    MemStore::builder().mode(mode).build()
}

pub(crate) fn small(mode: CursorMode) -> MemStore {
    MemStore::builder().mode(mode).max_data_bytes(1_000).build()
}

pub(crate) fn event(id: &str, aggregate: &str, n: usize) -> Event {
    Event::new("t", aggregate, &n).unwrap().with_id(id).unwrap()
}

pub(crate) fn typed(id: &str, event_type: &str, aggregate: &str) -> Event {
    Event::new(event_type, aggregate, &id).unwrap().with_id(id).unwrap()
}

pub(crate) fn large(id: &str, aggregate: &str) -> Event {
    Event::new("t", aggregate, &"x".repeat(2_000)).unwrap().with_id(id).unwrap()
}

pub(crate) fn id(name: &str) -> EventId {
    name.parse().unwrap()
}

pub(crate) fn through(store: &MemStore, network: &MemNetwork, hub: &str) -> SyncNodeBuilder {
    let transport = Arc::new(network.connect(hub).unwrap());
    SyncNode::builder(Arc::new(store.clone())).transport(transport).decide(DecideScope::Nothing)
}

pub(crate) fn local(store: &MemStore) -> SyncNode {
    SyncNode::builder(Arc::new(store.clone())).build().unwrap()
}

pub(crate) fn network(hubs: &[(&str, &MemStore)]) -> MemNetwork {
    let network = MemNetwork::new();
    for (name, hub) in hubs {
        network.expose(*name, Arc::new((*hub).clone()));
    }
    network
}

pub(crate) async fn rounds(nodes: &[&SyncNode], n: usize) {
    for _ in 0..n {
        for node in nodes {
            node.sync().await.unwrap();
        }
    }
}

pub(crate) async fn holds_whole(store: &MemStore, name: &str) -> bool {
    store.load(&[id(name)]).await.unwrap().iter().any(|e| !e.stub)
}

/// Does something once before it passes a push on, and can be made to wait before a pull.
pub(crate) struct Staged {
    pub(crate) inner: MemTransport,
    pub(crate) before_push: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    pub(crate) pulls: Option<Arc<Semaphore>>,
    pub(crate) pulling: Arc<AtomicBool>,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Staged")
    }
}

impl Staged {
    pub(crate) fn new(inner: MemTransport) -> Self {
        Self { inner, before_push: Mutex::default(), pulls: None, pulling: Arc::default() }
    }
}

#[async_trait::async_trait]
impl Transport for Staged {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        self.inner.greet(greeting).await
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        if let Some(pulls) = &self.pulls {
            self.pulling.store(true, Ordering::SeqCst);
            pulls.acquire().await.unwrap().forget();
        }
        self.inner.pull(request).await
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        let hook = self.before_push.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.push(request).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// A store whose process dies before the first write that records what a peer said, or that has no room for pages.
#[derive(Debug)]
pub(crate) struct Dying {
    pub(crate) inner: MemStore,
    pub(crate) dead: AtomicBool,
    pub(crate) full: bool,
}

#[async_trait::async_trait]
impl EventStore for Dying {
    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    async fn head(&self) -> Result<Mark> {
        self.inner.head().await
    }

    async fn write(&self, write: Write) -> Result<Written> {
        if self.full {
            return match write {
                Write::Apply(page) if !page.entries.is_empty() => {
                    Err(Error::new(ErrorKind::Storage, "write", "the disk is full"))
                }
                other => self.inner.write(other).await,
            };
        }
        if matches!(write, Write::Acknowledge(_)) {
            self.dead.store(true, Ordering::SeqCst);
        }
        if self.dead.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Storage, "write", "the process is dead"));
        }
        self.inner.write(write).await
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        self.inner.read(request).await
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        self.inner.hashes(positions).await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        self.inner.load(ids).await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        self.inner.graphs(aggregates).await
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        self.inner.aggregates(after, limit).await
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        self.inner.disputed(after, limit).await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        self.inner.conflicts(after, limit).await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        self.inner.count_conflicts().await
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        self.inner.reviews(conflict).await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        self.inner.reviews_of(aggregate).await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        self.inner.decisions(conflict).await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        self.inner.checkpoints().await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        self.inner.quarantine().await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        self.inner.vector().await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        self.inner.mixed(ranges).await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        self.inner.sync_turn().await
    }

    async fn appended(&self, position: u64) -> Result<()> {
        self.inner.appended(position).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
