//! Conflicts, clocks, and resolvers and stores that go wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use synckit_core::{
    AggregateId, CanonicalKey, Clock, ConflictId, NodeId, Timestamp, VertexId,
    graph::{AggregateGraph, Vertex, VertexBody},
};
use synckit_resolve::{
    Conflict, ConflictResolver, Resolution, ResolveError, Side,
    workflow::{
        MemoryWorkflowStore, RuleEvaluation, RuleVerdict, StatefulResolver, StoredWorkflows, WorkflowLimits,
        WorkflowOutcome, WorkflowRecord, WorkflowState, WorkflowStore, WorkflowStoreError, WorkflowSummary,
        Workflows,
    },
};

pub(crate) const DAY: u64 = 24 * 60 * 60 * 1_000_000;

pub(crate) fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn conflict_id(name: &str) -> ConflictId {
    ConflictId::new(name).unwrap()
}

pub(crate) fn aggregate(name: &str) -> AggregateId {
    AggregateId::new(name).unwrap()
}

/// Two events on an aggregate, of nodes that did not know of each other.
pub(crate) fn conflict(name: &str) -> Conflict {
    let vertex = |n: u128| {
        let id = VertexId::new(format!("{name}-{n}")).unwrap();
        let key = CanonicalKey {
            timestamp: at(u64::try_from(n).unwrap()),
            origin: NodeId::from_u128(n),
            counter: 1,
            id: (&id).into(),
        };
        Vertex { id, parents: Vec::new(), key, body: VertexBody::Domain }
    };
    let graph = AggregateGraph::new(aggregate(name), [vertex(1), vertex(2)]).unwrap();
    let outline = graph.conflict().unwrap();
    let sides = outline.sides.iter().map(|side| Side::new(side.clone(), Vec::new())).collect();
    Conflict::new(outline, sides, Vec::new())
}

/// A clock that stands still unless it is moved.
#[derive(Debug, Default)]
pub(crate) struct Still(pub(crate) AtomicU64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

/// What [`Scripted`] does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Adopt,
    Review,
    Fail,
    Panic,
    Hang,
}

#[derive(Debug)]
pub(crate) struct Scripted(pub(crate) Act);

#[async_trait]
impl ConflictResolver for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        tokio::task::yield_now().await;
        match self.0 {
            Act::Adopt => {
                let mut resolution =
                    Resolution::adopt([conflict.sides()[0].outline.head.clone()]).because("why");
                if let Resolution::Adopt { rule, group, .. } = &mut resolution {
                    (*rule, *group) = (Some("first".into()), Some("orders".into()));
                }
                Ok(resolution)
            }
            Act::Review => Ok(Resolution::review("too odd")),
            Act::Fail => Err(ResolveError::new("no idea")),
            Act::Panic => panic!("out of {}", "ideas"),
            Act::Hang => std::future::pending().await,
        }
    }
}

pub(crate) fn stateful(act: Act, workflows: &Workflows) -> StatefulResolver<Scripted> {
    StatefulResolver::new(Scripted(act), workflows.clone()).with_clock(Arc::new(Still::default()))
}

pub(crate) fn small(active: usize, kept: usize) -> WorkflowLimits {
    WorkflowLimits { active, kept, kept_for: Duration::from_secs(24 * 60 * 60) }
}

pub(crate) fn resolved() -> WorkflowOutcome {
    WorkflowOutcome::Resolved {
        outcome: "keep".into(),
        resolver: "ann".into(),
        reasons: vec!["she knows".into()],
    }
}

pub(crate) fn review() -> WorkflowOutcome {
    WorkflowOutcome::ManualReview { reason: "unclear".into() }
}

pub(crate) fn evaluation(rule: &str, verdict: RuleVerdict) -> RuleEvaluation {
    RuleEvaluation { rule: rule.into(), group: None, verdict, why: Some("it said so".into()) }
}

/// The states that a workflow entered.
pub(crate) fn states(summary: &WorkflowSummary) -> Vec<WorkflowState> {
    summary.path.iter().map(|step| step.to).collect()
}

/// A store in memory that can be told to fail.
#[derive(Debug, Default)]
pub(crate) struct Moody {
    pub(crate) inner: MemoryWorkflowStore,
    pub(crate) fails: AtomicBool,
}

impl Moody {
    fn mood(&self) -> Result<(), WorkflowStoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(WorkflowStoreError::Unavailable { reason: "not today".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl WorkflowStore for Moody {
    async fn save(&self, record: &WorkflowRecord) -> Result<(), WorkflowStoreError> {
        self.mood()?;
        self.inner.save(record).await
    }

    async fn load(&self, conflict: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError> {
        self.mood()?;
        self.inner.load(conflict).await
    }

    async fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError> {
        self.mood()?;
        self.inner.list().await
    }

    async fn delete(&self, conflict: &ConflictId) -> Result<bool, WorkflowStoreError> {
        self.mood()?;
        self.inner.delete(conflict).await
    }
}
