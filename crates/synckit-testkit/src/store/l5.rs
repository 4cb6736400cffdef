//! L5: a log is a hash chain.

use synckit_core::{Hash, chain_hash, content_hash};

use crate::{
    sample::{event, events, stamped, stub, with_data},
    stores::Stores,
};

pub(super) async fn l5_hashes_follow_from_the_entries(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    store.seed(vec![stub(stamped("b", "y", 2, 1, 1, &[])), stamped("c", "y", 2, 2, 2, &["b"])]).await;
    let mut hash = Hash::ZERO;
    for entry in store.all().await {
        if !entry.stub {
            assert_eq!(entry.content, content_hash(&entry.event));
        }
        hash = chain_hash(&hash, &entry.event.id, &entry.stamp, &entry.content);
        assert_eq!(entry.hash, hash);
    }
    assert_eq!(store.head().await.unwrap().hash, hash);
}

pub(super) async fn l5_hashes_at_positions(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    let log = store.all().await;
    let at = |n: usize| Some(log[n - 1].hash);
    let hashes = store.hashes(&[3, 0, 1, 4, 2, 1, u64::MAX, i64::MAX as u64]).await.unwrap();
    assert_eq!(hashes, [at(3), Some(Hash::ZERO), at(1), None, at(2), at(1), None, None]);
    assert!(store.hashes(&[]).await.unwrap().is_empty());
}

pub(super) async fn l5_the_log_is_never_rewritten(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("b", "x", 2, 2, 60, &["a"]);
    store.seed(vec![stamped("a", "x", 2, 1, 50, &[]), stub(whole.clone())]).await;
    let before = store.all().await;
    store.seed(vec![whole, stamped("a", "x", 3, 1, 40, &[])]).await;
    store.seed(vec![with_data(stamped("a", "x", 4, 1, 30, &[]), "other")]).await;
    let after = store.all().await;
    assert_eq!(after.len(), 5);
    for (old, mut now) in before.into_iter().zip(after) {
        assert!(now.superseded);
        now.superseded = old.superseded;
        assert_eq!(old, now);
    }
}

pub(super) async fn l5_equal_writes_make_equal_hashes(stores: &Stores<'_>) {
    let page = || vec![stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 2, 20, &["a"])];
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    one.seed(page()).await;
    other.seed(page()).await;
    assert_eq!(one.head().await.unwrap(), other.head().await.unwrap());
    one.append(vec![event("c", "x", "1")]).await;
    other.append(vec![event("c", "x", "1")]).await;
    assert_ne!(one.head().await.unwrap(), other.head().await.unwrap(), "the stamps differ");
}
