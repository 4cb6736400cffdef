//! L3: an event is in a log only after all that it is built on, and a node uses each of its counters once.

use std::collections::{BTreeMap, HashSet};

use synckit_core::{
    NodeId, VertexId,
    decision::{Decision, RESOLUTION, WITHDRAWAL, Withdrawal},
    store::LogEntry,
};

use super::Violation;
use crate::ledger::Book;

/// Every parent is in the log before its child.
pub(crate) fn written(book: &Book, new: &[LogEntry]) -> Result<(), Violation> {
    let mut here: HashSet<VertexId> = HashSet::new();
    for entry in new {
        for parent in &entry.stamp.parents {
            if !(book.vertices.contains_key(parent) || here.contains(parent)) {
                return Err(Violation::new(
                    "L3",
                    format!("{} is in the log before {parent}, which it is built on", entry.event.id),
                ));
            }
        }
        here.insert(VertexId::from(&entry.event.id));
        match entry.event.event_type.as_str() {
            RESOLUTION => {
                if let Ok(decision) = Decision::read(&entry.event, &entry.stamp.parents) {
                    here.insert(decision.vertex(&entry.event.id));
                }
            }
            WITHDRAWAL => {
                if let Ok(withdrawal) = Withdrawal::read(&entry.event) {
                    here.insert(VertexId::from(&withdrawal.id));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a node writes itself has a counter that this store has not seen used.
pub(crate) fn own(book: &Book, node: NodeId, new: &[LogEntry]) -> Result<(), Violation> {
    let mut used: BTreeMap<u64, &str> = BTreeMap::new();
    for entry in new.iter().filter(|e| e.from.is_none() && e.stamp.origin == node) {
        let id = entry.event.id.as_str();
        let counter = entry.stamp.counter;
        let before = book.stamps.get(&(node, counter)).map(synckit_core::EventId::as_str);
        if let Some(other) = used.insert(counter, id).or(before).filter(|other| *other != id) {
            return Err(Violation::new(
                "L3",
                format!("the counter {counter} of {id} was {other}'s, and the node has not noticed"),
            ));
        }
    }
    Ok(())
}
