//! Pages for clients that know positions and nothing else.

use synckit_core::{
    EventType, Filter, Mark, Result, VectorCursor,
    store::{Offered, ReadRequest},
};

use super::Shared;

/// The most that a stock client gets in one answer, in bytes of JSON text: it gives up on more than 10 MiB.
pub(super) const PAGE_BYTES: usize = 8 << 20;
/// How much is read from the store at a time.
const READ_EVENTS: usize = 1000;

/// What a stock client asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) after: u64,
    pub(super) missing_from: Option<VectorCursor>,
    pub(super) limit: Option<usize>,
    pub(super) filter: Filter,
    pub(super) event_type: Option<EventType>,
}

/// What it gets.
#[derive(Debug)]
pub(super) struct StockPage {
    pub(super) entries: Vec<Offered>,
    /// The mark of each entry.
    pub(super) marks: Vec<Mark>,
    pub(super) head: Mark,
    pub(super) has_more: bool,
}

impl Shared {
    /// Reads a page of whole events, each id once. A position beyond the end of the log gives an empty page.
    pub(super) async fn stock_page(&self, wanted: Wanted) -> Result<StockPage> {
        let store = self.hub.store();
        let head = store.head().await?;
        let mut page = StockPage { entries: Vec::new(), marks: Vec::new(), head, has_more: false };
        let limit = wanted.limit.unwrap_or(usize::MAX);
        let mut bytes = 0;
        let mut after = wanted.after;
        let mut has_more = after < head.position;
        while has_more {
            let request = ReadRequest::after(after)
                .limit(READ_EVENTS)
                .max_bytes(PAGE_BYTES)
                .filter(wanted.filter.clone())
                .missing_from(wanted.missing_from.clone())
                .only_counting();
            let read = store.read(request).await?;
            for entry in read.entries {
                let other_type = wanted.event_type.as_ref().is_some_and(|t| *t != entry.event.event_type);
                if entry.stub || other_type {
                    continue;
                }
                if page.entries.len() >= limit || bytes >= PAGE_BYTES {
                    page.has_more = true;
                    return Ok(page);
                }
                bytes += entry.event.data.bytes().len() + entry.event.metadata.as_json().len();
                page.marks.push(Mark { position: entry.position, hash: entry.hash });
                page.entries.push(entry.into_offered());
            }
            has_more = read.has_more;
            after = read.next.position;
        }
        Ok(page)
    }
}
