//! L7: progress across logs, and reading what a peer lacks.

use std::collections::BTreeMap;

use synckit_core::{
    Filter, NodeId, Progress, VectorCursor,
    limits::MAX_COUNTER,
    store::ReadRequest,
};

use crate::{
    sample::{PEER, aggregate, event, events, progress, stamp, stamped, with_data},
    stores::Stores,
    subject::{Subject, ids_of},
};

fn node(n: u128) -> NodeId {
    NodeId::from_u128(n)
}

fn cursor(progress: Vec<(NodeId, Progress)>) -> VectorCursor {
    VectorCursor::from_progress(progress.into_iter().collect()).unwrap()
}

async fn lacking(store: &Subject, theirs: VectorCursor) -> Vec<String> {
    let read = store.pages(&ReadRequest::default().missing_from(Some(theirs))).await;
    read.iter().map(|e| e.event.id.to_string()).collect()
}

pub(super) async fn l7_progress_counts_gaps(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let counters = [2, 3, 7, 5, 20];
    let page = counters.map(|n| stamped(&format!("a{n}"), "x", 2, n, n, &[]));
    store.seed(page.clone().into()).await;
    store.append(events("b", "y", 2)).await;
    let expected = progress(&page);
    assert_eq!(expected.gaps, [(1, 1), (4, 4), (6, 6), (8, 19)]);
    let own = progress(&store.offers().await[counters.len()..]);
    let expected = cursor(vec![(node(2), expected), (store.identity().node, own)]);
    assert_eq!(store.vector().await.unwrap(), expected);
    store.seed(vec![stamped("a4", "x", 2, 4, 4, &[])]).await;
    assert!(store.vector().await.unwrap().covers(node(2), 4), "the event itself closes its gap");
    assert!(!store.vector().await.unwrap().covers(node(2), 6));
}

pub(super) async fn l7_progress_counts_stamps_that_are_only_known(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let stamps =
        [stamped("e", "x", 3, 1, 40, &[]), stamped("e", "x", 2, 3, 50, &[]), stamped("e", "x", 4, 1, 60, &[])];
    store.seed(vec![stamps[0].clone()]).await;
    store.pull(stamps[1..].to_vec()).await;
    let expected = cursor(vec![
        (node(2), progress(&stamps[1..2])),
        (node(3), progress(&stamps[..1])),
        (node(4), progress(&stamps[2..])),
    ]);
    assert_eq!(store.vector().await.unwrap(), expected);
    let store = stores.reopened(store).await;
    assert_eq!(store.vector().await.unwrap(), expected);
    store.pull(vec![stamped("e", "x", 2, 3, 50, &[])]).await;
    assert_eq!(store.vector().await.unwrap(), expected, "a stamp that is known twice counts once");
    assert_eq!(store.all().await.len(), 1);
}

pub(super) async fn l7_progress_tells_two_events_of_one_counter_apart(stores: &Stores<'_>) {
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    let (a, b) = (stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 1, 11, &[]));
    one.seed(vec![a.clone()]).await;
    other.seed(vec![b.clone()]).await;
    let (first, second) = (one.vector().await.unwrap(), other.vector().await.unwrap());
    assert_ne!(first, second, "one counter, two events");
    assert_eq!(first.doubts(&second).len(), 1);
    assert!(lacking(&one, second).await.is_empty(), "both cover the counter");
    one.seed(vec![b.clone()]).await;
    other.seed(vec![a.clone()]).await;
    assert_eq!(one.vector().await.unwrap(), other.vector().await.unwrap());
    assert_eq!(one.vector().await.unwrap(), cursor(vec![(node(2), progress(&[a, b]))]));
}

pub(super) async fn l7_progress_tells_two_stamps_of_one_counter_apart(stores: &Stores<'_>) {
    let seen = stamped("seen", "x", 2, 1, 1, &[]);
    let first = stamped("e", "x", 2, 2, 10, &[]);
    for second in [stamped("e", "x", 2, 2, 11, &[]), stamped("e", "x", 2, 2, 10, &["seen"])] {
        let (one, other) = (stores.fresh().await, stores.fresh().await);
        one.seed(vec![seen.clone(), first.clone()]).await;
        other.seed(vec![seen.clone(), second.clone()]).await;
        let both = [seen.clone(), first.clone(), second.clone()];
        assert_eq!(other.vector().await.unwrap(), cursor(vec![(node(2), progress(&[seen.clone(), second.clone()]))]));
        assert_ne!(one.vector().await.unwrap(), other.vector().await.unwrap(), "one id, one counter, two stamps");
        one.pull(vec![second.clone()]).await;
        other.pull(vec![first.clone()]).await;
        let (one, other) = (stores.reopened(one).await, stores.reopened(other).await);
        for store in [&one, &other] {
            assert_eq!(store.vector().await.unwrap(), cursor(vec![(node(2), progress(&both))]));
            assert_eq!(store.mixed(&[(node(2), 2, 2)]).await.unwrap(), [progress(&both[1..]).ids]);
            assert_eq!(Some(&store.entry("e").await.unwrap().stamp), first.stamp.as_ref());
        }
        one.pull(vec![first.clone(), second.clone()]).await;
        assert_eq!(one.vector().await.unwrap(), other.vector().await.unwrap(), "what is known counts once");
    }
}

