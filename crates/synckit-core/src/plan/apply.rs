//! Entries from elsewhere.

use super::{
    NewEntry,
    claim::Claim,
    own::refused,
    planner::{Meaning, Planner},
};
use crate::{
    event::Event,
    hash::content_hash,
    ids::{AggregateId, EventId, LogId, NodeId, VertexId},
    plant::{Plant, planted},
    stamp::{Stamp, Timestamp},
    store::{Acknowledged, Apply, Offered, Outcome, QuarantineSide, Quarantined, Refusal, RefusalCode},
};

/// Where entries come from.
#[derive(Clone, Copy)]
struct Source {
    peer: Option<LogId>,
    author: Option<NodeId>,
    /// Whether they were held meanwhile: their log may have lost them since.
    held: bool,
}

impl Source {
    /// The log that the entries were pulled from, if it holds them still. One that pushes proves nothing about what its log holds: two copies of a
    /// store push under one identity.
    fn pulled_from(self) -> Option<LogId> {
        self.peer.filter(|_| self.author.is_none() && !self.held)
    }
}

impl Planner<'_> {
    pub(super) fn apply(&mut self, apply: Apply) {
        self.expect(apply.entries.len());
        let source = Source { peer: apply.peer, author: apply.author, held: false };
        let mut retry = apply.retried;
        if apply.retry_held {
            retry.extend(self.known.worth_retrying().cloned());
        }
        let mut held = Vec::new();
        for offered in apply.entries {
            let offered = match apply.peer {
                Some(log) if offered.stamp.is_none() && apply.author.is_none() => {
                    self.stamp_for_plain_log(offered, log)
                }
                _ => offered,
            };
            let outcome = self.take(&offered, source);
            if let (true, Some(peer), Outcome::Refused(refusal)) = (apply.hold, apply.peer, &outcome) {
                held.push((self.written.outcomes.len(), held_row(peer, offered, refusal.clone())));
            }
            self.written.outcomes.push(outcome);
        }
        self.retry(retry);
        for (i, row) in held {
            let again = if self.written.released > 0 {
                row.held.as_ref().map(|o| self.take(o, source))
            } else {
                None
            };
            match again {
                Some(outcome) if outcome.refusal().is_none() => self.written.outcomes[i] = outcome,
                _ => self.changes.quarantined.push(row),
            }
        }
        self.changes.checkpoint = apply.checkpoint;
        self.changes.forget = apply.forget;
    }

    /// Tries again what is held, until nothing more can be taken.
    fn retry(&mut self, mut rows: Vec<Quarantined>) {
        rows.sort_by_key(|q| q.held.as_ref().and_then(|o| o.stamp.as_ref()).map(|s| s.timestamp));
        loop {
            let count = rows.len();
            let (mut left, mut reasons) = (Vec::new(), Vec::new());
            for row in rows {
                let Some(offered) = self.meant(&row) else { continue };
                // What is in our own log is handed on from there to everybody.
                let peer = (row.position == 0).then_some(row.peer);
                match self.take(&offered, Source { peer, author: None, held: true }) {
                    Outcome::Refused(refusal) => {
                        left.push(row);
                        reasons.push(refusal);
                    }
                    _ => {
                        self.written.released += 1;
                        self.release_refusals(&row);
                        self.changes.released.push(row);
                    }
                }
            }
            if left.len() == count {
                return self.note_reasons(left, reasons);
            }
            rows = left;
        }
    }

    /// What is refused for another reason than before is shown with that reason.
    fn note_reasons(&mut self, rows: Vec<Quarantined>, reasons: Vec<Refusal>) {
        for (mut row, refusal) in rows.into_iter().zip(reasons) {
            if row.refusal.code != refusal.code {
                row.refusal = refusal;
                row.held = row.held.filter(|_| row.position == 0);
                self.changes.quarantined.push(row);
            }
        }
    }

    /// An event that got its id back is refused by nobody because of it.
    fn release_refusals(&mut self, taken: &Quarantined) {
        let mismatch = |q: &&Quarantined| {
            q.side == QuarantineSide::Refused && q.refusal.code == RefusalCode::ContentMismatch
        };
        let same =
            |q: &&Quarantined| (&q.id, q.origin, q.counter) == (&taken.id, taken.origin, taken.counter);
        let rows = self.known.quarantine.iter().filter(mismatch).filter(same).cloned();
        self.changes.released.extend(rows);
    }

    fn take(&mut self, offered: &Offered, source: Source) -> Outcome {
        if let Some(refusal) = self.too_large(&offered.event) {
            return Outcome::Refused(refusal);
        }
        match (&offered.stamp, source.peer) {
            (Some(stamp), _) => self.take_stamped(offered, stamp, source),
            (None, Some(_)) if source.author.is_none() => refused(
                RefusalCode::Invalid,
                format!(
                    "{}: an event at position {} of a log cannot be so",
                    offered.event.id, offered.position
                ),
            ),
            (None, _) => self.take_unstamped(&offered.event),
        }
    }

    /// An event from a client that knows no stamps becomes this node's own.
    fn take_unstamped(&mut self, event: &Event) -> Outcome {
        if event.event_type.is_reserved() || event.id.is_reserved() || event.aggregate_id.is_reserved() {
            return refused(
                RefusalCode::Invalid,
                format!("{}: names beginning with synckit. are reserved", event.id),
            );
        }
        self.append_domain(event.clone(), content_hash(event))
    }

    /// An event of a log without stamps gets one: the log's identity is its origin, its position the counter, and it is
    /// built on the event of its aggregate before it in that log, be that in our log or held, so that every replica stamps
    /// it alike. An event that cannot be stamped stays as it is, and is refused.
    fn stamp_for_plain_log(&mut self, mut offered: Offered, log: LogId) -> Offered {
        let (event, origin, position) = (&offered.event, NodeId::from(log), offered.position);
        let here = |s: &Stamp| (s.origin, s.counter) == (origin, position);
        let of_log = self.known.entries.get(&event.id).map(|e| &e.stamp).filter(|s| here(s));
        let of_held = || {
            let mut held = self.held_from(log).filter(|o| o.event.id == event.id);
            held.find_map(|o| o.stamp.as_ref().filter(|s| here(s)))
        };
        let known = of_log.or_else(of_held).cloned();
        let stamp = known.map_or_else(
            || {
                let before = self.before_in_plain_log(&event.aggregate_id, log, position);
                let parents = before.map(|id| VertexId::from(&id)).into_iter().collect();
                Stamp::checked(origin, position, Timestamp::from_micros(position), parents)
            },
            Ok,
        );
        let domain =
            !(event.event_type.is_reserved() || event.id.is_reserved() || event.aggregate_id.is_reserved());
        if let (true, Ok(stamp)) = (domain, stamp) {
            let last = (position, event.id.clone());
            self.last_of_plain_log.insert(event.aggregate_id.clone(), last);
            offered.stamp = Some(stamp);
        }
        offered
    }

    fn held_from(&self, log: LogId) -> impl Iterator<Item = &Offered> {
        let rows = self.known.quarantine.iter();
        rows.filter(move |q| q.side == QuarantineSide::Held && q.peer == log).filter_map(|q| q.held.as_ref())
    }

    fn before_in_plain_log(&self, aggregate: &AggregateId, log: LogId, position: u64) -> Option<EventId> {
        let origin = NodeId::from(log);
        let logged = self.known.last_unstamped.get(aggregate).and_then(|id| {
            let stamp = &self.known.entries.get(id)?.stamp;
            (stamp.origin == origin).then(|| (stamp.counter, id.clone()))
        });
        let held = self.held_from(log).filter(|o| o.event.aggregate_id == *aggregate).filter_map(|o| {
            let stamp = o.stamp.as_ref()?;
            Some((stamp.counter, o.event.id.clone()))
        });
        let planned = self.last_of_plain_log.get(aggregate).cloned();
        held.chain(logged).chain(planned).filter(|(counter, _)| *counter < position).max().map(|(_, id)| id)
    }

    fn take_stamped(&mut self, offered: &Offered, stamp: &Stamp, source: Source) -> Outcome {
        let event = &offered.event;
        let content = offered.stub.unwrap_or_else(|| content_hash(event));
        let meaning = match Meaning::of(event, &stamp.parents, offered.stub.is_some()) {
            Ok(meaning) => meaning,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        let held = self.known.own.get(&stamp.counter).is_some_and(|id| *id == event.id);
        let duplicates = |e: &NewEntry| e.content == content && e.event.id != event.id;
        if planted(Plant::DistinctEventsDeduplicated) && self.changes.entries.iter().any(duplicates) {
            return Outcome::Duplicate;
        }
        if stamp.origin == self.known.node.node && !held && !planted(Plant::CountersReused) {
            self.fork(&event.id, stamp.counter);
        }
        let claim = Claim { aggregate: event.aggregate_id.clone(), stamp: stamp.clone(), content };
        let holder = self.known.holder(&event.id);
        // A smaller stamp travels although its event was given up under another: it has its place in history.
        let is_first = holder.as_ref().is_none_or(|h| claim.is_before(h));
        if !is_first && self.known.is_withdrawn(&event.id, &claim) {
            return self.already_known(offered, claim);
        }
        let holder = holder.filter(|h| !h.is_same_event(&claim));
        if let Some(other) = &holder
            && (event.event_type.is_reserved() || other.is_before(&claim))
        {
            return self.mismatch(&event.id);
        }
        let displaces = holder.is_some();
        let mut whole = None;
        if let Some(held) = self.known.counting(&event.id).filter(|_| !displaces) {
            if held.stub && offered.stub.is_none() && held.stamp.is_before(stamp) {
                return self.fill(offered, claim);
            }
            let fills = held.stub && offered.stub.is_none() && held.stamp == *stamp;
            if held.lends_data(offered) {
                whole = self.whole(&event.id);
            }
            let smaller = stamp.is_before(&held.stamp)
                && (held.stub || offered.stub.is_none() || whole.is_some())
                && !planted(Plant::LargerStampKept);
            if !smaller && !fills {
                return self.already_known(offered, claim);
            }
        }
        let refusal = self
            .skewed(event, stamp, source)
            .or_else(|| self.orphaned(event, stamp, &meaning))
            .or_else(|| self.no_room(event));
        if let Some(refusal) = refusal {
            return Outcome::Refused(refusal);
        }
        if displaces {
            self.displace(&event.id, source.peer);
        }
        self.observe(stamp.timestamp);
        let position = match whole {
            // The peer has no data: it is to get ours, which an entry pulled from it would not be offered.
            Some(ours) => self.log(ours, stamp.clone(), content, None, false, meaning),
            None => {
                let stub = offered.stub.is_some();
                self.log(event.clone(), stamp.clone(), content, source.pulled_from(), stub, meaning)
            }
        };
        Outcome::Accepted { position }
    }

    pub(super) fn mismatch(&self, id: &EventId) -> Outcome {
        let detail = match self.known.counting(id) {
            Some(held) => format!("{id}: the id already names another event, at position {}", held.position),
            None => format!("{id}: the id named another event, which was withdrawn; a new id is needed"),
        };
        refused(RefusalCode::ContentMismatch, detail)
    }

    /// The data of an event that is held as a stub under a smaller stamp: that stamp stays, and the larger is on record. The
    /// peer may not know the smaller stamp, and is to get it.
    fn fill(&mut self, offered: &Offered, larger: Claim) -> Outcome {
        let Some(held) = self.known.entries.get(&offered.event.id).cloned() else {
            return Outcome::Duplicate;
        };
        self.know(&offered.event.id, larger);
        let event = offered.event.clone();
        let position = self.log(event, held.stamp, held.content, None, false, Meaning::Domain);
        Outcome::Accepted { position }
    }

    fn already_known(&mut self, offered: &Offered, claim: Claim) -> Outcome {
        let held = self.known.entries.get(&offered.event.id);
        if held.is_none_or(|h| h.claim() != claim) {
            self.know(&offered.event.id, claim);
        }
        Outcome::Duplicate
    }

    fn skewed(&self, event: &Event, stamp: &Stamp, source: Source) -> Option<Refusal> {
        let tolerance = self.around.tolerance;
        if planted(Plant::FutureClockBelieved) {
            return None;
        }
        if source.author != Some(stamp.origin) || stamp.timestamp <= self.around.now.plus(tolerance) {
            return None;
        }
        let parents = stamp.parents.iter().filter_map(|p| self.timestamp_of(&event.aggregate_id, p)).max();
        if stamp.timestamp <= parents.unwrap_or_default().plus(tolerance) {
            return None;
        }
        let ahead = stamp.timestamp.since(self.around.now) / 1_000_000;
        Some(Refusal::new(
            RefusalCode::ClockSkew,
            format!(
                "{}: the stamp is {ahead} s ahead of this clock, and {} s are allowed; set the author's clock right",
                event.id,
                tolerance / 1_000_000
            ),
        ))
    }

    /// A log holds an event only after all that it is built on.
    pub(super) fn orphaned(&self, event: &Event, stamp: &Stamp, meaning: &Meaning) -> Option<Refusal> {
        let waiting = |parent: &VertexId, why: &str| {
            Some(Refusal::new(
                RefusalCode::WaitingForParent,
                format!("{}: waits for {parent}, {why}", event.id),
            ))
        };
        // What a withdrawal withdraws takes its place in history, as if it had come itself.
        let at = match meaning {
            Meaning::Withdrawal(withdrawal) => withdrawal.timestamp,
            _ => stamp.timestamp,
        };
        for parent in &stamp.parents {
            let head = self.known.plain_head(&event.aggregate_id, parent);
            if head.is_none() && !self.holds(parent) {
                return waiting(parent, "which is not here");
            }
            if self.timestamp_of(&event.aggregate_id, parent).is_some_and(|t| t >= at) {
                return waiting(parent, "whose stamp here is not before its own");
            }
        }
        None
    }

    pub(super) fn acknowledge(&mut self, acknowledged: Acknowledged) {
        for row in acknowledged.refused {
            let same = |c: &Claim| (Some(c.stamp.origin), c.stamp.counter) == (row.origin, row.counter);
            let claims = self.known.withdrawn.get(&row.id);
            let withdrawn = claims.is_some_and(|claims| claims.iter().any(same));
            let smaller_travels = match self.known.entries.get(&row.id) {
                Some(held) => row.position != 0 && held.position != row.position,
                None => row.position != 0 && claims.is_some(),
            };
            if !withdrawn && !smaller_travels {
                self.changes.quarantined.push(row);
            } else {
                self.changes.released.push(row);
            }
        }
        self.changes.released.extend(acknowledged.released);
        self.changes.checkpoint = Some(acknowledged.checkpoint);
        self.changes.forget = acknowledged.forget;
    }
}

fn held_row(peer: LogId, offered: Offered, refusal: Refusal) -> Quarantined {
    Quarantined {
        side: QuarantineSide::Held,
        peer,
        id: offered.event.id.clone(),
        origin: offered.stamp.as_ref().map(|s| s.origin),
        counter: offered.stamp.as_ref().map_or(0, |s| s.counter),
        refusal,
        position: 0,
        held: Some(offered),
    }
}
