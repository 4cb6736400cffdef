//! L3: parents first, or stubs of them.

use synckit_core::{
    limits::MAX_PARENTS,
    store::Outcome,
};

use crate::{
    sample::{PEER, event, stamped, stub, with_data},
    stores::Stores,
    subject::{accepted_at, codes, ids_of},
};

pub(super) async fn l3_an_event_waits_for_its_parent(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let child = stamped("b", "x", 2, 2, 20, &["a"]);
    let mut apply = crate::sample::pulled(vec![child.clone()]);
    apply.hold = false;
    let written = store.apply(apply).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent")]);
    assert!(written.outcomes[0].refusal().unwrap().detail.contains('a'), "it says for what");
    assert!(store.all().await.is_empty());
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[])]).await;
    store.seed(vec![child]).await;
    assert_eq!(store.heads("x").await, ["b"]);
}

pub(super) async fn l3_parents_may_come_in_the_same_page(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let (a, b) = (stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 2, 20, &["a"]));
    let c = stamped("c", "x", 2, 3, 30, &["b"]);
    assert_eq!(accepted_at(&store.pull(vec![a, b, c]).await), [1, 2, 3]);
    let (d, e) = (stamped("d", "y", 2, 4, 40, &[]), stamped("e", "y", 2, 5, 50, &["d"]));
    let written = store.pull(vec![e, d]).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent"), None], "a child before its parent waits");
    assert_eq!(ids_of(&store.all().await), ["a", "b", "c", "d"]);
}

pub(super) async fn l3_a_stamp_not_after_its_parents_waits(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, 50, &[])]).await;
    let written = store.pull(vec![stamped("b", "x", 3, 1, 50, &["a"])]).await;
    assert_eq!(codes(&written), [Some("waiting_for_parent")], "the parent may come under a smaller stamp");
    let mut apply = crate::sample::pulled(vec![stamped("a", "x", 4, 1, 40, &[])]);
    apply.retry_held = true;
    let written = store.apply(apply).await;
    assert_eq!((written.accepted(), written.released), (1, 1));
    assert_eq!(store.heads("x").await, ["b"]);
}

pub(super) async fn l3_a_stub_is_a_parent(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("a", "x", 2, 1, 10, &[]);
    store.seed(vec![stub(whole.clone()), stamped("b", "x", 2, 2, 20, &["a"])]).await;
    let held = store.entry("a").await.unwrap();
    assert!(held.stub && held.event.data.bytes().is_empty() && held.event.metadata.is_empty());
    assert_eq!(held.content, synckit_core::content_hash(&whole.event));
    assert_eq!((held.stamp, held.from), (whole.stamp.unwrap(), Some(PEER)));
    assert!(store.graph("x").await.has_stubs());
    assert_eq!(store.view("x").await, ["b"]);
    store.append(vec![event("c", "x", "1")]).await;
    assert_eq!(store.heads("x").await, ["c"]);
}

pub(super) async fn l3_a_stub_is_filled(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("a", "x", 2, 1, 10, &[]);
    store.seed(vec![stub(whole.clone()), stamped("b", "x", 2, 2, 20, &["a"])]).await;
    let vector = store.vector().await.unwrap();
    let written = store.pull(vec![whole.clone()]).await;
    assert_eq!(accepted_at(&written), [3]);
    let filled = store.entry("a").await.unwrap();
    assert!(!filled.stub && filled.event == whole.event);
    assert!(store.all().await[0].superseded);
    assert!(!store.graph("x").await.has_stubs());
    assert_eq!((store.view("x").await, store.heads("x").await), (vec!["a".into(), "b".into()], vec!["b".into()]));
    assert_eq!(vector.stub_ranges(), 1);
    let filled = store.vector().await.unwrap();
    assert_eq!((filled.stub_ranges(), filled), (0, vector.without_stubs()), "the stub was progress already");
    assert_eq!(store.pull(vec![whole.clone()]).await.outcomes, [Outcome::Duplicate]);
    assert_eq!(store.pull(vec![stub(whole)]).await.outcomes, [Outcome::Duplicate]);
}

pub(super) async fn l3_a_stub_takes_no_other_content(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("a", "x", 2, 1, 10, &[]);
    store.seed(vec![stub(whole.clone())]).await;
    let written = store.pull(vec![with_data(whole.clone(), "other")]).await;
    assert_eq!(codes(&written), [Some("content_mismatch")]);
    assert!(store.entry("a").await.unwrap().stub);
    store.seed(vec![whole]).await;
}

pub(super) async fn l3_a_stub_never_replaces_data(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("a", "x", 2, 1, 50, &[]);
    store.seed(vec![whole.clone()]).await;
    store.pull(vec![stub(whole.clone()), stub(stamped("a", "x", 3, 1, 40, &[]))]).await;
    let held = store.entry("a").await.unwrap();
    assert!(!held.stub && held.event == whole.event);
    store.pull(vec![stamped("a", "x", 3, 1, 40, &[])]).await;
    assert_eq!(store.entry("a").await.unwrap().stamp, stamped("a", "x", 3, 1, 40, &[]).stamp.unwrap());
}

pub(super) async fn l3_many_parents(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let names: Vec<String> = (0..MAX_PARENTS).map(|i| format!("h{i:04}")).collect();
    let heads =
        names.iter().zip(1..).map(|(name, n)| stamped(name, "x", 2, n, 10, &[])).collect::<Vec<_>>();
    store.seed(heads).await;
    let parents: Vec<&str> = names.iter().map(String::as_str).collect();
    store.seed(vec![stamped("join", "x", 3, 1, 20, &parents)]).await;
    assert_eq!(store.heads("x").await, ["join"]);
    assert_eq!(store.parents("join").await.len(), MAX_PARENTS);
}
