//! Requests that are dropped, run at once, or come after the end.

use std::sync::Arc;

use synckit_core::{
    ErrorKind,
    transport::{Greeting, PullRequest, PushRequest},
};

use super::ends::{Ends, NODE, Way, accepted, ids_of};
use crate::{
    polls::dropped_after,
    sample::{PEER, events, stamped},
    subject::kind,
};

/// More polls than any request takes.
const MOST_POLLS: usize = 10_000;

pub(super) async fn life_a_dropped_greeting_does_no_harm(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(events("a", "x", 3)).await;
    let greeting = Greeting { wants_vector: true, ..Greeting::default() };
    for polls in 1..MOST_POLLS {
        let ended = dropped_after(way.greet(greeting.clone()), polls).await;
        assert_eq!(way.greet(greeting.clone()).await.unwrap().head.position, 3);
        if let Some(peer) = ended {
            assert_eq!(peer.unwrap().log, store.identity().log);
            return;
        }
    }
    panic!("a greeting does not end");
}

pub(super) async fn life_a_dropped_pull_does_no_harm(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(events("a", "x", 50)).await;
    for polls in 1..MOST_POLLS {
        let ended = dropped_after(way.pull(PullRequest::default()), polls).await;
        assert_eq!(way.all(&PullRequest::default()).await.len(), 50);
        if let Some(page) = ended {
            assert_eq!(page.unwrap().next, store.head().await.unwrap());
            return;
        }
    }
    panic!("a pull does not end");
}

pub(super) async fn life_a_dropped_push_does_no_harm(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    for polls in 1..MOST_POLLS {
        let n = polls as u64;
        let (first, second) = (format!("a{n}"), format!("b{n}"));
        let entries = vec![
            stamped(&first, &first, 2, 2 * n, 10, &[]),
            stamped(&second, &first, 2, 2 * n + 1, 20, &[&first]),
        ];
        let request = PushRequest { log: None, node: NODE, from: Some(PEER), entries: entries.clone().into() };
        let ended = dropped_after(way.push(request), polls).await;
        let again = way.give(entries).await;
        assert!(again.acks.iter().all(|(_, o)| o.refusal().is_none()), "{:?}", again.acks);
        assert_eq!(store.all().await.len(), 2 * polls, "an entry is missing, or came twice");
        if let Some(reply) = ended {
            assert_eq!((accepted(&reply.unwrap()), accepted(&again)), (2, 0));
            return;
        }
    }
    panic!("a push does not end");
}

pub(super) async fn life_requests_at_once(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let mut tasks = Vec::new();
    for writer in 1..=8_u64 {
        let way = Way(Arc::clone(&way.0));
        tasks.push(tokio::spawn(async move {
            for n in 1..=10 {
                let name = format!("{writer}-{n}");
                let offered = stamped(&name, &name, 2, 100 * writer + n, n, &[]);
                assert_eq!(accepted(&way.give(vec![offered]).await), 1);
                way.greet(Greeting::default()).await.unwrap();
                let read = way.all(&PullRequest { limit: 7, ..PullRequest::default() }).await;
                assert!(ids_of(&read).contains(&name.as_str()), "what was acknowledged is not there");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.head().await.unwrap().position, 80);
}

pub(super) async fn life_a_closed_transport_says_so(ends: &Ends<'_>) {
    let (_, way) = ends.fresh().await;
    way.greet(Greeting::default()).await.unwrap();
    way.close().await.unwrap();
    way.close().await.unwrap();
    assert_eq!(kind(way.greet(Greeting::default()).await), ErrorKind::Closed);
    assert_eq!(kind(way.pull(PullRequest::default()).await), ErrorKind::Closed);
    assert_eq!(kind(way.try_give(None, vec![stamped("a", "x", 2, 1, 1, &[])]).await), ErrorKind::Closed);
    way.close().await.unwrap();
    let (_, unused) = ends.fresh().await;
    unused.close().await.unwrap();
    assert_eq!(kind(unused.greet(Greeting::default()).await), ErrorKind::Closed);
}

pub(super) async fn life_closing_leaves_the_store_open(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    way.give(vec![stamped("a", "x", 2, 1, 1, &[])]).await;
    way.close().await.unwrap();
    store.append(events("b", "y", 1)).await;
    assert_eq!(store.head().await.unwrap().position, 2);
}

pub(super) async fn life_an_address_shows(ends: &Ends<'_>) {
    let (_, way) = ends.fresh().await;
    let address = way.address();
    assert!(!address.is_empty() && !address.contains(char::is_control), "{address:?}");
    way.greet(Greeting::default()).await.unwrap();
    assert_eq!(way.address(), address);
}
