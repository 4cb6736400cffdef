//! Events of this node: appended, given up, or stamped again.

use super::planner::{Meaning, Planner};
use crate::{
    decision::Withdrawal,
    error::{Error, ErrorKind, Result},
    event::Event,
    graph::parents_for_append,
    hash::{Hash, content_hash},
    ids::{EventId, VertexId},
    limits::MAX_KIT_DATA_BYTES,
    parallel,
    stamp::Stamp,
    store::{Outcome, QuarantineSide, Quarantined, Refusal, RefusalCode},
};

impl Planner<'_> {
    pub(super) fn append(&mut self, events: Vec<Event>) {
        self.expect(events.len());
        let contents = parallel::map(&events, content_hash);
        for (event, content) in events.into_iter().zip(contents) {
            let outcome = self.append_one(event, content);
            self.written.outcomes.push(outcome);
        }
    }

    fn append_one(&mut self, event: Event, content: Hash) -> Outcome {
        let reserved = [event.id.as_str(), event.event_type.as_str(), event.aggregate_id.as_str()]
            .into_iter()
            .find(|name| name.starts_with(crate::limits::RESERVED_PREFIX))
            .map(str::to_owned);
        if let Some(name) = reserved {
            return refused(RefusalCode::Invalid, format!("{}: the name {name:?} is reserved", event.id));
        }
        self.append_domain(event, content)
    }

    /// Appends a domain event as this node's own, on top of the leading head.
    pub(super) fn append_domain(&mut self, event: Event, content: Hash) -> Outcome {
        if let Some(refusal) = self.too_large(&event) {
            return Outcome::Refused(refusal);
        }
        if let Some(held) = self.known.entries.get(&event.id) {
            return if held.content == content { Outcome::Duplicate } else { self.mismatch(&event.id) };
        }
        if self.known.withdrawn.contains_key(&event.id) {
            return refused(
                RefusalCode::Invalid,
                format!("{}: an event with this id was withdrawn", event.id),
            );
        }
        if let Some(refusal) = self.no_room(&event) {
            return Outcome::Refused(refusal);
        }
        let parents = parents_for_append(self.current_heads(&event.aggregate_id));
        self.log_own(event, parents, content, Meaning::Domain)
    }

    /// Appends an event as this node's own on top of these parents.
    pub(super) fn log_own(
        &mut self,
        event: Event,
        parents: Vec<VertexId>,
        content: Hash,
        meaning: Meaning,
    ) -> Outcome {
        let timestamp = self.tick(&event.aggregate_id, &parents);
        match Stamp::checked(self.known.node.node, self.known.node.counter + 1, timestamp, parents) {
            Err(e) => refused(RefusalCode::Invalid, format!("{}: {}", event.id, e.message())),
            Ok(stamp) => {
                self.known.node.counter += 1;
                Outcome::Accepted { position: self.log(event, stamp, content, None, false, meaning) }
            }
        }
    }

    pub(super) fn too_large(&self, event: &Event) -> Option<Refusal> {
        let bytes = event.data.bytes().len();
        let limit = if event.event_type.is_reserved() { MAX_KIT_DATA_BYTES } else { self.around.max_data };
        (bytes > limit).then(|| {
            let detail = format!("{}: the data has {bytes} bytes; at most {limit} are taken", event.id);
            Refusal::new(RefusalCode::TooLarge, detail)
        })
    }

    /// Whether the store is full. What settles things, and what is there already, always has room.
    pub(super) fn no_room(&self, event: &Event) -> Option<Refusal> {
        let room = self.around.room.filter(|_| !event.event_type.is_reserved())?;
        let wanted = self.taken_bytes.saturating_add(event.size());
        (wanted > room).then(|| {
            Refusal::new(RefusalCode::Quota, format!("{}: the store is full; it may hold no more", event.id))
        })
    }

    pub(super) fn withdraw(&mut self, ids: Vec<EventId>) -> Result<()> {
        for id in ids {
            let outcome = self.withdraw_one(&id)?;
            self.written.outcomes.push(outcome);
        }
        Ok(())
    }

    fn withdraw_one(&mut self, id: &EventId) -> Result<Outcome> {
        let missing = || Error::new(ErrorKind::NotFound, "withdraw", format!("no event {id} in this log"));
        let entry = self.known.entries.get(id).cloned();
        let displaced: Vec<Quarantined> = self
            .known
            .quarantine
            .iter()
            .filter(|q| {
                q.id == *id && q.position != 0 && entry.as_ref().is_none_or(|e| e.position != q.position)
            })
            .filter(|q| q.origin.is_some_and(|o| self.is_own(o)))
            .cloned()
            .collect();
        let own = entry.as_ref().is_some_and(|e| self.is_own(e.stamp.origin));
        if !own && !displaced.is_empty() {
            // The event lost its id everywhere; nobody has to be told that its owner gives it up.
            self.changes.released.extend(displaced);
            return Ok(Outcome::Duplicate);
        }
        let entry = entry.ok_or_else(missing)?;
        if !own {
            return Ok(refused(
                RefusalCode::Forbidden,
                format!("{id}: only its owner, the node {}, can withdraw it", entry.stamp.origin),
            ));
        }
        if entry.event_type.is_reserved() {
            return Ok(refused(RefusalCode::Invalid, format!("{id}: the kit's own events stay")));
        }
        let refused_rows: Vec<_> = self
            .known
            .quarantine
            .iter()
            .filter(|q| q.side == QuarantineSide::Refused && q.id == *id)
            .cloned()
            .collect();
        if refused_rows.is_empty() {
            return Ok(refused(
                RefusalCode::Invalid,
                format!("{id}: nobody refused it; an event that others hold cannot be taken back"),
            ));
        }
        if self.known.is_withdrawn(id, &entry.claim()) {
            return Ok(Outcome::Duplicate);
        }
        let withdrawal = Withdrawal {
            id: id.clone(),
            event_type: entry.event_type,
            origin: entry.stamp.origin,
            counter: entry.stamp.counter,
            timestamp: entry.stamp.timestamp,
            parents: entry.stamp.parents,
            content: entry.content,
        };
        let outcome = self.log_kit_event(
            withdrawal.to_event(&entry.aggregate)?,
            Meaning::Withdrawal(withdrawal.clone()),
            withdrawal.parents,
        );
        if matches!(outcome, Outcome::Accepted { .. }) {
            self.changes.released.extend(refused_rows);
        }
        Ok(outcome)
    }

    pub(super) fn log_kit_event(
        &mut self,
        event: Event,
        meaning: Meaning,
        parents: Vec<VertexId>,
    ) -> Outcome {
        if let Some(refusal) = self.too_large(&event) {
            return Outcome::Refused(refusal);
        }
        let content = content_hash(&event);
        self.log_own(event, parents, content, meaning)
    }

    /// Offers own events again under smaller stamps: their first ones were made by a clock that ran ahead.
    pub(super) fn restamp(&mut self, events: Vec<Event>) {
        let first = self.written.outcomes.len();
        let mut known = Vec::new();
        for (i, event) in events.into_iter().enumerate() {
            let missing = format!("{}: there is no such event in this log", event.id);
            self.written.outcomes.push(refused(RefusalCode::Invalid, missing));
            known.extend(self.known.entries.get(&event.id).cloned().map(|entry| (entry, i, event)));
        }
        known.sort_by_key(|(entry, ..)| entry.position);
        for (_, i, event) in known {
            self.written.outcomes[first + i] = self.restamp_one(event);
        }
    }

    fn restamp_one(&mut self, event: Event) -> Outcome {
        // The same event may be asked for twice: the second time, its stamp is right.
        let Some(entry) = self.known.entries.get(&event.id).cloned() else { return Outcome::Duplicate };
        let ahead = entry.stamp.timestamp > self.around.now.plus(self.around.tolerance);
        let content = content_hash(&event);
        let counts = self.known.counting(&event.id).is_some();
        if !ahead || !counts || !self.is_own(entry.stamp.origin) || content != entry.content {
            return Outcome::Duplicate;
        }
        let parents = entry.stamp.parents.clone();
        let timestamp = self.tick(&event.aggregate_id, &parents);
        if timestamp >= entry.stamp.timestamp {
            return Outcome::Duplicate;
        }
        let Ok(meaning) = Meaning::of(&event, &parents, false) else { return Outcome::Duplicate };
        self.known.node.counter += 1;
        let stamp =
            Stamp { origin: self.known.node.node, counter: self.known.node.counter, timestamp, parents };
        Outcome::Accepted { position: self.log(event, stamp, content, None, false, meaning) }
    }

    pub(super) fn reoffer(&mut self, rows: Vec<Quarantined>) {
        for mut row in rows.into_iter().filter(|q| q.side == QuarantineSide::Refused) {
            row.refusal = Refusal::new(RefusalCode::Other, format!("{}: to be offered again", row.id));
            self.changes.quarantined.push(row);
        }
    }

    pub(super) fn reissue(&mut self, event: Event, rows: Vec<Quarantined>) {
        let content = content_hash(&event);
        let outcome = self.append_one(event, content);
        if outcome.refusal().is_none() {
            self.changes.released.extend(rows);
        }
        self.written.outcomes.push(outcome);
    }

    pub(super) fn is_own(&self, origin: crate::NodeId) -> bool {
        origin == self.known.node.node || self.known.node.former.contains(&origin)
    }
}

pub(super) fn refused(code: RefusalCode, detail: String) -> Outcome {
    Outcome::Refused(Refusal::new(code, detail))
}
