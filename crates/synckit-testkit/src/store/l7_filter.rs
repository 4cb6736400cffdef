//! L7: filters, and the stubs they leave.

use std::collections::BTreeSet;

use synckit_core::{
    EventType, Filter, Metadata, NodeId, content_hash,
    store::{LogEntry, Offered, ReadRequest},
};

use crate::{
    sample::{adopt, aggregate, event, rivals, stamp, typed},
    stores::Stores,
    subject::{Subject, all_pages},
};

/// Three aggregates, two types, two origins and two tenants in turn; the third aggregate has one kind only.
async fn mixture(stores: &Stores<'_>) -> Subject {
    let store = stores.fresh().await;
    let mut page: Vec<Offered> = Vec::new();
    for n in 1..=12_u64 {
        let event_type = if n % 2 == 0 { "even" } else { "odd" };
        let mut event = typed(event_type, &format!("e{n}"), if n % 3 == 0 { "x" } else { "y" });
        let tenant = if n % 4 < 2 { "blue" } else { "red" };
        event.metadata = Metadata::from_pairs([("tenant", tenant), ("n", "1")]).unwrap();
        page.push(stamp(event, 2 + u128::from(n % 2), n, n, &[]));
    }
    page.push(stamp(event("z1", "z", "1"), 4, 1, 99, &[]));
    store.seed(page).await;
    store
}

/// Reads with a filter, and compares with what it says of each entry.
async fn check(store: &Subject, filter: Filter) -> Vec<LogEntry> {
    let all = store.all().await;
    let read = store.pages(&ReadRequest::default().filter(filter.clone())).await;
    let expected: Vec<&LogEntry> = all.iter().filter(|e| filter.wants_aggregate(&e.event.aggregate_id)).collect();
    assert_eq!(read.len(), expected.len());
    for (entry, whole) in read.iter().zip(expected) {
        if filter.wants(&whole.event, &whole.stamp) {
            assert_eq!(entry, whole);
            continue;
        }
        assert!(entry.stub, "{} is left out of its aggregate, and comes whole", entry.event.id);
        assert!(entry.event.data.bytes().is_empty() && entry.event.metadata.is_empty(), "a stub has no data");
        assert_eq!(entry.content, content_hash(&whole.event));
        assert_eq!((entry.position, &entry.stamp, entry.hash), (whole.position, &whole.stamp, whole.hash));
        assert_eq!(
            (&entry.event.id, &entry.event.event_type, &entry.event.aggregate_id),
            (&whole.event.id, &whole.event.event_type, &whole.event.aggregate_id)
        );
    }
    read
}

fn whole(read: &[LogEntry]) -> usize {
    read.iter().filter(|e| !e.stub).count()
}

pub(super) async fn l7_filter_by_aggregate(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let read = check(&store, Filter::everything().with_aggregate(aggregate("x"))).await;
    assert_eq!((read.len(), whole(&read)), (4, 4), "a filter by aggregate makes no stubs");
    let two = Filter::everything().with_aggregate(aggregate("z")).with_aggregate(aggregate("x"));
    assert_eq!(check(&store, two).await.len(), 5);
    assert!(check(&store, Filter::everything().with_aggregate(aggregate("none"))).await.is_empty());
    let twice = Filter::everything().with_aggregate(aggregate("z")).with_aggregate(aggregate("z"));
    assert_eq!(check(&store, twice).await.len(), 1, "a name given twice gives nothing twice");
}

pub(super) async fn l7_filter_by_type(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let read = check(&store, Filter::everything().with_type(EventType::new("even").unwrap())).await;
    assert_eq!((read.len(), whole(&read)), (13, 6));
    let none = Filter::everything().with_type(EventType::new("Even").unwrap());
    assert_eq!(whole(&check(&store, none).await), 0);
}

pub(super) async fn l7_filter_by_origin(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let read = check(&store, Filter::everything().with_origin(NodeId::from_u128(3))).await;
    assert_eq!((read.len(), whole(&read)), (13, 6));
    let two = Filter::everything().with_origin(NodeId::from_u128(3)).with_origin(NodeId::from_u128(4));
    assert_eq!(whole(&check(&store, two).await), 7);
}