pub(super) async fn l7_progress_tells_two_contents_of_one_stamp_apart(stores: &Stores<'_>) {
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    let first = stamped("e", "x", 2, 1, 10, &[]);
    let second = stamp(event("e", "x", "other data"), 2, 1, 10, &[]);
    one.seed(vec![first.clone()]).await;
    other.seed(vec![second.clone()]).await;
    assert_eq!(one.vector().await.unwrap(), cursor(vec![(node(2), progress(&[first]))]));
    assert_eq!(other.vector().await.unwrap(), cursor(vec![(node(2), progress(&[second]))]));
    assert_ne!(one.vector().await.unwrap(), other.vector().await.unwrap());
}

pub(super) async fn l7_missing_from_in_pages_of_every_size(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    for n in 1..=6 {
        store.append(vec![event(&format!("own{n}"), "x", "1")]).await;
        store.seed(vec![stamped(&format!("two{n}"), "y", 2, n, n, &[])]).await;
        store.seed(vec![stamped(&format!("three{n}"), "z", 3, n, n, &[])]).await;
    }
    let own = store.identity().node;
    let mut two = Progress::of([(1, 0), (3, 0), (5, 0)]);
    let theirs = cursor(vec![
        (own, Progress::of((1..=4).map(|n| (n, 0)))),
        (node(2), two.clone()),
        (node(9), Progress::of([(1, 0)])),
    ]);
    let expected = ["three1", "two2", "three2", "three3", "two4", "three4", "own5", "three5", "own6", "two6", "three6"];
    for limit in 1..=12 {
        let request = ReadRequest::default().missing_from(Some(theirs.clone())).limit(limit);
        assert_eq!(ids_of(&store.pages(&request).await), expected, "limit {limit}");
    }
    let page = store.read(ReadRequest::after(7).missing_from(Some(theirs)).limit(2)).await.unwrap();
    assert_eq!(ids_of(&page.entries), ["three3", "two4"]);
    two.gaps = vec![(2, 2)];
    let theirs = cursor(vec![(node(2), two)]);
    assert!(!lacking(&store, theirs).await.contains(&"two4".to_owned()), "a counter outside the gaps is covered");
}

pub(super) async fn l7_missing_from_nothing_and_from_everything(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 5)).await;
    store.seed(vec![stamped("b", "y", 2, 3, 1, &[])]).await;
    assert_eq!(lacking(&store, VectorCursor::default()).await.len(), 6);
    let all = store.vector().await.unwrap();
    for limit in [0, 1, 3] {
        let page = store.read(ReadRequest::default().missing_from(Some(all.clone())).limit(limit)).await.unwrap();
        assert!(page.entries.is_empty() && !page.has_more);
        assert_eq!(page.next, store.head().await.unwrap());
    }
    let origins: BTreeMap<NodeId, Progress> = all.origins().clone();
    assert_eq!(origins.len(), 2);
    let empty = stores.fresh().await;
    assert!(lacking(&empty, all).await.is_empty());
}

pub(super) async fn l7_missing_from_gives_both_events_of_one_counter(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 1, 11, &[])]).await;
    store.seed(vec![stamped("c", "x", 2, 2, 12, &["a"])]).await;
    assert_eq!(lacking(&store, VectorCursor::default()).await, ["a", "b", "c"]);
    let theirs = cursor(vec![(node(2), Progress::of([(2, 0)]))]);
    assert_eq!(lacking(&store, theirs).await, ["a", "b"]);
}

pub(super) async fn l7_missing_from_with_a_filter_and_not_from(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("own1", "x", "1"), event("own2", "y", "1"), event("own3", "x", "1")]).await;
    store.seed(vec![stamped("peer1", "z", 2, 1, 1, &[]), stamped("peer2", "x", 2, 2, 2, &[])]).await;
    let theirs = cursor(vec![(store.identity().node, Progress::of([(1, 0)]))]);
    for limit in 1..=4 {
        let request = ReadRequest::default().missing_from(Some(theirs.clone())).limit(limit);
        let filter = Filter::everything().with_aggregate(aggregate("x"));
        let filtered = store.pages(&request.clone().filter(filter.clone())).await;
        assert_eq!(ids_of(&filtered), ["own3", "peer2"]);
        let no_echo = store.pages(&request.clone().not_from(PEER, 0)).await;
        assert_eq!(ids_of(&no_echo), ["own2", "own3"]);
        let both = store.pages(&request.filter(filter).not_from(PEER, 0)).await;
        assert_eq!(ids_of(&both), ["own3"]);
    }
}

pub(super) async fn l7_greatest_counters(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let last = with_data(stamped("a", "x", u128::MAX, MAX_COUNTER, 10, &[]), "last");
    store.seed(vec![last.clone(), stamped("b", "x", 0, MAX_COUNTER, 20, &["a"])]).await;
    let log = store.all().await;
    assert_eq!(Some(&log[0].stamp), last.stamp.as_ref());
    assert_eq!((log[1].stamp.origin, log[1].stamp.counter), (node(0), MAX_COUNTER));
    let vector = store.vector().await.unwrap();
    assert_eq!(vector.origins()[&node(u128::MAX)].gaps, [(1, MAX_COUNTER - 1)]);
    assert_eq!(lacking(&store, VectorCursor::default()).await, ["a", "b"]);
    assert!(lacking(&store, vector).await.is_empty());
}
