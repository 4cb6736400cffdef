//! Resolvers with workflows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use synckit_core::ConflictId;
use synckit_resolve::{
    Conflict, ConflictResolver, Resolution, ResolveError,
    workflow::{
        RuleVerdict, StatefulResolver, StoredWorkflows, WorkflowFilter, WorkflowLimits, WorkflowOutcome,
        WorkflowRecord, WorkflowState, WorkflowStore, WorkflowStoreError, Workflows,
    },
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{Act, Moody, at, conflict, evaluation, small, stateful, states};

/// Answers when so many conflicts have been put to it.
#[derive(Debug)]
struct Together(Barrier);

#[async_trait]
impl ConflictResolver for Together {
    fn name(&self) -> &str {
        "together"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        self.0.wait().await;
        Ok(Resolution::adopt([conflict.sides()[0].outline.head.clone()]))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_conflicts_at_once_have_a_complete_workflow_each() {
    let workflows = Workflows::default();
    let together = Together(Barrier::new(1_001));
    let resolver = Arc::new(StatefulResolver::new(together, workflows.clone()));
    let mut resolving = JoinSet::new();
    for n in 0..1_001 {
        let resolver = Arc::clone(&resolver);
        resolving.spawn(async move { resolver.resolve(&conflict(&format!("a{n}"))).await.is_ok() });
    }
    while let Some(done) = resolving.join_next().await {
        assert!(done.unwrap());
    }
    let all = workflows.list(&WorkflowFilter::default());
    assert_eq!(all.len(), 1_000, "beyond the limit, a conflict is decided without a workflow");
    for summary in all {
        use WorkflowState::{Analyzing, ApplyingRules, Resolved};
        assert_eq!(states(&summary), [Analyzing, ApplyingRules, Resolved]);
        assert_eq!(summary.path[1].note["sides"], "2");
    }
    assert!(workflows.active().is_empty());
}

#[tokio::test]
async fn what_a_resolver_answers_is_how_the_workflow_ends() {
    let workflows = Workflows::default();
    let conflict = conflict("a");
    let ended = async |act: Act| {
        let answer = stateful(act, &workflows).resolve(&conflict).await;
        (answer.is_ok(), workflows.get(conflict.id()).unwrap())
    };

    let (answered, summary) = ended(Act::Adopt).await;
    assert!(answered && summary.state == WorkflowState::Resolved);
    assert_eq!(summary.reasons(), ["why"]);
    assert_eq!((summary.evaluated, summary.matched), (1, 1));
    assert_eq!(summary.evaluations[0].group.as_deref(), Some("orders"));

    let (answered, summary) = ended(Act::Review).await;
    assert!(answered && summary.state == WorkflowState::ManualReview);
    assert_eq!(summary.reasons(), ["too odd"]);

    let (answered, summary) = ended(Act::Fail).await;
    assert!(!answered && summary.state == WorkflowState::Failed);
    assert_eq!(summary.reasons(), ["the resolver scripted failed: no idea"]);
    assert_eq!(summary.run, 3);
}

#[tokio::test]
async fn a_panic_fails_the_workflow_and_goes_on() {
    let workflows = Workflows::default();
    let resolver = stateful(Act::Panic, &workflows);
    let died = tokio::spawn(async move { resolver.resolve(&conflict("a")).await.is_ok() }).await.unwrap_err();
    assert!(died.is_panic());
    let summary = workflows.get(conflict("a").id()).unwrap();
    assert_eq!(summary.state, WorkflowState::Failed);
    assert_eq!(summary.reasons(), ["the resolver scripted panicked: out of ideas"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_wait_fails_the_workflow() {
    let workflows = Workflows::default();
    let resolver = stateful(Act::Hang, &workflows);
    let limit = Duration::from_secs(1);
    assert!(tokio::time::timeout(limit, resolver.resolve(&conflict("a"))).await.is_err());
    let summary = workflows.get(conflict("a").id()).unwrap();
    assert_eq!(summary.state, WorkflowState::Failed);
    assert_eq!(summary.reasons(), ["the resolver was given up before it answered"]);
}

#[tokio::test]
async fn one_conflict_twice_at_once_is_decided_twice_and_the_later_run_counts() {
    let workflows = Workflows::default();
    let resolver = StatefulResolver::new(Together(Barrier::new(2)), workflows.clone());
    let conflict = conflict("a");
    let (one, two) = tokio::join!(resolver.resolve(&conflict), resolver.resolve(&conflict));
    assert!(one.is_ok() && two.is_ok());
    let summary = workflows.get(conflict.id()).unwrap();
    assert_eq!((summary.state, summary.run), (WorkflowState::Resolved, 2));
}

/// Says itself which rules it tries.
#[derive(Debug)]
struct Telling(Workflows);

#[async_trait]
impl ConflictResolver for Telling {
    fn name(&self) -> &str {
        "telling"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let run = self.0.run(conflict.id()).unwrap();
        self.0.evaluated(&run, evaluation("one", RuleVerdict::NotMatched)).unwrap();
        self.0.evaluated(&run, evaluation("two", RuleVerdict::Matched)).unwrap();
        Ok(Resolution::Review {
            reason: "two says so".into(),
            escalated: false,
            rule: Some("two".into()),
            group: None,
        })
    }
}

#[tokio::test]
async fn a_rule_that_was_told_of_is_not_told_of_twice() {
    let workflows = Workflows::default();
    let resolver = StatefulResolver::new(Telling(workflows.clone()), workflows.clone());
    resolver.resolve(&conflict("a")).await.unwrap();
    let summary = workflows.get(conflict("a").id()).unwrap();
    assert_eq!((summary.evaluated, summary.matched), (2, 1));
}

#[tokio::test]
async fn too_many_conflicts_are_decided_without_a_workflow() {
    let workflows = Workflows::new(small(0, 10));
    assert!(stateful(Act::Adopt, &workflows).resolve(&conflict("a")).await.is_ok());
    assert!(workflows.list(&WorkflowFilter::default()).is_empty());
}

#[tokio::test]
async fn a_store_that_fails_fails_no_conflict_and_catches_up() {
    let store = Arc::new(Moody::default());
    let workflows =
        Workflows::open(Arc::clone(&store) as Arc<dyn WorkflowStore>, WorkflowLimits::default(), at(0)).await;
    let workflows = workflows.unwrap();
    store.fails.store(true, Ordering::SeqCst);
    let conflict = conflict("a");
    assert!(stateful(Act::Adopt, &workflows).resolve(&conflict).await.is_ok());
    assert!(workflows.flush().await.is_err());
    store.fails.store(false, Ordering::SeqCst);
    workflows.flush().await.unwrap();
    let record = store.load(conflict.id()).await.unwrap().unwrap();
    assert_eq!(record.summary(), workflows.get(conflict.id()).unwrap());
}

/// A store that never answers, or panics the first time.
#[derive(Debug, Default)]
struct Hopeless {
    panics: AtomicBool,
}

#[async_trait]
impl WorkflowStore for Hopeless {
    async fn save(&self, _: &WorkflowRecord) -> Result<(), WorkflowStoreError> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a store's own trouble");
        std::future::pending().await
    }

    async fn load(&self, _: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError> {
        Ok(None)
    }

    async fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError> {
        Ok(StoredWorkflows::default())
    }

    async fn delete(&self, _: &ConflictId) -> Result<bool, WorkflowStoreError> {
        Ok(false)
    }
}

#[tokio::test]
async fn a_store_that_hangs_or_panics_holds_up_no_conflict() {
    let store = Arc::new(Hopeless { panics: AtomicBool::new(true) });
    let workflows = Workflows::open(store, WorkflowLimits::default(), at(0)).await.unwrap();
    let resolver = stateful(Act::Adopt, &workflows);
    for n in 0..20 {
        assert!(resolver.resolve(&conflict(&format!("a{n}"))).await.is_ok());
        tokio::task::yield_now().await;
    }
    let filter = WorkflowFilter { state: Some(WorkflowState::Resolved), aggregate: None };
    assert_eq!(workflows.list(&filter).len(), 20);
}

#[tokio::test]
async fn what_is_left_behind_is_saved_too() {
    let store = Arc::new(Moody::default());
    let workflows =
        Workflows::open(Arc::clone(&store) as Arc<dyn WorkflowStore>, WorkflowLimits::default(), at(0)).await;
    let workflows = workflows.unwrap();
    let resolver = stateful(Act::Hang, &workflows);
    let conflict = conflict("a");
    {
        let mut resolving = std::pin::pin!(resolver.resolve(&conflict));
        tokio::select! { biased; _ = &mut resolving => {}, () = tokio::task::yield_now() => {} }
    }
    workflows.flush().await.unwrap();
    let record = store.load(conflict.id()).await.unwrap().unwrap();
    assert!(matches!(record.summary().outcome, Some(WorkflowOutcome::Failed { .. })));
}
