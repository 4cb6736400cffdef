//! L1 and L5: positions are dense and commit-ordered, what was seen never changes, and the chain is right.

use synckit_core::{
    Mark, chain_hash,
    store::{LogEntry, LogPage, ReadRequest},
};

use super::Violation;
use crate::ledger::Book;

/// What a store has just written goes on where its log ended.
pub(crate) fn written(book: &Book, new: &[LogEntry], head: Mark) -> Result<(), Violation> {
    let wrong = |what: String| Err(Violation::new("L1", what));
    let mut reached = book.head();
    for entry in new {
        if entry.position != reached.position + 1 {
            return wrong(format!("{} follows {}", entry.position, reached.position));
        }
        let hash = chain_hash(&reached.hash, &entry.event.id, &entry.stamp, &entry.content);
        if entry.hash != hash {
            return Err(Violation::new("L5", format!("the chain breaks at position {}", entry.position)));
        }
        reached = Mark { position: entry.position, hash };
    }
    if head != reached {
        return wrong(format!("the head is said to be at {}, and is at {}", head.position, reached.position));
    }
    Ok(())
}

/// What a store gives to readers is what is in its log, without holes.
pub(crate) fn page(book: &Book, request: &ReadRequest, page: &LogPage) -> Result<(), Violation> {
    let wrong = |what: String| Err(Violation::new("L1", what));
    let mut before = request.after;
    for entry in &page.entries {
        let Some(held) = book.at(entry.position) else {
            return wrong(format!("position {} was shown before it was written", entry.position));
        };
        if entry.position <= before || held.id != entry.event.id || held.hash != entry.hash {
            return wrong(format!("position {} is not what it was", entry.position));
        }
        before = entry.position;
    }
    if page.next.position < before || !book.contains(page.next) || page.head != book.head() {
        return wrong(format!("the marks of the page after {} are not those of the log", request.after));
    }
    let whole = request.filter.is_everything()
        && request.missing_from.is_none()
        && request.not_from.is_none()
        && !request.only_counting;
    let from = request.after.min(book.head().position);
    if whole && page.entries.len() as u64 != page.next.position - from {
        return wrong(format!(
            "of the positions {}..={} only {} were shown",
            from + 1,
            page.next.position,
            page.entries.len()
        ));
    }
    if page.has_more != (page.next.position < page.head.position) {
        return Err(Violation::new("L7", format!("has_more is wrong at position {}", page.next.position)));
    }
    Ok(())
}
