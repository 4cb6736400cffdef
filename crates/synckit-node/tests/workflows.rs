//! What becomes of the workflows of a node's conflicts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use synckit_core::{Clock, ConflictId, Environment, Event, EventId, Hub, SystemEntropy, Timestamp};
use synckit_node::{AuditFilter, SyncNode};
use synckit_resolve::{
    AuditableResolver, Conflict, ConflictResolver, DecisionContext, DynamicResolver, LastWriteWins, Limits,
    ManualReview, Resolution, ResolveError, Rule, Spec,
    workflow::{
        MemoryWorkflowStore, RuleVerdict, WorkflowFilter, WorkflowLimits, WorkflowState, WorkflowSummary,
        Workflows,
    },
};
use synckit_store_mem::MemStore;

use WorkflowState::{Analyzing, ApplyingRules, Escalated, Failed, ManualReview as Waits, Resolved};

/// A clock that a test sets, and that never shows one time twice.
#[derive(Debug, Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Place {
    clock: Arc<TestClock>,
    hub: MemStore,
}

impl Place {
    fn new() -> Self {
        Self { clock: Arc::default(), hub: MemStore::new() }
    }

    fn node(&self, resolver: impl ConflictResolver) -> SyncNode {
        self.node_on(
            &MemStore::builder().environment(self.environment()).build(),
            resolver,
            Workflows::default(),
        )
    }

    fn environment(&self) -> Environment {
        Environment { clock: Arc::clone(&self.clock) as Arc<dyn Clock>, entropy: Arc::new(SystemEntropy) }
    }

    fn node_on(&self, store: &MemStore, resolver: impl ConflictResolver, workflows: Workflows) -> SyncNode {
        SyncNode::builder(Arc::new(store.clone()))
            .transport(Arc::new(Hub::new(Arc::new(self.hub.clone()))))
            .environment(self.environment())
            .resolver(Arc::new(resolver))
            .resolver_timeout(Duration::from_millis(50))
            .workflows(workflows)
            .build()
            .unwrap()
    }
}

fn event(id: &str, aggregate: &str, data: &Value) -> Event {
    Event::new("changed", aggregate, data).unwrap().with_id(id).unwrap()
}

/// Has two nodes write apart to these aggregates, and meet; the second decides.
async fn disagree(first: &SyncNode, second: &SyncNode, aggregates: &[&str]) {
    let events =
        |by: &str| aggregates.iter().map(|a| event(&format!("{by}-{a}"), a, &json!({"by": by}))).collect();
    first.append(events("first")).await.unwrap();
    second.append(events("second")).await.unwrap();
    first.sync().await.unwrap();
    second.sync().await.unwrap();
}

fn all(node: &SyncNode) -> Vec<WorkflowSummary> {
    node.workflows().unwrap().list(&WorkflowFilter::default())
}

fn states(summary: &WorkflowSummary) -> Vec<WorkflowState> {
    summary.path.iter().map(|step| step.to).collect()
}

fn by_rules(rule: &str, resolver: impl ConflictResolver) -> DynamicResolver {
    let limits = Limits::default().review(Duration::from_secs(60));
    DynamicResolver::builder().rule(Rule::new(rule, Spec::always(), resolver)).limits(limits).build().unwrap()
}

async fn only_conflict(node: &SyncNode) -> ConflictId {
    let open = node.conflicts(None, 2).await.unwrap();
    assert_eq!(open.len(), 1);
    open[0].id.clone()
}

fn keep(id: &str) -> [EventId; 1] {
    [EventId::new(id).unwrap()]
}

#[tokio::test]
async fn a_decision_that_is_stored_resolves_its_workflow() {
    let place = Place::new();
    let (a, b) =
        (place.node(LastWriteWins::default()), place.node(by_rules("newest", LastWriteWins::default())));
    disagree(&a, &b, &["x", "y"]).await;
    let found = all(&b);
    assert_eq!(found.len(), 2);
    for summary in found {
        assert_eq!(states(&summary), [Analyzing, ApplyingRules, Resolved]);
        assert_eq!((summary.matched, summary.evaluations[0].rule.as_str()), (1, "newest"));
        assert_eq!(summary.path[1].note["sides"], "2");
    }
    assert!(all(&a).is_empty(), "the first had no conflict to decide");
}

