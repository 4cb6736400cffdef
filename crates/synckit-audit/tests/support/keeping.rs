//! An index beside a log.

use std::sync::Arc;

use synckit_audit::{
    AuditEntry, AuditFilter, AuditIndex, DifferenceKind, MemoryAuditIndex, rebuild, update, verify,
};
use synckit_core::{
    ErrorKind, Event, EventStore as _, EventType, LogId, NodeId, Stamp, Timestamp, VertexId,
    decision::{Decision, RESOLUTION},
    store::{Apply, Offered, Outcome, Write},
};
use synckit_node::SyncNode;
use synckit_store_mem::MemStore;

use super::{
    Place,
    sample::{all, decide, decide_each},
};

fn log_of(store: &MemStore) -> LogId {
    store.identity().log
}

/// What the log itself says.
async fn audited(store: &MemStore) -> Vec<AuditEntry> {
    let node = SyncNode::builder(Arc::new(store.clone())).build().unwrap();
    let mut found = Vec::new();
    node.audit(&AuditFilter::default(), |entry| {
        found.push(entry);
        Ok::<(), synckit_core::Error>(())
    })
    .await
    .unwrap();
    found
}

#[track_caller]
fn assert_same(index: &[AuditEntry], log: &[AuditEntry]) {
    assert_eq!(index, log);
    assert!(!log.is_empty());
}

pub(crate) async fn an_update_reads_what_is_new(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    let updated = update(&store, &*index).await.unwrap();
    assert_eq!((updated.added, updated.rebuilt), (0, false), "the log is empty");
    for round in 0..3 {
        decide_each(&store, round * 10..round * 10 + 10).await;
        let updated = update(&store, &*index).await.unwrap();
        assert_eq!((updated.added, updated.rebuilt), (10, false));
        assert_eq!(index.progress().await.unwrap().unwrap().mark, store.head().await.unwrap());
        assert_same(&all(&*index).await, &audited(&store).await);
    }
    assert_eq!(update(&store, &*index).await.unwrap().added, 0);
    let step_by_step = all(&*index).await;
    let anew = rebuild(&store, &*index).await.unwrap();
    assert_eq!((anew.added, anew.rebuilt), (30, true));
    assert_same(&all(&*index).await, &step_by_step);
    let verified = verify(&store, &*index).await.unwrap();
    assert!(verified.is_clean() && verified.decisions == 30, "{verified:?}");
}

pub(crate) async fn an_update_passes_what_is_no_decision(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    decide(&store, "first", "ann").await;
    let note = |n: usize| Event::new("note", format!("note-{n}").as_str(), &n).unwrap();
    store.write(Write::Append((0..6_000).map(note).collect())).await.unwrap();
    decide(&store, "last", "bob").await;
    assert_eq!(update(&store, &*index).await.unwrap().added, 2);
    assert_same(&all(&*index).await, &audited(&store).await);
    assert!(verify(&store, &*index).await.unwrap().is_clean());
}

fn stamped(event: &Event, origin: u128, at: u64, parents: &[&str]) -> Offered {
    let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
    let stamp = Stamp::checked(NodeId::from_u128(origin), 1, Timestamp::from_micros(at), parents);
    Offered { event: event.clone(), stamp: Some(stamp.unwrap()), stub: None, position: 0 }
}

/// A decision under a stamp and, to be written later, under a smaller one.
async fn decided_twice(store: &MemStore) -> Offered {
    let [left, right] = ["left", "right"].map(|id| Event::new("t", "x", &id).unwrap().with_id(id).unwrap());
    let parents = ["left", "right"].map(|id| VertexId::new(id).unwrap());
    let mut decision = Decision::adopting(parents.to_vec(), "keep", "keep_both");
    decision.decision = Some(decision.machine_id(&left.aggregate_id, &parents));
    let mut decided = Event::new("t", "x", &1).unwrap().with_id("synckit.r.1").unwrap();
    decided.event_type = EventType::new(RESOLUTION).unwrap();
    decided.data = decision.to_payload().unwrap();
    let late = stamped(&decided, 3, 50, &["left", "right"]);
    apply(store, vec![stamped(&left, 1, 10, &[]), stamped(&right, 2, 10, &[]), late]).await;
    stamped(&decided, 4, 40, &["left", "right"])
}

async fn apply(store: &MemStore, entries: Vec<Offered>) {
    let written = store.write(Write::Apply(Apply { entries, ..Apply::default() })).await.unwrap();
    assert!(written.outcomes.iter().all(|o| matches!(o, Outcome::Accepted { .. })), "{:?}", written.outcomes);
}

pub(crate) async fn a_decision_under_a_smaller_stamp_replaces_the_first(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    let early = decided_twice(&store).await;
    update(&store, &*index).await.unwrap();
    assert_eq!(all(&*index).await[0].position, 3);
    apply(&store, vec![early]).await;
    update(&store, &*index).await.unwrap();
    assert_same(&all(&*index).await, &audited(&store).await);
    assert_eq!(all(&*index).await.iter().map(|e| e.position).collect::<Vec<_>>(), [4]);
    assert!(verify(&store, &*index).await.unwrap().is_clean());
}

