//! L4: a page, its conflicts and its checkpoint are written in one piece.

use std::sync::Arc;

use synckit_core::{
    ErrorKind, EventId, Filter,
    store::{Acknowledged, Apply, ReadRequest, RefusalCode, Write},
};

use crate::{
    polls::{dropped_after, dropped_after_urging},
    sample::{PEER, adopt, aggregate, checkpoint, event, events, pulled, refused, rivals, stamped},
    stores::Stores,
    subject::{Subject, kind, vertex},
};

/// More polls than any write takes.
const MOST_POLLS: usize = 10_000;

/// Drops `write` at each of its polls, each time on a store that `prepare` made. `traces` says of each thing that the
/// write leaves whether it is there; it may run while the write still goes on behind a dropped future, so that it looks
/// in the order which it is told.
async fn drop_everywhere(
    stores: &Stores<'_>,
    prepare: impl AsyncFn(&Subject) -> Write,
    traces: impl AsyncFn(&Subject, usize) -> bool,
    of: usize,
) {
    for polls in 1..MOST_POLLS {
        let store = stores.fresh().await;
        let write = prepare(&store).await;
        let completed = dropped_after(store.write(write.clone()), polls).await;
        for order in [(0..of).collect::<Vec<_>>(), (0..of).rev().collect()] {
            let mut there = false;
            for trace in order {
                let found = traces(&store, trace).await;
                assert!(found || !there, "half of a write that was dropped after {polls} polls is there");
                there = found;
            }
            assert!(there || completed.is_none(), "a write that had ended is not there");
        }
        if let Some(written) = completed {
            written.unwrap();
            return;
        }
        store.append(vec![event("after", "after", "1")]).await;
        store.write(write).await.unwrap();
        for trace in 0..of {
            assert!(traces(&store, trace).await, "the store is not usable after a write was dropped");
        }
    }
    panic!("the write does not end");
}

pub(super) async fn l4_a_dropped_apply_is_all_or_nothing(stores: &Stores<'_>) {
    let prepare = async |_: &Subject| {
        let mut entries = rivals("x");
        entries.push(stamped("waits", "y", 2, 900, 30, &["unknown"]));
        Write::Apply(Apply { checkpoint: Some(checkpoint(7)), ..pulled(entries) })
    };
    let traces = async |store: &Subject, trace| match trace {
        0 => store.checkpoints().await.unwrap().len() == 1,
        1 => store.count_conflicts().await.unwrap() == 1,
        2 => store.read(ReadRequest::default()).await.unwrap().entries.iter().any(|e| e.event.id.as_str() == "x-b"),
        3 => store.quarantine().await.unwrap().len() == 1,
        _ => store.entry("x-a").await.is_some(),
    };
    drop_everywhere(stores, prepare, traces, 5).await;
}

pub(super) async fn l4_a_dropped_append_is_all_or_nothing(stores: &Stores<'_>) {
    let prepare = async |_: &Subject| Write::Append(events("a", "x", 5));
    let traces = async |store: &Subject, trace| match trace {
        0 => store.entry("a1").await.is_some(),
        1 => store.entry("a5").await.is_some(),
        _ => store.heads("x").await == ["a5"],
    };
    drop_everywhere(stores, prepare, traces, 3).await;
}

pub(super) async fn l4_a_dropped_acknowledgement_is_all_or_nothing(stores: &Stores<'_>) {
    let prepare = async |store: &Subject| {
        store.append(events("a", "x", 2)).await;
        let node = store.identity().node;
        Write::Acknowledge(Acknowledged {
            checkpoint: checkpoint(2),
            refused: vec![refused("a2", node, 2, 2, RefusalCode::Quota)],
            released: Vec::new(), forget: None })
    };
    let traces = async |store: &Subject, trace| match trace {
        0 => store.checkpoints().await.unwrap().len() == 1,
        _ => store.quarantine().await.unwrap().len() == 1,
    };
    drop_everywhere(stores, prepare, traces, 2).await;
}

