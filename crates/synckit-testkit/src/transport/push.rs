//! Entries for the peer.

use std::sync::Arc;

use synckit_core::{
    ErrorKind, LogId, NodeId, Payload,
    limits::MAX_DATA_BYTES,
    store::{Offered, Outcome, RefusalCode},
    transport::PushRequest,
};

use super::ends::{Ends, NODE, Way, accepted, codes, duplicates, unstamped};
use crate::{
    sample::{HOUR, PEER, event, events, stamp, stamped, stub, with_data},
    subject::{kind, vertex},
};

pub(super) async fn push_says_what_became_of_each_event(ends: &Ends<'_>) {
    let (store, way) = ends.with(|setup| setup.max_data_bytes = 100).await;
    store.seed(vec![stamped("held", "x", 2, 1, 10, &[])]).await;
    let reply = way
        .give(vec![
            stamped("new", "x", 2, 2, 20, &["held"]),
            stamped("held", "x", 2, 1, 10, &[]),
            stamped("waits", "x", 2, 3, 30, &["unknown"]),
            with_data(stamped("held", "x", 2, 4, 40, &[]), "other"),
            with_data(stamped("large", "x", 2, 5, 50, &[]), &"l".repeat(101)),
            stamped("ahead", "y", 2, 6, HOUR, &[]),
            stamped("newer", "x", 2, 7, 70, &["new"]),
            stamped("synckit.mine", "x", 2, 8, 80, &[]),
        ])
        .await;
    let expected = [
        None,
        None,
        Some(RefusalCode::WaitingForParent),
        Some(RefusalCode::ContentMismatch),
        Some(RefusalCode::TooLarge),
        Some(RefusalCode::ClockSkew),
        None,
        Some(RefusalCode::Invalid),
    ];
    assert_eq!(codes(&reply), expected);
    let outcome = |n: usize| reply.acks[n].1.clone();
    assert_eq!(outcome(0), Outcome::Accepted { position: 2 });
    assert_eq!(outcome(1), Outcome::Duplicate);
    assert_eq!(outcome(6), Outcome::Accepted { position: 3 });
    assert_eq!((reply.log, reply.head), (store.identity().log, store.head().await.unwrap()));
    assert_eq!(reply.head.position, 3);
    assert!(store.quarantine().await.unwrap().is_empty(), "what is refused stays with the pusher");
}

pub(super) async fn push_again_is_a_duplicate(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let entries = vec![stamped("a", "x", 2, 1, 10, &[]), stamped("b", "x", 2, 2, 20, &["a"])];
    let first = way.give(entries.clone()).await;
    assert_eq!(accepted(&first), 2);
    let second = way.give(entries).await;
    assert_eq!((duplicates(&second), second.head), (2, first.head));
    assert_eq!(store.head().await.unwrap(), first.head);
}

pub(super) async fn push_to_another_log_fails(ends: &Ends<'_>) {
    let ((store, way), other) = (ends.fresh().await, ends.store().await);
    for log in [other.identity().log, LogId::from_u128(0)] {
        let pushed = way.try_give(Some(log), vec![stamped("a", "x", 2, 1, 10, &[])]).await;
        assert_eq!(kind(pushed), ErrorKind::LogChanged);
    }
    assert!(store.all().await.is_empty());
    let right = way.try_give(Some(store.identity().log), vec![stamped("a", "x", 2, 1, 10, &[])]).await.unwrap();
    assert_eq!(accepted(&right), 1);
}

pub(super) async fn push_nothing(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(events("a", "x", 2)).await;
    let reply = way.give(Vec::new()).await;
    assert!(reply.acks.is_empty());
    assert_eq!((reply.log, reply.head), (store.identity().log, store.head().await.unwrap()));
}

pub(super) async fn push_proves_nothing_about_the_pushers_log(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    assert_eq!(accepted(&way.give(vec![stamped("a", "x", 2, 1, 10, &[])]).await), 1);
    let request = PushRequest { log: None, node: NODE, from: None, entries: vec![stamped("b", "y", 2, 2, 20, &[])].into() };
    assert_eq!(accepted(&way.push(request).await.unwrap()), 1);
    let from: Vec<Option<LogId>> = store.all().await.iter().map(|e| e.from).collect();
    assert_eq!(from, [None, None], "what is held back from that log later would be missing in a copy of it");
}