pub(crate) async fn another_log_is_read_anew_or_refused(place: Place) {
    let (store, other) = (MemStore::new(), MemStore::new());
    decide_each(&store, 0..4).await;
    decide_each(&other, 0..2).await;
    let index = place.open(log_of(&store)).await;
    update(&store, &*index).await.unwrap();
    let before = all(&*index).await;
    let mismatch = verify(&other, &*index).await.unwrap_err();
    assert_eq!(mismatch.kind(), ErrorKind::LogChanged, "{mismatch}");
    if index.log().is_some() {
        for refused in [update(&other, &*index).await, rebuild(&other, &*index).await] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::LogChanged);
        }
        assert_eq!(all(&*index).await, before, "nothing was changed");
        let beside = place.open(log_of(&other)).await;
        assert_eq!(beside.progress().await.unwrap(), None);
        let updated = update(&other, &*beside).await.unwrap();
        assert_eq!((updated.added, updated.rebuilt), (2, false));
        assert_same(&all(&*beside).await, &audited(&other).await);
        beside.clear().await.unwrap();
        assert_eq!(all(&*index).await, before, "each log has an index for itself");
    } else {
        let updated = update(&other, &*index).await.unwrap();
        assert_eq!((updated.added, updated.rebuilt), (2, true));
        assert_same(&all(&*index).await, &audited(&other).await);
    }
}

pub(crate) async fn a_restored_log_is_read_anew(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    decide_each(&store, 0..4).await;
    let backup = store.duplicate();
    decide_each(&store, 4..8).await;
    update(&store, &*index).await.unwrap();
    let updated = update(&backup, &*index).await.unwrap();
    assert_eq!((updated.added, updated.rebuilt), (4, true), "the log is shorter");
    assert_same(&all(&*index).await, &audited(&backup).await);

    update(&store, &*index).await.unwrap();
    decide_each(&backup, 10..20).await;
    assert_eq!(verify(&backup, &*index).await.unwrap_err().kind(), ErrorKind::LogChanged);
    let updated = update(&backup, &*index).await.unwrap();
    assert_eq!((updated.added, updated.rebuilt), (14, true), "the log is longer, and went another way");
    assert_same(&all(&*index).await, &audited(&backup).await);
}

pub(crate) async fn what_is_wrong_is_found_and_mended(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    decide_each(&store, 0..150).await;
    let scratch = MemoryAuditIndex::new();
    update(&store, &scratch).await.unwrap();
    let (mut entries, end) = (all(&scratch).await, scratch.progress().await.unwrap().unwrap());
    let (missing, different) = (entries.remove(120).position, entries[3].position);
    entries[3].decision.outcome = "forged".into();
    let mut extra = entries[7].clone();
    (extra.position, extra.event) = (extra.position - 1, "extra".parse().unwrap());
    let mut beyond = extra.clone();
    (beyond.position, beyond.event) = (end.mark.position + 5, "beyond".parse().unwrap());
    let (extra_at, beyond_at) = (extra.position, beyond.position);
    entries.extend([extra, beyond]);
    assert!(index.record(&entries, None, &end).await.unwrap());

    let verified = verify(&store, &*index).await.unwrap();
    let found: Vec<_> = verified.first.iter().map(|d| (d.position, d.kind)).collect();
    assert_eq!(
        found,
        [
            (different, DifferenceKind::Different),
            (extra_at, DifferenceKind::Extra),
            (missing, DifferenceKind::Missing),
            (beyond_at, DifferenceKind::Extra),
        ]
    );
    assert_eq!((verified.decisions, verified.differences, verified.is_clean()), (150, 4, false));
    rebuild(&store, &*index).await.unwrap();
    assert!(verify(&store, &*index).await.unwrap().is_clean());
    assert_same(&all(&*index).await, &audited(&store).await);
}

pub(crate) async fn what_was_replaced_since_is_no_difference(place: Place) {
    let store = MemStore::new();
    let index = place.open(log_of(&store)).await;
    let early = decided_twice(&store).await;
    update(&store, &*index).await.unwrap();
    apply(&store, vec![early]).await;
    decide(&store, "more", "ann").await;
    let verified = verify(&store, &*index).await.unwrap();
    assert!(verified.is_clean(), "the index is right as far as it has read: {verified:?}");
    let (mut forged, at) = (all(&*index).await, index.progress().await.unwrap().unwrap());
    forged[0].decision.outcome = "forged".into();
    assert!(index.record(&forged, Some(&at), &at).await.unwrap());
    assert_eq!(verify(&store, &*index).await.unwrap().first[0].kind, DifferenceKind::Extra);
}

pub(crate) async fn several_who_update_at_once_miss_and_double_nothing(place: Place) {
    let store = MemStore::new();
    let log = log_of(&store);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (index, store): (Arc<dyn AuditIndex>, _) = (place.open(log).await, store.clone());
        tasks.push(tokio::spawn(async move {
            let mut added = 0;
            while all(&*index).await.len() < 100 {
                added += update(&store, &*index).await.unwrap().added;
            }
            added
        }));
    }
    decide_each(&store, 0..100).await;
    let mut added = 0;
    for task in tasks {
        added += task.await.unwrap();
    }
    let index = place.open(log).await;
    assert_eq!(added, 100, "each decision was taken by one of them");
    assert_same(&all(&*index).await, &audited(&store).await);
    assert!(verify(&store, &*index).await.unwrap().is_clean());
}
