//! Keeping an index in step with its log.

use synckit_core::{
    Error, ErrorKind, EventStore, EventType, Filter, LogCursor, Result,
    audit::AuditEntry,
    decision::RESOLUTION,
    store::{LogEntry, ReadRequest},
};

use crate::index::{AuditIndex, AuditProgress};

const OPERATION: &str = "update audit index";
/// Entries read together.
const PAGE: usize = 5_000;

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Updated {
    /// How many decisions were taken from the log.
    pub added: u64,
    /// Whether the index was cleared first, because it did not belong to the log as it is now, or because that was wanted.
    pub rebuilt: bool,
}

/// Reads the log from where the index ends, and records the decisions. What it costs follows from what is new in the log.
///
/// An index that was made from another log, or from one that was restored or wiped since, is cleared and made anew;
/// [`Updated::rebuilt`] says so. Several processes may update one index at once. A future that is dropped has done a part of
/// the work, which the next update goes on from.
///
/// # Errors
/// [`ErrorKind::LogChanged`] if the index is for another log only; [`ErrorKind::Stale`] if somebody else fills it from
/// another log at the same time; [`ErrorKind::Invalid`] if a decision in the log cannot be read; any error of the store and
/// the index.
pub async fn update(store: &dyn EventStore, index: &dyn AuditIndex) -> Result<Updated> {
    bring_on(store, index, Updated::default()).await
}

/// Clears the index, and makes it anew from the log.
///
/// # Errors
/// As [`update`].
pub async fn rebuild(store: &dyn EventStore, index: &dyn AuditIndex) -> Result<Updated> {
    same_log(store, index)?;
    index.clear().await?;
    let mut updated = bring_on(store, index, Updated::default()).await?;
    updated.rebuilt = true;
    Ok(updated)
}

async fn bring_on(store: &dyn EventStore, index: &dyn AuditIndex, mut updated: Updated) -> Result<Updated> {
    same_log(store, index)?;
    loop {
        let from = index.progress().await?;
        if let Some(at) = &from
            && !leads_through(store, at).await?
        {
            if updated.rebuilt {
                let what = "somebody else fills the index from another log";
                return Err(Error::new(ErrorKind::Stale, OPERATION, what));
            }
            index.clear().await?;
            updated = Updated { added: 0, rebuilt: true };
        } else if read_on(store, index, from, &mut updated.added).await? {
            return Ok(updated);
        }
    }
}

/// Reads from `from` to the end of the log; false if somebody else brings the index on.
async fn read_on(
    store: &dyn EventStore,
    index: &dyn AuditIndex,
    mut from: Option<AuditProgress>,
    added: &mut u64,
) -> Result<bool> {
    let log = store.identity().log;
    loop {
        let request = decisions_after(from.map_or(0, |at| at.mark.position))?;
        let page = store.read(request.limit(PAGE).only_counting()).await?;
        let to = LogCursor { log, mark: page.next };
        let entries: Vec<AuditEntry> = decisions(page.entries).collect::<Result<_>>()?;
        if from != Some(to) {
            if !index.record(&entries, from.as_ref(), &to).await? {
                return Ok(false);
            }
            *added += entries.len() as u64;
        }
        if !page.has_more {
            return Ok(true);
        }
        from = Some(to);
    }
}

/// Whether the index may be filled from this store.
pub(crate) fn same_log(store: &dyn EventStore, index: &dyn AuditIndex) -> Result<()> {
    let log = store.identity().log;
    match index.log().filter(|of| *of != log) {
        None => Ok(()),
        Some(of) => {
            let what =
                format!("the index is for the log {of}, and the store's is {log}; open it for that one");
            Err(Error::new(ErrorKind::LogChanged, OPERATION, what))
        }
    }
}

/// Whether the log, as it is now, leads through this point.
pub(crate) async fn leads_through(store: &dyn EventStore, at: &AuditProgress) -> Result<bool> {
    if store.identity().log != at.log {
        return Ok(false);
    }
    let hashes = store.hashes(&[at.mark.position]).await?;
    Ok(hashes.first().copied().flatten() == Some(at.mark.hash))
}

/// Reads what comes after a position: decisions whole, and what else passes as stubs.
pub(crate) fn decisions_after(position: u64) -> Result<ReadRequest> {
    Ok(ReadRequest::after(position).filter(Filter::everything().with_type(EventType::new(RESOLUTION)?)))
}

/// The decisions among entries.
pub(crate) fn decisions(entries: Vec<LogEntry>) -> impl Iterator<Item = Result<AuditEntry>> {
    let is_decision = |e: &LogEntry| !e.stub && e.event.event_type.as_str() == RESOLUTION;
    entries.into_iter().filter(is_decision).map(AuditEntry::read)
}
