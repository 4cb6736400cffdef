//! How a store makes a page of what it goes through.

use super::read::{LogEntry, LogPage, ReadRequest};
use crate::{
    cursor::{Lacking, Mark},
    error::{Error, ErrorKind, Result},
    hash::{Hash, content_hash},
    ids::{LogId, NodeId},
};

/// Makes a page of the entries that a store goes through in the order of their positions: takes what was asked for, as far
/// as it fits, and knows how far the page reaches. For stores.
///
/// ```
/// use synckit_core::{Hash, Mark, store::{PageBuilder, ReadRequest}};
///
/// let request = ReadRequest::default();
/// let page = PageBuilder::new(&request, None, Mark::START);
/// assert_eq!(page.end(), (0, Some(Hash::ZERO)));
/// assert!(!page.finish(Hash::ZERO).has_more);
/// ```
#[derive(Debug)]
pub struct PageBuilder<'a> {
    request: &'a ReadRequest,
    lacking: Option<&'a Lacking>,
    head: Mark,
    entries: Vec<LogEntry>,
    bytes: usize,
    passed: Mark,
    left_out: Option<u64>,
}

impl<'a> PageBuilder<'a> {
    /// An empty page of a log that ends at `head`; `lacking` follows from
    /// [`missing_from`](ReadRequest::missing_from).
    #[must_use]
    pub const fn new(request: &'a ReadRequest, lacking: Option<&'a Lacking>, head: Mark) -> Self {
        Self { request, lacking, head, entries: Vec::new(), bytes: 0, passed: head, left_out: None }
    }

    /// Whether the page has as many entries as it may have: the next one that is asked for ends it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Whether an entry may be asked for, going by a few of its columns. If not, the store need not read the others; it tells
    /// the page so with [`pass`](Self::pass).
    #[must_use]
    pub fn may_want(
        &self,
        position: u64,
        origin: NodeId,
        counter: u64,
        stub: bool,
        from: Option<LogId>,
    ) -> bool {
        let echo = self.request.not_from.is_some_and(|(log, floor)| from == Some(log) && position > floor);
        !echo && self.lacking.is_none_or(|lacking| lacking.contains(origin, counter, stub))
    }

    /// Leaves an entry out that is not asked for. Its hash spares looking the page's up.
    pub const fn pass(&mut self, at: Mark) {
        self.passed = at;
    }

    /// Takes the next entry into the page, or passes it over; false if it is asked for and does not fit any more: then the
    /// page is complete.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it goes into the page, and its content is not what it was.
    pub fn take(&mut self, entry: LogEntry) -> Result<bool> {
        let at = Mark { position: entry.position, hash: entry.hash };
        if let Some(entry) = self.fitting(entry) {
            self.entries.push(entry.verified()?);
        }
        Ok(self.passed_unless_complete(at))
    }

    /// As [`take`](Self::take), of a store that knows by other means that the entry is what it was.
    pub fn take_verified(&mut self, entry: LogEntry) -> bool {
        let at = Mark { position: entry.position, hash: entry.hash };
        let fitting = self.fitting(entry);
        self.entries.extend(fitting);
        self.passed_unless_complete(at)
    }

    /// The entry as it was asked for, if it was; if there is no more room for it, the page is complete.
    fn fitting(&mut self, entry: LogEntry) -> Option<LogEntry> {
        let position = entry.position;
        let shaped = self.request.shape_for(self.lacking, entry)?;
        self.bytes += shaped.size();
        let over = self.bytes > self.request.page_bytes() && !self.entries.is_empty();
        if self.is_full() || over {
            self.left_out = Some(position);
            return None;
        }
        Some(shaped)
    }

    const fn passed_unless_complete(&mut self, at: Mark) -> bool {
        if self.left_out.is_some() {
            return false;
        }
        self.passed = at;
        true
    }

    /// How many entries the page may still have.
    #[must_use]
    pub fn room(&self) -> usize {
        self.request.page_limit().saturating_sub(self.entries.len())
    }

    /// Completes the page before an entry that cannot be read, which is there all the same, and beyond a page that
    /// [is full](Self::is_full).
    pub const fn end_before(&mut self, position: u64) {
        self.left_out = Some(position);
    }

    /// How far the page reaches, with the hash of the log there if that is known.
    #[must_use]
    pub fn end(&self) -> (u64, Option<Hash>) {
        // Everything before the first entry left out was given or passed over.
        let reached = self.left_out.map_or(self.head.position, |position| position - 1);
        let reached = reached.max(self.request.after.min(self.head.position));
        let known = [self.head, self.passed].into_iter().find(|mark| mark.position == reached);
        let start = (reached == 0).then_some(Hash::ZERO);
        (reached, known.map(|mark| mark.hash).or(start))
    }

    /// The page, with the hash of the log at its [end](Self::end).
    #[must_use]
    pub fn finish(self, hash: Hash) -> LogPage {
        let (position, _) = self.end();
        let has_more = position < self.head.position;
        LogPage { entries: self.entries, next: Mark { position, hash }, head: self.head, has_more }
    }
}

impl LogEntry {
    /// The entry, if its content is what it was when it was stored. For stores, which need no checksums of their own.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is not.
    pub fn verified(self) -> Result<Self> {
        if self.stub || content_hash(&self.event) == self.content {
            return Ok(self);
        }
        let (id, position) = (&self.event.id, self.position);
        let what = format!("{id} at position {position} is not what it was; `synckit doctor` says more");
        Err(Error::new(ErrorKind::Corrupt, "read", what))
    }
}
