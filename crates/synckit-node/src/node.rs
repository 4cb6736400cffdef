//! The node.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use synckit_core::{
    Environment, Error, ErrorKind, Event, EventStore, Result, Transport,
    store::{Write, Written},
};
use synckit_resolve::{ConflictResolver, workflow::Workflows};
use tokio::sync::{Mutex as AsyncMutex, broadcast};

use crate::{
    builder::SyncNodeBuilder,
    config::Config,
    report::SyncReport,
    state::{Phases, SyncState},
    sync::{Direction, Run},
    workflow::Tracked,
};

const REPORTS_KEPT_FOR_SLOW_SUBSCRIBERS: usize = 64;

/// A replica: a store, a way to a peer, and someone who decides conflicts. Clones are the same node.
#[derive(Debug, Clone)]
pub struct SyncNode(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) resolver: Arc<dyn ConflictResolver>,
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    pub(crate) tracked: Option<Tracked>,
    pub(crate) phases: Phases,
    reports: broadcast::Sender<Arc<SyncReport>>,
    lanes: [Lane; 3],
    running: AsyncMutex<()>,
    closed: AtomicBool,
}

/// Requests of one direction. A request that arrives while a run goes on is answered by the next run, together with all
/// others that wait.
#[derive(Debug, Default)]
struct Lane {
    requested: AtomicU64,
    answered: Mutex<(u64, Option<Result<Arc<SyncReport>>>)>,
}

impl SyncNode {
    /// Makes a node on a store.
    pub fn builder(store: Arc<dyn EventStore>) -> SyncNodeBuilder {
        SyncNodeBuilder::new(store)
    }

    pub(crate) fn assemble(
        store: Arc<dyn EventStore>,
        transport: Option<Arc<dyn Transport>>,
        resolver: Arc<dyn ConflictResolver>,
        environment: Environment,
        config: Config,
        workflows: Option<Workflows>,
    ) -> Self {
        let (reports, _) = broadcast::channel(REPORTS_KEPT_FOR_SLOW_SUBSCRIBERS);
        let phases = Phases::new(Arc::clone(&environment.clock));
        Self(Arc::new(Inner {
            store,
            transport,
            resolver,
            environment,
            config,
            tracked: workflows.map(Tracked::new),
            phases,
            reports,
            lanes: Default::default(),
            running: AsyncMutex::new(()),
            closed: AtomicBool::new(false),
        }))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.0.store
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The workflows of the conflicts that the node meets, if it was given some.
    #[must_use]
    pub fn workflows(&self) -> Option<&Workflows> {
        self.0.tracked.as_ref().map(|tracked| &tracked.workflows)
    }

    /// Appends events as this node's own, in one transaction. It returns once they are durable.
    ///
    /// # Errors
    /// Any error of the store. An event that cannot be taken is no error: its outcome says so, and the others are taken.
    pub async fn append(&self, events: Vec<Event>) -> Result<Written> {
        self.check_open("append")?;
        self.0.store.write(Write::Append(events)).await
    }

    /// Pulls to the peer's head, decides conflicts, and pushes.
    ///
    /// One at a time: a call while another runs is answered by one more run, shared by all who wait. Dropping the future
    /// leaves a consistent store.
    ///
    /// # Errors
    /// The error of the store, the network or the peer that ended it. What was done until then is durable, and the next
    /// sync goes on from there.
    pub async fn sync(&self) -> Result<Arc<SyncReport>> {
        let direction = match (self.0.config.push_only, self.0.config.pull_only) {
            (true, _) => Direction::Push,
            (_, true) => Direction::Pull,
            _ => Direction::Both,
        };
        self.run(direction).await
    }

    /// Pushes only.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); [`ErrorKind::Invalid`] if the node may only pull.
    pub async fn push(&self) -> Result<Arc<SyncReport>> {
        if self.0.config.pull_only {
            return Err(Error::invalid("push", "the node is set to pull only"));
        }
        self.run(Direction::Push).await
    }

    /// Pulls only; conflicts are decided.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); [`ErrorKind::Invalid`] if the node may only push.
    pub async fn pull(&self) -> Result<Arc<SyncReport>> {
        if self.0.config.push_only {
            return Err(Error::invalid("pull", "the node is set to push only"));
        }
        self.run(Direction::Pull).await
    }

    async fn run(&self, direction: Direction) -> Result<Arc<SyncReport>> {
        self.check_open("sync")?;
        let lane = &self.0.lanes[direction as usize];
        let ticket = lane.requested.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = self.0.running.lock().await;
        self.check_open("sync")?;
        if let (answered, Some(result)) = &*lane.answered.lock().unwrap_or_else(PoisonError::into_inner)
            && *answered >= ticket
        {
            return result.clone();
        }
        let covers = lane.requested.load(Ordering::SeqCst);
        let report = Arc::new(self.run_once(direction).await);
        let result = report.error.clone().map_or_else(|| Ok(Arc::clone(&report)), Err);
        *lane.answered.lock().unwrap_or_else(PoisonError::into_inner) = (covers, Some(result.clone()));
        // Nobody listening is fine.
        let _ = self.0.reports.send(report);
        result
    }

    async fn run_once(&self, direction: Direction) -> SyncReport {
        let begun = Instant::now();
        let phase = self.0.phases.begin();
        let mut report = SyncReport::default();
        let run = Run::new(&self.0, direction, &mut report).go();
        let done = match self.0.config.timeout_ms {
            None => run.await,
            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), run).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, "sync", format!("not done within {ms} ms")))
            }),
        };
        report.path = phase.end(match &done {
            Ok(()) => SyncState::Completed,
            Err(error) if error.kind() == ErrorKind::Timeout && error.operation() == "sync" => {
                SyncState::Cancelled
            }
            Err(_) => SyncState::Failed,
        });
        report.error = done.err();
        report.duration = begun.elapsed();
        report
    }

    /// The reports of all syncs from now on, of those that fail, too. A subscriber that is slow misses the oldest, never the newest.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.reports.subscribe())
    }

    /// Waits for the sync that is running, then closes the transport and the store. Closing twice is fine.
    ///
    /// # Errors
    /// The first error of the two; both are closed all the same.
    pub async fn close(&self) -> Result<()> {
        self.0.closed.store(true, Ordering::SeqCst);
        let _running = self.0.running.lock().await;
        let transport = match &self.0.transport {
            Some(transport) => transport.close().await,
            None => Ok(()),
        };
        self.0.store.close().await.and(transport)
    }

    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, operation, "the node is closed"));
        }
        Ok(())
    }
}

impl Inner {
    /// Whether a sync has ended since the node was made.
    pub(crate) fn has_synced(&self) -> bool {
        self.lanes.iter().any(|lane| lane.answered.lock().unwrap_or_else(PoisonError::into_inner).1.is_some())
    }
}

/// A stream of reports; see [`SyncNode::subscribe`].
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Arc<SyncReport>>);

impl Subscription {
    /// The next report; none once the node is gone.
    pub async fn next(&mut self) -> Option<Arc<SyncReport>> {
        loop {
            match self.0.recv().await {
                Ok(report) => return Some(report),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
