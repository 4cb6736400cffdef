//! Filters, and the stubs they leave.

use synckit_core::{
    EventType, Filter, Metadata, NodeId, content_hash,
    store::Offered,
    transport::PullRequest,
};

use super::ends::{Ends, ids_of};
use crate::{
    sample::{adopt, aggregate, event, rivals, stamp, stamped, typed},
    store::{ALIKE, ODD},
    subject::Subject,
};

fn filtered(filter: Filter) -> PullRequest {
    PullRequest { filter, ..PullRequest::default() }
}

fn of_type(name: &str) -> EventType {
    EventType::new(name).unwrap()
}

async fn mixture(store: &Subject) {
    let mut page: Vec<Offered> = Vec::new();
    for n in 1..=8_u64 {
        let mut event = typed(["even", "odd"][n as usize % 2], &format!("e{n}"), ["x", "y"][n as usize / 2 % 2]);
        event.metadata = Metadata::from_pairs([("tenant", ["red", "blue"][n as usize / 4 % 2])]).unwrap();
        page.push(stamp(event, 2 + u128::from(n % 3), n, n, &[]));
    }
    store.seed(page).await;
}

fn whole(entries: &[Offered]) -> Vec<&str> {
    entries.iter().filter(|e| e.stub.is_none()).map(|e| e.event.id.as_str()).collect()
}

pub(super) async fn filter_leaves_stubs(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let first = event("a", "x", "secret").with_metadata(Metadata::from_pairs([("k", "secret")]).unwrap());
    store.seed(vec![stamp(first.clone(), 2, 1, 1, &[]), stamp(typed("b", "b", "x"), 3, 1, 2, &["a"])]).await;
    let read = way.all(&filtered(Filter::everything().with_type(of_type("b")))).await;
    assert_eq!(ids_of(&read), ["a", "b"]);
    let stub = &read[0];
    assert_eq!(stub.stub, Some(content_hash(&first)), "a stub says what it stands for");
    assert!(stub.event.data.bytes().is_empty() && stub.event.metadata.is_empty());
    assert_eq!((&stub.event.event_type, stub.position), (&first.event_type, 1));
    assert_eq!(Some(&store.entry("a").await.unwrap().stamp), stub.stamp.as_ref());
    assert_eq!((read[1].stub, &read[1].event), (None, &typed("b", "b", "x")));
    let other = ends.store().await;
    other.seed(read).await;
    assert_eq!(other.heads("x").await, ["b"]);
    other.seed(way.all(&PullRequest::default()).await[..1].to_vec()).await;
    assert_eq!(other.entry("a").await.unwrap().event, first, "without the filter the stub is filled");
}

pub(super) async fn filter_by_every_kind(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    mixture(&store).await;
    let everything = Filter::everything;
    for (filter, count, expected) in [
        (everything(), 8, &["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"][..]),
        (everything().with_aggregate(aggregate("y")), 4, &["e2", "e3", "e6", "e7"]),
        (everything().with_type(of_type("odd")), 8, &["e1", "e3", "e5", "e7"]),
        (everything().with_origin(NodeId::from_u128(2)), 8, &["e3", "e6"]),
        (everything().with_metadata("tenant", "blue"), 8, &["e4", "e5", "e6", "e7"]),
        (everything().with_type(of_type("odd")).with_metadata("tenant", "blue"), 8, &["e5", "e7"]),
        (everything().with_aggregate(aggregate("y")).with_type(of_type("odd")), 4, &["e3", "e7"]),
        (everything().with_aggregate(aggregate("y")).with_origin(NodeId::from_u128(2)), 4, &["e3", "e6"]),
    ] {
        for limit in [0, 1, 3] {
            let read = way.all(&PullRequest { limit, ..filtered(filter.clone()) }).await;
            assert_eq!((read.len(), whole(&read)), (count, expected.to_vec()), "{filter:?}, limit {limit}");
        }
    }
}

pub(super) async fn filter_with_odd_names(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let names: Vec<&str> = ALIKE.into_iter().chain(ODD).collect();
    for name in &names {
        let metadata = Metadata::from_pairs([(*name, *name)]).unwrap();
        store.append(vec![typed(name, name, name).with_metadata(metadata)]).await;
    }
    for name in &names {
        let read = way.all(&filtered(Filter::everything().with_aggregate(aggregate(name)))).await;
        assert_eq!(ids_of(&read), [*name]);
        let read = way.all(&filtered(Filter::everything().with_type(of_type(name)))).await;
        assert_eq!(whole(&read), [*name]);
        let read = way.all(&filtered(Filter::everything().with_metadata(*name, *name))).await;
        assert_eq!(whole(&read), [*name]);
    }
}

pub(super) async fn filter_passes_what_it_leaves_out(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    mixture(&store).await;
    store.seed(rivals("z")).await;
    store.decide(adopt(&store.conflict("z").await, "z-a", true)).await.unwrap();
    store.seed(vec![stamped("last", "x", 2, 99, 99, &[])]).await;
    for limit in [0, 1, 4] {
        let none = PullRequest { limit, ..filtered(Filter::everything().with_aggregate(aggregate("none"))) };
        let pages = way.pages(&none).await;
        assert!(pages.iter().all(|p| p.entries.is_empty()));
        assert_eq!(pages.last().unwrap().next, store.head().await.unwrap());
        let filter = Filter::everything().with_aggregate(aggregate("z")).with_type(of_type("none"));
        let pages = way.pages(&PullRequest { limit, ..filtered(filter) }).await;
        assert_eq!(pages.last().unwrap().next, store.head().await.unwrap());
        let read: Vec<Offered> = pages.into_iter().flat_map(|p| p.entries).collect();
        let decision = store.all().await[10].event.id.clone();
        assert_eq!((read.len(), whole(&read)), (3, vec![decision.as_str()]), "the kit's own events come whole");
    }
}
