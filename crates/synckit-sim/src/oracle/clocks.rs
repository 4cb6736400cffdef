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
        let here =
            new[..i].iter().filter(|e| entry.stamp.parents.iter().any(|p| e.event.id.as_str() == p.as_str()));
        let newest =
            here.map(|e| e.stamp.timestamp).max().unwrap_or_default().max(book.newest(&entry.stamp.parents));
        if entry.stamp.timestamp <= limit {
            continue;
        }
        if entry.stamp.timestamp > newest.plus(1) {
            return Err(Violation::new(
                "clock",
                format!("{} is stamped far ahead of the clock", entry.event.id),
            ));
        }
    }
    Ok(())
}
