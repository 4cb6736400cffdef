//! L7: cursors tell stubs from data, and reads give the data of stubs.

use std::collections::BTreeMap;

use synckit_core::{
    content_hash,
    EventType, Filter, NodeId, Progress, VectorCursor,
    decision::Withdrawal,
    store::{Offered, ReadRequest},
};

use crate::{
    sample::{PEER, progress, pulled, stamp, stamped, stub, typed},
    stores::Stores,
    subject::{Subject, all_pages, codes, ids_of},
};

fn node(n: u128) -> NodeId {
    NodeId::from_u128(n)
}

async fn stubs(store: &Subject, origin: u128) -> Vec<(u64, u64)> {
    store.vector().await.unwrap().origins()[&node(origin)].stubs.clone()
}

/// Events of origin 2 in one aggregate, even and odd in turn.
fn in_turn(count: u64) -> Vec<Offered> {
    let event_type = |n: u64| ["even", "odd"][(n % 2) as usize];
    (1..=count).map(|n| stamp(typed(event_type(n), &format!("e{n}"), "x"), 2, n, n, &[])).collect()
}

fn even() -> Filter {
    Filter::everything().with_type(EventType::new("even").unwrap())
}

/// What a store offers to one who holds what `theirs` says.
async fn given(store: &Subject, theirs: &VectorCursor, filter: Filter) -> Vec<(String, bool)> {
    let request = ReadRequest::default().missing_from(Some(theirs.clone())).filter(filter);
    let whole = store.pages(&request).await;
    for limit in 1..=3 {
        let pages = all_pages(&**store, &request.clone().limit(limit)).await;
        assert_eq!(pages.last().unwrap().next, store.head().await.unwrap());
        let entries: Vec<_> = pages.into_iter().flat_map(|p| p.entries).collect();
        assert_eq!(entries, whole, "limit {limit}");
    }
    whole.iter().map(|e| (e.event.id.to_string(), e.stub)).collect()
}

fn of(ids: &[&str], stub: bool) -> Vec<(String, bool)> {
    ids.iter().map(|id| ((*id).to_owned(), stub)).collect()
}

pub(super) async fn l7_progress_names_stubs(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let page: Vec<Offered> = in_turn(9).into_iter().filter(|o| o.stamp.as_ref().unwrap().counter != 7).collect();
    let cut: Vec<Offered> = page
        .iter()
        .cloned()
        .map(|o| if [3, 4, 5, 9].contains(&o.stamp.as_ref().unwrap().counter) { stub(o) } else { o })
        .collect();
    store.seed(cut).await;
    assert_eq!(stubs(&store, 2).await, [(3, 5), (9, 9)]);
    let store = stores.reopened(store).await;
    let vector = store.vector().await.unwrap();
    let held = &vector.origins()[&node(2)];
    assert_eq!((held.counter, &*held.gaps, &*held.stubs), (9, &[(7, 7)][..], &[(3, 5), (9, 9)][..]));
    let all = progress(&page);
    assert_eq!(held.ids, all.ids, "stubs count as all others");
    store.seed(vec![page[3].clone(), page[7].clone()]).await;
    assert_eq!(stubs(&store, 2).await, [(3, 3), (5, 5)], "the data of 4 and 9 has come");
    assert_eq!(store.vector().await.unwrap().origins()[&node(2)].ids, all.ids);
    store.seed(vec![page[2].clone(), page[4].clone()]).await;
    assert_eq!(store.vector().await.unwrap().origins()[&node(2)], all);
}

pub(super) async fn l7_only_the_entry_that_counts_is_a_stub(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let (small, large) = (stamped("e", "x", 2, 1, 10, &[]), stamped("e", "x", 3, 1, 20, &[]));
    store.seed(vec![stub(large.clone())]).await;
    store.seed(vec![stub(small.clone())]).await;
    assert_eq!((stubs(&store, 2).await, stubs(&store, 3).await), (vec![(1, 1)], vec![]));
    store.pull(vec![large]).await;
    assert_eq!((stubs(&store, 2).await, stubs(&store, 3).await), (vec![], vec![]), "its data came under the other");
    assert!(!store.entry("e").await.unwrap().stub);
}

pub(super) async fn l7_a_withdrawn_stub_waits_for_no_data(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let e = stamped("e", "x", 2, 1, 10, &[]);
    store.seed(vec![stub(e.clone())]).await;
    let (event, at) = (e.event, e.stamp.unwrap());
    let content = content_hash(&event);
    let withdrawal = Withdrawal {
        content,
        id: event.id,
        event_type: event.event_type,
        origin: at.origin,
        counter: at.counter,
        timestamp: at.timestamp,
        parents: at.parents,
    };
    let withdrawal = withdrawal.to_event(&event.aggregate_id).unwrap();
    store.seed(vec![stamp(withdrawal, 2, 2, 20, &[])]).await;
    assert_eq!(stubs(&store, 2).await, []);
}

pub(super) async fn l7_the_data_of_stubs_is_given(stores: &Stores<'_>) {
    let (store, reader) = (stores.fresh().await, stores.fresh().await);
    store.seed(in_turn(6)).await;
    let theirs: Vec<Offered> = in_turn(4).into_iter().map(stub).collect();
    reader.seed(theirs).await;
    let vector = reader.vector().await.unwrap();
    assert_eq!(
        given(&store, &vector, Filter::everything()).await,
        of(&["e1", "e2", "e3", "e4", "e5", "e6"], false)
    );
    let mut expected = of(&["e2", "e4"], false);
    expected.extend([("e5".to_owned(), true), ("e6".to_owned(), false)]);
    assert_eq!(given(&store, &vector, even()).await, expected, "no stub again where there is one");
    let after = ReadRequest::after(3).missing_from(Some(vector.clone())).filter(even());
    assert_eq!(ids_of(&store.pages(&after).await), ["e4", "e5", "e6"]);
    let no_echo = ReadRequest::default().missing_from(Some(vector)).not_from(PEER, 0);
    assert!(store.pages(&no_echo).await.is_empty());
}

