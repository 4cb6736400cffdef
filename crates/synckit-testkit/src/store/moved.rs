//! Moving a log into another store, for stores that have that.

use std::sync::Arc;

use synckit_core::{
    Environment, ErrorKind, EventStore,
    store::{Outcome, Rows, Standing, StoreMaintenance, Table, Write},
};
use synckit_maintenance::{Arrival, Copied, copy};

use crate::{
    sample::{event, pulled, stamped},
    setup::Receive,
    stores::Stores,
    subject::{Subject, kind},
};

const SUCCESSOR: &str = "mem:successor";

/// A store in which there is some of everything.
async fn rich(stores: &Stores<'_>) -> Subject {
    let store = stores.fresh().await;
    crate::faults::fill(&*store.store).await.unwrap();
    store
}

fn maintenance(store: &dyn EventStore) -> &dyn StoreMaintenance {
    store.maintenance().unwrap()
}

/// Another store, to be filled from this one. None if stores of this kind cannot be moved; then they must say so.
async fn receiver(stores: &Stores<'_>, from: &Subject) -> Option<(Arc<dyn EventStore>, Receive)> {
    let Some(receive) = from.receive.take() else {
        assert!(from.maintenance().is_none(), "a store that can be moved needs Fixture::receive");
        return None;
    };
    let to = receive(from.identity()).await;
    stores.will_close(&to);
    Some((to, receive))
}

async fn moved(from: &dyn EventStore, to: &dyn EventStore) -> synckit_core::Result<Copied> {
    copy(from, to, &Arrival::moved(SUCCESSOR), &Environment::default(), |_, _| {}).await
}

async fn table(store: &dyn EventStore, table: Table, limit: usize) -> Vec<Rows> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let rows = maintenance(store).rows(table, after.as_deref(), limit).await.unwrap();
        after.clone_from(&rows.next);
        pages.push(rows);
        if after.is_none() {
            return pages;
        }
    }
}

/// All rows of a table, as text, sorted: within a page and an id, their order is the store's.
async fn lines(store: &dyn EventStore, which: Table, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for Rows { changes: c, .. } in table(store, which, limit).await {
        lines.extend(c.heads.iter().map(|r| format!("{r:?}")));
        lines.extend(c.decisions.iter().map(|r| format!("{r:?}")));
        lines.extend(c.reviews.iter().map(|r| format!("{r:?}")));
        lines.extend(c.withdrawn.iter().chain(&c.others).map(|r| format!("{r:?}")));
        lines.extend(c.known_stamps.iter().map(|r| format!("{r:?}")));
    }
    lines.sort_unstable();
    lines
}

async fn assert_same(a: &dyn EventStore, b: &dyn EventStore) {
    let all = synckit_core::store::ReadRequest::default();
    assert_eq!(crate::subject::all_entries(a, &all).await, crate::subject::all_entries(b, &all).await);
    assert_eq!(a.vector().await.unwrap(), b.vector().await.unwrap());
    assert_eq!(a.checkpoints().await.unwrap(), b.checkpoints().await.unwrap());
    let sorted = |mut rows: Vec<synckit_core::store::Quarantined>| {
        rows.sort_by_key(synckit_core::store::Quarantined::key);
        rows
    };
    assert_eq!(sorted(a.quarantine().await.unwrap()), sorted(b.quarantine().await.unwrap()));
    assert_eq!(a.conflicts(None, 1_000).await.unwrap(), b.conflicts(None, 1_000).await.unwrap());
    for which in Table::ALL {
        assert_eq!(lines(a, which, 1_000).await, lines(b, which, 1_000).await, "{which:?}");
    }
}

pub(super) async fn moved_with_everything(stores: &Stores<'_>) {
    let from = rich(stores).await;
    let Some((to, _)) = receiver(stores, &from).await else { return };
    let before = from.identity();
    let copied = moved(&*from.store, &*to).await.unwrap();
    let length = from.head().await.unwrap().position;
    assert_eq!((copied.entries, copied.total, copied.log, copied.node), (length, length, before.log, before.node));
    assert_eq!(to.identity(), before);
    assert_eq!(maintenance(&*to).node().await.unwrap(), maintenance(&*from.store).node().await.unwrap());
    assert_same(&*from.store, &*to).await;
    assert_eq!(maintenance(&*to).standing().await.unwrap(), Standing::Live);
    let written = to.write(Write::Append(vec![event("after", "tea", "1")])).await.unwrap();
    assert_eq!(written.outcomes, [Outcome::Accepted { position: length + 1 }]);
}

