//! Nodes that decide by rules, and what the log says of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use synckit_core::{
    Clock, Environment, Event, EventStore as _, EventType, Hub, NodeId, Stamp, SystemEntropy, Timestamp,
    VertexId,
    decision::{Decision, RESOLUTION},
    store::{Apply, Offered, Outcome, Write},
};
use synckit_node::{AuditEntry, AuditFilter, Complexity, SyncNode};
use synckit_resolve::{
    Conflict, ConflictResolver, DynamicResolver, FirstWriteWins, LastWriteWins, Limits, ManualReview,
    Resolution, ResolveError, Rule, RuleGroup, Spec, ThreeWayMerge,
};
use synckit_store_mem::MemStore;

/// A clock that a test sets, and that never shows one time twice.
#[derive(Debug, Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn node(hub: &MemStore, clock: &Arc<TestClock>, resolver: impl ConflictResolver) -> SyncNode {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let environment = Environment { clock, entropy: Arc::new(SystemEntropy) };
    let hub = Arc::new(Hub::new(Arc::new(hub.clone())));
    let store = Arc::new(MemStore::builder().environment(environment.clone()).build());
    SyncNode::builder(store)
        .transport(hub)
        .environment(environment)
        .resolver(Arc::new(resolver))
        .build()
        .unwrap()
}

fn event(id: &str, aggregate: &str, data: &Value) -> Event {
    Event::new("changed", aggregate, data).unwrap().with_id(id).unwrap()
}

async fn audit(node: &SyncNode, filter: &AuditFilter) -> Vec<AuditEntry> {
    let mut found = Vec::new();
    node.audit(filter, |entry| {
        found.push(entry);
        Ok::<(), synckit_core::Error>(())
    })
    .await
    .unwrap();
    found
}

fn rules(by: impl ConflictResolver) -> DynamicResolver {
    let group = RuleGroup::new("orders").rule(Rule::new("all", Spec::always(), by));
    DynamicResolver::builder().group(group).build().unwrap()
}

