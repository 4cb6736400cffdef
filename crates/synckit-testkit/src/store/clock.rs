//! Time: hybrid logical clocks, and clocks that are wrong.

use synckit_core::{
    Clock as _, NodeId, Timestamp,
    store::{Apply, Offered, Outcome, Write},
};

use crate::{
    sample::{BEFORE, HOUR, NOW, SECOND, event, pulled, pushed, stamped},
    stores::Stores,
    subject::{Subject, accepted_at, codes},
};

/// An hour after the samples' stamps count from: beyond the tolerance.
const FUTURE: u64 = HOUR;

async fn at(store: &Subject, id: &str) -> u64 {
    store.entry(id).await.unwrap().stamp.timestamp.as_micros()
}

pub(super) async fn clock_stamps_increase(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let mut last = 0;
    for n in 0..12 {
        match n {
            3 => store.clock.advance(5 * SECOND),
            6 => store.clock.rewind(60 * SECOND),
            _ => {}
        }
        let names = [format!("a{n}"), format!("b{n}")];
        store.append(vec![event(&names[0], "x", "1"), event(&names[1], &names[0], "1")]).await;
        for name in &names {
            let now = at(&store, name).await;
            assert!(now > last, "a stamp is not after the one before");
            last = now;
        }
    }
    assert!(last > NOW + 5 * SECOND, "the clock went back, and the stamps did not");
    let store = stores.reopened(store).await;
    store.append(vec![event("reopened", "y", "1")]).await;
    assert!(at(&store, "reopened").await > last);
}

pub(super) async fn clock_follows_what_it_sees(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let ahead = 61 * SECOND;
    store.seed(vec![stamped("a", "x", 2, 1, ahead, &[])]).await;
    store.append(vec![event("b", "y", "1")]).await;
    assert!(at(&store, "b").await > BEFORE + ahead, "what comes after an event is stamped after it");
    store.clock.advance(HOUR);
    store.append(vec![event("c", "y", "1")]).await;
    assert_eq!(at(&store, "c").await, NOW + HOUR);
}

pub(super) async fn clock_does_not_follow_the_future(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, FUTURE, &[])]).await;
    store.append(vec![event("b", "y", "1"), event("c", "x", "1"), event("d", "y", "1")]).await;
    for name in ["b", "d"] {
        assert!(at(&store, name).await <= NOW + SECOND, "a stamp from the future moved the clock");
    }
    assert!(at(&store, "c").await > BEFORE + FUTURE, "it lifts only what is built on it");
}

pub(super) async fn clock_skew_is_refused_to_its_author_only(stores: &Stores<'_>) {
    let ahead = stamped("a", "x", 2, 1, FUTURE, &[]);
    let page = || vec![ahead.clone(), stamped("b", "y", 2, 2, 10, &[])];
    let store = stores.fresh().await;
    let written = store.apply(pushed(NodeId::from_u128(2), page())).await;
    assert_eq!(codes(&written), [Some("clock_skew"), None]);
    let relay = stores.fresh().await;
    assert_eq!(relay.apply(pushed(NodeId::from_u128(3), page())).await.accepted(), 2);
    let puller = stores.fresh().await;
    assert_eq!(puller.apply(pulled(page())).await.accepted(), 2);
    store.clock.set(Timestamp::from_micros(BEFORE + FUTURE));
    assert_eq!(store.apply(pushed(NodeId::from_u128(2), page())).await.accepted(), 1, "time went by");
    let tolerant = stores.with(|setup| setup.clock_tolerance = 2 * HOUR).await;
    assert_eq!(tolerant.apply(pushed(NodeId::from_u128(2), page())).await.accepted(), 2);
    let strict = stores.with(|setup| setup.clock_tolerance = SECOND).await;
    let soon = vec![stamped("a", "x", 2, 1, 3 * SECOND, &[]), stamped("b", "x", 2, 2, 2 * SECOND, &[])];
    let written = strict.apply(pushed(NodeId::from_u128(2), soon)).await;
    assert_eq!(codes(&written), [Some("clock_skew"), None], "a stamp at the tolerance is within it");
}

pub(super) async fn clock_skew_is_none_if_the_parents_are_ahead_too(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, FUTURE, &[])]).await;
    let child = stamped("b", "x", 3, 1, FUTURE + 1, &["a"]);
    let further = stamped("c", "x", 3, 2, 2 * FUTURE, &["b"]);
    let written = store.apply(pushed(NodeId::from_u128(3), vec![child, further])).await;
    assert_eq!(codes(&written), [None, Some("clock_skew")]);
}

pub(super) async fn clock_set_right_events_are_stamped_again(stores: &Stores<'_>) {
    let (author, hub) = (stores.fresh().await, stores.fresh().await);
    author.append(vec![event("good", "x", "1")]).await;
    author.clock.advance(HOUR);
    let ahead = vec![event("first", "x", "1"), event("second", "x", "1")];
    author.append(ahead.clone()).await;
    let node = author.identity().node;
    let push = async |hub: &Subject, entries: Vec<Offered>| {
        hub.apply(Apply { author: Some(node), entries, ..Apply::default() }).await
    };
    let refused = push(&hub, author.offers().await).await;
    assert_eq!(codes(&refused)[..2], [None, Some("clock_skew")]);
    assert!(refused.outcomes[2].refusal().is_some());
    let still_ahead = author.write(Write::Restamp(ahead.clone())).await.unwrap();
    assert_eq!(still_ahead.accepted(), 0, "by its own clock nothing is wrong");
    author.clock.set(hub.clock.now());
    let mut all = ahead;
    all.reverse();
    all.push(event("good", "x", "1"));
    let written = author.write(Write::Restamp(all)).await.unwrap();
    assert_eq!((written.accepted(), written.duplicates()), (2, 1), "only what is ahead is stamped again");
    assert!(at(&author, "first").await > at(&author, "good").await);
    assert!(at(&author, "second").await > at(&author, "first").await);
    assert!(at(&author, "second").await <= NOW + SECOND);
    assert_eq!(author.heads("x").await, ["second"]);
    let offers: Vec<Offered> = author.offers().await.split_off(3);
    assert_eq!(accepted_at(&push(&hub, offers).await), [2, 3]);
    assert_eq!(push(&hub, author.offers().await).await.outcomes, vec![Outcome::Duplicate; 5]);
    assert_eq!(hub.graph("x").await.heads(), author.graph("x").await.heads());
}
