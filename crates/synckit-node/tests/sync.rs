//! Nodes, hubs and what happens between them, on stores in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use synckit_core::{
    Clock, CursorMode, Environment, Event, EventStore, Hub, SystemEntropy, Timestamp,
    store::{Notice, RefusalCode},
};
use synckit_node::{DecideScope, ResolverKind, SyncNode};
use synckit_store_mem::MemStore;

#[derive(Debug, Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn environment(clock: &Arc<TestClock>) -> Environment {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Environment { clock, entropy: Arc::new(SystemEntropy) }
}

fn store(mode: CursorMode) -> MemStore {
    MemStore::builder().mode(mode).build()
}

fn node(store: &MemStore, hub: &MemStore) -> SyncNode {
    SyncNode::builder(Arc::new(store.clone())).transport(hub_of(hub)).batch_size(3).build().unwrap()
}

fn hub_of(hub: &MemStore) -> Arc<Hub> {
    Arc::new(Hub::new(Arc::new(hub.clone())))
}

fn event(aggregate: &str, n: usize) -> Event {
    Event::new("t", aggregate, &n).unwrap()
}

fn document(aggregate: &str, n: usize) -> Event {
    Event::new("t", aggregate, &std::collections::BTreeMap::from([("n", n)])).unwrap()
}

async fn digests(nodes: &[&SyncNode]) -> Vec<synckit_node::Digest> {
    let mut all = Vec::new();
    for node in nodes {
        all.push(node.digest().await.unwrap());
    }
    all
}

async fn agree(nodes: &[&SyncNode]) -> synckit_node::Digest {
    let all = digests(nodes).await;
    for other in &all[1..] {
        assert_eq!(all[0], *other);
    }
    all[0].clone()
}

async fn rounds(nodes: &[&SyncNode], n: usize) {
    for _ in 0..n {
        for node in nodes {
            node.sync().await.unwrap();
        }
    }
}

#[tokio::test]
async fn three_replicas_disagree_offline_and_agree_in_the_end() {
    for mode in [CursorMode::Integer, CursorMode::Vector] {
        for resolver in
            [ResolverKind::LastWriteWins, ResolverKind::FirstWriteWins, ResolverKind::AdditiveMerge]
        {
            let hub = store(mode);
            let stores = [store(mode), store(mode), store(mode)];
            let nodes: Vec<SyncNode> = stores
                .iter()
                .map(|s| {
                    let builder = SyncNode::builder(Arc::new(s.clone())).transport(hub_of(&hub));
                    builder.batch_size(4).resolver_kind(resolver).build().unwrap()
                })
                .collect();
            for (i, node) in nodes.iter().enumerate() {
                for n in 0..10 {
                    node.append(vec![document(&format!("a{}", n % 4), i * 100 + n)]).await.unwrap();
                }
            }
            let nodes: Vec<&SyncNode> = nodes.iter().collect();
            rounds(&nodes, 3).await;
            let local_hub =
                SyncNode::builder(Arc::new(hub.clone())).decide(DecideScope::Nothing).build().unwrap();
            let mut all = nodes.clone();
            all.push(&local_hub);
            let digest = agree(&all).await;
            assert!(digest.events >= 30);
            assert_eq!(hub.count_conflicts().await.unwrap(), 0, "{mode} {resolver:?}");
            let quiet = nodes[0].sync().await.unwrap();
            assert_eq!((quiet.pushed, quiet.pulled, quiet.duplicates), (0, 0, 0), "{mode} {resolver:?}");
        }
    }
}

#[tokio::test]
async fn a_push_is_not_pulled_back() {
    let (hub, a) = (store(CursorMode::Integer), store(CursorMode::Integer));
    let a = node(&a, &hub);
    a.append((0..10).map(|n| event("x", n)).collect()).await.unwrap();
    assert_eq!(a.sync().await.unwrap().pushed, 10);
    let again = a.sync().await.unwrap();
    assert_eq!((again.pushed, again.pulled, again.duplicates), (0, 0, 0));
}

