//! What has to be known before a write can be planned.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use super::{Claim, Known, Lookup, NodeState};
use crate::{
    decision::{Decision, RESOLUTION, WITHDRAWAL, Withdrawal},
    event::Event,
    hash::content_hash,
    ids::{AggregateId, EventId, VertexId},
    stamp::Timestamp,
    store::{Apply, Offered, QuarantineSide, Quarantined, RefusalCode, Write},
};

impl Lookup {
    fn vertex(&mut self, vertex: &VertexId) {
        if vertex.is_reserved() {
            self.decisions.insert(vertex.clone());
        }
        self.ids.insert(EventId::from(vertex));
    }

    fn event(&mut self, event: &Event) {
        self.ids.insert(event.id.clone());
        self.aggregates.insert(event.aggregate_id.clone());
    }

    /// The decision in an event of the kit, if it is a machine's.
    fn decision(&mut self, event: &Event, parents: &[VertexId]) {
        if event.event_type.as_str() == RESOLUTION
            && let Ok(Decision { decision: Some(id), .. }) = Decision::read(event, parents)
        {
            self.decisions.insert(id);
        }
    }

    /// What it takes to count an event under another stamp, when the one that counts is withdrawn.
    fn others(&mut self, id: &EventId, known: &Known) {
        self.events.insert(id.clone());
        let others = known.others.get(id).into_iter().flatten();
        others.flat_map(|c| &c.stamp.parents).for_each(|p| self.vertex(p));
    }

    fn offered(&mut self, offered: &Offered, node: &NodeState) {
        self.event(&offered.event);
        self.beside(offered, node);
    }

