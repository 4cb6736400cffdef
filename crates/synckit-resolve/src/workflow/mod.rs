//! How conflicts came to be decided: a state machine for each, kept for a while and put on record.
//!
//! ```
//! use std::sync::Arc;
//!
//! use synckit_resolve::{
//!     LastWriteWins,
//!     workflow::{MemoryWorkflowStore, StatefulResolver, WorkflowFilter, WorkflowLimits, WorkflowState, Workflows},
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = Arc::new(MemoryWorkflowStore::new());
//! let workflows = Workflows::open(store, WorkflowLimits::default(), Default::default()).await.unwrap();
//! let resolver = StatefulResolver::new(LastWriteWins::default(), workflows.clone());
//! // A node resolves with `resolver`; whoever has `workflows` sees what becomes of each conflict.
//! let waiting = WorkflowFilter { state: Some(WorkflowState::ManualReview), ..WorkflowFilter::default() };
//! assert!(workflows.list(&waiting).is_empty());
//! workflows.flush().await.unwrap();
//! # drop(resolver);
//! # });
//! ```

mod file;
mod flow;
mod observer;
mod resolver;
mod state;
mod store;
mod summary;
mod table;
mod workflows;

pub use self::{
    file::FileWorkflowStore,
    flow::WorkflowRecord,
    observer::WorkflowObserver,
    resolver::StatefulResolver,
    state::WorkflowState,
    store::{MemoryWorkflowStore, StoredWorkflows, WorkflowStore, WorkflowStoreError},
    summary::{RuleEvaluation, RuleVerdict, WorkflowOutcome, WorkflowSummary},
    workflows::{WorkflowError, WorkflowFilter, WorkflowLimits, WorkflowRun, Workflows},
};
