//! Comparing an index with its log.

use std::collections::VecDeque;

use synckit_core::{Error, ErrorKind, EventStore, Result, audit::AuditEntry};

use crate::{
    index::{AuditIndex, AuditProgress, Kept},
    trail::{decisions, decisions_after, leads_through, same_log},
};

const OPERATION: &str = "verify audit index";
/// Entries of the log read together.
const LOG_PAGE: usize = 1_000;
/// Rows of the index read together; a decision may have mebibytes.
const INDEX_PAGE: usize = 100;
const MOST_LISTED: usize = 1_000;

/// What a comparison of an index with its log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verified {
    /// How many decisions the log has, as far as the index has read it.
    pub decisions: u64,
    /// How many differences there are.
    pub differences: u64,
    /// The first thousand of them, in the order of the log.
    pub first: Vec<Difference>,
}

impl Verified {
    /// Whether the index is what the log says.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.differences == 0
    }

    fn found(&mut self, position: u64, kind: DifferenceKind) {
        self.differences += 1;
        if self.first.len() < MOST_LISTED {
            self.first.push(Difference { position, kind });
        }
    }
}

/// Where an index is not what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The position in the log.
    pub position: u64,
    /// What is wrong.
    pub kind: DifferenceKind,
}

/// What is wrong with an index at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The log has a decision there, and the index has none.
    Missing,
    /// The index has a decision there that the log has not, or that does not count.
    Extra,
    /// Both have one, and they are not the same; or the index's row is damaged.
    Different,
}

/// Compares an index with the log that it was made from, entry by entry, as far as it has read it. Changes nothing, and
/// holds a page of each in memory. [`rebuild`](crate::rebuild) mends what is found.
///
/// # Errors
/// [`ErrorKind::LogChanged`] if the index was made from another log, or the log was restored since, which
/// [`update`](crate::update) mends; [`ErrorKind::Stale`] if the index was brought on meanwhile; any error of the store and
/// the index.
pub async fn verify(store: &dyn EventStore, index: &dyn AuditIndex) -> Result<Verified> {
    same_log(store, index)?;
    let progress = index.progress().await?;
    if let Some(at) = &progress
        && !leads_through(store, at).await?
    {
        let what =
            "the index was made from another log, or the log was restored since; an update makes it anew";
        return Err(Error::new(ErrorKind::LogChanged, OPERATION, what));
    }
    let verified = compare(store, index, progress.map_or(0, |at: AuditProgress| at.mark.position)).await?;
    if index.progress().await? != progress {
        let what = "the index was brought on while it was verified";
        return Err(Error::new(ErrorKind::Stale, OPERATION, what));
    }
    Ok(verified)
}

async fn compare(store: &dyn EventStore, index: &dyn AuditIndex, end: u64) -> Result<Verified> {
    let mut log = Logged { store, end, read: 0, page: VecDeque::new() };
    let mut rows = Rows { index, read: Some(0), page: VecDeque::new() };
    let (mut logged, mut kept) = (log.next().await?, rows.next().await?);
    let mut verified = Verified::default();
    loop {
        match (logged, kept) {
            (None, None) => return Ok(verified),
            (Some(is), Some(row)) if is.position == row.position => {
                verified.decisions += 1;
                if row.entry.is_ok_and(|entry| entry == is) {
                    (logged, kept) = (log.next().await?, rows.next().await?);
                } else {
                    verified.found(is.position, DifferenceKind::Different);
                    (logged, kept) = (log.next().await?, rows.next().await?);
                }
            }
            (Some(is), row) if row.as_ref().is_none_or(|row| row.position > is.position) => {
                verified.decisions += 1;
                verified.found(is.position, DifferenceKind::Missing);
                (logged, kept) = (log.next().await?, row);
            }
            (is, Some(row)) => {
                if !counted_then(store, &row, end).await? {
                    verified.found(row.position, DifferenceKind::Extra);
                }
                (logged, kept) = (is, rows.next().await?);
            }
            (is, None) => (logged, kept) = (is, None),
        }
    }
}

/// Whether a row is an entry that counted when the log ended at `end`, and was replaced by a later one since.
async fn counted_then(store: &dyn EventStore, row: &Kept, end: u64) -> Result<bool> {
    let Ok(entry) = &row.entry else { return Ok(false) };
    if row.position > end || row.position == 0 {
        return Ok(false);
    }
    let page = store.read(decisions_after(row.position - 1)?.limit(1)).await?;
    let there = decisions(page.entries).next().transpose()?;
    let counting = store.load(std::slice::from_ref(&entry.event)).await?;
    Ok(there.as_ref() == Some(entry) && counting.iter().all(|e| e.position > end) && !counting.is_empty())
}

/// The decisions of a log up to a position.
struct Logged<'a> {
    store: &'a dyn EventStore,
    end: u64,
    read: u64,
    page: VecDeque<AuditEntry>,
}

impl Logged<'_> {
    async fn next(&mut self) -> Result<Option<AuditEntry>> {
        while self.page.is_empty() && self.read < self.end {
            let request = decisions_after(self.read)?.limit(LOG_PAGE).only_counting();
            let page = self.store.read(request).await?;
            self.page = decisions(page.entries).collect::<Result<_>>()?;
            self.read = if page.has_more { page.next.position } else { self.end };
        }
        Ok(self.page.pop_front().filter(|entry| entry.position <= self.end))
    }
}

/// The rows of an index.
struct Rows<'a> {
    index: &'a dyn AuditIndex,
    /// How far they were read; none at the end.
    read: Option<u64>,
    page: VecDeque<Kept>,
}

impl Rows<'_> {
    async fn next(&mut self) -> Result<Option<Kept>> {
        if let (true, Some(after)) = (self.page.is_empty(), self.read) {
            self.page = self.index.kept(after, INDEX_PAGE).await?.into();
            self.read = self.page.back().map(|row| row.position);
        }
        Ok(self.page.pop_front())
    }
}