pub(super) async fn l7_filter_by_metadata(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let read = check(&store, Filter::everything().with_metadata("tenant", "red")).await;
    assert_eq!((read.len(), whole(&read)), (13, 6));
    let both = Filter::everything().with_metadata("tenant", "red").with_metadata("n", "1");
    assert_eq!(whole(&check(&store, both).await), 6);
    let neither = Filter::everything().with_metadata("tenant", "red").with_metadata("n", "2");
    assert_eq!(whole(&check(&store, neither).await), 0);
}

pub(super) async fn l7_filters_are_anded(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let filter = Filter::everything()
        .with_aggregate(aggregate("x"))
        .with_type(EventType::new("even").unwrap())
        .with_metadata("tenant", "red");
    let read = check(&store, filter.clone()).await;
    let ids: Vec<&str> = read.iter().filter(|e| !e.stub).map(|e| e.event.id.as_str()).collect();
    assert_eq!((read.len(), ids), (4, vec!["e6"]));
    let read = check(&store, filter.with_origin(NodeId::from_u128(3))).await;
    assert_eq!((read.len(), whole(&read)), (4, 0));
}

pub(super) async fn l7_filters_in_pages_of_every_size(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let by_aggregate = Filter::everything().with_aggregate(aggregate("x")).with_aggregate(aggregate("z"));
    for filter in [by_aggregate, Filter::everything().with_metadata("tenant", "red")] {
        let all = check(&store, filter.clone()).await;
        for limit in 1..=14 {
            let request = ReadRequest::default().filter(filter.clone()).limit(limit);
            let pages = all_pages(&*store, &request).await;
            assert!(pages.iter().all(|p| p.entries.len() <= limit));
            let marks: BTreeSet<u64> = pages.iter().map(|p| p.next.position).collect();
            let hashes = store.hashes(&marks.iter().copied().collect::<Vec<_>>()).await.unwrap();
            assert!(pages.iter().all(|p| hashes.contains(&Some(p.next.hash))), "a mark has another hash");
            assert_eq!(pages.into_iter().flat_map(|p| p.entries).collect::<Vec<_>>(), all, "limit {limit}");
        }
    }
}

pub(super) async fn l7_the_cursor_passes_what_a_filter_leaves_out(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let none = Filter::everything().with_aggregate(aggregate("none"));
    for limit in [0, 1, 5] {
        let pages = all_pages(&*store, &ReadRequest::default().filter(none.clone()).limit(limit)).await;
        assert_eq!(pages.last().unwrap().next, store.head().await.unwrap());
        assert!(pages.iter().all(|p| p.entries.is_empty()));
    }
    let first = Filter::everything().with_aggregate(aggregate("x"));
    let pages = all_pages(&*store, &ReadRequest::default().filter(first)).await;
    assert_eq!(pages.last().unwrap().next, store.head().await.unwrap(), "the events after the last match count, too");
}

pub(super) async fn l7_the_kits_own_events_pass_whole(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store.seed(rivals("y")).await;
    for name in ["x", "y"] {
        store.decide(adopt(&store.conflict(name).await, &format!("{name}-a"), true)).await.unwrap();
    }
    let filter = Filter::everything().with_type(EventType::new("none").unwrap()).with_aggregate(aggregate("x"));
    let read = check(&store, filter).await;
    assert_eq!((read.len(), whole(&read)), (3, 1));
    assert!(read[2].event.event_type.is_reserved());
}

pub(super) async fn l7_many_names_in_a_filter(stores: &Stores<'_>) {
    let store = mixture(stores).await;
    let mut filter = Filter::everything();
    for n in 0..2_000 {
        filter = filter.with_aggregate(aggregate(&format!("none {n}\"'\\%_")));
    }
    assert!(check(&store, filter.clone()).await.is_empty());
    assert_eq!(check(&store, filter.with_aggregate(aggregate("x"))).await.len(), 4);
}
