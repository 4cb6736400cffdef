//! L2: append and apply are idempotent, and the smaller stamp counts.

use synckit_core::{
    NodeId, Payload,
    store::{Outcome, ReadRequest},
};

use crate::{
    sample::{PEER, event, pushed, stamp, stamped, typed},
    stores::Stores,
    subject::{codes, ids_of, vertex},
};

pub(super) async fn l2_appending_again_is_a_duplicate(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let head = store.head().await.unwrap();
    let written = store.append(vec![event("a", "x", "1")]).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate]);
    assert_eq!((written.head, store.head().await.unwrap()), (head, head));
    store.append(vec![event("b", "x", "1")]).await;
    assert_eq!(store.entry("b").await.unwrap().stamp.counter, 2);
}

pub(super) async fn l2_applying_again_is_a_duplicate(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page = vec![stamped("a", "x", 2, 1, 1, &[]), stamped("b", "x", 2, 2, 2, &["a"])];
    store.seed(page.clone()).await;
    let (head, vector) = (store.head().await.unwrap(), store.vector().await.unwrap());
    let written = store.pull(page.clone()).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate, Outcome::Duplicate]);
    let written = store.apply(pushed(NodeId::from_u128(2), page)).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate, Outcome::Duplicate]);
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.vector().await.unwrap(), vector);
    let written = store.append(vec![event("a", "x", "data")]).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate]);
}

pub(super) async fn l2_an_id_twice_in_one_write(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let written =
        store.append(vec![event("a", "x", "1"), event("a", "x", "1"), event("a", "x", "2"), event("b", "x", "1")]);
    let written = written.await;
    assert_eq!(written.outcomes[1], Outcome::Duplicate);
    assert_eq!(codes(&written), [None, None, Some("content_mismatch"), None]);
    let same = stamped("c", "y", 2, 1, 1, &[]);
    let written = store.pull(vec![same.clone(), same.clone(), stamped("d", "y", 2, 2, 2, &["c"]), same]).await;
    assert_eq!((written.accepted(), written.duplicates()), (2, 2));
    assert_eq!(ids_of(&store.all().await), ["a", "b", "c", "d"]);
}

pub(super) async fn l2_another_content_under_an_id_is_refused(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let written = store.append(vec![event("b", "x", "1"), event("a", "x", "2"), event("c", "x", "1")]).await;
    assert_eq!(codes(&written), [None, Some("content_mismatch"), None]);
    assert!(written.outcomes[1].refusal().unwrap().detail.contains('a'));
    assert_eq!(ids_of(&store.all().await), ["a", "b", "c"]);
    assert_eq!(store.entry("a").await.unwrap().event, event("a", "x", "1"));
    assert!(store.quarantine().await.unwrap().is_empty(), "the caller knows already");
}

pub(super) async fn l2_every_part_of_the_content_counts(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let first = typed("a.happened", "a", "x");
    store.append(vec![first.clone()]).await;
    let mut other_codec = first.clone();
    other_codec.data = Payload::encoded("cbor", first.data.bytes().clone()).unwrap();
    let mut other_metadata = first.clone();
    other_metadata.metadata = synckit_core::Metadata::from_pairs([("k", 1)]).unwrap();
    let mut other_data = first.clone();
    other_data.data = Payload::json_text("\"a\" ").unwrap();
    let others = vec![typed("b.happened", "a", "x"), typed("a.happened", "a", "y"), other_codec, other_metadata];
    let written = store.append(others).await;
    assert_eq!(codes(&written), [Some("content_mismatch"); 4]);
    let written = store.append(vec![other_data]).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate], "space around the text is not part of it");
    assert_eq!(store.all().await.len(), 1);
}

pub(super) async fn l2_the_smaller_stamp_counts_in_either_order(stores: &Stores<'_>) {
    let larger = stamped("e", "x", 2, 1, 50, &[]);
    let smaller = stamped("e", "x", 3, 1, 40, &[]);
    let store = stores.fresh().await;
    store.seed(vec![larger.clone()]).await;
    let written = store.pull(vec![smaller.clone()]).await;
    assert_eq!(written.outcomes, [Outcome::Accepted { position: 2 }], "it is an entry of its own");
    assert!(written.notices.is_empty() && store.quarantine().await.unwrap().is_empty());
    let log = store.all().await;
    assert_eq!(log.iter().map(|e| e.superseded).collect::<Vec<_>>(), [true, false]);
    assert_eq!(log[1].from, Some(PEER));
    assert_eq!(store.entry("e").await.unwrap().stamp, smaller.stamp.clone().unwrap());
    assert_eq!(store.heads("x").await, ["e"]);
    let other = stores.fresh().await;
    other.seed(vec![smaller]).await;
    let written = other.pull(vec![larger]).await;
    assert_eq!(written.outcomes, [Outcome::Duplicate]);
    assert_eq!(other.all().await.len(), 1);
    assert_eq!(other.vector().await.unwrap(), store.vector().await.unwrap());
    assert_eq!(other.graph("x").await.heads(), store.graph("x").await.heads());
    assert_eq!(store.pages(&ReadRequest::default().only_counting()).await.len(), 1);
}

pub(super) async fn l2_the_smaller_stamp_brings_its_parents(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page = vec![
        stamped("a", "x", 2, 1, 10, &[]),
        stamped("e", "x", 2, 2, 50, &["a"]),
        stamped("f", "x", 2, 3, 60, &["e"]),
    ];
    store.seed(page).await;
    assert_eq!(store.heads("x").await, ["f"]);
    let written = store.pull(vec![stamped("e", "x", 3, 1, 40, &[])]).await;
    assert_eq!((written.accepted(), written.conflicts_opened), (1, 1));
    assert_eq!(store.heads("x").await, ["a", "f"]);
    assert_eq!(store.in_conflict().await.len(), 1);
    assert_eq!(store.parents("e").await, []);
    assert_eq!(store.parents("f").await, [vertex("e")]);
}

pub(super) async fn l2_the_smaller_stamp_of_two_in_one_page(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page = vec![
        stamped("e", "x", 2, 1, 50, &[]),
        stamped("e", "x", 3, 1, 40, &[]),
        stamped("e", "x", 4, 1, 45, &[]),
        stamped("f", "x", 2, 2, 60, &["e"]),
    ];
    let written = store.pull(page).await;
    assert_eq!((written.accepted(), written.duplicates()), (3, 1));
    let log = store.all().await;
    assert_eq!(log.iter().map(|e| e.superseded).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(store.entry("e").await.unwrap().stamp.origin, NodeId::from_u128(3));
    let vector = store.vector().await.unwrap();
    assert!([2, 3, 4].iter().all(|n| vector.covers(NodeId::from_u128(*n), 1)));
}

pub(super) async fn l2_an_own_event_under_a_smaller_stamp(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let imported = event("e", "x", "1");
    store.append(vec![imported.clone()]).await;
    let node = store.identity().node;
    let written = store.pull(vec![stamp(imported.clone(), 2, 7, 5, &[])]).await;
    assert_eq!(written.accepted(), 1);
    assert_eq!(store.entry("e").await.unwrap().stamp.origin, NodeId::from_u128(2));
    assert_eq!(store.append(vec![imported]).await.outcomes, [Outcome::Duplicate]);
    store.append(vec![event("f", "x", "1")]).await;
    let next = store.entry("f").await.unwrap();
    assert_eq!((next.stamp.origin, next.stamp.counter), (node, 2), "the first counter stays used");
    assert_eq!(next.stamp.parents, [vertex("e")]);
    assert!(store.vector().await.unwrap().covers(node, 1));
}
