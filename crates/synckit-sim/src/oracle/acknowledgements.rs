//! L8 and L9: what is acknowledged is there, and stays there; what waits for a parent really does.

use synckit_core::{
    EventId, Mark, NodeId, Stamp, Timestamp,
    limits::DEFAULT_CLOCK_TOLERANCE_MICROS,
    store::{Outcome, RefusalCode, Write},
};

use super::Violation;
use crate::ledger::Book;

/// Entries that a peer pushes, without their data.
#[derive(Debug)]
pub(crate) struct Pushed {
    author: NodeId,
    entries: Vec<(EventId, Option<Stamp>)>,
    /// Whether all that an entry is built on was there before, under smaller stamps.
    based: Vec<bool>,
}

impl Pushed {
    /// What is pushed to a store, if this is a push.
    pub(crate) fn of(book: &Book, write: &Write) -> Option<Self> {
        let Write::Apply(apply) = write else { return None };
        let author = apply.author?;
        let entries = apply.entries.iter().map(|o| (o.event.id.clone(), o.stamp.clone())).collect();
        let there = |stamp: &Stamp| {
            stamp.parents.iter().all(|p| book.vertices.contains_key(p)) && book.newest(&stamp.parents) < stamp.timestamp
        };
        let based = apply.entries.iter().map(|o| o.stamp.as_ref().is_some_and(there)).collect();
        Some(Self { author, entries, based })
    }
}

/// Checks what a store says of entries that it has just been pushed.
pub(crate) fn taken(book: &Book, pushed: &Pushed, outcomes: &[Outcome], now: Timestamp) -> Result<(), Violation> {
    for (((id, stamp), based), outcome) in pushed.entries.iter().zip(&pushed.based).zip(outcomes) {
        let Some(stamp) = stamp else { continue };
        let newest = book.newest(&stamp.parents);
        match outcome {
            Outcome::Accepted { .. } if stamp.origin == pushed.author => {
                let limit = |base: Timestamp| base.plus(DEFAULT_CLOCK_TOLERANCE_MICROS);
                if stamp.timestamp > limit(now) && stamp.timestamp > limit(newest) {
                    return Err(Violation::new("clock", format!("{id} was taken from a clock far ahead")));
                }
            }
            Outcome::Refused(refusal) if refusal.code == RefusalCode::WaitingForParent => {
                if *based {
                    return Err(Violation::new("L9", format!("{id} waits for nothing: {refusal}")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A hub's answer to a push says what is in its log.
pub(crate) fn answered(book: &Book, acks: &[(EventId, Outcome)]) -> Result<(), Violation> {
    for (id, outcome) in acks {
        let held = match outcome {
            Outcome::Accepted { position } => book.at(*position).is_some_and(|t| t.id == *id),
            Outcome::Duplicate => book.knows(id),
            _ => continue,
        };
        if !held {
            return Err(Violation::new("L8", format!("{id} was acknowledged, and is not in the log")));
        }
    }
    Ok(())
}

/// A store that was opened again holds what it held.
pub(crate) fn durable(book: &Book, head: Mark) -> Result<(), Violation> {
    if book.head() == head {
        return Ok(());
    }
    Err(Violation::new(
        "L8",
        format!("the log ended at {} before the crash, and at {} after it", book.head().position, head.position),
    ))
}
