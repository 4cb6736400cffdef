//! §3: no clock follows a stamp beyond the tolerance.

use synckit_core::{NodeId, Timestamp, limits::DEFAULT_CLOCK_TOLERANCE_MICROS, store::LogEntry};

use super::Violation;
use crate::ledger::Book;

/// What a node writes is stamped by its clock, or just after what it is built on.
pub(crate) fn own(book: &Book, node: NodeId, new: &[LogEntry], now: Timestamp) -> Result<(), Violation> {
    for (i, entry) in new.iter().enumerate() {
        if entry.from.is_some() || entry.stamp.origin != node {
            continue;
        }
        let limit = now.plus(DEFAULT_CLOCK_TOLERANCE_MICROS);
        if entry.stamp.timestamp <= limit || entry.stamp.parents.iter().any(synckit_core::VertexId::is_reserved) {
            continue;
        }
        let parents = entry.stamp.parents.iter().filter_map(|p| {
            let logged = book.counting.get(p.as_str()).map(|at| book.tape[*at].stamp.timestamp);
            let new = new[..i].iter().filter(|e| e.event.id.as_str() == p.as_str());
            new.map(|e| e.stamp.timestamp).max().or(logged)
        });
        let newest = parents.max().unwrap_or_default();
        if entry.stamp.timestamp > newest.plus(1) {
            return Err(Violation::new("clock", format!("{} is stamped far ahead of the clock", entry.event.id)));
        }
    }
    Ok(())
}
