//! The contract of indexes.

use std::fmt;

use async_trait::async_trait;
use synckit_core::{
    EventId, LogCursor, LogId, Result,
    audit::{AuditEntry, AuditFilter},
};

/// How far an index has read: a log, a position in it, and the log's chain hash there.
pub type AuditProgress = LogCursor;

/// A row of an index as it is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Kept {
    /// The position that it is kept under.
    pub position: u64,
    /// The entry; the error if the row is damaged.
    pub entry: Result<AuditEntry>,
}

impl Kept {
    /// A row of an index.
    #[must_use]
    pub const fn new(position: u64, entry: Result<AuditEntry>) -> Self {
        Self { position, entry }
    }
}

/// An index of the decisions in a log. It is never the only copy: [`rebuild`](crate::rebuild) makes it anew from the log.
///
/// # To be correct
///
/// - An event id has one entry, and so has a position.
/// - [`find`](Self::find) and [`count`](Self::count) give what [`AuditFilter::wants`] wants, no more and no less.
/// - [`record`](Self::record) and [`clear`](Self::clear) are one transaction each, and return once it is durable, as far as
///   the index is. A future of theirs that is dropped leaves the index as if its call had completed or never begun; to
///   drop one that reads does no harm.
/// - Several processes may use one index at once.
#[async_trait]
pub trait AuditIndex: fmt::Debug + Send + Sync + 'static {
    /// The one log that this index is for; none if it takes any log, one at a time.
    fn log(&self) -> Option<LogId> {
        None
    }

    /// How far the index has read; none if it has read nothing.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn progress(&self) -> Result<Option<AuditProgress>>;

    /// Takes entries and the progress that covers them, if the progress still is `from`; else changes nothing and gives
    /// false. An entry replaces what is there under its event id or its position; of several such entries the last counts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a position or a timestamp out of range;
    /// [`ErrorKind::LogChanged`](synckit_core::ErrorKind::LogChanged) if the index is for another log; any error of the
    /// storage engine.
    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool>;

    /// Forgets all entries and the progress.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn clear(&self) -> Result<()>;

    /// The decisions that are wanted, in the order of the log: those after the position `after`, at most `limit`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](synckit_core::ErrorKind::Corrupt) if a row is damaged; any error of the storage engine.
    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>>;

    /// The decision that is this event; none if the index has no such decision.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>>;

    /// How many decisions are wanted.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn count(&self, filter: &AuditFilter) -> Result<u64>;

    /// The rows after the position `after` in the order of the log, at most `limit`, each with what is wrong with it; for
    /// [`verify`](crate::verify).
    ///
    /// # Errors
    /// Any error of the storage engine; a damaged row is none.
    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>>;
}
