//! L2: an event is in a log once, under its smallest stamp.

use synckit_core::{
    EventId,
    decision::{WITHDRAWAL, Withdrawal},
    store::LogEntry,
};

use super::Violation;
use crate::ledger::Book;

/// A second entry for an id has a smaller stamp than the first, or the data that the first lacks.
pub(crate) fn written(book: &Book, new: &[LogEntry]) -> Result<(), Violation> {
    let mut latest: Vec<&LogEntry> = Vec::new();
    let withdrawals = new.iter().filter(|e| e.event.event_type.as_str() == WITHDRAWAL);
    let withdrawn_here: Vec<EventId> =
        withdrawals.filter_map(|e| Withdrawal::read(&e.event).ok()).map(|w| w.id).collect();
    for entry in new {
        let id = &entry.event.id;
        let before = latest.iter().rev().find(|e| e.event.id == *id);
        let held = before.map(|e| (e.stamp.clone(), e.stub)).or_else(|| {
            let taken = &book.tape[*book.counting.get(id)?];
            Some((taken.stamp.clone(), taken.stub))
        });
        if let Some((stamp, stub)) = held {
            let fills = stub && !entry.stub;
            let withdrawn = book.withdrawn.contains(id) || withdrawn_here.contains(id);
            if !(entry.stamp.is_before(&stamp) || fills || withdrawn) {
                return Err(Violation::new(
                    "L2",
                    format!("{id} is in the log twice, at last at position {}", entry.position),
                ));
            }
        }
        latest.push(entry);
    }
    Ok(())
}
