//! C1: nothing that was acknowledged to an application is ever dropped or changed.

use super::Violation;
use crate::ledger::{Book, Ledger};

/// Every promised event is in this log, as it was appended.
pub(crate) fn check(ledger: &Ledger, book: &Book) -> Result<(), Violation> {
    for (id, promised) in &ledger.promised {
        if book.withdrawn.contains(id) {
            continue;
        }
        let Some(at) = book.counting.get(id) else {
            return Err(Violation::new("C1", format!("{id} was acknowledged, and is lost")));
        };
        if !promised.contested && book.tape[*at].content != promised.content {
            return Err(Violation::new("C1", format!("{id} is not what was appended")));
        }
    }
    Ok(())
}
