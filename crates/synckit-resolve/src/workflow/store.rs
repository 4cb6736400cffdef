//! Where workflows are put on record.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use synckit_core::ConflictId;

use crate::workflow::flow::WorkflowRecord;

/// Keeps workflows beyond the process.
///
/// What is saved may be a moment behind what [`Workflows`](crate::workflow::Workflows) knows. A store that fails
/// never keeps a conflict from being resolved.
#[async_trait]
pub trait WorkflowStore: fmt::Debug + Send + Sync + 'static {
    /// Puts a workflow on record, in place of what was there for the same conflict.
    ///
    /// # Errors
    /// A [`WorkflowStoreError`] if it cannot be; what was there before is then there still.
    async fn save(&self, record: &WorkflowRecord) -> Result<(), WorkflowStoreError>;

    /// The workflow of a conflict, if there is one on record.
    ///
    /// # Errors
    /// A [`WorkflowStoreError`] if it cannot be read.
    async fn load(&self, conflict: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError>;

    /// All workflows on record. Those that are damaged are named beside the others.
    ///
    /// # Errors
    /// A [`WorkflowStoreError`] if none can be read.
    async fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError>;

    /// Forgets the workflow of a conflict; whether there was one.
    ///
    /// # Errors
    /// A [`WorkflowStoreError`] if it cannot be forgotten.
    async fn delete(&self, conflict: &ConflictId) -> Result<bool, WorkflowStoreError>;
}

/// What a store has on record.
#[derive(Debug, Default)]
pub struct StoredWorkflows {
    /// The workflows that could be read.
    pub records: Vec<WorkflowRecord>,
    /// What is wrong with each of the others.
    pub damaged: Vec<WorkflowStoreError>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowStoreError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// A document does not say what a workflow's should.
    #[error("{document} is damaged: {reason}")]
    Damaged {
        /// The file, or whatever names the document.
        document: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used.
    #[error("{reason}")]
    Unavailable {
        /// Why not.
        reason: String,
    },
}

/// Keeps workflows in memory: for tests, and to hand them from one node to the next. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryWorkflowStore(Arc<Mutex<BTreeMap<ConflictId, WorkflowRecord>>>);

impl MemoryWorkflowStore {
    /// A store without workflows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConflictId, WorkflowRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl WorkflowStore for MemoryWorkflowStore {
    async fn save(&self, record: &WorkflowRecord) -> Result<(), WorkflowStoreError> {
        self.lock().insert(record.conflict().clone(), record.clone());
        Ok(())
    }

    async fn load(&self, conflict: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError> {
        Ok(self.lock().get(conflict).cloned())
    }

    async fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError> {
        Ok(StoredWorkflows { records: self.lock().values().cloned().collect(), damaged: Vec::new() })
    }

    async fn delete(&self, conflict: &ConflictId) -> Result<bool, WorkflowStoreError> {
        Ok(self.lock().remove(conflict).is_some())
    }
}
