//! Who is told of what workflows do.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use synckit_core::ConflictId;
use synckit_machine::Transition;

use crate::workflow::state::WorkflowState;

/// Is told of every transition of every workflow.
///
/// One call at a time, in the order of the transitions, on the thread of one of those who moved a workflow: be quick.
/// Nothing is locked meanwhile, so an observer may ask the workflows. A panic is caught and logged; it changes nothing.
pub trait WorkflowObserver: fmt::Debug + Send + Sync + 'static {
    /// The workflow of this conflict moved.
    fn transitioned(&self, conflict: &ConflictId, transition: &Transition<WorkflowState>);
}

pub(super) type Moved = (ConflictId, Transition<WorkflowState>);

#[derive(Debug, Default)]
pub(super) struct Observers(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    observers: Vec<Arc<dyn WorkflowObserver>>,
    untold: VecDeque<Moved>,
    telling: bool,
}

impl Observers {
    pub(super) fn add(&self, observer: Arc<dyn WorkflowObserver>) {
        self.lock().observers.push(observer);
    }

    /// Has it told by [`tell`](Self::tell). Called in the order of the transitions.
    pub(super) fn queue(&self, moved: impl Iterator<Item = Moved>) {
        let mut queue = self.lock();
        if !queue.observers.is_empty() {
            queue.untold.extend(moved);
        }
    }

    /// Tells all that was queued, unless another thread is at it: that one will.
    pub(super) fn tell(&self) {
        loop {
            let mut queue = self.lock();
            if queue.telling {
                return;
            }
            let Some((conflict, transition)) = queue.untold.pop_front() else { return };
            let observers = queue.observers.clone();
            queue.telling = true;
            drop(queue);
            for observer in observers {
                let told = catch_unwind(AssertUnwindSafe(|| observer.transitioned(&conflict, &transition)));
                if told.is_err() {
                    tracing::error!(?observer, "an observer of workflows panicked");
                }
            }
            self.lock().telling = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
