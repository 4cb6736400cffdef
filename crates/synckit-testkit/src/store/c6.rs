//! C6 and C7: reviews, and decisions taken back.

use synckit_core::{
    decision::{CONFLICT, Review},
    graph::ConflictOutline,
    store::{DecisionDraft, Outcome, ReviewRow, Write, Written},
};

use crate::{
    sample::{adopt, aggregate, event, rivals, stamped},
    stores::Stores,
    subject::{Subject, vertex},
};

fn review_of(conflict: &ConflictOutline, reason: &str) -> Review {
    Review { conflict: conflict.id.clone(), heads: conflict.heads.clone(), reason: reason.into() }
}

async fn open(store: &Subject, name: &str, reason: &str) -> Written {
    let review = review_of(&store.conflict(name).await, reason);
    store.write(Write::Review(vec![(aggregate(name), review)])).await.unwrap()
}

pub(super) async fn c6_a_conflict_is_opened_for_review(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store.seed(rivals("y")).await;
    let reason = "the merge failed:\n\"no such field\" \u{1F980}";
    let written = open(&store, "x", reason).await;
    assert_eq!(written.outcomes, [Outcome::Accepted { position: 5 }]);
    let in_review: Vec<bool> =
        store.conflicts(None, 10).await.unwrap().into_iter().map(|c| c.in_review).collect();
    assert_eq!(in_review, [true, false]);
    let conflict = store.conflict("x").await;
    let row = ReviewRow {
        conflict: conflict.id.clone(),
        aggregate: aggregate("x"),
        heads: conflict.heads.clone(),
        reason: reason.into(),
        event: store.all().await[4].event.id.clone(),
    };
    assert_eq!(store.reviews(&conflict.id).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(open(&store, "x", reason).await.outcomes, [Outcome::Duplicate], "the same review is one");
    assert_eq!(store.all().await.len(), 5);
    let store = stores.reopened(store).await;
    assert_eq!(store.reviews(&conflict.id).await.unwrap(), [row]);
}

pub(super) async fn c6_a_review_is_neither_head_nor_parent(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    let before = store.graph("x").await.heads();
    open(&store, "x", "why").await;
    assert_eq!(store.graph("x").await.heads(), before);
    let entry = store.all().await.pop().unwrap();
    assert_eq!((entry.event.event_type.as_str(), entry.stamp.parents.len()), (CONFLICT, 0));
    store.append(vec![event("next", "x", "1")]).await;
    assert_eq!(store.parents("next").await, [vertex("x-b")]);
    assert_eq!(store.graph("x").await.vertices().len(), 3);
}

pub(super) async fn c6_a_review_comes_from_a_peer(stores: &Stores<'_>) {
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    one.seed(rivals("x")).await;
    open(&one, "x", "why").await;
    other.seed(one.offers().await).await;
    let open_there = other.conflicts(None, 10).await.unwrap();
    assert_eq!(open_there, one.conflicts(None, 10).await.unwrap());
    assert!(open_there[0].in_review);
    let id = &open_there[0].id;
    assert_eq!(other.reviews(id).await.unwrap(), one.reviews(id).await.unwrap());
    assert_eq!(open(&other, "x", "why").await.outcomes, [Outcome::Duplicate], "its id depends on its content alone");
    assert!(matches!(open(&other, "x", "other reason").await.outcomes[..], [Outcome::Accepted { .. }]));
    assert_eq!(other.reviews(id).await.unwrap().len(), 2);
}

pub(super) async fn c6_reviews_belong_to_one_conflict(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    open(&store, "x", "why").await;
    let old = store.conflict("x").await;
    store.seed(vec![stamped("x-c", "x", 4, 1, 30, &[])]).await;
    let grown = store.conflicts(None, 10).await.unwrap();
    assert_ne!(grown[0].id, old.id);
    assert!(grown[0].in_review, "the one that it grew from was opened for review");
    let reviews = store.reviews(&old.id).await.unwrap();
    assert_eq!(reviews.len(), 1);
    assert_eq!(store.reviews_of(&old.aggregate).await.unwrap(), reviews);
    assert!(store.reviews_of(&aggregate("y")).await.unwrap().is_empty());
    assert!(store.reviews(&grown[0].id).await.unwrap().is_empty());
    assert!(store.decisions(&old.id).await.unwrap().is_empty());
}

async fn undo(store: &Subject, decision: &str) -> Outcome {
    let (undo, parents) = store.graph("x").await.undo(&vertex(decision)).unwrap();
    let aggregate = aggregate("x");
    let draft = DecisionDraft { aggregate, parents, decision: undo, by_machine: false, expect_heads: true };
    store.decide(draft).await.unwrap()
}

pub(super) async fn c7_an_undo_is_taken_back(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    let before = store.view("x").await;
    let conflict = store.conflict("x").await;
    store.decide(adopt(&conflict, "x-a", true)).await.unwrap();
    assert_eq!((before, store.view("x").await), (vec!["x-b".to_owned()], vec!["x-a".to_owned()]));
    let decided = store.heads("x").await.remove(0);
    assert_eq!(undo(&store, &decided).await, Outcome::Accepted { position: 4 });
    assert_eq!(store.view("x").await, ["x-b"], "as it was before the decision");
    assert!(store.in_conflict().await.is_empty(), "an undo opens nothing");
    assert_eq!(store.decisions(&conflict.id).await.unwrap().len(), 1, "an undo is nobody's rival");
    let undone = store.heads("x").await.remove(0);
    assert!(matches!(undo(&store, &undone).await, Outcome::Accepted { .. }));
    assert_eq!(store.view("x").await, ["x-a"]);
    let other = stores.fresh().await;
    other.seed(store.offers().await).await;
    assert_eq!(other.graph("x").await.heads(), store.graph("x").await.heads());
    assert_eq!(other.view("x").await, ["x-a"]);
}
