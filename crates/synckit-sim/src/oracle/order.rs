//! What one node wrote is read in the order in which it wrote it.

use std::collections::HashMap;

use synckit_core::{EventId, NodeId};

use super::Violation;
use crate::ledger::{Book, Ledger};

/// Within each origin, counters grow along the log. It holds where nothing was refused, left out by a filter, or written twice
/// under one counter; events that have several stamps are passed over.
pub(crate) fn check(ledger: &Ledger, book: &Book) -> Result<(), Violation> {
    if ledger.refused || ledger.copied || ledger.books.iter().any(|b| !b.wants_everything) {
        return Ok(());
    }
    let mut times: HashMap<&EventId, usize> = HashMap::new();
    for entry in ledger.books.iter().flat_map(|b| &b.tape) {
        *times.entry(&entry.id).or_default() += 1;
    }
    let several = |id: &EventId| {
        let stamps = ledger.books.iter().filter_map(|b| b.counting.get(id).map(|at| &b.tape[*at].stamp));
        let mut stamps = stamps.map(|s| (s.origin, s.counter));
        let first = stamps.next();
        stamps.any(|s| Some(s) != first) || times[id] > ledger.books.len()
    };
    let mut last: HashMap<NodeId, (u64, &EventId)> = HashMap::new();
    for entry in book.tape.iter().filter(|e| !several(&e.id)) {
        let before = last.insert(entry.stamp.origin, (entry.stamp.counter, &entry.id));
        if let Some((counter, id)) = before.filter(|(counter, _)| *counter > entry.stamp.counter) {
            let what = format!("{} ({}) comes after {id} ({counter})", entry.id, entry.stamp.counter);
            return Err(Violation::new("order", what));
        }
    }
    Ok(())
}
