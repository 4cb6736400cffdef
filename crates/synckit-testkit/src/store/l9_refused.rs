//! L9: what peers refuse stays with its owner.

use synckit_core::{
    ErrorKind,
    decision::WITHDRAWAL,
    graph::VertexBody,
    store::{Acknowledged, Outcome, Quarantined, RefusalCode, Write, Written},
};

use crate::{
    sample::{checkpoint, event, events, ids, pulled, refused, stamped},
    stores::Stores,
    subject::{Subject, accepted_at, codes, kind},
};

async fn acknowledge(store: &Subject, refused: Vec<Quarantined>, released: Vec<Quarantined>) {
    let acknowledged = Acknowledged { checkpoint: checkpoint(9), refused, released, forget: None };
    store.write(Write::Acknowledge(acknowledged)).await.unwrap();
    assert_eq!(store.checkpoints().await.unwrap(), [checkpoint(9)]);
}

async fn withdraw(store: &Subject, names: &[&str]) -> Written {
    store.write(Write::Withdraw(ids(names))).await.unwrap()
}

pub(super) async fn l9_a_peers_refusals_are_kept_until_released(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    let node = store.identity().node;
    let mut rows =
        vec![refused("a2", node, 2, 2, RefusalCode::Quota), refused("a3", node, 3, 3, RefusalCode::WaitingForParent)];
    acknowledge(&store, rows.clone(), Vec::new()).await;
    let store = stores.reopened(store).await;
    let sorted = async |store: &Subject| {
        let mut rows = store.quarantine().await.unwrap();
        rows.sort_by_key(Quarantined::key);
        rows
    };
    assert_eq!(sorted(&store).await, rows);
    rows[0].refusal.code = RefusalCode::Forbidden;
    rows[0].refusal.detail = "never, \"you\" – no".into();
    acknowledge(&store, vec![rows[0].clone()], Vec::new()).await;
    assert_eq!(sorted(&store).await, rows, "the latest refusal counts");
    assert_eq!(store.all().await.len(), 3, "our own log has them");
}

pub(super) async fn l9_a_refusal_is_released(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 2)).await;
    let node = store.identity().node;
    let (first, second) =
        (refused("a1", node, 1, 1, RefusalCode::Quota), refused("a2", node, 2, 2, RefusalCode::Quota));
    acknowledge(&store, vec![first.clone(), second.clone()], Vec::new()).await;
    acknowledge(&store, Vec::new(), vec![first]).await;
    assert_eq!(store.quarantine().await.unwrap(), std::slice::from_ref(&second));
    store.write(Write::Release(vec![second.clone(), second])).await.unwrap();
    assert!(store.quarantine().await.unwrap().is_empty());
}

pub(super) async fn l9_a_refusal_of_an_entry_that_no_longer_counts_is_not_kept(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "data")]).await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[])]).await;
    let row = refused("a", store.identity().node, 1, 1, RefusalCode::ClockSkew);
    acknowledge(&store, vec![row], Vec::new()).await;
    assert!(store.quarantine().await.unwrap().is_empty(), "the smaller stamp travels in its place");
}

/// A store with `a1`, `a2` and `a3` in a chain, of which a peer refused `a2`.
async fn with_a_refusal(stores: &Stores<'_>) -> Subject {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    let row = refused("a2", store.identity().node, 2, 2, RefusalCode::Invalid);
    acknowledge(&store, vec![row], Vec::new()).await;
    store
}

pub(super) async fn l9_a_refused_event_is_withdrawn(stores: &Stores<'_>) {
    let store = with_a_refusal(stores).await;
    assert_eq!(accepted_at(&withdraw(&store, &["a2"]).await), [4]);
    assert!(store.quarantine().await.unwrap().is_empty());
    assert_eq!(store.all().await[3].event.event_type.as_str(), WITHDRAWAL);
    let graph = store.graph("x").await;
    let body = graph.vertices().iter().find(|v| v.id.as_str() == "a2").map(|v| &v.body);
    assert_eq!(body, Some(&VertexBody::Withdrawn));
    assert_eq!((store.view("x").await, store.heads("x").await), (vec!["a1".into(), "a3".into()], vec!["a3".into()]));
    let row = refused("a2", store.identity().node, 2, 2, RefusalCode::Invalid);
    acknowledge(&store, vec![row], Vec::new()).await;
    assert!(store.quarantine().await.unwrap().is_empty(), "what is withdrawn is refused no more");
    let again = store.append(events("a", "x", 2)).await;
    assert_eq!(again.accepted(), 0, "a withdrawn event does not come back");
}

pub(super) async fn l9_what_cannot_be_withdrawn(stores: &Stores<'_>) {
    let store = with_a_refusal(stores).await;
    store.seed(vec![stamped("b", "y", 2, 1, 10, &[])]).await;
    let head = store.head().await.unwrap();
    let written = withdraw(&store, &["a1", "b"]).await;
    assert_eq!(codes(&written), [Some("invalid"), Some("forbidden")], "nobody refused it; it is of another node");
    assert_eq!(kind(store.write(Write::Withdraw(ids(&["unknown"]))).await), ErrorKind::NotFound);
    assert_eq!(store.head().await.unwrap(), head);
}

pub(super) async fn l9_a_withdrawal_stands_in_for_its_event_elsewhere(stores: &Stores<'_>) {
    let owner = with_a_refusal(stores).await;
    withdraw(&owner, &["a2"]).await;
    let mut offers = owner.offers().await;
    let withdrawn = offers.remove(1);
    let child = offers.remove(1);
    let store = stores.fresh().await;
    store.seed(vec![offers[0].clone()]).await;
    assert_eq!(codes(&store.pull(vec![child.clone()]).await), [Some("waiting_for_parent")]);
    let mut apply = pulled(vec![offers[1].clone()]);
    apply.retry_held = true;
    let written = store.apply(apply).await;
    assert_eq!((written.accepted(), written.released), (1, 1), "what waits for it need not wait any longer");
    let stamp = withdrawn.stamp.clone().unwrap();
    assert!(store.vector().await.unwrap().covers(stamp.origin, stamp.counter), "the gap is closed");
    assert!(store.entry("a2").await.is_none());
    assert_eq!((store.view("x").await, store.heads("x").await), (vec!["a1".into(), "a3".into()], vec!["a3".into()]));
    assert_eq!(store.graph("x").await.heads(), owner.graph("x").await.heads());
    let store = stores.reopened(store).await;
    assert_eq!(store.pull(vec![withdrawn]).await.outcomes, [Outcome::Duplicate]);
    assert_eq!(store.view("x").await, ["a1", "a3"]);
}

pub(super) async fn l9_an_owner_withdraws_what_it_wrote_before_it_forked(stores: &Stores<'_>) {
    let store = with_a_refusal(stores).await;
    let mut lost = stamped("lost", "y", 9, 9, 10, &[]);
    lost.stamp.as_mut().unwrap().origin = store.identity().node;
    store.seed(vec![lost]).await;
    assert_eq!(store.identity().former.len(), 1);
    assert_eq!(withdraw(&store, &["a2"]).await.accepted(), 1);
    assert_eq!(store.view("x").await, ["a1", "a3"]);
    let entry = store.all().await.pop().unwrap();
    assert_eq!((entry.stamp.origin, entry.stamp.counter), (store.identity().node, 1));
}
