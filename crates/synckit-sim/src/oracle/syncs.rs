//! L5 and L7: a sync that ends well has pulled to the head and pushed to the end, and has recognised a peer that is not
//! what it was.

use synckit_core::{
    EventId,
    store::{QuarantineSide, Quarantined},
};

use super::Violation;
use crate::ledger::{Book, Ledger};

/// How things stood when a sync began.
#[derive(Debug)]
pub(crate) struct Before {
    /// What the peer held.
    peer: Vec<EventId>,
    /// What the node held.
    own: Vec<EventId>,
    /// How long its log was.
    length: usize,
    peer_log: synckit_core::LogId,
    /// How often the peer's store had been replaced.
    peer_age: u64,
}

impl Before {
    pub(crate) fn of(ledger: &Ledger, node: usize, peer: usize) -> Self {
        let ids = |b: &Book| b.counting.keys().cloned().collect();
        let (own, there) = (&ledger.books[node], &ledger.books[peer]);
        let peer_age = ledger.ages[peer];
        Self { peer: ids(there), own: ids(own), length: own.tape.len(), peer_log: there.log, peer_age }
    }
}

/// What a sync was to do, and said that it did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) node: usize,
    pub(crate) peer: usize,
    pub(crate) pulled: bool,
    pub(crate) pushed: bool,
    pub(crate) address: String,
    pub(crate) peer_age: u64,
}

/// Checks a sync that ended well.
pub(crate) fn ended(
    ledger: &Ledger,
    before: &Before,
    done: &Done,
    quarantine: impl Fn() -> Vec<Quarantined>,
) -> Result<(), Violation> {
    let (own, peer) = (&ledger.books[done.node], &ledger.books[done.peer]);
    let unchanged = before.peer_age == done.peer_age;
    let known = own.checkpoints.values().filter(|c| c.address == done.address).max_by_key(|c| c.synced_at);
    let as_known = known.is_some_and(|c| c.log == peer.log && peer.contains(c.seen) && peer.contains(c.pull));
    if unchanged && !as_known {
        return Err(Violation::new("L5", "the peer is not what it was, and nobody noticed"));
    }
    if !own.wants_everything || ledger.copied {
        return Ok(());
    }
    let lies =
        |side: QuarantineSide, id: &EventId| quarantine().iter().any(|q| q.side == side && q.id == *id);
    if done.pulled && unchanged {
        let lacking = before.peer.iter().filter(|id| !own.knows(id));
        if let Some(id) = lacking.filter(|id| !lies(QuarantineSide::Held, id)).min() {
            return Err(Violation::new("L7", format!("the sync ended well, and {id} was not pulled")));
        }
    }
    if done.pushed && unchanged && peer.log == before.peer_log {
        // What was replaced during the sync goes out with the next.
        let old = |id: &EventId| own.counting.get(id).is_some_and(|at| *at < before.length);
        let lacking =
            before.own.iter().filter(|id| !peer.knows(id) && !own.withdrawn.contains(*id) && old(id));
        if let Some(id) = lacking.filter(|id| !lies(QuarantineSide::Refused, id)).min() {
            return Err(Violation::new("L6", format!("the sync ended well, and {id} was not pushed")));
        }
    }
    Ok(())
}