pub(super) async fn moved_logs_are_sealed(stores: &Stores<'_>) {
    let from = rich(stores).await;
    let Some((to, _)) = receiver(stores, &from).await else { return };
    moved(&*from.store, &*to).await.unwrap();
    let from = stores.reopened(from).await;
    let sealed = from.write(Write::Append(vec![event("late", "tea", "1")])).await.unwrap_err();
    assert_eq!(sealed.kind(), ErrorKind::Sealed);
    assert!(sealed.to_string().contains(SUCCESSOR), "{sealed}");
    assert!(from.entry("own-1").await.is_some(), "what is sealed can be read");
    let again = maintenance(&*from.store);
    again.seal(SUCCESSOR).await.unwrap();
    assert_eq!(kind(again.seal("mem:elsewhere").await), ErrorKind::Sealed);
    assert_eq!(again.standing().await.unwrap(), Standing::Sealed { successor: SUCCESSOR.into() });
}

pub(super) async fn moved_as_a_new_node(stores: &Stores<'_>) {
    let from = rich(stores).await;
    let Some((to, _)) = receiver(stores, &from).await else { return };
    copy(&*from.store, &*to, &Arrival::NewNode, &Environment::default(), |_, _| {}).await.unwrap();
    let (old, new) = (from.identity(), to.identity());
    assert!(old.node != new.node && old.log != new.log);
    assert!(new.is_or_was(old.node));
    for (store, id) in [(&from.store, "at-the-old"), (&to, "at-the-new")] {
        let written = store.write(Write::Append(vec![event(id, "tea", "1")])).await.unwrap();
        assert_eq!(written.accepted(), 1, "both go on");
    }
    let (old, new) = (from.vector().await.unwrap(), to.vector().await.unwrap());
    assert_ne!(old.origins().len(), new.origins().len(), "under stamps of their own");
}

/// A store that is half full is not taken for a whole one.
pub(super) async fn moved_by_half_is_no_store(stores: &Stores<'_>) {
    let from = rich(stores).await;
    let Some((to, receive)) = receiver(stores, &from).await else { return };
    let node = maintenance(&*from.store).node().await.unwrap();
    assert_eq!(kind(to.write(Write::Append(vec![event("early", "tea", "1")])).await), ErrorKind::Unfinished);
    assert_eq!(kind(maintenance(&*to).complete(node.clone()).await), ErrorKind::Invalid, "it is not whole");
    // What has come so far is kept, if the backend keeps anything, and the rest follows.
    let to = if stores.keeps(&from) {
        to.close().await.unwrap();
        let again = receive(from.identity()).await;
        stores.will_close(&again);
        again
    } else {
        to
    };
    moved(&*from.store, &*to).await.unwrap();
    assert_same(&*from.store, &*to).await;
    let full = maintenance(&*to);
    assert_eq!(kind(full.complete(node).await), ErrorKind::Invalid, "it is complete");
    assert_eq!(kind(moved(&*from.store, &*to).await), ErrorKind::Invalid, "a store is there");
}

/// What is written to the source meanwhile comes along.
pub(super) async fn moved_while_it_is_written_to(stores: &Stores<'_>) {
    let from = rich(stores).await;
    let Some((to, _)) = receiver(stores, &from).await else { return };
    let source = Arc::clone(&from.store);
    // The first page has been read by then; a smaller stamp makes an entry of it count no more.
    let late = std::sync::Mutex::new(Some(pulled(vec![stamped("own-1", "tea", 1, 1, 1, &[])])));
    let writing = std::sync::Mutex::new(Vec::new());
    copy(&*from.store, &*to, &Arrival::NewNode, &Environment::default(), |_, _| {
        if let Some(apply) = late.lock().unwrap().take() {
            let source = Arc::clone(&source);
            let write = async move { source.write(Write::Apply(apply)).await };
            writing.lock().unwrap().push(tokio::spawn(write));
        }
    })
    .await
    .unwrap();
    for task in writing.into_inner().unwrap() {
        task.await.unwrap().unwrap();
    }
    let held = to.head().await.unwrap();
    assert_eq!(from.hashes(&[held.position]).await.unwrap(), [Some(held.hash)], "it is a part of the log");
}

pub(super) async fn moved_tables_in_pages_of_every_size(stores: &Stores<'_>) {
    let from = rich(stores).await;
    if from.maintenance().is_none() {
        return;
    }
    for which in Table::ALL {
        let whole = lines(&*from.store, which, 1_000).await;
        assert!(!whole.is_empty(), "{which:?}");
        for limit in 1..=4 {
            assert_eq!(lines(&*from.store, which, limit).await, whole, "{which:?} by {limit}");
        }
    }
}
