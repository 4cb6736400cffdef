//! Drives the jobs of a world, one poll at a time, in an order that the seed decides.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::{
    rng::Rng,
    shared::{Job, Kind, Shared},
};

/// Nothing that a world does takes so long; what has not ended by then never will.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

#[derive(Debug, Default)]
struct Bell(Mutex<Option<Waker>>);

impl Bell {
    fn ring(&self) {
        if let Some(waker) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

struct Flag {
    woken: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.bell.ring();
    }
}

struct Task {
    node: usize,
    kind: Kind,
    job: Job,
    flag: Arc<Flag>,
    waker: Waker,
}

/// A node that is to end, or a sync that is to be given up, after some more polls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) node: usize,
    pub(crate) polls: u64,
    /// Whether only syncs end, and not the node.
    pub(crate) only_syncs: bool,
}

pub(crate) struct Executor {
    shared: Arc<Shared>,
    rng: Rng,
    bell: Arc<Bell>,
    tasks: Vec<Task>,
    endings: Vec<Ending>,
}

impl Executor {
    pub(crate) fn new(shared: &Arc<Shared>, rng: Rng) -> Self {
        Self { shared: Arc::clone(shared), rng, bell: Arc::default(), tasks: Vec::new(), endings: Vec::new() }
    }

    pub(crate) fn end_later(&mut self, ending: Ending) {
        self.endings.push(ending);
    }

    pub(crate) fn forget_endings(&mut self) {
        self.endings.clear();
        self.shared.state().ends_at = None;
    }

    fn take_up(&mut self) {
        for spawned in self.shared.take_spawned() {
            let flag = Arc::new(Flag { woken: AtomicBool::new(true), bell: Arc::clone(&self.bell) });
            let waker = Waker::from(Arc::clone(&flag));
            self.tasks.push(Task { node: spawned.node, kind: spawned.kind, job: spawned.job, flag, waker });
        }
    }

    /// Polls one job that can go on. Gives the node that ends with this poll.
    fn turn(&mut self) -> Option<Option<Ending>> {
        self.take_up();
        let ready: Vec<usize> =
            (0..self.tasks.len()).filter(|i| self.tasks[*i].flag.woken.load(Ordering::Acquire)).collect();
        if ready.is_empty() {
            return None;
        }
        let i = *self.rng.pick(&ready);
        let task = &mut self.tasks[i];
        task.flag.woken.store(false, Ordering::Release);
        let (node, kind) = (task.node, task.kind);
        self.shared.state().is_there = false;
        let mut context = Context::from_waker(&task.waker);
        if task.job.as_mut().poll(&mut context).is_ready() {
            drop(self.tasks.swap_remove(i));
            return Some(None);
        }
        let mut ended = self.is_there().then_some(Ending { node, polls: 0, only_syncs: false });
        for ending in &mut self.endings {
            if ending.node == node && (!ending.only_syncs || kind == Kind::Sync) {
                ending.polls = ending.polls.saturating_sub(1);
                if ending.polls == 0 {
                    ended = Some(*ending);
                }
            }
        }
        self.endings.retain(|e| e.polls > 0);
        Some(ended)
    }

    /// Whether the last poll came to the point at which a node is to end, for the first time.
    fn is_there(&self) -> bool {
        let mut state = self.shared.state();
        let there = std::mem::take(&mut state.is_there);
        if there {
            state.ends_at = None;
        }
        there
    }

    /// Drops the jobs of a node where they are.
    pub(crate) fn drop_jobs(&mut self, node: usize, only_syncs: bool) {
        self.take_up();
        self.shared.state().ending = true;
        let (dropped, kept): (Vec<Task>, Vec<Task>) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|t| t.node == node && (!only_syncs || t.kind == Kind::Sync));
        self.tasks = kept;
        drop(dropped);
        self.shared.state().ending = false;
        self.endings.retain(|e| e.node != node);
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.take_up();
        self.tasks.clear();
        self.endings.clear();
    }

    /// Runs until the time has come, or, without a time, until nothing is left to do. Stops early when a node ends.
    pub(crate) async fn run(&mut self, for_time: Option<Duration>) -> Stopped {
        let given_up = tokio::time::sleep(for_time.unwrap_or(LONGEST));
        tokio::pin!(given_up);
        loop {
            self.shared.follow_time();
            match self.turn() {
                Some(Some(ending)) => return Stopped::Ended(ending),
                Some(None) => {
                    if self.shared.is_violated() {
                        return Stopped::Done;
                    }
                    continue;
                }
                None if for_time.is_none() && self.tasks.is_empty() => return Stopped::Done,
                None => {}
            }
            let over = poll_fn(|context| {
                *self.bell.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
                if self.tasks.iter().any(|t| t.flag.woken.load(Ordering::Acquire)) {
                    return Poll::Ready(false);
                }
                given_up.as_mut().poll(context).map(|()| true)
            })
            .await;
            if over {
                self.shared.follow_time();
                return if for_time.is_some() { Stopped::Done } else { Stopped::Stuck };
            }
        }
    }

    /// Polls so many jobs that can go on, without letting time pass.
    pub(crate) fn run_polls(&mut self, polls: u64) -> Stopped {
        for _ in 0..polls {
            match self.turn() {
                Some(Some(ending)) => return Stopped::Ended(ending),
                Some(None) => {}
                None => break,
            }
        }
        Stopped::Done
    }

    /// What has not ended, in words.
    pub(crate) fn waiting(&self) -> String {
        let list: Vec<String> = self.tasks.iter().map(|t| format!("n{} {:?}", t.node, t.kind)).collect();
        list.join(", ")
    }
}

/// Why the executor stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stopped {
    /// The time has come, or nothing is left to do.
    Done,
    /// Something never ends.
    Stuck,
    /// A node ends, or its syncs do.
    Ended(Ending),
}
