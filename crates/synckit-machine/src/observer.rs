//! Who is told of what a machine does.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::state::{Deadline, State, Transition};

/// Is told what a machine does.
///
/// One call at a time, in the order of the transitions, on the thread of one of those who moved the machine. The
/// machine is not locked meanwhile: an observer may ask it, move it, and subscribe or unsubscribe. What a slow
/// observer has not heard yet is kept in memory. A panic is logged; the next observers are told all the same.
pub trait Observer<S: State>: Send + Sync + 'static {
    /// The machine moved.
    fn transitioned(&self, machine: &str, transition: &Transition<S>) {
        let _ = (machine, transition);
    }

    /// The machine was asked to move where no transition leads, at a time in microseconds since 1970 UTC.
    fn refused(&self, machine: &str, from: S, to: S, at: u64) {
        let _ = (machine, from, to, at);
    }

    /// A deadline passed. If its action is a transition, [`transitioned`](Self::transitioned) follows.
    fn timed_out(&self, machine: &str, deadline: &Deadline<S>) {
        let _ = (machine, deadline);
    }
}

/// A subscription of an observer to one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObserverId(u64);

impl ObserverId {
    /// An id that no other subscription of this process has, greater than those before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Notice<S: State> {
    Transitioned(Transition<S>),
    Refused { from: S, to: S, at: u64 },
    TimedOut(Deadline<S>),
}

impl<S: State> Notice<S> {
    /// Tells the observer, whatever it does.
    pub(crate) fn tell(&self, machine: &str, observer: &dyn Observer<S>) {
        let told = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Transitioned(transition) => observer.transitioned(machine, transition),
            Self::Refused { from, to, at } => observer.refused(machine, *from, *to, *at),
            Self::TimedOut(deadline) => observer.timed_out(machine, deadline),
        }));
        if let Err(cause) = told {
            tracing::error!(machine, cause = text(&*cause), "an observer panicked");
        }
    }
}

fn text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
