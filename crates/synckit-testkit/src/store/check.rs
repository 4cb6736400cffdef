//! What holds for every store at every time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use synckit_core::{
    AggregateId, Environment, EventId, EventStore, Hash, Mark, Timestamp, VertexId, chain_hash, content_hash,
    decision::{Decision, RESOLUTION, WITHDRAWAL, Withdrawal},
    limits::MAX_TIMESTAMP_MICROS,
    store::{LogEntry, ReadRequest},
};

use crate::{environment::ManualClock, subject::all_pages};

/// Compares the log with everything that the store says of it. Nobody may be writing meanwhile.
pub(crate) async fn check(store: &dyn EventStore) {
    let log: Vec<LogEntry> =
        all_pages(store, &ReadRequest::default()).await.into_iter().flat_map(|p| p.entries).collect();
    check_chain(store, &log).await;
    check_parents(&log);
    let counting = check_counting(store, &log).await;
    check_aggregates(store, &counting).await;
    let vector = store.vector().await.unwrap();
    for entry in &log {
        let (origin, counter) = (entry.stamp.origin, entry.stamp.counter);
        assert!(vector.covers(origin, counter), "the progress leaves out {}", entry.event.id);
    }
    if store.maintenance().is_some() {
        examined(store).await;
    }
}

/// An examination finds nothing wrong. Clocks are not its concern here, nor are checkpoints, which cases make up.
async fn examined(store: &dyn EventStore) {
    let late = ManualClock::at(Timestamp::from_micros(MAX_TIMESTAMP_MICROS));
    let environment = Environment { clock: Arc::new(late), ..Environment::default() };
    let examined = synckit_maintenance::examine(store, &environment, |_, _| {}).await.unwrap();
    let wrong: Vec<_> = examined.findings.iter().filter(|f| f.kind != "checkpoint").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// L1 and L5.
async fn check_chain(store: &dyn EventStore, log: &[LogEntry]) {
    let mut at = Mark::START;
    for entry in log {
        at.position += 1;
        assert_eq!(entry.position, at.position, "positions are not dense");
        if !entry.stub {
            assert_eq!(entry.content, content_hash(&entry.event), "{}: wrong content hash", entry.event.id);
        }
        at.hash = chain_hash(&at.hash, &entry.event.id, &entry.stamp, &entry.content);
        assert_eq!(entry.hash, at.hash, "{}: wrong chain hash", entry.event.id);
    }
    assert_eq!(store.head().await.unwrap(), at, "the head is not the last entry");
    let positions: Vec<u64> = (0..=log.len() as u64 + 1).collect();
    let mut expected = vec![Some(Hash::ZERO)];
    expected.extend(log.iter().map(|e| Some(e.hash)));
    expected.push(None);
    assert_eq!(store.hashes(&positions).await.unwrap(), expected, "hashes differ from those of the entries");
}

/// L3.
fn check_parents(log: &[LogEntry]) {
    let mut held: BTreeSet<VertexId> = BTreeSet::new();
    for entry in log {
        for parent in &entry.stamp.parents {
            assert!(held.contains(parent), "{} comes before its parent {parent}", entry.event.id);
        }
        held.insert(VertexId::from(&entry.event.id));
        match entry.event.event_type.as_str() {
            RESOLUTION => {
                let decision = Decision::read(&entry.event, &entry.stamp.parents).unwrap();
                held.insert(decision.vertex(&entry.event.id));
            }
            WITHDRAWAL => {
                held.insert(VertexId::from(&Withdrawal::read(&entry.event).unwrap().id));
            }
            _ => {}
        }
    }
}

/// L2: at most one entry counts for each id: that with the smallest stamp of those that hold data and are not withdrawn.
async fn check_counting(store: &dyn EventStore, log: &[LogEntry]) -> BTreeMap<EventId, LogEntry> {
    let mut counting: BTreeMap<EventId, LogEntry> = BTreeMap::new();
    for entry in log.iter().filter(|e| !e.superseded) {
        let before = counting.insert(entry.event.id.clone(), entry.clone());
        assert!(before.is_none(), "two entries count for {}", entry.event.id);
    }
    let withdrawn: BTreeSet<EventId> = log
        .iter()
        .filter(|e| e.event.event_type.as_str() == WITHDRAWAL)
        .map(|e| Withdrawal::read(&e.event).unwrap().id)
        .collect();
    for entry in log.iter().filter(|e| !withdrawn.contains(&e.event.id)) {
        let counts = counting.get(&entry.event.id);
        assert!(counts.is_some(), "no entry counts for {}", entry.event.id);
        let smaller = counts.is_some_and(|c| entry.stamp.is_before(&c.stamp) && (c.stub || !entry.stub));
        assert!(!smaller, "{}: the entry at {} has a smaller stamp", entry.event.id, entry.position);
    }
    let ids: Vec<EventId> = counting.keys().cloned().collect();
    let mut loaded = store.load(&ids).await.unwrap();
    loaded.sort_by(|a, b| a.event.id.cmp(&b.event.id));
    assert!(loaded.iter().eq(counting.values()), "loading by id gives other entries than reading");
    counting
}

/// The lists of aggregates and conflicts, and the histories.
async fn check_aggregates(store: &dyn EventStore, counting: &BTreeMap<EventId, LogEntry>) {
    let listed = store.aggregates(None, usize::MAX).await.unwrap();
    assert!(
        listed.is_sorted_by(|a, b| a.as_str().as_bytes() < b.as_str().as_bytes()),
        "aggregates are not sorted"
    );
    let known: BTreeSet<&AggregateId> = listed.iter().collect();
    let mut vertices: HashMap<&AggregateId, BTreeSet<VertexId>> = HashMap::new();
    for entry in counting.values().filter(|e| !e.event.event_type.is_reserved()) {
        let aggregate = &entry.event.aggregate_id;
        assert!(known.contains(aggregate), "the aggregate {aggregate} is not listed");
        vertices.entry(aggregate).or_default().insert(VertexId::from(&entry.event.id));
    }
    let graphs = store.graphs(&listed).await.unwrap();
    assert_eq!(graphs.len(), listed.len());
    let mut conflicts = Vec::new();
    for (aggregate, graph) in listed.iter().zip(&graphs) {
        assert_eq!(graph.aggregate(), aggregate, "the histories are not in the order of the request");
        for vertex in vertices.remove(aggregate).unwrap_or_default() {
            assert!(graph.contains(&vertex), "the history of {aggregate} lacks {vertex}");
        }
        conflicts.extend(graph.conflict().map(|c| (c.aggregate, c.id)));
    }
    let open = store.conflicts(None, usize::MAX).await.unwrap();
    assert_eq!(store.count_conflicts().await.unwrap(), open.len() as u64);
    for conflict in &open {
        let reviews = store.reviews_of(&conflict.aggregate).await.unwrap();
        assert_eq!(conflict.in_review, !reviews.is_empty(), "{}", conflict.aggregate);
    }
    let mut disputed: BTreeSet<&AggregateId> = open.iter().map(|c| &c.aggregate).collect();
    let settling = |e: &&LogEntry| [RESOLUTION, WITHDRAWAL].contains(&e.event.event_type.as_str());
    disputed.extend(counting.values().filter(settling).map(|e| &e.event.aggregate_id));
    let found = store.disputed(None, usize::MAX).await.unwrap();
    assert!(found.iter().eq(disputed), "the disputed aggregates are others than those of the log: {found:?}");
    let open: Vec<_> = open.into_iter().map(|c| (c.aggregate, c.id)).collect();
    assert_eq!(open, conflicts, "the open conflicts are not those of the histories");
}
