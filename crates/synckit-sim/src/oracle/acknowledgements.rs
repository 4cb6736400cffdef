//! L8 and L9: what is acknowledged is there, and stays there; what waits for a parent really does.

use synckit_core::{
    EventId, Mark, NodeId, Stamp, Timestamp, VertexId,
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
}

impl Pushed {
    /// What is pushed, if this is a push.
    pub(crate) fn of(write: &Write) -> Option<Self> {
        let Write::Apply(apply) = write else { return None };
        let entries = apply.entries.iter().map(|o| (o.event.id.clone(), o.stamp.clone())).collect();
        apply.author.map(|author| Self { author, entries })
    }
}

/// Checks what a store says of entries that it has just been pushed.
pub(crate) fn taken(book: &Book, pushed: &Pushed, outcomes: &[Outcome], now: Timestamp) -> Result<(), Violation> {
    for ((id, stamp), outcome) in pushed.entries.iter().zip(outcomes) {
        let Some(stamp) = stamp else { continue };
        let parents = stamp.parents.iter().filter_map(|p| book.counting.get(p.as_str()));
        let newest = parents.map(|i| book.tape[*i].stamp.timestamp).max().unwrap_or_default();
        match outcome {
            Outcome::Accepted { .. } if stamp.origin == pushed.author => {
                let limit = |base: Timestamp| base.plus(DEFAULT_CLOCK_TOLERANCE_MICROS);
                let on_decision = stamp.parents.iter().any(VertexId::is_reserved);
                if stamp.timestamp > limit(now) && stamp.timestamp > limit(newest) && !on_decision {
                    return Err(Violation::new("clock", format!("{id} was taken from a clock far ahead")));
                }
            }
            Outcome::Refused(refusal) if refusal.code == RefusalCode::WaitingForParent => {
                let came_along = |p: &VertexId| pushed.entries.iter().any(|(id, _)| id.as_str() == p.as_str());
                let there = |p: &VertexId| book.vertices.contains(p) && !came_along(p);
                if stamp.parents.iter().all(there) && newest < stamp.timestamp {
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
