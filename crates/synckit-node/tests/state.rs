//! What a node says of what it is doing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use synckit_core::{Event, Hub};
use synckit_machine::{Observer, Transition};
use synckit_node::{DecideScope, RetryPolicy, SyncNode, SyncState};
use synckit_resolve::{Conflict, ConflictResolver, Resolution, ResolveError};
use synckit_store_mem::MemStore;
use synckit_transport_mem::MemNetwork;

use SyncState::{Cancelled, Completed, Failed, Idle, Initializing, Pulling, Pushing, ResolvingConflicts};

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<SyncState>>);

impl Observer<SyncState> for Seen {
    fn transitioned(&self, _: &str, transition: &Transition<SyncState>) {
        self.0.lock().unwrap().push(transition.to);
    }
}

fn event(id: &str) -> Event {
    Event::new("changed", "x", &json!(id)).unwrap().with_id(id).unwrap()
}

#[tokio::test]
async fn a_sync_goes_through_its_phases() {
    let hub = Arc::new(Hub::new(Arc::new(MemStore::new())));
    let node = SyncNode::builder(Arc::new(MemStore::new())).transport(hub).build().unwrap();
    let seen = Arc::new(Seen::default());
    let subscription = node.observe(Arc::clone(&seen) as Arc<dyn Observer<SyncState>>);
    assert_eq!(node.state(), Idle);
    let steps = |report: &synckit_node::SyncReport| report.path.iter().map(|t| t.to).collect::<Vec<_>>();
    let all = [Initializing, Pulling, ResolvingConflicts, Pushing, Completed];
    for _ in 0..20 {
        assert_eq!(steps(&node.sync().await.unwrap()), all);
    }
    assert_eq!(node.state(), Completed);
    assert_eq!(steps(&node.push().await.unwrap()), [Initializing, Pushing, Completed]);
    assert_eq!(steps(&node.pull().await.unwrap()), [Initializing, Pulling, ResolvingConflicts, Completed]);
    assert!(node.unobserve(subscription));
    let told = seen.0.lock().unwrap().clone();
    assert_eq!(told[..6], [Initializing, Pulling, ResolvingConflicts, Pushing, Completed, Idle]);
    let local = SyncNode::builder(Arc::new(MemStore::new())).build().unwrap();
    assert_eq!(steps(&local.sync().await.unwrap()), [Initializing, ResolvingConflicts, Completed]);
}

#[tokio::test]
async fn a_sync_that_fails_says_where() {
    let network = MemNetwork::new();
    network.expose("hub", Arc::new(MemStore::new()));
    network.set_reachable("hub", false);
    let once = RetryPolicy::new(1, Duration::from_millis(1), Duration::from_millis(1)).unwrap();
    let node = SyncNode::builder(Arc::new(MemStore::new()))
        .transport(Arc::new(network.connect("hub").unwrap()))
        .retry(once)
        .build()
        .unwrap();
    let mut reports = node.subscribe();
    node.sync().await.unwrap_err();
    assert_eq!(node.state(), Failed);
    let path: Vec<SyncState> = reports.next().await.unwrap().path.iter().map(|t| t.to).collect();
    assert_eq!(path, [Initializing, Failed]);
}

/// Never answers.
#[derive(Debug)]
struct Hangs;

#[async_trait]
impl ConflictResolver for Hangs {
    fn name(&self) -> &str {
        "hangs"
    }

    async fn resolve(&self, _: &Conflict) -> Result<Resolution, ResolveError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_given_up_was_cancelled() {
    let hub = Arc::new(Hub::new(Arc::new(MemStore::new())));
    let other = SyncNode::builder(Arc::new(MemStore::new())).transport(hub.clone()).build().unwrap();
    let builder = SyncNode::builder(Arc::new(MemStore::new())).transport(hub).resolver(Arc::new(Hangs));
    let node = builder
        .decide(DecideScope::Every)
        .timeout(Duration::from_secs(5))
        .resolver_timeout(Duration::from_secs(9))
        .build()
        .unwrap();
    other.append(vec![event("a")]).await.unwrap();
    node.append(vec![event("b")]).await.unwrap();
    other.sync().await.unwrap();
    let syncing = node.clone();
    let sync = tokio::spawn(async move { syncing.sync().await });
    while node.state() != ResolvingConflicts {
        tokio::task::yield_now().await;
    }
    sync.abort();
    assert!(sync.await.unwrap_err().is_cancelled());
    assert_eq!(node.state(), Cancelled);
    node.sync().await.unwrap_err();
    assert_eq!(node.state(), Cancelled, "it took longer than it may");
}
