//! C0: conflicts are aggregates with more than one head that no other settles.

use synckit_core::{decision::conflict_id, store::Offered};

use crate::{
    sample::{aggregate, event, rivals, stamped},
    stores::Stores,
    subject::vertex,
};

pub(super) async fn c0_two_branches_are_a_conflict(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("root", "x", 2, 1, 1, &[]), stamped("a", "x", 2, 2, 10, &["root"])]).await;
    assert_eq!(store.count_conflicts().await.unwrap(), 0);
    let written = store.pull(vec![stamped("b", "x", 3, 1, 20, &["root"])]).await;
    assert_eq!(written.conflicts_opened, 1);
    assert_eq!(store.heads("x").await, ["a", "b"]);
    let open = store.conflicts(None, 10).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].id, conflict_id(&aggregate("x"), &[vertex("b"), vertex("a")]));
    assert_eq!((open[0].aggregate.as_str(), open[0].in_review), ("x", false));
    assert_eq!(store.count_conflicts().await.unwrap(), 1);
    let conflict = store.conflict("x").await;
    assert_eq!(conflict.id, open[0].id);
    let names = |events: &[synckit_core::graph::ViewEvent]| {
        events.iter().map(|e| e.id().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&conflict.common), ["root"]);
    let sides: Vec<_> = conflict.sides.iter().map(|s| names(&s.beyond)).collect();
    assert_eq!(sides, [["a"], ["b"]]);
}

pub(super) async fn c0_a_conflict_grows_and_is_one(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    let first = store.conflict("x").await.id;
    let written = store.pull(vec![stamped("c", "x", 4, 1, 30, &[]), stamped("d", "x", 4, 2, 40, &["x-a"])]).await;
    assert_eq!(written.conflicts_opened, 0, "it was open before");
    assert_eq!(store.heads("x").await, ["c", "d", "x-b"]);
    assert_eq!(store.count_conflicts().await.unwrap(), 1);
    assert_ne!(store.conflict("x").await.id, first);
}

pub(super) async fn c0_conflicts_in_pages(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let names = ["a", "B", "ä", "z", "Z", "a ", "a\u{1F980}", "aa", "~", "0"];
    for name in names {
        store.seed(rivals(name)).await;
        store.append(vec![event(&format!("calm {name}"), &format!("calm {name}"), "1")]).await;
    }
    let mut expected = names.to_vec();
    expected.sort_unstable_by_key(|n| n.as_bytes());
    for limit in 1..=11 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.conflicts(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.aggregate.clone());
            found.extend(page.into_iter().map(|c| c.aggregate.to_string()));
        }
        assert_eq!(found, expected, "limit {limit}");
    }
    assert_eq!(store.count_conflicts().await.unwrap(), 10);
    let between = store.conflicts(Some(&aggregate("aaa")), 1).await.unwrap();
    assert_eq!(between[0].aggregate.as_str(), "a\u{1F980}", "the place to go on need not be an aggregate");
}

pub(super) async fn c0_no_ordinary_event_closes_a_conflict(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store.append(vec![event("own", "x", "1")]).await;
    assert_eq!(store.parents("own").await, [vertex("x-b")], "it is built on the leading head");
    assert_eq!(store.heads("x").await, ["own", "x-a"]);
    assert_eq!(store.count_conflicts().await.unwrap(), 1);
    assert_eq!(store.view("x").await, ["x-b", "own"], "the view is that of the leading head");
}

/// A history with branches, in an order in which parents come first.
fn history() -> Vec<Offered> {
    vec![
        stamped("r", "x", 2, 1, 1, &[]),
        stamped("a", "x", 2, 2, 10, &["r"]),
        stamped("b", "x", 3, 1, 11, &["r"]),
        stamped("c", "x", 3, 2, 12, &["b"]),
        stamped("d", "x", 4, 1, 13, &["a", "c"]),
        stamped("e", "x", 5, 1, 14, &["b"]),
        stamped("a", "x", 6, 1, 9, &["r"]),
    ]
}

pub(super) async fn c0_the_order_of_arrival_does_not_matter(stores: &Stores<'_>) {
    let reference = stores.fresh().await;
    reference.seed(history()).await;
    assert_eq!(reference.heads("x").await, ["d", "e"]);
    for rotation in 0..history().len() {
        let store = stores.fresh().await;
        let mut page = history();
        page.rotate_left(rotation);
        page.swap(0, 3);
        for offered in page {
            let mut apply = crate::sample::pulled(vec![offered]);
            apply.retry_held = true;
            store.apply(apply).await;
        }
        assert!(store.quarantine().await.unwrap().is_empty());
        assert_eq!(store.graph("x").await.heads(), reference.graph("x").await.heads());
        assert_eq!(store.view("x").await, reference.view("x").await);
        assert_eq!(store.conflicts(None, 9).await.unwrap(), reference.conflicts(None, 9).await.unwrap());
        assert_eq!(store.vector().await.unwrap(), reference.vector().await.unwrap());
    }
}

pub(super) async fn c0_histories_of_many_aggregates(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store.append(vec![event("own", "y", "1")]).await;
    let wanted = ["unknown", "y", "x", "y"].map(aggregate);
    let graphs = store.graphs(&wanted).await.unwrap();
    assert_eq!(graphs.len(), wanted.len(), "one history for each that was asked for");
    for (graph, name) in graphs.iter().zip(&wanted) {
        assert_eq!(graph.aggregate(), name, "in the order of the request");
    }
    let sizes: Vec<usize> = graphs.iter().map(|g| g.vertices().len()).collect();
    assert_eq!(sizes, [0, 1, 2, 1]);
}
