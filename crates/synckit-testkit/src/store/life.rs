//! Opening, closing, waiting, and taking turns.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use synckit_core::{
    ErrorKind, Result,
    store::{Acknowledged, Apply, ReadRequest, RefusalCode, Write},
};

use crate::{
    polls::assert_pending,
    sample::{aggregate, checkpoint, event, events, pulled, refused, rivals, stamped},
    stores::Stores,
    subject::{Subject, kind, vertex},
};
use tokio::task::JoinHandle;

pub(super) async fn life_a_store_says_who_it_is(stores: &Stores<'_>) {
    let store = stores.with(|setup| setup.label = "Küche \u{1F980}".into()).await;
    let identity = store.identity();
    assert_eq!((identity.label.as_str(), identity.mode), ("Küche \u{1F980}", stores.mode()));
    assert!(identity.former.is_empty());
    let other = stores.fresh().await.identity();
    assert!(identity.log != other.log && identity.node != other.node, "identities come from the randomness given");
    store.append(vec![event("a", "x", "1")]).await;
    assert_eq!(store.entry("a").await.unwrap().stamp.origin, identity.node);
    assert_eq!(store.identity(), identity);
    assert_eq!(stores.reopened(store).await.identity(), identity);
}

pub(super) async fn life_a_closed_store_says_so(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    let (identity, conflict) = (store.identity(), store.conflict("x").await);
    store.close().await.unwrap();
    store.close().await.unwrap();
    let closed = ErrorKind::Closed;
    assert_eq!(kind(store.head().await), closed);
    assert_eq!(kind(store.write(Write::Append(vec![event("a", "x", "1")])).await), closed);
    assert_eq!(kind(store.read(ReadRequest::default()).await), closed);
    assert_eq!(kind(store.hashes(&[1]).await), closed);
    assert_eq!(kind(store.load(&[]).await), closed);
    assert_eq!(kind(store.graphs(&[aggregate("x")]).await), closed);
    assert_eq!(kind(store.aggregates(None, 1).await), closed);
    assert_eq!(kind(store.conflicts(None, 1).await), closed);
    assert_eq!(kind(store.count_conflicts().await), closed);
    assert_eq!(kind(store.reviews(&conflict.id).await), closed);
    assert_eq!(kind(store.reviews_of(&conflict.aggregate).await), closed);
    assert_eq!(kind(store.disputed(None, 1).await), closed);
    assert_eq!(kind(store.decisions(&conflict.id).await), closed);
    assert_eq!(kind(store.checkpoints().await), closed);
    assert_eq!(kind(store.quarantine().await), closed);
    assert_eq!(kind(store.vector().await), closed);
    assert_eq!(kind(store.sync_turn().await), closed);
    assert_eq!(kind(store.appended(0).await), closed);
    assert_eq!(store.identity(), identity, "who it is needs no storage");
    store.close().await.unwrap();
}

pub(super) async fn life_closing_waits_for_what_is_running(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let mut writers = Vec::new();
    for n in 0..8 {
        let store = Arc::clone(&store.store);
        writers.push(tokio::spawn(async move {
            store.write(Write::Append(events(&format!("{n}-"), "x", 20))).await
        }));
    }
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    let mut ended = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(written) => ended += written.accepted() as u64,
            Err(e) => assert_eq!(e.kind(), ErrorKind::Closed, "{e}"),
        }
    }
    let reopens = store.reopen.is_some();
    let store = stores.reopened(store).await;
    if reopens {
        assert_eq!(store.head().await.unwrap().position, ended, "what was answered is there, and nothing else");
    }
}

/// Waits in a task of its own: a future that nobody polls may hold what others need.
fn waiting(store: &Subject, position: u64) -> Pin<Box<JoinHandle<Result<()>>>> {
    let store = Arc::clone(&store.store);
    Box::pin(tokio::spawn(async move { store.appended(position).await }))
}

pub(super) async fn life_closing_wakes_who_waits(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let mut waits = waiting(&store, 0);
    assert_pending(&mut waits, "there is nothing yet").await;
    store.close().await.unwrap();
    assert_eq!(kind(waits.await.unwrap()), ErrorKind::Closed);
}