#[tokio::test]
async fn two_nodes_decide_differently_while_apart_and_one_decision_wins_everywhere() {
    let clock = Arc::new(TestClock::default());
    let (one, other) = (MemStore::new(), MemStore::new());
    let a = node(&one, &clock, rules(LastWriteWins::default()));
    let b = node(&other, &clock, rules(FirstWriteWins::default()));
    // Both hubs get both sides, and meet only after both nodes have decided.
    let (left, right) = (event("left", "x", &json!({"v": 1})), event("right", "x", &json!({"v": 2})));
    a.append(vec![left]).await.unwrap();
    b.append(vec![right]).await.unwrap();
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    let between = |from: &MemStore, to: &MemStore| {
        let hub = Arc::new(Hub::new(Arc::new(to.clone())));
        let scope = synckit_node::DecideScope::Nothing;
        SyncNode::builder(Arc::new(from.clone())).transport(hub).decide(scope).build().unwrap()
    };
    let bridge = between(&one, &other);
    bridge.sync().await.unwrap();
    assert_eq!(a.sync().await.unwrap().conflicts.resolved, 1);
    assert_eq!(b.sync().await.unwrap().conflicts.resolved, 1);
    for _ in 0..3 {
        bridge.sync().await.unwrap();
        a.sync().await.unwrap();
        b.sync().await.unwrap();
    }
    assert_eq!(a.digest().await.unwrap(), b.digest().await.unwrap());
    let decisions = audit(&a, &AuditFilter::default()).await;
    let mut by: Vec<&str> = decisions.iter().map(|d| d.decision.resolver.as_str()).collect();
    by.sort_unstable();
    by.dedup();
    assert_eq!(by, ["first_write_wins", "last_write_wins"], "both decisions are in the log");
    assert!(decisions.iter().all(|d| d.decision.rule.as_deref() == Some("orders.all")));
    assert!(a.conflicts(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_merge_decided_is_audited_analysed_and_taken_back_everywhere() {
    let (clock, hub) = (Arc::new(TestClock::default()), MemStore::new());
    let (a, b) =
        (node(&hub, &clock, rules(ThreeWayMerge::new())), node(&hub, &clock, rules(ThreeWayMerge::new())));
    a.append(vec![event("base", "x", &json!({"v": 1, "w": 1}))]).await.unwrap();
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    a.append(vec![event("left", "x", &json!({"v": 2, "w": 1}))]).await.unwrap();
    b.append(vec![event("right", "x", &json!({"v": 1, "w": 3}))]).await.unwrap();
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    a.sync().await.unwrap();
    let found = audit(&a, &AuditFilter::default()).await;
    assert_eq!((found.len(), found[0].decision.group.as_deref()), (1, Some("orders")));
    let merged: Value = serde_json::from_str(found[0].decision.merged[0].data.get()).unwrap();
    assert_eq!(merged, json!({"v": 2, "w": 3}));
    let id = found[0].decision.conflict.clone().unwrap();
    assert_eq!(a.read_conflict(&id).await.unwrap().changed_fields(), ["/v", "/w"]);

    let analysis = a.analyze_undo(&id).await.unwrap();
    assert_eq!((analysis.complexity, analysis.later_events.len()), (Complexity::Simple, 0));
    for n in 0..4 {
        a.append(vec![event(&format!("later-{n}"), "x", &json!({"v": n}))]).await.unwrap();
    }
    let before = a.digest().await.unwrap();
    let analysis = a.analyze_undo(&id).await.unwrap();
    assert_eq!((analysis.complexity, analysis.later_events.len()), (Complexity::Complex, 4));
    assert!(analysis.warnings.iter().any(|w| w.contains("4 events")), "{:?}", analysis.warnings);
    assert_eq!(a.digest().await.unwrap(), before, "an analysis changes nothing");

    a.undo(&id, Some("ann"), None).await.unwrap();
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    assert_eq!(a.digest().await.unwrap(), b.digest().await.unwrap());
    let mut by_ann = AuditFilter::default();
    by_ann.user = Some("ann".into());
    assert_eq!(audit(&b, &by_ann).await.len(), 1);
    let (from, to) = (found[0].written_at, audit(&b, &by_ann).await[0].written_at);
    let mut early = AuditFilter::default();
    (early.from, early.to) = (Some(from), Some(from));
    assert_eq!(audit(&b, &early).await.len(), 1);
    (early.from, early.to) = (Some(to), None);
    assert_eq!(audit(&b, &early).await.len(), 1);
}

/// Never answers, and says so.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl ConflictResolver for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn limits(&self) -> Limits {
        Limits::default().answer(Duration::from_millis(70)).batch(1)
    }

    async fn resolve(&self, _: &Conflict) -> Result<Resolution, ResolveError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_s_own_limits_are_kept() {
    let (clock, hub) = (Arc::new(TestClock::default()), MemStore::new());
    let (a, b) = (node(&hub, &clock, Slow), node(&hub, &clock, Slow));
    for i in 0..3 {
        let aggregate = format!("x{i}");
        a.append(vec![event(&format!("a{i}"), &aggregate, &json!(1))]).await.unwrap();
        b.append(vec![event(&format!("b{i}"), &aggregate, &json!(2))]).await.unwrap();
    }
    a.sync().await.unwrap();
    assert_eq!(b.sync().await.unwrap().conflicts.review, 3);
    let open = b.conflicts(None, 10).await.unwrap();
    let shown = b.conflict(&open[0].id).await.unwrap();
    assert_eq!(shown.reasons, ["the resolver slow did not answer within 70 ms"]);
}

#[tokio::test]
async fn reviews_that_nobody_answers_become_overdue() {
    let (clock, hub) = (Arc::new(TestClock::default()), MemStore::new());
    let manual = || {
        let limits = Limits::default().review(Duration::from_secs(60));
        let rule = Rule::new("all", Spec::always(), ManualReview::because("who knows"));
        DynamicResolver::builder().rule(rule).limits(limits).build().unwrap()
    };
    let (a, b) = (node(&hub, &clock, manual()), node(&hub, &clock, manual()));
    a.append(vec![event("a", "x", &json!(1))]).await.unwrap();
    b.append(vec![event("b", "x", &json!(2))]).await.unwrap();
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    let counts = b.sync().await.unwrap().conflicts;
    assert_eq!((counts.review, counts.overdue), (1, 0));
    clock.0.fetch_add(61_000_000, Ordering::SeqCst);
    let counts = b.sync().await.unwrap().conflicts;
    assert_eq!((counts.review, counts.overdue), (1, 1));
    assert_eq!(
        b.conflict(&b.conflicts(None, 1).await.unwrap()[0].id).await.unwrap().reasons,
        ["who knows (rule all)"]
    );
}

#[tokio::test]
async fn a_decision_that_came_under_two_stamps_is_listed_once() {
    let store = MemStore::new();
    let stamped = |event: &Event, origin: u128, at: u64, parents: &[&str]| {
        let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
        let stamp = Stamp::checked(NodeId::from_u128(origin), 1, Timestamp::from_micros(at), parents);
        Offered { event: event.clone(), stamp: Some(stamp.unwrap()), stub: None, position: 0 }
    };
    let [left, right] = ["left", "right"].map(|id| event(id, "x", &json!(id)));
    let parents = ["left", "right"].map(|id| VertexId::new(id).unwrap());
    let mut decision = Decision::adopting(parents.to_vec(), "keep", "keep_both");
    decision.decision = Some(decision.machine_id(&left.aggregate_id, &parents));
    let mut decided = event("synckit.r.1", "x", &json!(1));
    decided.event_type = EventType::new(RESOLUTION).unwrap();
    decided.data = decision.to_payload().unwrap();
    let (late, early) =
        (stamped(&decided, 3, 50, &["left", "right"]), stamped(&decided, 4, 40, &["left", "right"]));
    for entries in [vec![stamped(&left, 1, 10, &[]), stamped(&right, 2, 10, &[]), late], vec![early]] {
        let written = store.write(Write::Apply(Apply { entries, ..Apply::default() })).await.unwrap();
        assert!(
            written.outcomes.iter().all(|o| matches!(o, Outcome::Accepted { .. })),
            "{:?}",
            written.outcomes
        );
    }
    let node = SyncNode::builder(Arc::new(store)).build().unwrap();
    let found = audit(&node, &AuditFilter::default()).await;
    let listed: Vec<_> = found.iter().map(|e| (e.position, e.written_at.as_micros())).collect();
    assert_eq!(listed, [(4, 40)], "the entry that counts");
}
