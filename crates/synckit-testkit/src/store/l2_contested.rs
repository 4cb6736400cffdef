//! L2: one id for two contents.

use synckit_core::{
    EventId, NodeId, content_hash,
    decision::Withdrawal,
    store::{Notice, Offered, Outcome, QuarantineSide, RefusalCode},
};

use crate::{
    sample::{PEER, event, pulled, stamped, with_data},
    stores::Stores,
    subject::{Subject, accepted_at, codes, ids_of},
};

pub(super) async fn l2_the_smaller_stamp_takes_over_an_id(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("e", "x", 2, 1, 50, &[])]).await;
    let winner = with_data(stamped("e", "x", 3, 1, 40, &[]), "other");
    let rest = stamped("f", "x", 3, 2, 60, &["e"]);
    let written = store.pull(vec![winner.clone(), rest]).await;
    assert_eq!(accepted_at(&written), [2, 3]);
    assert_eq!(written.notices, [Notice::Displaced { id: EventId::new("e").unwrap() }]);
    let rows = store.quarantine().await.unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.side, row.peer, row.id.as_str()), (QuarantineSide::Held, PEER, "e"));
    assert_eq!((row.origin, row.counter, row.position), (Some(NodeId::from_u128(2)), 1, 1));
    assert_eq!((row.refusal.code, &row.held), (RefusalCode::ContentMismatch, &None));
    let log = store.all().await;
    assert!(log[0].superseded && log[0].event == stamped("e", "x", 2, 1, 50, &[]).event, "nothing is lost");
    assert_eq!(store.entry("e").await.unwrap().event, winner.event);
    assert_eq!(store.heads("x").await, ["f"]);
}

pub(super) async fn l2_the_larger_stamp_does_not(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let first = stamped("e", "x", 3, 1, 40, &[]);
    store.seed(vec![first.clone()]).await;
    let loser = with_data(stamped("e", "x", 2, 1, 50, &[]), "other");
    let written = store.pull(vec![loser.clone(), stamped("f", "x", 3, 2, 60, &["e"])]).await;
    assert_eq!(codes(&written), [Some("content_mismatch"), None]);
    let rows = store.quarantine().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].side, rows[0].position), (QuarantineSide::Held, 0));
    assert_eq!(rows[0].held, Some(loser));
    assert_eq!(store.entry("e").await.unwrap().event, first.event);
    assert_eq!(ids_of(&store.all().await), ["e", "f"]);
}

pub(super) async fn l2_an_id_moves_to_another_aggregate(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[]), stamped("e", "x", 2, 2, 50, &["a"])]).await;
    store.seed(vec![stamped("b", "y", 2, 3, 11, &[])]).await;
    let written = store.pull(vec![stamped("e", "y", 3, 1, 40, &["b"])]).await;
    assert_eq!(accepted_at(&written), [4]);
    assert_eq!(store.heads("x").await, ["a"]);
    assert_eq!(store.heads("y").await, ["e"]);
    assert_eq!(store.view("x").await, ["a"]);
    assert_eq!(store.view("y").await, ["b", "e"]);
    store.append(vec![event("f", "x", "1"), event("g", "y", "1")]).await;
    assert_eq!(store.heads("x").await, ["f"]);
    assert_eq!(store.heads("y").await, ["g"]);
}

pub(super) async fn l2_an_id_moves_between_aggregates_in_one_page(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(vec![stamped("a", "x", 2, 1, 10, &[])]).await;
    let page = vec![
        stamped("e", "x", 2, 2, 50, &["a"]),
        stamped("e", "y", 3, 1, 40, &[]),
        stamped("f", "y", 3, 2, 60, &["e"]),
    ];
    let written = store.pull(page).await;
    assert_eq!(accepted_at(&written), [2, 3, 4]);
    assert_eq!(store.heads("x").await, ["a"]);
    assert_eq!(store.heads("y").await, ["f"]);
    assert_eq!(store.quarantine().await.unwrap().len(), 1);
}

pub(super) async fn l2_a_contested_id_ends_alike_in_every_order(stores: &Stores<'_>) {
    let claims = [
        with_data(stamped("e", "x", 2, 1, 30, &[]), "one"),
        with_data(stamped("e", "x", 3, 1, 20, &[]), "two"),
        with_data(stamped("e", "x", 4, 1, 40, &[]), "two"),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let store = stores.fresh().await;
        for i in order {
            store.pull(vec![claims[i].clone()]).await;
        }
        let counts = store.entry("e").await.unwrap();
        assert_eq!(counts.event, claims[1].event, "in the order {order:?}");
        assert_eq!(Some(counts.stamp), claims[1].stamp, "in the order {order:?}");
        let again = store.pull(vec![claims[1].clone()]).await;
        assert_eq!(again.outcomes, [Outcome::Duplicate]);
    }
}

