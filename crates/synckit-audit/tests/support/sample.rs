//! Entries, logs and decisions to try things with.

use synckit_audit::{AuditEntry, AuditFilter, AuditIndex, AuditProgress};
use synckit_core::{
    Event, EventId, EventStore as _, Hash, LogCursor, LogId, Mark, NodeId, Timestamp, VertexId,
    decision::Decision,
    store::{DecisionDraft, Write},
};
use synckit_store_mem::MemStore;

pub(crate) const LOG: LogId = LogId::from_u128(7);

pub(crate) fn everything() -> AuditFilter {
    AuditFilter::default()
}

/// The log up to a position.
pub(crate) fn at(position: u64) -> AuditProgress {
    LogCursor { log: LOG, mark: Mark { position, hash: Hash::of(&position.to_be_bytes()) } }
}

pub(crate) fn decision(outcome: &str) -> Decision {
    Decision::adopting(vec![VertexId::new("head").unwrap()], outcome, "person")
}

pub(crate) fn entry(event: &str, position: u64, decision: Decision) -> AuditEntry {
    AuditEntry::new(
        event.parse().unwrap(),
        position,
        "pot-1".parse().unwrap(),
        NodeId::from_u128(1),
        Timestamp::from_micros(position.min(1_000_000)),
        decision,
    )
}

/// A decision of this group at this position.
pub(crate) fn of_group(group: &str, position: u64) -> AuditEntry {
    let mut decision = decision("keep");
    decision.group = Some(group.into());
    entry(&format!("e{position}"), position, decision)
}

pub(crate) async fn all(index: &dyn AuditIndex) -> Vec<AuditEntry> {
    index.find(&everything(), 0, usize::MAX).await.unwrap()
}

/// Writes an event about an aggregate of its own, and a decision of this person on it.
pub(crate) async fn decide(store: &MemStore, aggregate: &str, user: &str) {
    let event = Event::new("tea.brewed", aggregate, &user).unwrap();
    let parents = vec![VertexId::from(&event.id)];
    let aggregate = event.aggregate_id.clone();
    store.write(Write::Append(vec![event])).await.unwrap();
    let mut decision = Decision::adopting(parents.clone(), "keep", "person");
    (decision.user, decision.rule) = (Some(user.into()), Some("tea.pots".into()));
    (decision.group, decision.reasons) = (Some("tea".into()), vec!["a \0 in it".into()]);
    let draft = DecisionDraft { aggregate, parents, decision, by_machine: false, expect_heads: false };
    let written = store.write(Write::Decide(vec![draft])).await.unwrap();
    assert_eq!(written.accepted(), 1);
}

pub(crate) async fn decide_each(store: &MemStore, aggregates: std::ops::Range<usize>) {
    for n in aggregates {
        decide(store, &format!("pot-{n}"), "ann").await;
    }
}

pub(crate) fn id(event: &str) -> EventId {
    event.parse().unwrap()
}
