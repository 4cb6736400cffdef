//! What all parts of a simulated world share: the time, the trace, and what is being checked.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use synckit_core::{Clock, Entropy, Timestamp};

use crate::{
    faults::Fault,
    ledger::Ledger,
    oracle::Violation,
    points::{Call, Phase, Points},
    rng::Rng,
    trace::Trace,
};

/// 2026-01-01T00:00:00Z.
const BEGINNING_MICROS: u64 = 1_767_225_600_000_000;

/// A future that the world drives.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sync.
    Sync,
    /// A request of a peer.
    Serve,
    /// What a person or the application does.
    App,
}

/// A job that waits to be taken up.
pub(crate) struct Spawned {
    pub(crate) node: usize,
    pub(crate) kind: Kind,
    pub(crate) job: Job,
}

/// See the module.
pub(crate) struct Shared {
    start: tokio::time::Instant,
    now: AtomicU64,
    spawned: Mutex<Vec<Spawned>>,
    state: Mutex<State>,
}

/// What happened so far.
pub(crate) struct State {
    pub(crate) trace: Trace,
    pub(crate) ledger: Ledger,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) points: Points,
    pub(crate) violation: Option<Violation>,
    /// Whether the futures that are dropped now are those of a node that ends.
    pub(crate) ending: bool,
    /// The point at which the first node to get there ends.
    pub(crate) ends_at: Option<(Call, Phase)>,
    /// Whether one has got there.
    pub(crate) is_there: bool,
    /// Per node, after how many more writes one is to be reported as failed although it was stored.
    pub(crate) failing_writes: BTreeMap<usize, u64>,
    /// Errors of syncs.
    pub(crate) errors: Vec<String>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// A world that has just begun. It must be made within the runtime whose time is virtual.
    pub(crate) fn new(keep_trace: bool) -> Arc<Self> {
        Arc::new(Self {
            start: tokio::time::Instant::now(),
            now: AtomicU64::new(0),
            spawned: Mutex::default(),
            state: Mutex::new(State {
                trace: Trace::new(keep_trace),
                ledger: Ledger::default(),
                faults: BTreeMap::new(),
                points: Points::default(),
                violation: None,
                ending: false,
                ends_at: None,
                is_there: false,
                failing_writes: BTreeMap::new(),
                errors: Vec::new(),
            }),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the world began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Lets the world's clocks follow the runtime's.
    pub(crate) fn follow_time(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.now.store(elapsed, Ordering::Relaxed);
    }

    pub(crate) fn spawn(&self, node: usize, kind: Kind, job: impl Future<Output = ()> + Send + 'static) {
        let mut spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        spawned.push(Spawned { node, kind, job: Box::pin(job) });
    }

    pub(crate) fn take_spawned(&self) -> Vec<Spawned> {
        std::mem::take(&mut *self.spawned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.elapsed();
        self.state().trace.add(now, what);
    }

    pub(crate) fn fault(&self, fault: Fault) {
        *self.state().faults.entry(fault).or_default() += 1;
    }

    /// Takes note of what a check found; the first violation counts.
    pub(crate) fn judge(&self, found: Result<(), Violation>) {
        let Err(violation) = found else { return };
        self.note(format_args!("VIOLATION of {}: {}", violation.invariant, violation.what));
        self.state().violation.get_or_insert(violation);
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.state().violation.is_some()
    }

    /// A point at which the node may end: everything else may run now.
    pub(crate) async fn point(&self, call: Call, phase: Phase) {
        let mut guard = AtPoint { shared: self, at: Some((call, phase)) };
        let mut first = true;
        poll_fn(|context| {
            if std::mem::take(&mut first) {
                let mut state = self.state();
                state.is_there |= state.ends_at == Some((call, phase));
                drop(state);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        guard.at = None;
    }
}

/// Tells when a future is dropped at a point.
struct AtPoint<'a> {
    shared: &'a Shared,
    at: Option<(Call, Phase)>,
}

impl Drop for AtPoint<'_> {
    fn drop(&mut self) {
        let Some((call, phase)) = self.at else { return };
        let mut state = self.shared.state();
        if state.ending {
            state.points.hit(call, phase);
        }
    }
}

/// The clock of a node: the world's time, and how far it is off.
#[derive(Debug)]
pub(crate) struct NodeClock {
    shared: Arc<Shared>,
    skew_micros: Mutex<i64>,
}

impl NodeClock {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), skew_micros: Mutex::new(0) })
    }

    pub(crate) fn set_skew(&self, micros: i64) {
        *self.skew_micros.lock().unwrap_or_else(PoisonError::into_inner) = micros;
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let skew = *self.skew_micros.lock().unwrap_or_else(PoisonError::into_inner);
        Timestamp::from_micros((BEGINNING_MICROS + self.shared.elapsed()).saturating_add_signed(skew))
    }
}

/// A node's randomness.
#[derive(Debug)]
pub(crate) struct NodeEntropy(Mutex<Rng>);

impl NodeEntropy {
    pub(crate) fn new(rng: Rng) -> Arc<Self> {
        Arc::new(Self(Mutex::new(rng)))
    }
}

impl Entropy for NodeEntropy {
    fn random(&self) -> u128 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wide()
    }
}