#[tokio::test]
async fn an_answer_ends_what_waits_for_it_on_every_node() {
    let place = Place::new();
    let manual = || by_rules("ask", ManualReview::because("who knows"));
    let (a, b) = (place.node(manual()), place.node(manual()));
    disagree(&a, &b, &["x"]).await;
    a.sync().await.unwrap();
    for node in [&a, &b] {
        let found = all(node);
        assert_eq!(found.len(), 1, "also where the review was not opened");
        assert_eq!(found[0].state, Waits);
        assert_eq!(found[0].reasons(), ["who knows (rule ask)"]);
    }
    let id = only_conflict(&a).await;
    a.resolve_conflict(&id, &keep("first-x"), Some("ann"), Some("she was there")).await.unwrap();
    let here = a.workflows().unwrap().get(&id).unwrap();
    assert_eq!((here.state, here.reasons()), (Resolved, ["she was there".to_owned()].as_slice()), "at once");
    a.sync().await.unwrap();
    b.sync().await.unwrap();
    let there = b.workflows().unwrap().get(&id).unwrap();
    assert_eq!(states(&there), [Analyzing, ApplyingRules, Waits, Resolved]);
    assert!(format!("{:?}", there.outcome).contains("ann"));
}

#[tokio::test]
async fn what_nobody_answers_is_escalated_and_can_be_answered_still() {
    let place = Place::new();
    let manual = || by_rules("ask", ManualReview::because("who knows"));
    let (a, b) = (place.node(manual()), place.node(manual()));
    disagree(&a, &b, &["x"]).await;
    let id = only_conflict(&b).await;
    place.clock.0.fetch_add(61_000_000, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(b.sync().await.unwrap().conflicts.overdue, 1);
        let summary = b.workflows().unwrap().get(&id).unwrap();
        assert_eq!(states(&summary), [Analyzing, ApplyingRules, Waits, Escalated]);
    }
    b.resolve_conflict(&id, &keep("second-x"), Some("eve"), None).await.unwrap();
    let summary = b.workflows().unwrap().get(&id).unwrap();
    assert_eq!(states(&summary), [Analyzing, ApplyingRules, Waits, Escalated, Resolved]);
}

/// Does what the aggregate says.
#[derive(Debug)]
struct Moody;

#[async_trait]
impl ConflictResolver for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        match conflict.aggregate().as_str() {
            "fails" => Err(ResolveError::new("no idea")),
            "panics" => panic!("out of ideas"),
            "hangs" => std::future::pending().await,
            "escalates" => Ok(Resolution::escalate("not mine to say")),
            "strange" => Ok(Resolution::adopt(["elsewhere".parse().unwrap()])),
            _ => Ok(Resolution::adopt([conflict.sides()[0].outline.head.clone()])),
        }
    }
}

#[tokio::test]
async fn a_resolver_that_goes_wrong_sends_its_conflict_alone_to_a_person() {
    let place = Place::new();
    let (a, b) = (place.node(LastWriteWins::default()), place.node(Moody));
    let aggregates = ["fails", "panics", "hangs", "escalates", "strange", "works"];
    disagree(&a, &b, &aggregates).await;
    for (aggregate, state, reason) in [
        ("fails", Waits, "the resolver moody failed: no idea"),
        ("panics", Waits, "the resolver moody panicked"),
        ("hangs", Waits, "the resolver moody did not answer within 50 ms"),
        ("escalates", Escalated, "not mine to say"),
        ("strange", Waits, "the resolver moody adopted a view that is not one of the sides"),
    ] {
        let found = all(&b).into_iter().find(|s| s.aggregate.as_str() == aggregate).unwrap();
        assert_eq!((found.state, found.reasons()), (state, [reason.to_owned()].as_slice()));
        let failed = found.evaluations.iter().any(|e| e.verdict == RuleVerdict::Failed);
        assert_eq!(failed, !matches!(aggregate, "escalates" | "strange"), "{aggregate}");
    }
    let works = all(&b).into_iter().find(|s| s.aggregate.as_str() == "works").unwrap();
    assert_eq!(works.state, Resolved);
}

#[tokio::test]
async fn an_answer_that_came_while_the_process_was_away_is_noticed() {
    let place = Place::new();
    let record = Arc::new(MemoryWorkflowStore::new());
    let open = async || {
        let limits = WorkflowLimits::default();
        Workflows::open(Arc::clone(&record) as _, limits, place.clock.now()).await.unwrap()
    };
    let manual = || ManualReview::because("who knows");
    let store = MemStore::builder().environment(place.environment()).build();
    let (a, b) = (place.node(manual()), place.node_on(&store, manual(), open().await));
    disagree(&a, &b, &["x"]).await;
    b.workflows().unwrap().flush().await.unwrap();
    drop(b);
    // Another process with the same store answers, without workflows.
    let other = SyncNode::builder(Arc::new(store.clone())).build().unwrap();
    let id = only_conflict(&other).await;
    other.resolve_conflict(&id, &keep("first-x"), Some("ann"), None).await.unwrap();
    let b = place.node_on(&store, manual(), open().await);
    assert_eq!(b.workflows().unwrap().get(&id).unwrap().state, Waits);
    b.sync().await.unwrap();
    assert_eq!(b.workflows().unwrap().get(&id).unwrap().state, Resolved);
}