/// The withdrawal of an event by its owner.
fn withdrawal(of: &Offered, counter: u64, at: u64) -> Offered {
    let stamp = of.stamp.clone().unwrap();
    let withdrawal = Withdrawal {
        id: of.event.id.clone(),
        event_type: of.event.event_type.clone(),
        origin: stamp.origin,
        counter: stamp.counter,
        timestamp: stamp.timestamp,
        parents: stamp.parents.clone(),
        content: of.stub.unwrap_or_else(|| content_hash(&of.event)),
    };
    let event = withdrawal.to_event(&of.event.aggregate_id).unwrap();
    let mut offered = stamped("w", "x", stamp.origin.as_u128(), counter, at, &[]);
    offered.event = event;
    offered.stamp.as_mut().unwrap().parents = stamp.parents;
    offered
}

/// A store that took these one by one, and tried again what it held whenever something came.
async fn given(stores: &Stores<'_>, entries: &[Offered], order: &[usize]) -> Subject {
    let store = stores.fresh().await;
    for i in order {
        let mut apply = pulled(vec![entries[*i].clone()]);
        apply.retry_held = true;
        store.apply(apply).await;
    }
    stores.reopened(store).await
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

pub(super) async fn l2_a_withdrawn_id_is_not_free_again(stores: &Stores<'_>) {
    let x = stamped("e", "x", 2, 1, 10, &[]);
    let later = with_data(stamped("e", "x", 3, 1, 20, &[]), "other");
    let entries = [x.clone(), withdrawal(&x, 2, 30), later];
    for order in ORDERS {
        let store = given(stores, &entries, &order).await;
        assert!(store.view("x").await.is_empty(), "in the order {order:?}");
        assert_eq!(store.heads("x").await, ["e"]);
        let rows = store.quarantine().await.unwrap();
        assert_eq!(rows.len(), 1, "in the order {order:?}: {rows:?}");
        assert_eq!(
            (rows[0].origin, rows[0].refusal.code),
            (Some(NodeId::from_u128(3)), RefusalCode::ContentMismatch)
        );
    }
}

pub(super) async fn l2_a_withdrawn_id_goes_to_an_older_event(stores: &Stores<'_>) {
    let x = stamped("e", "x", 2, 1, 20, &[]);
    let older = with_data(stamped("e", "y", 3, 1, 10, &[]), "other");
    let entries = [x.clone(), withdrawal(&x, 2, 30), older.clone()];
    for order in ORDERS {
        let store = given(stores, &entries, &order).await;
        assert_eq!((store.view("x").await, store.view("y").await), (vec![], vec!["e".to_owned()]));
        assert!(store.heads("x").await.is_empty(), "in the order {order:?}");
        assert_eq!(store.entry("e").await.unwrap().event, older.event);
        assert!(store.quarantine().await.unwrap().is_empty(), "in the order {order:?}");
    }
}

pub(super) async fn l2_an_event_counts_under_a_stamp_that_is_not_withdrawn(stores: &Stores<'_>) {
    let (first, second) = (stamped("e", "x", 2, 1, 10, &[]), stamped("e", "x", 3, 1, 20, &[]));
    let entries = [first.clone(), withdrawal(&first, 2, 30), second.clone()];
    for order in ORDERS {
        let store = given(stores, &entries, &order).await;
        let entry = store.entry("e").await.unwrap();
        assert_eq!((&entry.event, Some(entry.stamp)), (&second.event, second.stamp.clone()));
        assert_eq!(store.view("x").await, ["e"], "in the order {order:?}");
        let head = store.graph("x").await.heads().remove(0);
        let place = first.stamp.as_ref().map(|s| s.timestamp);
        assert_eq!(Some(head.timestamp), place, "its place is that of the smallest stamp");
    }
}

pub(super) async fn l2_what_is_built_on_contested_ids_makes_no_circle(stores: &Stores<'_>) {
    let (x, z) = (stamped("x", "a", 2, 1, 10, &[]), stamped("z", "a", 2, 2, 20, &["x"]));
    let gone = withdrawal(&x, 3, 25);
    let other_z = with_data(stamped("z", "a", 3, 1, 30, &[]), "other");
    let other_x = with_data(stamped("x", "a", 3, 2, 40, &["z"]), "other");
    let entries = [x, z, gone, other_z, other_x];
    for order in [[0, 1, 2, 3, 4], [3, 4, 0, 1, 2], [3, 4, 2, 1, 0], [2, 4, 1, 3, 0]] {
        let store = given(stores, &entries, &order).await;
        assert_eq!(store.view("a").await, ["z"], "in the order {order:?}");
        assert_eq!(store.heads("a").await, ["z"]);
    }
}