#[tokio::test]
async fn a_wiped_hub_is_healed() {
    for mode in [CursorMode::Integer, CursorMode::Vector] {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = synckit_transport_mem::MemNetwork::new();
        network.expose("hub", Arc::new(hub));
        let make = |s: &MemStore| {
            let transport = Arc::new(network.connect("hub").unwrap());
            SyncNode::builder(Arc::new(s.clone())).transport(transport).batch_size(3).build().unwrap()
        };
        let (a, b) = (make(&a), make(&b));
        a.append((0..7).map(|n| event("x", n)).collect()).await.unwrap();
        b.append((0..7).map(|n| event("y", n)).collect()).await.unwrap();
        rounds(&[&a, &b], 2).await;
        let fresh = store(mode);
        network.expose("hub", Arc::new(fresh.clone()));
        // Only one of them meets the new hub: what it had from the other goes back, too.
        let report = a.sync().await.unwrap();
        assert!(report.started_over);
        assert_eq!(report.pushed, 14);
        b.sync().await.unwrap();
        agree(&[&a, &b, &SyncNode::builder(Arc::new(fresh)).build().unwrap()]).await;
    }
}

#[tokio::test]
async fn a_restored_hub_that_grew_by_itself_is_healed() {
    for mode in [CursorMode::Integer, CursorMode::Vector] {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = synckit_transport_mem::MemNetwork::new();
        network.expose("hub", Arc::new(hub.clone()));
        let make = |s: &MemStore| {
            let transport = Arc::new(network.connect("hub").unwrap());
            SyncNode::builder(Arc::new(s.clone())).transport(transport).batch_size(3).build().unwrap()
        };
        let (a, b) = (make(&a), make(&b));
        a.append((0..5).map(|n| event("x", n)).collect()).await.unwrap();
        rounds(&[&a, &b], 1).await;
        let old = hub.duplicate();
        b.append((5..12).map(|n| event("x", n)).collect()).await.unwrap();
        rounds(&[&b, &a], 1).await;
        let grown = SyncNode::builder(Arc::new(old.clone())).build().unwrap();
        grown.append((20..40).map(|n| event("z", n)).collect()).await.unwrap();
        network.expose("hub", Arc::new(old));
        rounds(&[&a, &b, &a], 2).await;
        assert_eq!(agree(&[&a, &b, &grown]).await.events, 32, "{mode}");
    }
}

#[tokio::test]
async fn a_restored_replica_forks_and_both_events_are_kept() {
    for mode in [CursorMode::Integer, CursorMode::Vector] {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        node(&a, &hub).append(vec![event("x", 1)]).await.unwrap();
        node(&a, &hub).sync().await.unwrap();
        let old = a.duplicate();
        node(&a, &hub).append(vec![event("x", 2)]).await.unwrap();
        node(&a, &hub).sync().await.unwrap();
        let before = old.identity().node;
        let restored = node(&old, &hub);
        restored.append(vec![event("x", 3)]).await.unwrap();
        let report = restored.sync().await.unwrap();
        let forked = report
            .notices
            .iter()
            .any(|n| matches!(n, Notice::ForkedOrigin { former, held: Some(_), .. } if *former == before));
        assert!(forked, "{mode}: {report:?}");
        assert_ne!(old.identity().node, before);
        let (a, b) = (node(&a, &hub), node(&b, &hub));
        rounds(&[&a, &b, &restored], 3).await;
        assert!(agree(&[&a, &b, &restored]).await.events >= 3);
    }
}

#[tokio::test]
async fn the_same_file_imported_twice_is_one_set_of_events() {
    for mode in [CursorMode::Integer, CursorMode::Vector] {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let events: Vec<Event> = (0..20).map(|n| event(&format!("a{}", n % 3), n)).collect();
        let (a, b) = (node(&a, &hub), node(&b, &hub));
        b.append(events.clone()).await.unwrap();
        a.append(events).await.unwrap();
        rounds(&[&a, &b], 3).await;
        assert_eq!(agree(&[&a, &b]).await.events, 20);
        assert_eq!(a.status().await.unwrap().conflicts, 0);
    }
}

