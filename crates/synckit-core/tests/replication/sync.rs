//! How a node syncs with a peer: verify, pull, push, and stamp again what was refused for its clock.

use std::collections::BTreeSet;

use synckit_core::{
    EventId, Hash, LogId,
    plan::NewEntry,
    store::{
        Acknowledged, Apply, Checkpoint, Offered, Outcome, QuarantineSide, Quarantined, Refusal, RefusalCode,
        Write,
    },
};

use super::{
    support::offered,
    world::{At, World},
};

impl World {
    /// The checkpoint to go on with, and one that is void. A peer that is not who it was is met anew: what came from it
    /// is offered to it again.
    fn greet(&self, n: At, h: At) -> (Checkpoint, Option<LogId>) {
        let (node, peer) = (&self.at(n).replica, self.at(h));
        let log = peer.replica.node.log;
        let void =
            node.checkpoints.values().find(|c| c.address == peer.address && c.log != log).map(|c| c.log);
        if let Some(held) = node.checkpoints.get(&log)
            && held.marks().iter().all(|m| peer.replica.mark_at(m.position) == Some(*m))
        {
            return (held.clone(), void);
        }
        let mut checkpoint = Checkpoint::start(log, peer.address.clone(), Hash::ZERO);
        checkpoint.echo_floor = node.node.head.position;
        (checkpoint, void)
    }

    /// Syncs `n` with `h`. In `faults` of a hundred cases, what comes next is cut off. Tells whether anything moved.
    pub(crate) fn sync(&mut self, n: At, h: At, page: usize, faults: usize) -> bool {
        let (mut checkpoint, mut void) = self.greet(n, h);
        let mut moved = false;
        loop {
            if self.rng.percent(faults) {
                return moved;
            }
            let from = checkpoint.pull.position as usize;
            let log = &self.at(h).replica.log;
            let to = log.len().min(from + page);
            let entries: Vec<Offered> = log[from..to].iter().map(offered).collect();
            let more = to < log.len();
            checkpoint.pull = self.at(h).replica.mark_at(to as u64).unwrap();
            checkpoint.saw(checkpoint.pull);
            let apply = Apply {
                peer: Some(checkpoint.log),
                entries,
                hold: true,
                retry_held: true,
                checkpoint: Some(checkpoint.clone()),
                forget: void.take(),
                ..Apply::default()
            };
            let written = self.write(n, Write::Apply(apply));
            moved |= written.accepted() + written.released > 0;
            if !more {
                break;
            }
        }
        moved
            | self.push_refused(n, h, &mut checkpoint, faults)
            | self.push_new(n, h, &mut checkpoint, page, faults)
            | self.restamp(n)
    }

    fn push_refused(&mut self, n: At, h: At, checkpoint: &mut Checkpoint, faults: usize) -> bool {
        let node = &self.at(n).replica;
        let again: Vec<NewEntry> = node
            .quarantined(QuarantineSide::Refused)
            .iter()
            .filter(|q| q.peer == checkpoint.log && q.refusal.code.may_pass())
            .map(|q| node.log[q.position as usize - 1].clone())
            .collect();
        !again.is_empty() && self.offer(n, h, checkpoint, again, None, faults).0
    }

    fn push_new(&mut self, n: At, h: At, checkpoint: &mut Checkpoint, page: usize, faults: usize) -> bool {
        let mut moved = false;
        loop {
            let node = &self.at(n).replica;
            let (from, end) = (checkpoint.push as usize, node.log.len());
            if from >= end {
                return moved;
            }
            let to = end.min(from + page);
            let only_counting = self.kind.only_counting;
            let left_out = |e: &NewEntry| {
                let back = e.from == Some(checkpoint.log) && e.position > checkpoint.echo_floor;
                back || (only_counting && e.superseded)
            };
            let mut entries = node.log[from..to].to_vec();
            entries.retain(|e| !left_out(e));
            let (more, answered) = self.offer(n, h, checkpoint, entries, Some(to as u64), faults);
            moved |= more;
            if !answered {
                return moved;
            }
        }
    }

    /// Whether anything moved, and whether the answer arrived.
    fn offer(
        &mut self,
        n: At,
        h: At,
        checkpoint: &mut Checkpoint,
        entries: Vec<NewEntry>,
        push: Option<u64>,
        faults: usize,
    ) -> (bool, bool) {
        let node = self.at(n).replica.node.clone();
        let apply = Apply {
            peer: Some(node.log),
            author: Some(node.node),
            entries: entries.iter().map(offered).collect(),
            ..Apply::default()
        };
        let written = self.write(h, Write::Apply(apply));
        let moved = written.accepted() > 0;
        if self.rng.percent(faults) {
            return (moved, false);
        }
        let (mut refused, mut released) = (Vec::new(), Vec::new());
        for (entry, outcome) in entries.iter().zip(&written.outcomes) {
            let row = |refusal| Quarantined {
                side: QuarantineSide::Refused,
                peer: checkpoint.log,
                id: entry.event.id.clone(),
                origin: Some(entry.stamp.origin),
                counter: entry.stamp.counter,
                refusal,
                position: entry.position,
                held: None,
            };
            match outcome {
                Outcome::Refused(refusal) => refused.push(row(refusal.clone())),
                _ => released.push(row(Refusal::new(RefusalCode::Other, ""))),
            }
        }
        checkpoint.push = push.unwrap_or(checkpoint.push);
        checkpoint.saw(written.head);
        let acknowledged = Acknowledged { checkpoint: checkpoint.clone(), refused, released, forget: None };
        self.write(n, Write::Acknowledge(acknowledged));
        (moved, true)
    }

    /// Own events that a peer refused for their clock are offered again under smaller stamps, once the clock is right.
    fn restamp(&mut self, n: At) -> bool {
        let node = &self.at(n).replica;
        let rows = node.quarantined(QuarantineSide::Refused);
        let skewed = rows.iter().filter(|q| {
            matches!(q.refusal.code, RefusalCode::ClockSkew | RefusalCode::WaitingForParent)
                && q.origin.is_some_and(|o| o == node.node.node || node.node.former.contains(&o))
        });
        let ids: BTreeSet<&EventId> = skewed.map(|q| &q.id).collect();
        let events: Vec<_> =
            ids.into_iter().filter_map(|id| node.entry(id)).map(|e| e.event.clone()).collect();
        !events.is_empty() && self.write(n, Write::Restamp(events)).accepted() > 0
    }
}