#[tokio::test]
async fn a_decision_that_was_stored_as_the_process_ended_is_noticed() {
    let place = Place::new();
    let record = Arc::new(MemoryWorkflowStore::new());
    let open = async || {
        let limits = WorkflowLimits::default();
        Workflows::open(Arc::clone(&record) as _, limits, place.clock.now()).await.unwrap()
    };
    let store = MemStore::builder().environment(place.environment()).build();
    let a = place.node(LastWriteWins::default());
    let b = place.node_on(
        &store,
        AuditableResolver::new(LastWriteWins::default(), |_| DecisionContext::new().user("ann")),
        Workflows::default(),
    );
    disagree(&a, &b, &["x"]).await;
    let done = all(&b).remove(0);
    assert!(
        format!("{:?}", done.outcome).contains("last_write_wins"),
        "not the person on whose behalf it was"
    );
    // As the record is when the process ends after the decision was stored, and before the workflow knew.
    let before = open().await;
    let run = before.start(&done.conflict, &done.aggregate, place.clock.now()).unwrap();
    before.apply(&run, std::collections::BTreeMap::new(), place.clock.now()).unwrap();
    before.flush().await.unwrap();
    let b = place.node_on(&store, LastWriteWins::default(), open().await);
    assert_eq!(all(&b)[0].state, Failed);
    b.sync().await.unwrap();
    assert_eq!(all(&b)[0].state, Resolved);
}

#[tokio::test]
async fn a_sync_that_is_given_up_leaves_no_workflow_under_way() {
    let place = Place::new();
    let (a, b) = (place.node(LastWriteWins::default()), place.node(Moody));
    let events = |by: &str| vec![event(by, "hangs", &json!(by))];
    a.append(events("first")).await.unwrap();
    b.append(events("second")).await.unwrap();
    a.sync().await.unwrap();
    let syncing = b.clone();
    let sync = tokio::spawn(async move { syncing.sync().await });
    while b.workflows().unwrap().active().is_empty() {
        tokio::task::yield_now().await;
    }
    sync.abort();
    assert!(sync.await.unwrap_err().is_cancelled());
    let found = all(&b);
    assert_eq!((found.len(), found[0].state), (1, Failed));
    b.sync().await.unwrap();
    assert_eq!(all(&b)[0].state, Waits);
}

/// Computes until it is told to stop, without ever giving way.
#[derive(Debug)]
struct Busy(Mutex<mpsc::Receiver<()>>);

#[async_trait]
impl ConflictResolver for Busy {
    fn name(&self) -> &str {
        "busy"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        // An error means that nobody is there any more to tell it to stop.
        let _ = self.0.lock().unwrap().recv();
        Ok(Resolution::adopt([conflict.sides()[0].outline.head.clone()]))
    }
}

#[tokio::test]
async fn a_resolver_that_computes_for_ever_on_a_large_conflict_is_not_waited_for() {
    let place = Place::new();
    let (stop, told) = mpsc::channel();
    let (a, b) = (place.node(LastWriteWins::default()), place.node(Busy(Mutex::new(told))));
    let long = (0..300).map(|n| event(&format!("long-{n}"), "x", &json!(n))).collect();
    a.append(long).await.unwrap();
    b.append(vec![event("short", "x", &json!(1))]).await.unwrap();
    a.sync().await.unwrap();
    assert_eq!(b.sync().await.unwrap().conflicts.review, 1);
    assert_eq!(all(&b)[0].reasons(), ["the resolver busy did not answer within 50 ms"]);
    drop(stop);
}

#[tokio::test]
async fn on_whose_behalf_a_machine_decided_is_in_the_log() {
    let place = Place::new();
    let resolver = AuditableResolver::new(LastWriteWins::default(), |conflict| {
        assert_ne!(conflict.aggregate().as_str(), "panics");
        DecisionContext::new().user("ann").session("till 7").because("end of shift")
    });
    let (a, b) = (place.node(LastWriteWins::default()), place.node(resolver));
    disagree(&a, &b, &["x", "panics"]).await;
    let mut by_ann = AuditFilter::default();
    by_ann.user = Some("ann".into());
    let mut found = Vec::new();
    b.audit(&by_ann, |entry| {
        found.push(entry);
        Ok::<(), synckit_core::Error>(())
    })
    .await
    .unwrap();
    assert_eq!(found.len(), 1);
    let decision = &found[0].decision;
    assert!(!decision.is_person());
    assert_eq!(
        (decision.session.as_deref(), decision.resolver.as_str()),
        (Some("till 7"), "last_write_wins")
    );
    assert_eq!(decision.reasons.last().map(String::as_str), Some("end of shift"));
    assert!(b.conflicts(None, 1).await.unwrap().is_empty(), "the other was decided, too");
}