pub(super) async fn l7_no_stub_is_given_for_a_stub(stores: &Stores<'_>) {
    let (store, reader) = (stores.fresh().await, stores.fresh().await);
    let page: Vec<Offered> = in_turn(5).into_iter().map(stub).collect();
    store.seed(page.clone()).await;
    reader.seed(page).await;
    let vector = reader.vector().await.unwrap();
    assert_eq!(vector, store.vector().await.unwrap());
    assert_eq!(given(&store, &vector, Filter::everything()).await, []);
    store.seed(vec![in_turn(5)[2].clone()]).await;
    assert_eq!(given(&store, &vector, Filter::everything()).await, of(&["e3"], false));
    assert_eq!(given(&store, &vector, even()).await, []);
    assert_eq!(given(&store, &vector.without_stubs(), Filter::everything()).await, []);
    let whole = store.vector().await.unwrap();
    assert_eq!(given(&reader, &whole, Filter::everything()).await, [], "a stub gives no data");
}

pub(super) async fn l7_data_is_given_under_a_counter_of_which_something_else_is_a_stub(stores: &Stores<'_>) {
    let (store, reader) = (stores.fresh().await, stores.fresh().await);
    let (a, b) = (stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 1, 11, &[]));
    store.seed(vec![a.clone(), stub(b.clone())]).await;
    reader.seed(vec![stub(a), b]).await;
    assert_eq!(stubs(&store, 2).await, stubs(&reader, 2).await);
    let theirs = reader.vector().await.unwrap();
    assert_eq!(given(&store, &theirs, Filter::everything()).await, of(&["a"], false));
    let theirs = store.vector().await.unwrap();
    assert_eq!(given(&reader, &theirs, Filter::everything()).await, of(&["b"], false));
}

pub(super) async fn l7_the_data_of_many_stubs_is_given(stores: &Stores<'_>) {
    let (store, reader) = (stores.fresh().await, stores.fresh().await);
    let count = 5_000;
    store.seed(in_turn(count)).await;
    reader.seed(in_turn(count).into_iter().map(stub).collect()).await;
    let vector = reader.vector().await.unwrap();
    assert_eq!(stubs(&reader, 2).await, [(1, count)]);
    let request = ReadRequest::default().missing_from(Some(vector)).filter(even());
    let pages = all_pages(&*store, &request).await;
    let entries: Vec<_> = pages.into_iter().flat_map(|p| p.entries).collect();
    assert!(entries.iter().all(|e| !e.stub));
    assert_eq!(entries.len() as u64, count / 2);
    reader.seed(entries.into_iter().map(synckit_core::store::LogEntry::into_offered).collect()).await;
    let left = reader.vector().await.unwrap();
    assert_eq!(left.stub_ranges() as u64, count / 2);
    let pages = all_pages(&*store, &ReadRequest::default().missing_from(Some(left)).filter(even())).await;
    assert!(pages.iter().all(|p| p.entries.is_empty()));
}

pub(super) async fn l7_stubs_of_an_origin_that_is_not_here(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 2, 2, &[])]).await;
    let progress = |counter, stubs| Progress { counter, stubs, ..Progress::default() };
    let theirs = BTreeMap::from([(node(2), progress(9, vec![(1, 9)])), (node(5), progress(3, vec![(2, 3)]))]);
    let theirs = VectorCursor::from_progress(theirs).unwrap();
    assert_eq!(given(&store, &theirs, Filter::everything()).await, of(&["a"], false));
}

pub(super) async fn l2_a_stub_with_a_smaller_stamp_keeps_the_data(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let (small, large) = (stamped("e", "x", 2, 1, 10, &[]), stamped("e", "x", 3, 1, 20, &[]));
    store.seed(vec![large.clone()]).await;
    let written = store.pull(vec![stub(small.clone())]).await;
    assert_eq!(written.accepted(), 1);
    let entry = store.entry("e").await.unwrap();
    assert_eq!((entry.stub, &entry.event, Some(&entry.stamp)), (false, &small.event, small.stamp.as_ref()));
    assert_eq!(entry.from, None, "whoever sent the stub is to get the data");
    assert_eq!(store.view("x").await, ["e"]);
    assert_eq!((stubs(&store, 2).await, stubs(&store, 3).await), (vec![], vec![]));
    assert_eq!(store.pull(vec![stub(small.clone()), stub(large.clone())]).await.duplicates(), 2);
    let at_once = stores.fresh().await;
    at_once.pull(vec![large, stub(small)]).await;
    assert_eq!(at_once.entry("e").await.unwrap().stamp, entry.stamp);
    assert!(!at_once.entry("e").await.unwrap().stub);
}

pub(super) async fn l2_a_stub_that_waited_keeps_the_data(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let parent = stamped("p", "x", 2, 1, 5, &[]);
    let (small, large) = (stamped("e", "x", 2, 2, 10, &["p"]), stamped("e", "x", 3, 1, 20, &[]));
    store.seed(vec![large]).await;
    let written = store.pull(vec![stub(small.clone())]).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent")]);
    store.seed(vec![parent]).await;
    let retry = synckit_core::store::Apply { retry_held: true, ..pulled(Vec::new()) };
    assert_eq!(store.apply(retry).await.released, 1);
    let entry = store.entry("e").await.unwrap();
    assert_eq!((entry.stub, Some(entry.stamp)), (false, small.stamp));
}
