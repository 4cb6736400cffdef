//! Bugs that other products shipped, which the project's simulation plants to see whether it finds them.
//!
//! Nothing is ever planted in a build without debug assertions, or without the feature `planted-bugs`.

/// A bug to plant: one step done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Plant {
    /// A reader's cursor passes an entry that commits later.
    VisibleBeforeCommitted,
    /// The checkpoint is saved although the push was interrupted.
    CheckpointBeforePush,
    /// A failed upload is not tried again until the next local write.
    FailedPushNotRetried,
    /// An event that was refused once is never sent again, later ones are.
    RefusedOnceForever,
    /// A hub that was wiped acknowledges what it had, and stores nothing.
    WipedHubAcknowledges,
    /// The push cursor moves forward when something was decided.
    CursorMovedByDecision,
    /// A later update loses to an earlier supersede.
    UpdateOnSupersededBase,
    /// A replica that was pulled by half is taken for a whole one.
    HalfTakenForWhole,
    /// Deduplication swallows distinct events.
    DistinctEventsDeduplicated,
    /// A source was made anew, and its old positions are trusted.
    OldPositionsTrusted,
    /// Writes are acknowledged before they are durable.
    AcknowledgedBeforeDurable,
    /// Local events are thrown away when a peer is met anew.
    LocalEventsDropped,
    /// A clock in the future is believed.
    FutureClockBelieved,
    /// More than so many events in one burst are dropped.
    BurstDropped,
    /// A sync that was cancelled keeps its turn.
    CancelledSyncKeepsTurn,
    /// A decision depends on which side is local.
    LocalSideWins,
    /// Two peers share one checkpoint.
    SharedCheckpoint,
    /// What was written offline is not pushed after a restart.
    OfflineWritesForgotten,
    /// One event that is refused holds up the whole queue.
    PoisonHoldsQueue,
    /// Everything is quiet, and replicas differ.
    LargerStampKept,
    /// What to push is worked out from the peer's latest position.
    PushFromPeersPosition,
    /// A page is cut at the limit, and does not say that there is more.
    NoMoreFlag,
    /// Events of a page that are not part of a conflict are lost when there is one.
    OnlyConflictsKept,
    /// A node that was restored from a copy uses its counters again.
    CountersReused,
}

#[cfg(all(feature = "planted-bugs", debug_assertions))]
mod switch {
    use std::{
        cell::{Cell, RefCell},
        collections::HashMap,
    };

    use super::Plant;

    thread_local! {
        static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
        static MEMORY: RefCell<HashMap<u128, u64>> = RefCell::default();
    }

    /// Plants a bug for everything that runs on this thread from now on; none takes it out again.
    pub fn plant(bug: Option<Plant>) {
        PLANTED.set(bug);
        MEMORY.take();
    }

    /// Keeps a number for a planted bug that has to remember something.
    pub fn remember(key: u128, value: u64) {
        MEMORY.with_borrow_mut(|memory| memory.insert(key, value));
    }

    /// What was kept.
    #[must_use]
    pub fn recall(key: u128) -> Option<u64> {
        MEMORY.with_borrow(|memory| memory.get(&key).copied())
    }

    /// Whether this bug is planted.
    #[must_use]
    pub fn planted(bug: Plant) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(all(feature = "planted-bugs", debug_assertions))]
pub use switch::{plant, planted, recall, remember};

/// Whether this bug is planted: never, in this build.
#[cfg(not(all(feature = "planted-bugs", debug_assertions)))]
#[must_use]
pub const fn planted(_: Plant) -> bool {
    false
}

/// Nothing, in this build.
#[cfg(not(all(feature = "planted-bugs", debug_assertions)))]
pub const fn remember(_: u128, _: u64) {}

/// Nothing, in this build.
#[cfg(not(all(feature = "planted-bugs", debug_assertions)))]
#[must_use]
pub const fn recall(_: u128) -> Option<u64> {
    None
}
