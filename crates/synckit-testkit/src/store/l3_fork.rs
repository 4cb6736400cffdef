//! L3: a node that meets an event of its own which it does not hold is a copy.

use synckit_core::{EventId, store::{Notice, Offered}};

use crate::{
    sample::{event, events, stamped},
    stores::Stores,
    subject::{Subject, codes, ids_of},
};

/// The entry as if the store had written it, under this counter.
fn as_own(store: &Subject, mut offered: Offered, counter: u64) -> Offered {
    let stamp = offered.stamp.as_mut().unwrap();
    stamp.origin = store.identity().node;
    stamp.counter = counter;
    offered
}

pub(super) async fn l3_an_own_event_that_is_not_held_forks_the_node(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("mine", "x", "1")]).await;
    let before = store.identity();
    let other = as_own(&store, stamped("other", "x", 9, 9, 5, &[]), 1);
    let written = store.pull(vec![other]).await;
    assert_eq!(written.accepted(), 1, "both events are kept");
    let after = store.identity();
    assert_ne!(after.node, before.node);
    assert_eq!((after.log, after.former.clone(), after.label.clone()), (before.log, vec![before.node], before.label));
    assert!(after.is_or_was(before.node));
    let id = |text| EventId::new(text).unwrap();
    let expected =
        Notice::ForkedOrigin { former: before.node, now: after.node, met: id("other"), held: Some(id("mine")) };
    assert_eq!(written.notices, [expected]);
    store.append(vec![event("next", "y", "1")]).await;
    let next = store.entry("next").await.unwrap().stamp;
    assert_eq!((next.origin, next.counter), (after.node, 1));
    assert_eq!(store.entry("mine").await.unwrap().stamp.origin, before.node, "nothing is stamped again");
    let store = stores.reopened(store).await;
    assert_eq!(store.identity(), after);
    store.append(vec![event("last", "y", "1")]).await;
    assert_eq!(store.entry("last").await.unwrap().stamp.counter, 2);
}

pub(super) async fn l3_an_own_event_beyond_the_counter_forks_the_node(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("mine", "x", "1")]).await;
    let former = store.identity().node;
    let lost = as_own(&store, stamped("lost", "x", 9, 9, 5, &[]), 2);
    let written = store.pull(vec![lost]).await;
    let (now, met) = (store.identity().node, EventId::new("lost").unwrap());
    assert_eq!(written.notices, [Notice::ForkedOrigin { former, now, met, held: None }]);
    assert_ne!(now, former);
}

pub(super) async fn l3_own_events_that_come_back_do_not_fork(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    let own = store.offers().await;
    let before = store.identity();
    let written = store.pull(own.clone()).await;
    assert_eq!((written.duplicates(), written.notices.len()), (3, 0));
    let written = store.apply(crate::sample::pushed(before.node, own)).await;
    assert_eq!((written.duplicates(), written.notices.len()), (3, 0));
    assert_eq!(store.identity(), before);
}

pub(super) async fn l3_an_own_event_that_waits_forks_the_node_too(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let former = store.identity().node;
    let lost = as_own(&store, stamped("lost", "x", 9, 9, 5, &["unknown"]), 1);
    let written = store.pull(vec![lost]).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent")]);
    store.append(vec![event("next", "y", "1")]).await;
    let next = store.entry("next").await.unwrap().stamp;
    assert_ne!(
        (next.origin, next.counter),
        (former, 1),
        "the node met an event of its own under this counter, and used it again"
    );
}

pub(super) async fn l3_a_former_nodes_events_do_not_fork_again(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let first = as_own(&store, stamped("a", "x", 9, 9, 5, &[]), 1);
    let second = as_own(&store, stamped("b", "x", 9, 9, 6, &["a"]), 2);
    store.seed(vec![first]).await;
    let forked = store.identity();
    let written = store.pull(vec![second]).await;
    assert_eq!((written.accepted(), written.notices.len()), (1, 0));
    assert_eq!(store.identity(), forked);
}

pub(super) async fn l3_a_page_of_own_events_forks_once(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page = (1..=3).map(|n| as_own(&store, stamped(&format!("a{n}"), "x", 9, 9, n, &[]), n)).collect();
    let written = store.pull(page).await;
    assert_eq!((written.accepted(), written.notices.len()), (3, 1));
    assert_eq!(store.identity().former.len(), 1);
    assert_eq!(ids_of(&store.all().await), ["a1", "a2", "a3"]);
}
