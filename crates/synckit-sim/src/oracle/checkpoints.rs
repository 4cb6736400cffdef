//! L4 and L6: a cursor never passes what is not held, and never passes what was not handed over.

use synckit_core::{
    CursorMode, LogId,
    store::{Checkpoint, QuarantineSide, Quarantined},
};

use super::Violation;
use crate::ledger::Ledger;

/// Checks the cursors that a store has just recorded.
pub(crate) fn recorded(
    ledger: &Ledger,
    node: usize,
    now: &Checkpoint,
    quarantine: impl Fn() -> Vec<Quarantined>,
) -> Result<(), Violation> {
    let book = &ledger.books[node];
    if !book.wants_everything || ledger.copied {
        return Ok(());
    }
    let before = book.checkpoints.get(&now.log);
    if book.mode == CursorMode::Integer {
        pulled(ledger, node, now, before.map_or(0, |b| b.pull.position), &quarantine)?;
    }
    pushed(ledger, node, now, before.map_or(0, |b| b.push), &quarantine)
}

fn pulled(
    ledger: &Ledger,
    node: usize,
    now: &Checkpoint,
    from: u64,
    quarantine: &impl Fn() -> Vec<Quarantined>,
) -> Result<(), Violation> {
    let own = &ledger.books[node];
    let peer = ledger.books.iter().enumerate().find(|(i, b)| *i != node && b.log == now.log);
    let Some((_, peer)) = peer.filter(|(_, b)| b.contains(now.pull)) else { return Ok(()) };
    for position in from + 1..=now.pull.position {
        let Some(entry) = peer.at(position).filter(|e| !own.knows(&e.id)) else { continue };
        if !holds(&quarantine(), QuarantineSide::Held, None, entry.id.as_str()) {
            return Err(Violation::new(
                "L4",
                format!(
                    "the pull cursor is at {}, and {} at {position} is not held",
                    now.pull.position, entry.id
                ),
            ));
        }
    }
    Ok(())
}

fn pushed(
    ledger: &Ledger,
    node: usize,
    now: &Checkpoint,
    from: u64,
    quarantine: &impl Fn() -> Vec<Quarantined>,
) -> Result<(), Violation> {
    let own = &ledger.books[node];
    let Some(ever) = ledger.ever.get(&now.log) else { return Ok(()) };
    for position in from + 1..=now.push {
        let Some(entry) = own.at(position) else {
            return Err(Violation::new("L6", format!("the push cursor is at {}, beyond the log", now.push)));
        };
        // A smaller stamp of the same event is on its way, further on.
        if own.counting.get(&entry.id).is_some_and(|at| *at as u64 + 1 > position) {
            continue;
        }
        let given =
            entry.from == Some(now.log) || ever.contains(&entry.id) || own.withdrawn.contains(&entry.id);
        if !given && !holds(&quarantine(), QuarantineSide::Refused, Some(now.log), entry.id.as_str()) {
            return Err(Violation::new(
                "L6",
                format!(
                    "the push cursor is at {}, and {} at {position} was never handed over",
                    now.push, entry.id
                ),
            ));
        }
    }
    Ok(())
}

fn holds(rows: &[Quarantined], side: QuarantineSide, peer: Option<LogId>, id: &str) -> bool {
    rows.iter().any(|q| q.side == side && peer.is_none_or(|p| q.peer == p) && q.id.as_str() == id)
}
