//! L9: what cannot be taken is held.

use synckit_core::{
    LogId,
    store::{Apply, Offered, QuarantineSide, Quarantined, RefusalCode, Write},
};

use crate::{
    sample::{PEER, event, pulled, stamped, with_data},
    stores::Stores,
    subject::{Subject, codes, ids_of},
};

async fn rows(store: &Subject) -> Vec<Quarantined> {
    let mut rows = store.quarantine().await.unwrap();
    rows.sort_by_key(Quarantined::key);
    rows
}

async fn retry(store: &Subject, entries: Vec<Offered>) -> usize {
    store.apply(Apply { retry_held: true, ..pulled(entries) }).await.released
}

pub(super) async fn l9_what_cannot_be_taken_is_held(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let waits = stamped("b", "x", 2, 2, 20, &["a"]);
    let written = store.pull(vec![waits.clone(), stamped("c", "y", 2, 3, 30, &[])]).await;
    let refusal = written.outcomes[0].refusal().unwrap().clone();
    let expected = Quarantined {
        side: QuarantineSide::Held,
        peer: PEER,
        id: waits.event.id.clone(),
        origin: waits.stamp.as_ref().map(|s| s.origin),
        counter: 2,
        refusal,
        position: 0,
        held: Some(waits.clone()),
    };
    assert_eq!(rows(&store).await, std::slice::from_ref(&expected));
    store.pull(vec![waits]).await;
    assert_eq!(rows(&store).await, std::slice::from_ref(&expected), "offered again, it is held once");
    let store = stores.reopened(store).await;
    assert_eq!(rows(&store).await, [expected]);
    assert_eq!(ids_of(&store.all().await), ["c"]);
}

pub(super) async fn l9_nothing_is_held_unless_asked(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let waits = stamped("b", "x", 2, 2, 20, &["a"]);
    let written = store.apply(Apply { hold: false, ..pulled(vec![waits]) }).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent")]);
    assert!(rows(&store).await.is_empty(), "it stays with the pusher");
}

pub(super) async fn l9_what_is_held_is_taken_once_it_can_be(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.pull(vec![stamped("b", "x", 2, 2, 20, &["a"])]).await;
    assert_eq!(retry(&store, Vec::new()).await, 0);
    assert_eq!(rows(&store).await.len(), 1);
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[])]).await;
    assert_eq!(rows(&store).await.len(), 1, "it is tried again when that is asked for");
    assert_eq!(retry(&store, Vec::new()).await, 1);
    assert!(rows(&store).await.is_empty());
    let entry = store.entry("b").await.unwrap();
    assert_eq!((entry.position, entry.from), (2, None), "the peer may have lost it meanwhile");
    assert_eq!(store.heads("x").await, ["b"]);
    assert_eq!(retry(&store, Vec::new()).await, 0);
}

pub(super) async fn l9_a_chain_that_waited_is_taken_in_one_write(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let chain: Vec<Offered> = (2..=6)
        .map(|n| stamped(&format!("e{n}"), "x", 2, n, 10 * n, &[&format!("e{}", n - 1)]))
        .collect();
    for offered in chain.into_iter().rev() {
        store.pull(vec![offered]).await;
    }
    assert_eq!(rows(&store).await.len(), 5);
    assert_eq!(retry(&store, vec![stamped("e1", "x", 2, 1, 10, &[])]).await, 5);
    assert_eq!(ids_of(&store.all().await), ["e1", "e2", "e3", "e4", "e5", "e6"]);
    assert!(rows(&store).await.is_empty());
}

pub(super) async fn l9_what_is_refused_for_good_stays_held(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[])]).await;
    let other = with_data(stamped("a", "x", 3, 1, 20, &[]), "other");
    store.pull(vec![other, stamped("synckit.mine", "x", 3, 2, 30, &["a"])]).await;
    let before = rows(&store).await;
    let reasons: Vec<RefusalCode> = before.iter().map(|q| q.refusal.code).collect();
    assert_eq!(reasons, [RefusalCode::ContentMismatch, RefusalCode::Invalid]);
    assert_eq!(retry(&store, Vec::new()).await, 0);
    assert_eq!(rows(&store).await, before);
    store.write(Write::Release(vec![before[0].clone()])).await.unwrap();
    assert_eq!(rows(&store).await, before[1..]);
}

pub(super) async fn l9_one_row_can_be_tried_alone(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.pull(vec![stamped("b", "x", 2, 2, 20, &["a"]), stamped("d", "y", 2, 4, 40, &["c"])]).await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[]), stamped("c", "y", 2, 3, 30, &[])]).await;
    let held = rows(&store).await;
    let written = store.apply(Apply { retried: vec![held[1].clone()], ..Apply::default() }).await;
    assert_eq!((written.released, written.outcomes.len()), (1, 0));
    assert_eq!(rows(&store).await, held[..1]);
    assert_eq!(store.entry("d").await.unwrap().from, None, "the peer may have lost it meanwhile");
}

pub(super) async fn l9_what_is_refused_blocks_only_its_descendants(stores: &Stores<'_>) {
    let store = stores.with(|setup| setup.max_data_bytes = 50).await;
    let page = vec![
        stamped("a", "x", 2, 1, 10, &[]),
        with_data(stamped("large", "x", 2, 2, 20, &["a"]), &"l".repeat(100)),
        stamped("child", "x", 3, 1, 30, &["large"]),
        stamped("sibling", "x", 3, 2, 40, &["a"]),
        stamped("grandchild", "x", 4, 1, 50, &["child"]),
        stamped("elsewhere", "y", 2, 3, 60, &[]),
    ];
    let written = store.pull(page).await;
    let waiting = Some("waiting_for_parent");
    assert_eq!(codes(&written), [None, Some("too_large"), waiting, None, waiting, None]);
    assert_eq!(ids_of(&store.all().await), ["a", "sibling", "elsewhere"]);
    assert_eq!(rows(&store).await.len(), 3);
}

pub(super) async fn l9_an_event_without_stamp_is_held(stores: &Stores<'_>) {
    let store = stores.with(|setup| setup.max_data_bytes = 50).await;
    let plain = LogId::from_u128(0x90);
    let large = event("large", "x", &"l".repeat(100));
    let offered = Offered { position: 3, ..Offered::unstamped(large) };
    let apply = Apply { peer: Some(plain), entries: vec![offered.clone()], hold: true, ..Apply::default() };
    assert_eq!(codes(&store.apply(apply).await), [Some("too_large")]);
    let held = rows(&store).await;
    assert_eq!(held.len(), 1);
    let kept = held[0].held.as_ref().unwrap();
    assert_eq!((&kept.event, kept.position), (&offered.event, 3));
    assert_eq!((held[0].origin, held[0].counter), (Some(plain.into()), 3), "it keeps its place in that log");
    assert_eq!(retry(&store, Vec::new()).await, 0);
    assert_eq!(rows(&store).await, held);
    store.write(Write::Release(held)).await.unwrap();
    assert!(rows(&store).await.is_empty());
}
