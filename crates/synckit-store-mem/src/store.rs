//! The store itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use synckit_core::{
    AggregateId, ConflictId, CursorMode, Environment, Error, ErrorKind, EventId, EventStore, Hash, LogId,
    Mark, NodeId, Result, VectorCursor,
    graph::AggregateGraph,
    limits::{DEFAULT_CLOCK_TOLERANCE_MICROS, MAX_DATA_BYTES},
    plan::{Known, NodeState, Surroundings},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow,
        StoredDecision, SyncTurn, Write, Written,
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
    environment: Environment,
    tolerance: u64,
    max_data: usize,
    head: watch::Sender<u64>,
    turn: Arc<AsyncMutex<()>>,
}

/// Sets a [`MemStore`] up.
#[derive(Debug, Clone)]
pub struct MemStoreBuilder {
    label: String,
    mode: CursorMode,
    environment: Environment,
    tolerance: u64,
    max_data: usize,
}

impl MemStoreBuilder {
    /// The node's name for people; empty by default.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// How the node expresses progress and versions; integer by default.
    #[must_use]
    pub const fn mode(mut self, mode: CursorMode) -> Self {
        self.mode = mode;
        self
    }

    /// Where time and randomness come from; the machine by default.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// How far a stamp may be ahead of the clock, in microseconds; 5 minutes by default.
    #[must_use]
    pub const fn clock_tolerance(mut self, micros: u64) -> Self {
        self.tolerance = micros;
        self
    }

    /// Largest event data taken, in bytes; 1 MiB by default.
    #[must_use]
    pub const fn max_data_bytes(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// The empty store, with a log and a node of its own.
    #[must_use]
    pub fn build(self) -> MemStore {
        let entropy = &self.environment.entropy;
        let node = NodeState {
            log: LogId::from_u128(entropy.random()),
            node: NodeId::from_u128(entropy.random()),
            former: Vec::new(),
            counter: 0,
            clock: synckit_core::Timestamp::default(),
            head: Mark::START,
        };
        MemStore::with_state(
            State::new(node, self.label, self.mode),
            self.environment,
            self.tolerance,
            self.max_data,
        )
    }
}

impl MemStore {
    /// Sets a store up.
    #[must_use]
    pub fn builder() -> MemStoreBuilder {
        MemStoreBuilder {
            label: String::new(),
            mode: CursorMode::Integer,
            environment: Environment::default(),
            tolerance: DEFAULT_CLOCK_TOLERANCE_MICROS,
            max_data: MAX_DATA_BYTES,
        }
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
        Self::with_state(state, self.0.environment.clone(), self.0.tolerance, self.0.max_data)
    }

    fn with_state(state: State, environment: Environment, tolerance: u64, max_data: usize) -> Self {
        let (head, _) = watch::channel(state.node.head.position);
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            environment,
            tolerance,
            max_data,
            head,
            turn: Arc::default(),
        }))
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
        let mut around =
            Surroundings::new(self.0.environment.clock.now(), self.0.environment.entropy.random());
        around.tolerance = self.0.tolerance;
        around.max_data = self.0.max_data;
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
}
