//! L8 and L9: what is acknowledged is there, and stays there; what waits for a parent really does.

use synckit_core::{
    Event, EventId, Mark, NodeId, Stamp, Timestamp, VertexId,
    decision::{Decision, RESOLUTION, Withdrawal},
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
    /// The newest stamp of what an entry is built on, there before or pushed with it.
    newest: Vec<Timestamp>,
}

impl Pushed {
    /// What is pushed to a store, if this is a push.
    pub(crate) fn of(book: &Book, write: &Write) -> Option<Self> {
        let Write::Apply(apply) = write else { return None };
        let author = apply.author?;
        let entries = apply.entries.iter().map(|o| (o.event.id.clone(), o.stamp.clone())).collect();
        let there = |event: &Event, stamp: &Stamp| {
            // A withdrawal takes the place of what it withdraws.
            let at = Withdrawal::read(event).map_or(stamp.timestamp, |w| w.timestamp);
            stamp.parents.iter().all(|p| book.vertices.contains_key(p)) && book.newest(&stamp.parents) < at
        };
        let based =
            apply.entries.iter().map(|o| o.stamp.as_ref().is_some_and(|s| there(&o.event, s))).collect();
        let mut pushed: Vec<(VertexId, Timestamp)> = Vec::new();
        for (event, stamp) in apply.entries.iter().filter_map(|o| Some((&o.event, o.stamp.as_ref()?))) {
            pushed.push((VertexId::from(&event.id), stamp.timestamp));
            if event.event_type.as_str() == RESOLUTION
                && let Ok(decision) = Decision::read(event, &stamp.parents)
            {
                pushed.push((decision.vertex(&event.id), stamp.timestamp));
            }
        }
        for withdrawal in apply.entries.iter().filter_map(|o| Withdrawal::read(&o.event).ok()) {
            pushed.push((VertexId::from(&withdrawal.id), withdrawal.timestamp));
        }
        let along = |p: &VertexId| pushed.iter().filter(|(id, _)| id == p).map(|(_, t)| *t).max();
        let newest = |stamp: &Stamp| {
            let along = stamp.parents.iter().filter_map(along).max().unwrap_or_default();
            along.max(book.newest(&stamp.parents))
        };
        let newest = apply.entries.iter().map(|o| o.stamp.as_ref().map(newest).unwrap_or_default()).collect();
        Some(Self { author, entries, based, newest })
    }
}

/// Checks what a store says of entries that it has just been pushed.
pub(crate) fn taken(
    book: &Book,
    pushed: &Pushed,
    outcomes: &[Outcome],
    now: Timestamp,
) -> Result<(), Violation> {
    let entries = pushed.entries.iter().zip(&pushed.based).zip(&pushed.newest);
    for ((((id, stamp), based), newest), outcome) in entries.zip(outcomes) {
        let Some(stamp) = stamp else { continue };
        match outcome {
            // What only brings the data of a stub along is logged under the stub's stamp.
            Outcome::Accepted { position }
                if stamp.origin == pushed.author && book.at(*position).is_some_and(|t| t.stamp == *stamp) =>
            {
                let limit = |base: Timestamp| base.plus(DEFAULT_CLOCK_TOLERANCE_MICROS);
                if stamp.timestamp > limit(now) && stamp.timestamp > limit(*newest) {
                    return Err(Violation::new("clock", format!("{id} was taken from a clock far ahead")));
                }
            }
            Outcome::Refused(refusal) if refusal.code == RefusalCode::WaitingForParent && *based => {
                return Err(Violation::new("L9", format!("{id} waits for nothing: {refusal}")));
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
        format!(
            "the log ended at {} before the crash, and at {} after it",
            book.head().position,
            head.position
        ),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use synckit_core::{
        CursorMode, LogId, content_hash,
        store::{Apply, Offered, Refusal},
    };

    use super::*;

    /// Seed 3177: a decision that it is built on had come under a later stamp, and not yet under its first.
    #[test]
    fn a_withdrawal_waits_as_what_it_withdraws_would() {
        let node = NodeId::from_u128(1);
        let mut book = Book::new(LogId::from_u128(1), CursorMode::Vector);
        let parents = vec![VertexId::new("parent").unwrap()];
        book.vertices.insert(parents[0].clone(), Timestamp::from_micros(20));
        let event = Event::new("t", "a", "data").unwrap().with_id("e").unwrap();
        let withdrawal = Withdrawal {
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            origin: node,
            counter: 1,
            timestamp: Timestamp::from_micros(10),
            parents: parents.clone(),
            content: content_hash(&event),
        };
        let stamp = Stamp::checked(node, 2, Timestamp::from_micros(30), parents).unwrap();
        let event = withdrawal.to_event(&event.aggregate_id).unwrap();
        let offered = Offered { event, stamp: Some(stamp), stub: None, position: 0 };
        let apply = Apply { author: Some(node), entries: vec![offered], ..Apply::default() };
        let pushed = Pushed::of(&book, &Write::Apply(apply)).unwrap();
        let waits = Outcome::Refused(Refusal::new(RefusalCode::WaitingForParent, "it waits"));
        assert!(taken(&book, &pushed, &[waits], Timestamp::from_micros(40)).is_ok());
    }
}
