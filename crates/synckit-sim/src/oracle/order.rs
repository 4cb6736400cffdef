//! What one node wrote is read in the order in which it wrote it.

use std::collections::HashMap;

use synckit_core::NodeId;

use super::Violation;
use crate::ledger::Book;

/// Within each origin, counters grow along the log. Holds where nothing was refused, held back, imported twice or stamped
/// again.
pub(crate) fn check(book: &Book) -> Result<(), Violation> {
    let mut last: HashMap<NodeId, u64> = HashMap::new();
    for entry in &book.tape {
        let before = last.insert(entry.stamp.origin, entry.stamp.counter).unwrap_or(0);
        if entry.stamp.counter <= before {
            return Err(Violation::new("order", format!("{} was written before what precedes it", entry.id)));
        }
    }
    Ok(())
}
