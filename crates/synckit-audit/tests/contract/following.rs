//! Indexes and their logs.

use std::sync::Arc;

use synckit_audit::{AuditFilter, AuditIndex, DifferenceKind, rebuild, update, verify};
use synckit_core::{ErrorKind, LogId};

use crate::support::{Place, Shop, at, entry};

async fn all(index: &dyn AuditIndex) -> Vec<synckit_audit::AuditEntry> {
    index.find(&AuditFilter::default(), 0, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn an_index_follows_its_log_and_can_be_made_anew() {
    for place in Place::all() {
        let mut shop = Shop::new();
        let index = place.open(shop.log()).await;
        let store = shop.store.clone();
        assert_eq!(update(&store, &*index).await.unwrap().added, 0);
        for conflicts in [3, 2, 0] {
            shop.disagree(conflicts).await;
            let updated = update(&store, &*index).await.unwrap();
            assert_eq!((updated.added, updated.rebuilt), (conflicts as u64, false), "{place:?}");
            assert_eq!(all(&*index).await, shop.audited().await);
        }
        let found = verify(&store, &*index).await.unwrap();
        assert!(found.is_clean() && found.decisions == 5, "{found:?}");
        let again = rebuild(&store, &*index).await.unwrap();
        assert_eq!((again.added, again.rebuilt), (5, true));
        assert_eq!(all(&*index).await, shop.audited().await);
        if !matches!(place, Place::Memory) {
            drop(index);
            let index = place.open(shop.log()).await;
            assert_eq!(update(&store, &*index).await.unwrap().added, 0, "{place:?}");
            assert_eq!(all(&*index).await, shop.audited().await);
        }
        place.leave().await;
    }
}

#[tokio::test]
async fn an_index_of_a_log_that_was_replaced_is_made_anew() {
    for place in Place::all() {
        let mut shop = Shop::new();
        shop.disagree(2).await;
        let index = place.open(shop.log()).await;
        let store = shop.store.clone();
        update(&store, &*index).await.unwrap();
        // As if the log had been longer, before it was restored from a backup.
        let (now, mut before) = (index.progress().await.unwrap().unwrap(), at(1_000));
        before.log = now.log;
        assert!(index.record(&[entry(999, "lost")], Some(&now), &before).await.unwrap());
        assert_eq!(verify(&store, &*index).await.unwrap_err().kind(), ErrorKind::LogChanged);
        let updated = update(&store, &*index).await.unwrap();
        assert_eq!((updated.added, updated.rebuilt), (2, true), "{place:?}");
        assert_eq!(all(&*index).await, shop.audited().await);

        let mut other = Shop::new();
        other.disagree(1).await;
        let of_other = update(&other.store.clone(), &*index).await;
        if matches!(place, Place::Server(_)) {
            assert_eq!(of_other.unwrap_err().kind(), ErrorKind::LogChanged);
            let second = place.open(other.log()).await;
            assert_eq!(update(&other.store.clone(), &*second).await.unwrap().added, 1);
            assert_eq!(all(&*index).await.len(), 2, "the indexes of two logs are beside each other");
        } else {
            assert!(of_other.unwrap().rebuilt);
            assert_eq!(all(&*index).await, other.audited().await);
        }
        drop(index);
        place.leave().await;
    }
}

#[tokio::test]
async fn what_is_not_as_the_log_says_is_found() {
    for place in Place::all() {
        let mut shop = Shop::new();
        shop.disagree(3).await;
        let index = place.open(shop.log()).await;
        let store = shop.store.clone();
        let logged = shop.audited().await;
        update(&store, &*index).await.unwrap();
        let progress = index.progress().await.unwrap().unwrap();
        let mut changed = logged[0].clone();
        changed.decision.user = Some("mallory".into());
        let moved = synckit_audit::AuditEntry::new(
            logged[1].event.clone(),
            logged[2].position + 500,
            logged[1].aggregate.clone(),
            logged[1].origin,
            logged[1].written_at,
            logged[1].decision.clone(),
        );
        let wrong = [changed, moved, entry(1, "invented")];
        assert!(index.record(&wrong, Some(&progress), &progress).await.unwrap());
        let found = verify(&store, &*index).await.unwrap();
        let kinds: Vec<_> = found.first.iter().map(|d| d.kind).collect();
        use DifferenceKind::{Different, Extra, Missing};
        assert_eq!(kinds, [Extra, Different, Missing, Extra], "{place:?}: {found:?}");
        rebuild(&store, &*index).await.unwrap();
        assert!(verify(&store, &*index).await.unwrap().is_clean());
        drop(index);
        place.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_who_bring_one_index_on_miss_and_double_nothing() {
    for place in Place::all() {
        let mut shop = Shop::new();
        let index = place.open(shop.log()).await;
        for _ in 0..4 {
            shop.disagree(4).await;
            let mut updating = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let index =
                    if matches!(place, Place::Memory) { index.clone() } else { place.open(shop.log()).await };
                let store = Arc::new(shop.store.clone());
                updating.spawn(async move { update(&*store, &*index).await.unwrap().added });
            }
            let added: u64 = updating.join_all().await.into_iter().sum();
            assert_eq!(added, 4, "{place:?}");
            assert_eq!(all(&*index).await, shop.audited().await);
        }
        drop(index);
        place.leave().await;
    }
}

#[tokio::test]
async fn indexes_are_opened_by_their_urls() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}/an%20index.db", folder.path().display());
    let log = LogId::from_u128(1);
    for url in ["mem:", "sqlite::memory:", &file] {
        synckit_audit::open_index(url, log).await.unwrap();
    }
    assert!(folder.path().join("an index.db").is_file());
    for (url, said) in [
        ("redis://x", "known schemes are mem:, sqlite:, postgres://"),
        ("nothing", "known schemes are"),
        ("sqlite:", "names no file"),
        ("sqlite:a.db?mode=ro", "has no parameters"),
        ("postgres://h", "names no database"),
    ] {
        let error = synckit_audit::open_index(url, log).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        assert!(error.to_string().contains(said), "{url}: {error}");
    }
}
