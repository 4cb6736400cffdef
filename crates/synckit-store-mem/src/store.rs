//! The store itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use tokio::sync::{Mutex as AsyncMutex, watch};

use crate::state::State;

/// An event store in memory. Clones share what it holds.
#[derive(Debug, Clone)]
pub struct MemStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    settings: StoreSettings,
    max_bytes: Option<usize>,
    head: watch::Sender<u64>,
    turn: Arc<AsyncMutex<()>>,
}

/// Sets a [`MemStore`] up.
#[derive(Debug, Clone, Default)]
pub struct MemStoreBuilder {
    settings: StoreSettings,
    max_bytes: Option<usize>,
}

impl MemStoreBuilder {
    synckit_core::store_settings_methods!();

    /// How many bytes of entries the store may hold, as [`LogEntry::size`] counts them; unlimited by default.
    ///
    /// What does not fit is refused with [`RefusalCode::Quota`](synckit_core::store::RefusalCode::Quota), event by event:
    /// who wanted to push it keeps it, and offers it again.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// What a URL names: `mem:`, with parameters after a question mark.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for another scheme, or a parameter that is unknown or has a wrong value.
    pub fn from_url(url: &str) -> Result<Self> {
        let invalid = |what: String| Error::invalid("read store URL", what);
        let query = match url.strip_prefix("mem:") {
            Some("") => "",
            Some(rest) => rest.strip_prefix('?').ok_or_else(|| {
                invalid(format!(
                    "a store in memory has no name: {url:?}; parameters follow as in mem:?max_bytes=N"
                ))
            })?,
            None => return Err(invalid(format!("not the URL of a store in memory: {url:?}"))),
        };
        let mut builder = Self::default();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name != "max_bytes" {
                return Err(invalid(format!(
                    "unknown parameter {name:?} in the URL of a store in memory; known is max_bytes"
                )));
            }
            let bytes = value.parse().map_err(|e| {
                invalid(format!("max_bytes is a number of bytes, not {value:?}")).with_source(e)
            })?;
            builder = builder.max_bytes(bytes);
        }
        Ok(builder)
    }

    /// The empty store, with a log and a node of its own.
    #[must_use]
    pub fn build(self) -> MemStore {
        let node = self.settings.new_node();
        let state = State::new(node, self.settings.label.clone(), self.settings.mode);
        MemStore::with_state(state, self.settings, self.max_bytes)
    }

    /// An empty store that is to be filled from the store with this identity; see [`StoreMaintenance`].
    #[must_use]
    pub fn receive(self, identity: &Identity) -> MemStore {
        let mut node = self.settings.new_node();
        node.log = identity.log;
        node.node = identity.node;
        let mut state = State::new(node, identity.label.clone(), identity.mode);
        state.standing = Standing::Filling;
        MemStore::with_state(state, self.settings, self.max_bytes)
    }
}

impl MemStore {
    /// Sets a store up.
    #[must_use]
    pub fn builder() -> MemStoreBuilder {
        MemStoreBuilder::default()
    }

    /// An empty store with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store that holds the same, identities included, as a file that was copied behind the kit's back does. For tests
    /// of what happens then.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let state = self.lock().clone();
        Self::with_state(state, self.0.settings.clone(), self.0.max_bytes)
    }

    fn with_state(state: State, settings: StoreSettings, max_bytes: Option<usize>) -> Self {
        let (head, _) = watch::channel(state.node.head.position);
        let state = Mutex::new(state);
        Self(Arc::new(Inner { state, settings, max_bytes, head, turn: Arc::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, operation: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, operation, "the store is closed"));
        }
        Ok(state)
    }
}

impl Default for MemStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventStore for MemStore {
    fn identity(&self) -> Identity {
        let state = self.lock();
        let mut identity = Identity::new(state.node.log, state.node.node, state.label.clone(), state.mode);
        identity.former.clone_from(&state.node.former);
        identity
    }

    async fn head(&self) -> Result<Mark> {
        Ok(self.open("read head")?.node.head)
    }

    async fn write(&self, write: Write) -> Result<Written> {
        let mut state = self.open("write")?;
        state.standing.may_write()?;
        let mut around = self.0.settings.surroundings();
        around.room = self.0.max_bytes.map(|most| most.saturating_sub(state.bytes));
        let mut known = Known::of(state.node.clone());
        state.look_up(&write.lookup(&state.node), &mut known);
        state.look_up(&write.lookup_again(&known), &mut known);
        for aggregate in write.graphs(&known) {
            let vertices = state.vertices(&aggregate);
            known.graphs.insert(aggregate, vertices);
        }
        let (changes, written) = write.plan(&mut known, &around)?;
        state.store(changes);
        self.0.head.send_replace(state.node.head.position);
        Ok(written)
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        Ok(self.open("read")?.read(&request))
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        let state = self.open("read hashes")?;
        Ok(positions.iter().map(|p| state.hash(*p)).collect())
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        Ok(self.open("load")?.load(ids))
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        let state = self.open("read history")?;
        aggregates.iter().map(|a| state.graph(a)).collect()
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        Ok(self.open("list aggregates")?.aggregates(after, limit))
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        Ok(self.open("list disputed aggregates")?.disputed(after, limit))
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        Ok(self.open("list conflicts")?.conflicts(after, limit))
    }

    async fn count_conflicts(&self) -> Result<u64> {
        Ok(self.open("count conflicts")?.count_conflicts())
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        Ok(self.open("list reviews")?.reviews(conflict))
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        Ok(self.open("list reviews")?.reviews_of(aggregate))
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        Ok(self.open("list decisions")?.decisions(conflict))
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        Ok(self.open("read checkpoints")?.checkpoints())
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        Ok(self.open("read quarantine")?.quarantine())
    }

    async fn vector(&self) -> Result<VectorCursor> {
        self.open("read progress")?.vector()
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        let state = self.open("read progress")?;
        Ok(ranges.iter().map(|(origin, from, to)| state.mixed(*origin, *from, *to)).collect())
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        drop(self.open("sync")?);
        Ok(SyncTurn::new(Arc::clone(&self.0.turn).lock_owned().await))
    }

    async fn appended(&self, position: u64) -> Result<()> {
        let mut head = self.0.head.subscribe();
        loop {
            if self.open("wait")?.node.head.position > position {
                return Ok(());
            }
            if head.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Closed, "wait", "the store is closed"));
            }
        }
    }

    async fn close(&self) -> Result<()> {
        self.lock().closed = true;
        self.0.head.send_modify(|_| {});
        Ok(())
    }

    fn maintenance(&self) -> Option<&dyn StoreMaintenance> {
        Some(self)
    }
}

#[async_trait]
impl StoreMaintenance for MemStore {
    async fn standing(&self) -> Result<Standing> {
        Ok(self.open("read standing")?.standing.clone())
    }

    async fn node(&self) -> Result<NodeState> {
        Ok(self.open("read node")?.node.clone())
    }

    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
        self.open("read rows")?.rows(table, after, limit)
    }

    async fn fill(&self, changes: Changes) -> Result<()> {
        self.open("fill store")?.fill(changes)
    }

    async fn complete(&self, node: NodeState) -> Result<()> {
        let mut state = self.open("fill store")?;
        state.complete(node)?;
        self.0.head.send_replace(state.node.head.position);
        Ok(())
    }

    async fn seal(&self, successor: &str) -> Result<()> {
        let mut state = self.open("seal store")?;
        state.standing = state.standing.sealed(successor)?;
        Ok(())
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        drop(self.open("check store")?);
        Ok(Vec::new())
    }
}
