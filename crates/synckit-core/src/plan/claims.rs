//! What the claims of an id change: its place in history, and the entry that counts.

use super::{
    ClaimOf, KnownEntry, KnownStamp,
    claim::{Claim, first},
    planner::{Meaning, Planner},
};
use crate::{
    decision::Withdrawal,
    graph::Vertex,
    ids::{AggregateId, EventId, LogId},
    stamp::Stamp,
    store::{Notice, Offered, QuarantineSide, Quarantined, Refusal, RefusalCode},
};

impl Planner<'_> {
    /// Notes a stamp that is known for an event that counts under another.
    pub(super) fn know(&mut self, id: &EventId, claim: Claim) {
        self.changes.known_stamps.push(KnownStamp::of(id, &claim));
        if id.is_reserved() {
            return;
        }
        let others = self.known.others.entry(id.clone()).or_default();
        if !others.contains(&claim) {
            others.push(claim.clone());
            self.changes.others.push(ClaimOf { id: id.clone(), claim });
        }
    }

    /// Another event with a smaller stamp takes over the id; the one that had it stays in the log, and is set aside.
    pub(super) fn displace(&mut self, id: &EventId, peer: Option<LogId>) {
        let Some(old) = self.known.counting(id).cloned() else { return };
        self.written.notices.push(Notice::Displaced { id: id.clone() });
        let detail = format!(
            "{id}: another event with a smaller stamp has this id; issue this one again under a new id"
        );
        let same = old.claim();
        let others = self.known.others.get(id).into_iter().flatten();
        let others =
            others.filter(|c| c.is_same_event(&same) && **c != same && !self.known.is_withdrawn(id, c));
        let rows = std::iter::once(&same).chain(others).map(|claim| Quarantined {
            side: QuarantineSide::Held,
            peer: peer.unwrap_or(self.known.node.log),
            id: id.clone(),
            origin: Some(claim.stamp.origin),
            counter: claim.stamp.counter,
            refusal: Refusal::new(RefusalCode::ContentMismatch, detail.clone()),
            position: old.position,
            held: None,
        });
        self.changes.quarantined.extend(rows);
    }

    /// What a row of the quarantine is about. Where an event lost its id that was known under several stamps, all rows name
    /// the position of the one that counted.
    pub(super) fn meant(&self, row: &Quarantined) -> Option<Offered> {
        let mut offered = row.held.clone()?;
        let named = |s: &Stamp| (Some(s.origin), s.counter) == (row.origin, row.counter);
        if row.position != 0 && !offered.stamp.as_ref().is_some_and(named) {
            let mut others = self.known.others.get(&row.id).into_iter().flatten();
            offered.stamp = Some(others.find(|c| named(&c.stamp))?.stamp.clone());
        }
        Some(offered)
    }

    /// Records a withdrawal. It claims the id as the withdrawn event itself would.
    pub(super) fn add_withdrawal(
        &mut self,
        aggregate: &AggregateId,
        withdrawal: &Withdrawal,
        from: Option<LogId>,
    ) {
        let Ok(claim) = withdrawal.claim(aggregate) else { return };
        let id = &withdrawal.id;
        let (origin, counter) = (claim.stamp.origin, claim.stamp.counter);
        self.changes.known_stamps.push(KnownStamp::of(id, &claim));
        if self.known.withdrawn.get(id).is_some_and(|claims| claims.contains(&claim)) {
            return;
        }
        let before = self.known.vertex(id);
        let loses = |e: &KnownEntry| !claim.is_same_event(&e.claim()) && claim.is_before(&e.claim());
        if self.known.entries.get(id).is_some_and(loses) {
            self.displace(id, from);
            self.supersede(id);
            self.known.entries.remove(id);
        }
        let given_up = |q: &Quarantined| {
            let named = (&q.id, q.origin, q.counter) == (id, Some(origin), counter);
            named && q.side == QuarantineSide::Held
        };
        self.changes.quarantined.retain(|q| !given_up(q));
        self.changes.released.extend(self.known.quarantine.iter().filter(|q| given_up(q)).cloned());
        self.known.withdrawn.entry(id.clone()).or_default().push(claim.clone());
        self.changes.withdrawn.push(ClaimOf { id: id.clone(), claim });
        self.move_vertex(id, before);
    }

    /// An event that counted was withdrawn under that stamp: if it has another one, it counts under that.
    pub(super) fn count_again(&mut self, id: &EventId, from: Option<LogId>) {
        let Some(entry) = self.known.entries.get(id).cloned() else { return };
        if self.known.counting(id).is_some() {
            return;
        }
        let same = entry.claim();
        let others = self.known.others.get(id).into_iter().flatten();
        let others = others.filter(|c| c.is_same_event(&same) && !self.known.is_withdrawn(id, c));
        let (Some(next), Some(event)) = (first(others.cloned()), self.whole(id)) else { return };
        if let Some(refusal) = self.orphaned(&event, &next.stamp, &Meaning::Domain) {
            let stub = entry.stub.then_some(entry.content);
            let (origin, counter) = (Some(next.stamp.origin), next.stamp.counter);
            let held = Some(Offered { event, stamp: Some(next.stamp), stub, position: 0 });
            self.changes.quarantined.push(Quarantined {
                side: QuarantineSide::Held,
                peer: from.unwrap_or(self.known.node.log),
                id: id.clone(),
                origin,
                counter,
                refusal,
                position: 0,
                held,
            });
            return;
        }
        self.log(event, next.stamp, next.content, None, entry.stub, Meaning::Domain);
    }

    /// Gives the vertex of an id the place that follows from what is known now. `before` is what it was.
    pub(super) fn move_vertex(&mut self, id: &EventId, before: Option<(AggregateId, Vertex)>) {
        let Some((aggregate, vertex)) = self.known.vertex(id) else { return };
        let Some((old, was)) = before else { return self.add_domain(&aggregate, vertex) };
        if (&old, &was) == (&aggregate, &vertex) {
            return;
        }
        if old != aggregate {
            self.history(&old).retain(|v| v.id != vertex.id);
            self.recompute(&old);
        } else if was.parents == vertex.parents && !self.known.graphs.contains_key(&aggregate) {
            return self.restamp_head(&aggregate, &vertex);
        }
        let history = self.history(&aggregate);
        history.retain(|v| v.id != vertex.id);
        history.push(vertex);
        self.recompute(&aggregate);
    }

    /// Another stamp with the same parents, in a history without decisions, changes no more than the head itself.
    fn restamp_head(&mut self, aggregate: &AggregateId, vertex: &Vertex) {
        for head in self.touch(aggregate) {
            if head.vertex == vertex.id {
                head.timestamp = vertex.key.timestamp;
                head.newest = Some(vertex.key.clone());
            }
        }
    }
}