pub(super) async fn life_a_store_keeps_everything(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("own", "w", 3)).await;
    store.seed(rivals("x")).await;
    let page = vec![stamped("waits", "y", 2, 900, 30, &["unknown"]), stamped("e", "z", 4, 1, 40, &[])];
    store.apply(Apply { checkpoint: Some(checkpoint(1)), ..pulled(page) }).await;
    store.pull(vec![stamped("e", "z", 5, 1, 50, &[])]).await;
    let row = refused("own3", store.identity().node, 3, 3, RefusalCode::Quota);
    let acknowledged = Acknowledged { checkpoint: checkpoint(3), refused: vec![row], released: Vec::new(), forget: None };
    store.write(Write::Acknowledge(acknowledged)).await.unwrap();
    let identity = store.identity();
    let before = (store.head().await.unwrap(), store.all().await, store.vector().await.unwrap());
    let known = (store.conflicts(None, 9).await.unwrap(), store.checkpoints().await.unwrap());
    let mut quarantine = store.quarantine().await.unwrap();
    let heads = store.graph("x").await.heads();
    let store = stores.reopened(store).await;
    assert_eq!(store.identity(), identity);
    assert_eq!((store.head().await.unwrap(), store.all().await, store.vector().await.unwrap()), before);
    assert_eq!((store.conflicts(None, 9).await.unwrap(), store.checkpoints().await.unwrap()), known);
    let mut again = store.quarantine().await.unwrap();
    for rows in [&mut quarantine, &mut again] {
        rows.sort_by_key(synckit_core::store::Quarantined::key);
    }
    assert_eq!(again, quarantine);
    assert_eq!(store.graph("x").await.heads(), heads);
    let written = store.append(vec![event("next", "w", "1")]).await;
    assert_eq!(written.head.position, before.0.position + 1);
    let next = store.entry("next").await.unwrap().stamp;
    assert_eq!((next.origin, next.counter, next.parents), (identity.node, 4, vec![vertex("own3")]));
}

pub(super) async fn life_turns_to_sync_exclude_each_other(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let turn = store.sync_turn().await.unwrap();
    let shared = Arc::clone(&store.store);
    let mut second = Box::pin(tokio::spawn(async move { shared.sync_turn().await }));
    assert_pending(&mut second, "two turns at once").await;
    store.append(vec![event("a", "x", "1")]).await;
    drop(turn);
    drop(second.await.unwrap().unwrap());
    let (inside, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (store, inside, turns) = (Arc::clone(&store.store), Arc::clone(&inside), Arc::clone(&turns));
        tasks.push(tokio::spawn(async move {
            let turn = store.sync_turn().await.unwrap();
            assert!(!inside.swap(true, Ordering::SeqCst), "two turns at once");
            tokio::task::yield_now().await;
            turns.fetch_add(1, Ordering::SeqCst);
            assert!(inside.swap(false, Ordering::SeqCst));
            drop(turn);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(turns.load(Ordering::SeqCst), 8);
}

pub(super) async fn life_a_dropped_wait_for_a_turn_loses_nothing(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let turn = store.sync_turn().await.unwrap();
    for _ in 0..5 {
        assert_pending(&mut Box::pin(store.sync_turn()), "two turns at once").await;
    }
    let mut next = Box::pin(store.sync_turn());
    assert_pending(&mut next, "two turns at once").await;
    drop(turn);
    drop(next.await.unwrap());
    drop(store.sync_turn().await.unwrap());
}

pub(super) async fn life_an_append_wakes_who_waits(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let mut tasks = Vec::new();
    for position in 0..4 {
        let store = Arc::clone(&store.store);
        tasks.push(tokio::spawn(async move {
            store.appended(position).await.unwrap();
            assert!(store.head().await.unwrap().position > position);
        }));
    }
    let mut waits = waiting(&store, 1);
    assert_pending(&mut waits, "there is nothing yet").await;
    store.append(vec![event("a", "x", "1")]).await;
    assert_pending(&mut waits, "the log ends at the position").await;
    store.append(events("b", "x", 3)).await;
    waits.await.unwrap().unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

pub(super) async fn life_no_wait_for_what_is_there(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    for position in 0..3 {
        store.appended(position).await.unwrap();
    }
    let mut waits = waiting(&store, 3);
    assert_pending(&mut waits, "the log ends at the position").await;
    let mut far = waiting(&store, u64::MAX);
    assert_pending(&mut far, "no log is that long").await;
    waits.abort();
    far.abort();
}