#[tokio::test]
async fn a_clock_in_the_future_is_refused_until_it_is_set_right() {
    let clock = Arc::new(TestClock::default());
    let a = MemStore::builder().environment(environment(&clock)).build();
    let hub = MemStore::builder().environment(environment(&Arc::default())).build();
    let a = node(&a, &hub);
    let year = 365 * 24 * 3_600 * 1_000_000;
    clock.0.fetch_add(year, Ordering::SeqCst);
    a.append(vec![event("x", 1), event("x", 2), event("y", 1)]).await.unwrap();
    let report = a.sync().await.unwrap();
    assert_eq!(report.refused.len(), 3, "{:?}", report.refused);
    assert!(report.refused.iter().any(|r| r.code == RefusalCode::ClockSkew));
    assert_eq!(hub.head().await.unwrap().position, 0);
    clock.0.fetch_sub(year, Ordering::SeqCst);
    a.sync().await.unwrap();
    a.sync().await.unwrap();
    assert!(a.refused().await.unwrap().is_empty(), "{:?}", a.refused().await.unwrap());
    agree(&[&a, &SyncNode::builder(Arc::new(hub)).build().unwrap()]).await;
}

#[tokio::test]
async fn a_review_is_answered_from_another_node_and_undone() {
    let (a, b, hub) = (store(CursorMode::Integer), store(CursorMode::Vector), store(CursorMode::Integer));
    let manual = |s: &MemStore| {
        let builder = SyncNode::builder(Arc::new(s.clone())).transport(hub_of(&hub));
        builder.resolver_kind(ResolverKind::ManualReview).build().unwrap()
    };
    let (a, b) = (manual(&a), manual(&b));
    let (first, second) = (event("x", 1), event("x", 2));
    a.append(vec![first.clone()]).await.unwrap();
    b.append(vec![second.clone()]).await.unwrap();
    rounds(&[&a, &b], 2).await;
    let open = a.conflicts(None, 10).await.unwrap();
    assert_eq!((open.len(), open[0].in_review), (1, true));
    let before = agree(&[&a, &b]).await.view;
    b.resolve_conflict(&open[0].id, std::slice::from_ref(&first.id), Some("ada"), Some("seen it"))
        .await
        .unwrap();
    rounds(&[&b, &a], 2).await;
    let after = agree(&[&a, &b]).await.view;
    assert_ne!(before, after);
    assert_eq!(a.status().await.unwrap().conflicts, 0);
    a.undo(&open[0].id, Some("bob"), None).await.unwrap();
    rounds(&[&a, &b], 2).await;
    assert_eq!(agree(&[&a, &b]).await.view, before);
    a.undo(&open[0].id, Some("bob"), None).await.unwrap();
    rounds(&[&a, &b], 2).await;
    assert_eq!(agree(&[&a, &b]).await.view, after);
}

#[tokio::test]
async fn giving_up_an_event_leaves_anothers_event_with_its_id_alone() {
    let (a, b, hub) = (store(CursorMode::Integer), store(CursorMode::Integer), store(CursorMode::Integer));
    let (a, b) = (node(&a, &hub), node(&b, &hub));
    a.append(vec![event("x", 1).with_id("same").unwrap()]).await.unwrap();
    a.sync().await.unwrap();
    b.append(vec![event("x", 2).with_id("same").unwrap()]).await.unwrap();
    let refused = b.push().await.unwrap();
    assert_eq!(refused.refused[0].code, RefusalCode::ContentMismatch);
    b.withdraw(&"same".parse().unwrap()).await.unwrap();
    rounds(&[&b, &a, &b], 2).await;
    let digest = agree(&[&a, &b, &SyncNode::builder(Arc::new(hub)).build().unwrap()]).await;
    let mut counting = Vec::new();
    let collect = |e: Event, _| {
        counting.push(e.data.as_json().unwrap().to_owned());
        Ok::<(), synckit_core::Error>(())
    };
    b.effective(None, 0, collect).await.unwrap();
    assert_eq!(counting, ["1"]);
    assert_eq!(digest.events, 2, "the event of the one, and the withdrawal of the other");
}

