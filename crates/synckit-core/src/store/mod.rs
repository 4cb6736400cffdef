//! The contract of stores.

mod maintenance;
mod page;
mod read;
mod settings;
mod write;

use std::fmt;

use async_trait::async_trait;

pub use self::{
    maintenance::{Rows, Standing, StoreMaintenance, Table},
    page::PageBuilder,
    read::{
        CheckpointRow, LogEntry, LogPage, OpenConflict, QuarantineSide, Quarantined, ReadRequest, ReviewRow,
        StoredDecision,
    },
    settings::StoreSettings,
    write::{
        Acknowledged, Apply, Checkpoint, DecisionDraft, Notice, Offered, Outcome, Refusal, RefusalCode,
        Write, Written,
    },
};
use crate::{
    cursor::{Mark, VectorCursor},
    error::Result,
    graph::AggregateGraph,
    hash::Hash,
    ids::{AggregateId, ConflictId, EventId, LogId, NodeId},
    version::CursorMode,
};

/// Who a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The log.
    pub log: LogId,
    /// The node that writes to it now.
    pub node: NodeId,
    /// Nodes that it was before, because it had been copied or restored; oldest first.
    pub former: Vec<NodeId>,
    /// A name for people.
    pub label: String,
    /// How the node expresses progress and versions.
    pub mode: CursorMode,
}

impl Identity {
    /// An identity without former nodes.
    #[must_use]
    pub const fn new(log: LogId, node: NodeId, label: String, mode: CursorMode) -> Self {
        Self { log, node, former: Vec::new(), label, mode }
    }

    /// Whether this store is, or was, that node.
    #[must_use]
    pub fn is_or_was(&self, node: NodeId) -> bool {
        self.node == node || self.former.contains(&node)
    }
}

/// An append-only log of events, with what the kit needs to know of it.
///
/// # To be correct
///
/// - Positions are dense from 1, and commit-ordered: once a reader has seen position p, nothing ever appears at or below p.
/// - [`write`](Self::write) is one transaction: it reads what [`Write::lookup`] and [`Write::graphs`] ask for, lets
///   [`Write::plan`] decide, and stores the [`Changes`](crate::plan::Changes), all or nothing. It returns once they are
///   durable. Writers take turns.
/// - A future that is dropped leaves the store as if its call had completed or never begun.
/// - Bytes come out as they went in.
///
/// The conformance suite of `synckit-testkit` checks all of it.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Who the store is, now.
    fn identity(&self) -> Identity;

    /// Where the log ends.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn head(&self) -> Result<Mark>;

    /// Writes in one transaction; see the rules above.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the request makes no sense as a whole; any error of the
    /// storage engine. Single events that cannot be taken are no error: the outcome says so.
    async fn write(&self, write: Write) -> Result<Written>;

    /// Reads entries in the order of the log.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn read(&self, request: ReadRequest) -> Result<LogPage>;

    /// The chain hashes at these positions; none beyond the end. The beginning, 0, has [`Hash::ZERO`].
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn hashes(&self, positions: &[u64]) -> Result<Vec<Option<Hash>>>;

    /// The entries that count for these ids, each once, in any order; unknown ids are left out.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn load(&self, ids: &[EventId]) -> Result<Vec<LogEntry>>;

    /// The histories of these aggregates; unknown ones are empty.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn graphs(&self, aggregates: &[AggregateId]) -> Result<Vec<AggregateGraph>>;

    /// The aggregates after `after`, in bytewise order, at most `limit`.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn aggregates(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>>;

    /// The aggregates after `after` of which something may not count: those that are in conflict, have a decision or a
    /// withdrawal. In bytewise order, at most `limit`.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn disputed(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<AggregateId>>;

    /// The open conflicts of aggregates after `after`, in bytewise order, at most `limit`.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn conflicts(&self, after: Option<&AggregateId>, limit: usize) -> Result<Vec<OpenConflict>>;

    /// How many conflicts are open.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn count_conflicts(&self) -> Result<u64>;

    /// The reviews that were opened for this conflict.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn reviews(&self, conflict: &ConflictId) -> Result<Vec<ReviewRow>>;

    /// The reviews that were opened for conflicts of this aggregate, at any time.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn reviews_of(&self, aggregate: &AggregateId) -> Result<Vec<ReviewRow>>;

    /// The decisions on this conflict.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn decisions(&self, conflict: &ConflictId) -> Result<Vec<StoredDecision>>;

    /// Every peer's checkpoint.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn checkpoints(&self) -> Result<Vec<CheckpointRow>>;

    /// What is in quarantine.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn quarantine(&self) -> Result<Vec<Quarantined>>;

    /// All that the store holds, across logs.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn vector(&self) -> Result<VectorCursor>;

    /// For each range of counters of an origin, the hash over the ids held or known under them: the shares
    /// ([`Progress::share`](crate::Progress::share)), combined by exclusive or. A share that is both of an entry and known
    /// without one, or is known twice, counts once.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn mixed(&self, ranges: &[(NodeId, u64, u64)]) -> Result<Vec<u128>>;

    /// Waits for its turn to sync, across all processes that share the store. The turn ends when the guard is dropped, or
    /// its process dies.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn sync_turn(&self) -> Result<SyncTurn>;

    /// Returns once the log's end is beyond `position`, for writes through this value; writes of other processes may
    /// take up to a second to be seen.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) when the store is closed.
    async fn appended(&self, position: u64) -> Result<()>;

    /// Waits for what is running, then closes. Later calls fail with [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    /// Closing twice is fine.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn close(&self) -> Result<()>;

    /// What the store can do beside its daily work, if it can: be moved, and be examined closely.
    fn maintenance(&self) -> Option<&dyn StoreMaintenance> {
        None
    }
}

/// A turn to sync; dropping it ends the turn.
pub struct SyncTurn(Option<Box<dyn Send + Sync>>);

impl SyncTurn {
    /// A turn that ends when `guard` is dropped.
    #[must_use]
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for SyncTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncTurn").field("held", &self.0.is_some()).finish()
    }
}
