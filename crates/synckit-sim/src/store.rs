//! A store as nodes see it: the real one, with a point before and after every call at which the node may end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use async_trait::async_trait;
use synckit_core::{
    AggregateId, Clock as _, ConflictId, Error, ErrorKind, EventId, EventStore, Hash, Mark, NodeId, Result,
    VectorCursor,
    graph::AggregateGraph,
    plant::{Plant, planted},
    store::{
        CheckpointRow, Identity, LogEntry, LogPage, OpenConflict, Quarantined, ReadRequest, ReviewRow,
        StoredDecision, SyncTurn, Write, Written,
    },
};

use synckit_store_mem::MemStore;

use crate::{
    faults::Fault,
    oracle::{self, acknowledgements::Pushed},
    points::{Call, Phase},
    shared::{NodeClock, Shared},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct SimStore {
    pub(crate) node: usize,
    inner: Arc<dyn EventStore>,
    /// Where the real store's own tasks run, if it has any.
    host: Option<tokio::runtime::Handle>,
    clock: Arc<NodeClock>,
    shared: Arc<Shared>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// For a planted bug: the store, and where to leave what is stored before a write.
    durable: Option<Durable>,
}

/// A store in memory, and what of it a crash leaves.
pub(crate) type Durable = (MemStore, Arc<Mutex<Option<MemStore>>>);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end at once, whatever else goes on; its own tasks run on the host.
pub(crate) fn at_once<T>(host: Option<&tokio::runtime::Handle>, future: impl Future<Output = T>) -> T {
    let _entered = host.map(tokio::runtime::Handle::enter);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

const fn call_of(write: &Write) -> Call {
    match write {
        Write::Append(_) => Call::Append,
        Write::Acknowledge(_) => Call::Acknowledge,
        Write::Decide(_) => Call::Decide,
        Write::Review(_) => Call::Review,
        Write::Withdraw(_) => Call::Withdraw,
        Write::Restamp(_) => Call::Restamp,
        Write::Release(_) => Call::Release,
        Write::Reoffer(_) => Call::Reoffer,
        Write::Reissue(..) => Call::Reissue,
        _ => Call::Apply,
    }
}

impl SimStore {
    pub(crate) fn new(
        node: usize,
        inner: Arc<dyn EventStore>,
        host: Option<tokio::runtime::Handle>,
        clock: Arc<NodeClock>,
        shared: &Arc<Shared>,
        durable: Option<Durable>,
    ) -> Self {
        Self { node, inner, host, clock, shared: Arc::clone(shared), turn: Arc::default(), durable }
    }

    /// Runs a call to its end within one step.
    pub(crate) fn now<T>(&self, future: impl Future<Output = T>) -> T {
        at_once(self.host.as_ref(), future)
    }

    pub(crate) fn inner(&self) -> &Arc<dyn EventStore> {
        &self.inner
    }

    async fn call<T, F: Future<Output = Result<T>> + Send>(
        &self,
        call: Call,
        make: impl FnOnce() -> F + Send,
    ) -> Result<T>
    where
        T: Send,
    {
        self.shared.point(call, Phase::Before).await;
        let result = self.now(make());
        self.shared.point(call, Phase::After).await;
        result
    }

    /// Reads what was written since the books were last kept, checks it, and writes it down.
    fn keep_books(&self, call: Call, before: &[AggregateGraph]) {
        let (identity, now) = (self.inner.identity(), self.clock.now());
        let reached = self.shared.state().ledger.books[self.node].head().position;
        let Ok(head) = self.now(self.inner.head()) else { return };
        let request = ReadRequest::after(reached).limit(100_000).max_bytes(usize::MAX);
        let Ok(page) = self.now(self.inner.read(request)) else { return };
        let Ok(checkpoints) = self.now(self.inner.checkpoints()) else { return };
        let quarantine = || self.now(self.inner.quarantine()).unwrap_or_default();
        let mut state = self.shared.state();
        let ledger = &mut state.ledger;
        let found = {
            let book = &ledger.books[self.node];
            oracle::log::written(book, &page.entries, head)
                .and_then(|()| oracle::ids::written(book, &page.entries))
                .and_then(|()| oracle::causes::written(book, &page.entries))
                .and_then(|()| oracle::causes::own(book, identity.node, &page.entries))
                .and_then(|()| oracle::clocks::own(book, identity.node, &page.entries, now))
                .and_then(|()| oracle::parents::appended(before, &page.entries))
        };
        ledger.add(self.node, &page.entries);
        if call == Call::Decide {
            ledger.totals.decisions += page.entries.len() as u64;
        }
        let found = found.and_then(|()| {
            if matches!(call, Call::Apply | Call::Acknowledge) {
                let mut moved = checkpoints
                    .iter()
                    .filter(|c| ledger.books[self.node].checkpoints.get(&c.log) != Some(*c));
                moved.try_for_each(|c| oracle::checkpoints::recorded(ledger, self.node, c, quarantine))
            } else {
                Ok(())
            }
        });
        ledger.books[self.node].checkpoints = checkpoints.into_iter().map(|c| (c.log, c)).collect();
        if !page.entries.is_empty() {
            drop(state);
            self.count_conflicts();
        } else {
            drop(state);
        }
        self.shared.judge(found);
    }

    /// For some of the appends, the histories that they go on.
    fn histories(&self, write: &Write) -> Vec<AggregateGraph> {
        let Write::Append(events) = write else { return Vec::new() };
        let length = self.shared.state().ledger.books[self.node].tape.len();
        if !length.is_multiple_of(3) {
            return Vec::new();
        }
        let mut aggregates: Vec<AggregateId> = events.iter().map(|e| e.aggregate_id.clone()).collect();
        aggregates.sort_unstable();
        aggregates.dedup();
        self.now(self.inner.graphs(&aggregates)).unwrap_or_default()
    }

    fn count_conflicts(&self) {
        let Ok(open) = self.now(self.inner.conflicts(None, 1_000)) else { return };
        let mut state = self.shared.state();
        for conflict in open {
            if state.ledger.conflicts.insert(conflict.id.as_str().to_owned()) {
                state.ledger.totals.conflicts += 1;
            }
        }
    }

    /// Whether this write is to be reported as failed although it was stored.
    fn fails_after_commit(&self) -> bool {
        let mut state = self.shared.state();
        let Some(left) = state.failing_writes.get_mut(&self.node) else { return false };
        *left -= 1;
        let fails = *left == 0;
        if fails {
            state.failing_writes.remove(&self.node);
        }
        fails
    }
}

#[async_trait]
impl EventStore for SimStore {
    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    async fn head(&self) -> Result<Mark> {
        self.call(Call::Head, || self.inner.head()).await
    }

    async fn write(&self, write: Write) -> Result<Written> {
        let call = call_of(&write);
        self.shared.point(call, Phase::Before).await;
        let histories = self.histories(&write);
        let pushed = Pushed::of(&self.shared.state().ledger.books[self.node], &write);
        if let Some((store, durable)) =
            self.durable.as_ref().filter(|_| planted(Plant::AcknowledgedBeforeDurable))
        {
            *durable.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.duplicate());
        }
        let result = self.now(self.inner.write(write));
        self.keep_books(call, &histories);
        if let (Some(pushed), Ok(written)) = (pushed, &result) {
            let found = {
                let state = self.shared.state();
                let book = &state.ledger.books[self.node];
                oracle::acknowledgements::taken(book, &pushed, &written.outcomes, self.clock.now())
            };
            self.shared.judge(found);
        }
        if result.as_ref().is_ok_and(|w| w.outcomes.iter().any(|o| o.refusal().is_some())) {
            self.shared.state().ledger.refused = true;
        }
        let failed = self.fails_after_commit();
        if failed {
            self.shared.fault(Fault::ErrorAfterCommit);
            self.shared.note(format_args!("n{} {call:?}: stored, and reported as failed", self.node));
        }
        self.shared.point(call, Phase::After).await;
        if failed {
            return Err(Error::new(ErrorKind::Busy, "write", "the store does not know whether it is done"));
        }
        result
    }

    async fn read(&self, request: ReadRequest) -> Result<LogPage> {
        self.shared.point(Call::Read, Phase::Before).await;
        let mut result = self.now(self.inner.read(request.clone()));
        if let Ok(page) = &mut result {
            if planted(Plant::VisibleBeforeCommitted) {
                // The last but one entry is of a transaction that commits later.
                let last = page.head.position;
                page.entries.retain(|e| e.position + 1 != last);
            }
            let state = self.shared.state();
            let found = oracle::log::page(&state.ledger.books[self.node], &request, page);
            drop(state);
            self.shared.judge(found);
        }
        self.shared.point(Call::Read, Phase::After).await;
        result
    }

    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>> {
        self.call(Call::Hashes, || self.inner.hashes(positions)).await
    }

    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>> {
        self.call(Call::Load, || self.inner.load(ids)).await
    }

    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>> {
        self.call(Call::Graphs, || self.inner.graphs(aggregates)).await
    }

    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        self.now(self.inner.aggregates(after, limit))
    }

    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>> {
        self.call(Call::Disputed, || self.inner.disputed(after, limit)).await
    }

    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>> {
        self.call(Call::Conflicts, || self.inner.conflicts(after, limit)).await
    }

    async fn count_conflicts(&self) -> Result<u64> {
        self.now(self.inner.count_conflicts())
    }

    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>> {
        self.call(Call::Reviews, || self.inner.reviews(conflict)).await
    }

    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>> {
        self.call(Call::ReviewsOf, || self.inner.reviews_of(aggregate)).await
    }

    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>> {
        self.call(Call::Decisions, || self.inner.decisions(conflict)).await
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        self.call(Call::Checkpoints, || self.inner.checkpoints()).await
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>> {
        self.call(Call::Quarantine, || self.inner.quarantine()).await
    }

    async fn vector(&self) -> Result<VectorCursor> {
        self.call(Call::Vector, || self.inner.vector()).await
    }

    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>> {
        self.call(Call::Mixed, || self.inner.mixed(ranges)).await
    }

    async fn sync_turn(&self) -> Result<SyncTurn> {
        self.shared.point(Call::SyncTurn, Phase::Before).await;
        let turn = SyncTurn::new(Arc::clone(&self.turn).lock_owned().await);
        self.shared.point(Call::SyncTurn, Phase::After).await;
        Ok(turn)
    }

    async fn appended(&self, position: u64) -> Result<()> {
        self.inner.appended(position).await
    }

    async fn close(&self) -> Result<()> {
        self.now(self.inner.close())
    }
}