pub(super) async fn l4_a_dropped_decision_is_all_or_nothing(stores: &Stores<'_>) {
    let prepare = async |store: &Subject| {
        store.seed(rivals("x")).await;
        let mut draft = adopt(&store.conflict("x").await, "x-a", true);
        draft.expect_heads = false;
        Write::Decide(vec![draft])
    };
    let traces = async |store: &Subject, trace| match trace {
        0 => store.count_conflicts().await.unwrap() == 0,
        1 => store.heads("x").await.len() == 1,
        _ => store.head().await.unwrap().position >= 3 && store.all().await.iter().any(|e| e.event.event_type.is_reserved()),
    };
    drop_everywhere(stores, prepare, traces, 3).await;
}

pub(super) async fn l4_dropped_reads_do_no_harm(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 20)).await;
    let ids = [EventId::new("a1").unwrap()];
    for polls in 1..=20 {
        for read in 0..7 {
            match read {
                0 => drop(dropped_after_urging(store.head(), polls).await),
                1 => drop(dropped_after_urging(store.read(ReadRequest::default()), polls).await),
                2 => drop(dropped_after_urging(store.vector(), polls).await),
                3 => drop(dropped_after_urging(store.load(&ids), polls).await),
                4 => drop(dropped_after_urging(store.graphs(&[aggregate("x")]), polls).await),
                5 => drop(dropped_after_urging(store.sync_turn(), polls).await),
                _ => {
                    let waited = dropped_after_urging(store.appended(100_000), polls).await;
                    assert!(waited.is_none(), "there is nothing to be told of: {waited:?}");
                }
            }
            let written = store.write(Write::Append(vec![event(&format!("b{polls}-{read}"), "y", "1")])).await;
            let taken = written.map(|w| w.accepted());
            assert!(matches!(taken, Ok(1)), "after read {read} was dropped at poll {polls}: {taken:?}");
        }
    }
    assert_eq!(store.all().await.len(), 20 + 20 * 7);
}

pub(super) async fn l4_readers_never_see_half_a_page(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let shared = Arc::clone(&store.store);
    let reader = tokio::spawn(async move {
        loop {
            let held = shared.checkpoints().await.unwrap().first().map_or(0, |c| c.push);
            let conflicts = shared.count_conflicts().await.unwrap();
            let head = shared.head().await.unwrap().position;
            assert!(conflicts >= held && head >= 2 * held, "a checkpoint covers what is not there");
            let page = shared.read(ReadRequest::default()).await.unwrap();
            assert_eq!(page.next, page.head, "the page and its end do not belong together");
            assert_eq!(page.entries.len() as u64, page.head.position);
            if held == 30 {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    for page in 1..=30 {
        let entries = rivals(&format!("x{page:02}"));
        let written = store.apply(Apply { checkpoint: Some(checkpoint(page)), ..pulled(entries) }).await;
        assert_eq!(written.conflicts_opened, 1);
        tokio::task::yield_now().await;
    }
    reader.await.unwrap();
}

pub(super) async fn l4_a_failed_write_changes_nothing(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store.append(vec![event("own", "y", "1")]).await;
    let before = (store.head().await.unwrap(), store.graph("x").await.heads());
    let good = adopt(&store.conflict("x").await, "x-a", true);
    let mut bad = good.clone();
    bad.parents.push(vertex("unknown"));
    assert_eq!(kind(store.write(Write::Decide(vec![good, bad])).await), ErrorKind::NotFound);
    let ids = vec![EventId::new("own").unwrap(), EventId::new("unknown").unwrap()];
    assert_eq!(kind(store.write(Write::Withdraw(ids)).await), ErrorKind::NotFound);
    assert_eq!((store.head().await.unwrap(), store.graph("x").await.heads()), before);
    assert_eq!(store.count_conflicts().await.unwrap(), 1);
    store.append(vec![event("next", "y", "1")]).await;
    assert_eq!(store.entry("next").await.unwrap().stamp.counter, 2);
    let echo = ReadRequest::default().not_from(PEER, 0).filter(Filter::everything());
    assert_eq!(store.pages(&echo).await.len(), 2);
}