    /// What has to be known of an entry beside its event.
    fn beside(&mut self, offered: &Offered, node: &NodeState) {
        if let Some(stamp) = &offered.stamp {
            // Those of domain events are mostly known by then: from the same page, or as heads.
            if offered.event.event_type.is_reserved() {
                stamp.parents.iter().for_each(|p| self.vertex(p));
            }
            if stamp.origin == node.node {
                self.own_counters.insert(stamp.counter);
            }
            match offered.event.event_type.as_str() {
                RESOLUTION => self.decision(&offered.event, &stamp.parents),
                WITHDRAWAL => {
                    if let Ok(withdrawal) = Withdrawal::read(&offered.event) {
                        self.ids.insert(withdrawal.id);
                        withdrawal.parents.iter().for_each(|p| self.vertex(p));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Each name once. To hash all is faster than to sort all.
fn distinct<'a>(names: impl Iterator<Item = &'a AggregateId>) -> BTreeSet<AggregateId> {
    let distinct: HashSet<&AggregateId> = names.collect();
    distinct.into_iter().cloned().collect()
}

pub(super) fn lookup(write: &Write, node: &NodeState) -> Lookup {
    let mut lookup = Lookup::default();
    match write {
        Write::Append(events) => {
            lookup.ids = events.iter().map(|e| e.id.clone()).collect();
            lookup.aggregates = distinct(events.iter().map(|e| &e.aggregate_id));
        }
        Write::Apply(apply) => {
            let all = || apply.entries.iter().chain(apply.retried.iter().filter_map(|q| q.held.as_ref()));
            // Ids mostly come in their order, in which they are put together faster than one by one.
            lookup.ids = all().map(|o| o.event.id.clone()).collect();
            lookup.aggregates = distinct(all().map(|o| &o.event.aggregate_id));
            all().for_each(|offered| lookup.beside(offered, node));
            lookup.unstamped_from = apply.peer.filter(|_| apply.entries.iter().any(|e| e.stamp.is_none()));
            lookup.quarantine = apply.retry_held || lookup.unstamped_from.is_some();
        }
        Write::Decide(drafts) => {
            for draft in drafts {
                lookup.aggregates.insert(draft.aggregate.clone());
                draft.parents.iter().for_each(|p| lookup.vertex(p));
                if draft.by_machine {
                    lookup.decisions.insert(draft.decision.machine_id(&draft.aggregate, &draft.parents));
                }
            }
        }
        Write::Review(reviews) => {
            for (aggregate, review) in reviews {
                if let Ok(event) = review.to_event(aggregate) {
                    lookup.event(&event);
                }
            }
        }
        Write::Withdraw(ids) => {
            lookup.ids.extend(ids.iter().cloned());
            lookup.quarantine = true;
        }
        Write::Restamp(events) => {
            for event in events {
                lookup.event(event);
                lookup.ids.extend(withdrawn_by(event));
            }
        }
        Write::Acknowledge(acknowledged) => {
            lookup.ids.extend(acknowledged.refused.iter().map(|q| q.id.clone()));
        }
        Write::Reissue(event, _) => lookup.event(event),
        Write::Release(_) | Write::Reoffer(_) => {}
    }
    lookup
}

/// The events that are given, and those in quarantine that are tried again.
fn all_offered<'a>(apply: &'a Apply, known: &'a Known) -> impl Iterator<Item = &'a Offered> {
    let retried = apply.retried.iter().filter_map(|q| q.held.as_ref());
    let held = known.worth_retrying().filter(|_| apply.retry_held).filter_map(|q| q.held.as_ref());
    apply.entries.iter().chain(retried).chain(held)
}

impl Known {
    /// A head of the aggregate before the write, if it is a domain event that counts: then it is held, and its stamp has
    /// that timestamp.
    pub(super) fn plain_head(&self, aggregate: &AggregateId, vertex: &VertexId) -> Option<Timestamp> {
        let head = self.heads.get(aggregate)?.iter().find(|h| h.vertex == *vertex)?;
        let newest = head.newest.as_ref().filter(|newest| newest.id.as_str() == vertex.as_str())?;
        (newest.timestamp == head.timestamp).then_some(head.timestamp)
    }

    /// What is held and may be taken now: the cause may have gone, the event may have been withdrawn, or its id may be its
    /// own.
    pub(super) fn worth_retrying(&self) -> impl Iterator<Item = &Quarantined> {
        let mismatch_passed = |offered: &Offered| {
            let Some(claim) = claim_of(offered) else { return false };
            let holder = self.holder(&offered.event.id);
            self.is_withdrawn(&offered.event.id, &claim)
                || holder.is_none_or(|h| h.is_same_event(&claim) || claim.is_before(&h))
        };
        self.quarantine.iter().filter(|q| q.side == QuarantineSide::Held).filter(move |q| {
            match q.refusal.code {
                RefusalCode::ContentMismatch => q.held.as_ref().is_some_and(mismatch_passed),
                code => code.may_pass(),
            }
        })
    }

    /// The aggregates in which something claims this id.
    fn claimed_in<'a>(&'a self, id: &EventId) -> impl Iterator<Item = &'a AggregateId> {
        let withdrawn = self.withdrawn.get(id).into_iter().flatten().map(|c| &c.aggregate);
        self.entries.get(id).map(|e| &e.aggregate).into_iter().chain(withdrawn)
    }
}

fn claim_of(offered: &Offered) -> Option<Claim> {
    let content = offered.stub.unwrap_or_else(|| content_hash(&offered.event));
    let (aggregate, stamp) = (offered.event.aggregate_id.clone(), offered.stamp.clone()?);
    Some(Claim { aggregate, stamp, content })
}

/// The id of what an event withdraws.
fn withdrawn_by(event: &Event) -> Option<EventId> {
    let withdraws = event.event_type.as_str() == WITHDRAWAL;
    withdraws.then(|| Withdrawal::read(event).ok().map(|w| w.id)).flatten()
}

pub(super) fn lookup_again(write: &Write, known: &Known) -> Lookup {
    let mut lookup = Lookup::default();
    match write {
        Write::Apply(apply) => {
            let held = known.quarantine.iter().filter(|_| apply.retry_held).filter_map(|q| q.held.as_ref());
            for offered in held.clone() {
                lookup.offered(offered, &known.node);
                // What is held under its id comes with the same answer, and may have the data.
                if offered.stub.is_some() {
                    lookup.events.insert(offered.event.id.clone());
                }
            }
            lookup.ids.extend(known.last_unstamped.values().cloned());
            apply.retried.iter().for_each(|q| lookup.others(&q.id, known));
            let given: HashSet<&str> = apply.entries.iter().map(|o| o.event.id.as_str()).collect();
            let retried = apply.retried.iter().filter_map(|q| q.held.as_ref());
            for offered in apply.entries.iter().chain(retried).chain(held) {
                lookup.aggregates.extend(known.claimed_in(&offered.event.id).cloned());
                let parents = offered.stamp.iter().flat_map(|stamp| &stamp.parents);
                parents
                    .filter(|p| !given.contains(p.as_str()))
                    .filter(|p| known.plain_head(&offered.event.aggregate_id, p).is_none())
                    .for_each(|p| lookup.vertex(p));
                if known.entries.get(&offered.event.id).is_some_and(|held| held.lends_data(offered)) {
                    lookup.events.insert(offered.event.id.clone());
                }
                if let Some(id) = withdrawn_by(&offered.event) {
                    lookup.aggregates.extend(known.claimed_in(&id).cloned());
                    lookup.others(&id, known);
                }
            }
        }
        Write::Withdraw(ids) => {
            ids.iter().for_each(|id| lookup.others(id, known));
            for entry in ids.iter().filter_map(|id| known.entries.get(id)) {
                lookup.aggregates.insert(entry.aggregate.clone());
                entry.stamp.parents.iter().for_each(|p| lookup.vertex(p));
            }
        }
        Write::Restamp(events) => {
            for (event, entry) in events.iter().filter_map(|e| Some((e, known.entries.get(&e.id)?))) {
                lookup.aggregates.insert(entry.aggregate.clone());
                entry.stamp.parents.iter().for_each(|p| lookup.vertex(p));
                lookup.decision(event, &entry.stamp.parents);
            }
        }
        _ => {}
    }
    lookup
}

pub(super) fn graphs<'a>(write: &'a Write, known: &'a Known) -> BTreeSet<AggregateId> {
    let mut wanted = BTreeSet::new();
    match write {
        Write::Apply(apply) => {
            let mut named: HashSet<Cow<'_, EventId>> = HashSet::with_capacity(apply.entries.len());
            let mut again: HashSet<Cow<'_, EventId>> = HashSet::new();
            let names =
                |o: &'a Offered| withdrawn_by(&o.event).map_or(Cow::Borrowed(&o.event.id), Cow::Owned);
            for id in all_offered(apply, known).map(names) {
                if let Some(id) = named.replace(id) {
                    again.insert(id);
                }
            }
            for offered in all_offered(apply, known) {
                let id = names(offered);
                if again.contains(&id) || needs_graph(offered, known) {
                    wanted.insert(offered.event.aggregate_id.clone());
                    wanted.extend(known.claimed_in(&id).cloned());
                }
            }
        }
        Write::Decide(drafts) => wanted.extend(drafts.iter().map(|d| d.aggregate.clone())),
        Write::Restamp(events) => wanted.extend(events.iter().map(|e| e.aggregate_id.clone())),
        Write::Withdraw(ids) => {
            wanted.extend(ids.iter().filter_map(|id| known.entries.get(id)).map(|e| e.aggregate.clone()));
        }
        _ => {}
    }
    wanted
}

/// Whether an entry may change more than the heads that it names: a decision, a withdrawal, or another stamp for an event
/// that is already there.
fn needs_graph(offered: &Offered, known: &Known) -> bool {
    if offered.event.event_type.is_reserved() {
        return true;
    }
    if known.withdrawn.contains_key(&offered.event.id) {
        return true;
    }
    let (Some(stamp), Some(held)) = (&offered.stamp, known.entries.get(&offered.event.id)) else {
        return false;
    };
    if !stamp.is_before(&held.stamp) && !held.stub {
        return false;
    }
    let simple = known.heads.get(&held.aggregate).is_some_and(|heads| heads.iter().all(|h| !h.is_decision));
    let same = stamp.parents == held.stamp.parents
        && offered.stub.unwrap_or_else(|| content_hash(&offered.event)) == held.content;
    !(simple && same)
}
