//! The bugs that can be planted, where they were seen, and how many seeds it takes to find them.

use synckit_core::plant::Plant;

/// A bug that a product shipped.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// The bug.
    pub plant: Plant,
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it was seen.
    pub seen_in: &'static str,
    /// So many seeds, from 0 on, find it. CI gives it twice as many.
    pub seeds: u64,
}

const fn bug(plant: Plant, name: &'static str, seen_in: &'static str, seeds: u64) -> Planted {
    Planted { plant, name, seen_in, seeds }
}

/// Every bug, in the order of `docs/simulation.md`.
pub const PLANTS: [Planted; 24] = [
    bug(
        Plant::VisibleBeforeCommitted,
        "visible-before-committed",
        "Marten, most event stores on PostgreSQL",
        1,
    ),
    bug(Plant::CheckpointBeforePush, "checkpoint-before-push", "RxDB", 3),
    bug(Plant::FailedPushNotRetried, "failed-push-not-retried", "PowerSync", 10),
    bug(Plant::RefusedOnceForever, "refused-once-forever", "Trezor Suite", 1),
    bug(Plant::WipedHubAcknowledges, "wiped-hub-acknowledges", "Evolu", 3),
    bug(Plant::CursorMovedByDecision, "cursor-moved-by-decision", "Turso", 2),
    bug(Plant::UpdateOnSupersededBase, "update-on-superseded-base", "Turso", 1),
    bug(Plant::HalfTakenForWhole, "half-taken-for-whole", "Zero", 3),
    bug(Plant::DistinctEventsDeduplicated, "distinct-events-deduplicated", "NATS", 1),
    bug(Plant::OldPositionsTrusted, "old-positions-trusted", "NATS", 3),
    bug(Plant::AcknowledgedBeforeDurable, "acknowledged-before-durable", "NATS", 1),
    bug(Plant::LocalEventsDropped, "local-events-dropped", "TanStack DB", 5),
    bug(Plant::FutureClockBelieved, "future-clock-believed", "iroh-docs", 7),
    bug(Plant::BurstDropped, "burst-dropped", "LiveStore", 1),
    bug(Plant::CancelledSyncKeepsTurn, "cancelled-sync-keeps-turn", "LiveStore", 4),
    bug(Plant::LocalSideWins, "local-side-wins", "go-sync-kit", 15),
    bug(Plant::SharedCheckpoint, "shared-checkpoint", "Couchbase Lite", 2),
    bug(Plant::OfflineWritesForgotten, "offline-writes-forgotten", "Jazz", 1),
    bug(Plant::PoisonHoldsQueue, "poison-holds-queue", "PowerSync, LiveStore", 9),
    bug(Plant::LargerStampKept, "larger-stamp-kept", "PowerSync, by Jepsen", 1),
    bug(Plant::PushFromPeersPosition, "push-from-peers-position", "go-sync-kit", 1),
    bug(Plant::NoMoreFlag, "no-more-flag", "go-sync-kit", 3),
    bug(Plant::OnlyConflictsKept, "only-conflicts-kept", "go-sync-kit", 3),
    bug(Plant::CountersReused, "counters-reused", "products that let a file be copied", 7),
];

/// Plants a bug on this thread, or takes it out again.
///
/// # Errors
/// If this build has no switch for it.
#[cfg(all(feature = "planted-bugs", debug_assertions))]
pub(crate) fn set(plant: Option<Plant>) -> Result<(), String> {
    synckit_core::plant::plant(plant);
    Ok(())
}

#[cfg(not(all(feature = "planted-bugs", debug_assertions)))]
pub(crate) fn set(plant: Option<Plant>) -> Result<(), String> {
    let missing = "bugs can be planted only in a build with the feature planted-bugs and debug assertions";
    plant.map_or(Ok(()), |_| Err(missing.into()))
}
