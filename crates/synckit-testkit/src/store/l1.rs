//! L1: positions are dense and commit-ordered.

use std::{collections::BTreeSet, sync::Arc};

use synckit_core::{EventStore, Hash, Mark, VectorCursor, store::{ReadRequest, Write}};

use crate::{
    sample::{NOW, event, events, ids, stamped},
    stores::Stores,
    subject::{Subject, accepted_at, vertex},
};

const WRITERS: usize = 16;
const WRITES: usize = 8;
const BATCH: usize = 3;

pub(super) async fn l1_an_empty_store_is_empty(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    assert_eq!(store.head().await.unwrap(), Mark::START);
    let page = store.read(ReadRequest::default()).await.unwrap();
    assert!(page.entries.is_empty() && !page.has_more);
    assert_eq!((page.next, page.head), (Mark::START, Mark::START));
    assert_eq!(store.hashes(&[0, 1]).await.unwrap(), [Some(Hash::ZERO), None]);
    assert!(store.load(&ids(&["a"])).await.unwrap().is_empty());
    assert!(store.aggregates(None, 10).await.unwrap().is_empty());
    assert!(store.conflicts(None, 10).await.unwrap().is_empty());
    assert!(store.checkpoints().await.unwrap().is_empty());
    assert!(store.quarantine().await.unwrap().is_empty());
    assert_eq!(store.vector().await.unwrap(), VectorCursor::default());
    assert!(store.heads("x").await.is_empty());
    assert!(store.graph("x").await.vertices().is_empty());
}

pub(super) async fn l1_positions_are_dense_from_one(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let written = store.append(events("a", "x", 3)).await;
    assert_eq!(accepted_at(&written), [1, 2, 3]);
    assert_eq!(written.head, store.head().await.unwrap());
    let written = store.pull(vec![stamped("b", "y", 2, 1, 1, &[]), stamped("c", "y", 2, 2, 2, &["b"])]).await;
    assert_eq!(accepted_at(&written), [4, 5]);
    assert_eq!(written.head.position, 5);
    assert_eq!(accepted_at(&store.append(vec![event("d", "y", "data")]).await), [6]);
}

pub(super) async fn l1_concurrent_writers_leave_nothing_out_for_a_tailing_reader(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let total = WRITERS * WRITES * BATCH;
    let tail = tokio::spawn(tail(Arc::clone(&store.store), total));
    write_concurrently(&store, |writer, write| events(&format!("{writer}-{write}-"), &format!("a{writer}"), BATCH))
        .await;
    let seen = tail.await.unwrap();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), total);
}

/// Reads as the log grows; each entry has to come next.
async fn tail(store: Arc<dyn EventStore>, total: usize) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), 0);
    while seen.len() < total {
        store.appended(after).await.unwrap();
        let page = store.read(ReadRequest::after(after).limit(7)).await.unwrap();
        for entry in page.entries {
            assert_eq!(entry.position, seen.len() as u64 + 1, "an entry is missing, or came twice");
            seen.push(entry.event.id.to_string());
        }
        after = page.next.position;
    }
    seen
}

async fn write_concurrently(store: &Subject, batch: impl Fn(usize, usize) -> Vec<synckit_core::Event>) {
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let batches: Vec<_> = (0..WRITES).map(|write| batch(writer, write)).collect();
        let store = Arc::clone(&store.store);
        tasks.push(tokio::spawn(async move {
            for batch in batches {
                let size = batch.len();
                let written = store.write(Write::Append(batch)).await.unwrap();
                assert_eq!(written.accepted(), size);
                let at = accepted_at(&written);
                assert!(at.windows(2).all(|w| w[1] == w[0] + 1), "a write is not one piece: {at:?}");
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

pub(super) async fn l1_concurrent_writers_of_one_aggregate_build_one_chain(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    write_concurrently(&store, |writer, write| events(&format!("{writer}-{write}-"), "x", 1)).await;
    let log = store.all().await;
    assert_eq!(log.len(), WRITERS * WRITES);
    for pair in log.windows(2) {
        assert_eq!(pair[1].stamp.parents, [vertex(pair[0].event.id.as_str())]);
        assert!(pair[1].stamp.timestamp > pair[0].stamp.timestamp);
    }
    assert!(store.in_conflict().await.is_empty());
}

pub(super) async fn l1_own_counters_are_dense(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 2)).await;
    store.seed(vec![stamped("b", "x", 2, 9, 1, &[])]).await;
    store.append(events("c", "y", 2)).await;
    let node = store.identity().node;
    let log = store.all().await;
    let own: Vec<u64> = log.iter().filter(|e| e.stamp.origin == node).map(|e| e.stamp.counter).collect();
    assert_eq!(own, [1, 2, 3, 4]);
}

pub(super) async fn l1_an_event_is_built_on_the_one_before(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1"), event("b", "y", "1"), event("c", "x", "1")]).await;
    assert_eq!(store.parents("a").await, []);
    assert_eq!(store.parents("b").await, []);
    assert_eq!(store.parents("c").await, [vertex("a")]);
    store.append(vec![event("d", "x", "1")]).await;
    assert_eq!(store.parents("d").await, [vertex("c")]);
    assert_eq!(store.heads("x").await, ["d"]);
    assert!(store.entry("a").await.unwrap().stamp.timestamp.as_micros() >= NOW);
}