pub(super) async fn push_is_checked_against_its_author(ends: &Ends<'_>) {
    let (_, way) = ends.fresh().await;
    let ahead = |origin, counter| stamped(&format!("e{origin}"), "x", origin, counter, HOUR, &[]);
    let reply = way.give(vec![ahead(2, 1), ahead(3, 1)]).await;
    assert_eq!(codes(&reply), [Some(RefusalCode::ClockSkew), None], "what others wrote is only handed on");
    let relay = PushRequest { log: None, node: NodeId::from_u128(4), from: Some(PEER), entries: vec![ahead(2, 1)].into() };
    assert_eq!(accepted(&way.push(relay).await.unwrap()), 1);
}

pub(super) async fn push_without_stamps(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let push = async |events| {
        let request = PushRequest { log: None, node: NODE, from: None, entries: unstamped(events).into() };
        way.push(request).await.unwrap()
    };
    let reply = push(vec![event("b", "x", "1"), event("c", "y", "1"), event("a", "x", "1")]).await;
    assert_eq!((accepted(&reply), duplicates(&reply)), (2, 1));
    let entry = store.entry("b").await.unwrap();
    assert_eq!((entry.stamp.origin, entry.stamp.counter), (store.identity().node, 2));
    assert_eq!((entry.stamp.parents, entry.from), (vec![vertex("a")], None));
    assert_eq!(duplicates(&push(vec![event("b", "x", "1")]).await), 1);
    assert_eq!(codes(&push(vec![event("b", "x", "2")]).await), [Some(RefusalCode::ContentMismatch)]);
}

pub(super) async fn push_stubs(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let whole = stamped("a", "x", 2, 1, 10, &[]);
    let reply = way.give(vec![stub(whole.clone()), stamped("b", "x", 2, 2, 20, &["a"])]).await;
    assert_eq!(accepted(&reply), 2);
    let held = store.entry("a").await.unwrap();
    assert!(held.stub);
    assert_eq!(Some(held.content), stub(whole.clone()).stub);
    assert_eq!(accepted(&way.give(vec![whole.clone()]).await), 1);
    assert_eq!(store.entry("a").await.unwrap().event, whole.event);
}

pub(super) async fn push_large_batches(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let many: Vec<Offered> = (1..=2_500).map(|n| stamped(&format!("e{n}"), &format!("x{n}"), 2, n, n, &[])).collect();
    let reply = way.give(many.clone()).await;
    assert_eq!((accepted(&reply), reply.head.position), (2_500, 2_500));
    assert_eq!(duplicates(&way.give(many).await), 2_500);
    let large: Vec<Offered> = (0..12)
        .map(|n| {
            let mut large = event(&format!("large{n}"), "x", "");
            large.data = Payload::encoded("bin", vec![n as u8; MAX_DATA_BYTES]).unwrap();
            stamp(large, 3, n + 1, n, &[])
        })
        .collect();
    let reply = way.give(large.clone()).await;
    assert_eq!(accepted(&reply), 12);
    assert_eq!(reply.head, store.head().await.unwrap());
    for offered in large {
        assert!(store.entry(offered.event.id.as_str()).await.unwrap().event == offered.event);
    }
}

pub(super) async fn push_the_same_from_many_at_once(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let way = Way(Arc::clone(&way.0));
        tasks.push(tokio::spawn(async move {
            let mut taken = 0;
            for n in 1..=10 {
                taken += accepted(&way.give(vec![stamped(&format!("e{n}"), "x", 2, n, n, &[])]).await);
            }
            taken
        }));
    }
    let mut taken = 0;
    for task in tasks {
        taken += task.await.unwrap();
    }
    assert_eq!((taken, store.all().await.len()), (10, 10), "each was taken once");
}