#[tokio::test]
async fn an_event_whose_id_is_taken_is_issued_again() {
    let (a, b, hub) = (store(CursorMode::Integer), store(CursorMode::Integer), store(CursorMode::Integer));
    let (a, b) = (node(&a, &hub), node(&b, &hub));
    a.append(vec![event("x", 1).with_id("same").unwrap()]).await.unwrap();
    a.sync().await.unwrap();
    b.append(vec![event("x", 2).with_id("same").unwrap()]).await.unwrap();
    b.sync().await.unwrap();
    assert!(!b.refused().await.unwrap().is_empty());
    b.reissue(&"same".parse().unwrap(), &"other".parse().unwrap()).await.unwrap();
    rounds(&[&b, &a, &b], 2).await;
    assert!(b.refused().await.unwrap().is_empty(), "{:?}", b.refused().await.unwrap());
    agree(&[&a, &b]).await;
    assert_eq!(a.store().load(&["other".parse().unwrap()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_conflict_in_review_that_grows_is_left_to_people() {
    let hub = store(CursorMode::Integer);
    let make = |resolver| {
        let builder = SyncNode::builder(Arc::new(store(CursorMode::Integer))).transport(hub_of(&hub));
        builder.resolver_kind(resolver).build().unwrap()
    };
    let (a, b) = (make(ResolverKind::ManualReview), make(ResolverKind::ManualReview));
    let machine = make(ResolverKind::LastWriteWins);
    for (n, node) in [&a, &b, &machine].into_iter().enumerate() {
        node.append(vec![event("x", n)]).await.unwrap();
    }
    rounds(&[&a, &b], 2).await;
    rounds(&[&machine, &a, &b], 2).await;
    let open = a.conflicts(None, 10).await.unwrap();
    assert_eq!((open.len(), open[0].in_review), (1, true));
    let grown = machine.conflict(&open[0].id).await.unwrap();
    assert_eq!(grown.sides.len(), 3);
    assert!(grown.sides.iter().all(|s| s.events.len() == 1));
    let keep: Vec<_> = grown.sides.iter().map(|s| synckit_core::EventId::from(&s.head)).take(1).collect();
    machine.resolve_conflict(&open[0].id, &keep, Some("ada"), None).await.unwrap();
    rounds(&[&machine, &a, &b], 2).await;
    agree(&[&a, &b, &machine]).await;
    assert_eq!(a.status().await.unwrap().conflicts, 0);
    // What was settled does not keep the aggregate in review for ever.
    a.append(vec![event("x", 10)]).await.unwrap();
    machine.append(vec![event("x", 11)]).await.unwrap();
    rounds(&[&a, &machine, &a, &b], 2).await;
    agree(&[&a, &b, &machine]).await;
    assert_eq!(a.status().await.unwrap().conflicts, 0);
}

#[tokio::test]
async fn what_was_decided_undone_and_decided_anew_is_in_effect() {
    let (a, b, hub) = (store(CursorMode::Integer), store(CursorMode::Integer), store(CursorMode::Integer));
    let manual = |s: &MemStore| {
        let builder = SyncNode::builder(Arc::new(s.clone())).transport(hub_of(&hub));
        builder.resolver_kind(ResolverKind::ManualReview).build().unwrap()
    };
    let (a, b) = (manual(&a), manual(&b));
    a.append(vec![event("x", 1).with_id("ma").unwrap()]).await.unwrap();
    b.append(vec![event("x", 2).with_id("mb").unwrap()]).await.unwrap();
    rounds(&[&a, &b], 2).await;
    let conflict = a.conflicts(None, 1).await.unwrap()[0].id.clone();
    for steps in ["ma undo ma", "mb undo ma+mb", "ma undo undo undo ma+mb", "ma+mb undo ma undo", "mb ma mb"]
    {
        for (n, step) in steps.split(' ').enumerate() {
            let node = if n % 2 == 0 { &a } else { &b };
            if step == "undo" {
                node.undo(&conflict, None, None).await.unwrap();
            } else {
                let keep: Vec<_> = step.split('+').map(|id| id.parse().unwrap()).collect();
                node.resolve_conflict(&conflict, &keep, None, None).await.unwrap();
                let mut counting = Vec::new();
                let collect = |e: Event, _| {
                    counting.push(e.id.to_string());
                    Ok::<(), synckit_core::Error>(())
                };
                node.effective(None, 0, collect).await.unwrap();
                counting.sort_unstable();
                assert_eq!(counting.join("+"), step, "in {steps:?}");
            }
            assert_eq!(node.status().await.unwrap().conflicts, 0, "{steps:?}");
            rounds(&[&a, &b], 2).await;
            agree(&[&a, &b]).await;
        }
    }
}

#[derive(Debug)]
struct Broken(u8);

#[async_trait::async_trait]
impl synckit_resolve::ConflictResolver for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn resolve(
        &self,
        conflict: &synckit_resolve::Conflict,
    ) -> Result<synckit_resolve::Resolution, synckit_resolve::ResolveError> {
        assert!(conflict.sides().iter().all(|s| !s.events.is_empty()));
        match self.0 {
            0 => Err(synckit_resolve::ResolveError::new("no idea")),
            1 => panic!("no way"),
            _ => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_blocks_only_its_own_conflict() {
    for (kind, reason) in [(0, "no idea"), (1, "panicked"), (2, "did not answer")] {
        let (a, b, hub) =
            (store(CursorMode::Integer), store(CursorMode::Integer), store(CursorMode::Integer));
        let b = node(&b, &hub);
        let builder = SyncNode::builder(Arc::new(a)).transport(hub_of(&hub)).resolver(Arc::new(Broken(kind)));
        let a = builder.build().unwrap();
        a.append(vec![event("x", 1), event("y", 1)]).await.unwrap();
        b.append(vec![event("x", 2), event("z", 2)]).await.unwrap();
        b.sync().await.unwrap();
        let report = a.sync().await.unwrap();
        assert_eq!((report.pulled, report.conflicts.review), (2, 1));
        let open = a.conflicts(None, 10).await.unwrap();
        let shown = a.conflict(&open[0].id).await.unwrap();
        assert!(shown.reasons[0].contains(reason), "{:?}", shown.reasons);
        assert_eq!(hub.head().await.unwrap().position, 5, "everything and the review");
    }
}

#[tokio::test]
async fn requests_that_wait_share_one_run() {
    let (a, hub) = (store(CursorMode::Integer), store(CursorMode::Integer));
    let a = node(&a, &hub);
    let mut reports = a.subscribe();
    let runs = (0..20).map(|_| {
        let a = a.clone();
        tokio::spawn(async move { a.sync().await.unwrap() })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    a.close().await.unwrap();
    a.close().await.unwrap();
    drop(a);
    let mut count = 0;
    while reports.next().await.is_some() {
        count += 1;
    }
    assert!((1..=20).contains(&count), "{count}");
}

#[tokio::test]
async fn nonsense_is_refused_when_building() {
    let mem = || Arc::new(store(CursorMode::Integer));
    let hub = store(CursorMode::Integer);
    let mistakes = [
        SyncNode::builder(mem()).transport(hub_of(&hub)).push_only().pull_only(),
        SyncNode::builder(mem()).push_only(),
        SyncNode::builder(mem()).batch_size(0),
        SyncNode::builder(mem()).batch_size(1_000_000),
        SyncNode::builder(mem()).timeout(std::time::Duration::ZERO),
        SyncNode::builder(mem()).mode(CursorMode::Vector),
        SyncNode::builder(mem()).resolver_timeout(std::time::Duration::ZERO),
        SyncNode::builder(mem()).resolver(Arc::new(Broken(0))).resolver_kind(ResolverKind::AdditiveMerge),
    ];
    let messages: Vec<String> = mistakes.into_iter().map(|b| b.build().unwrap_err().to_string()).collect();
    let different: std::collections::BTreeSet<&String> = messages.iter().collect();
    assert_eq!(different.len(), messages.len(), "each has a message of its own: {messages:#?}");
}
