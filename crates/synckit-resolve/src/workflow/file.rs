//! Workflows in a folder.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use synckit_core::{ConflictId, Hash};
use tokio::{runtime::Handle, sync::Mutex};

use crate::workflow::{
    flow::WorkflowRecord,
    store::{StoredWorkflows, WorkflowStore, WorkflowStoreError},
};

/// Keeps workflows in a folder, a JSON document for each, named after the SHA-256 of its conflict's id.
///
/// A document is written beside the old one, synced, and then takes its place: a crash leaves one or the other. One
/// process at a time may use the folder; clones are the same store. Where there is a tokio runtime, files are read
/// and written on its blocking threads, and elsewhere in place.
#[derive(Debug, Clone)]
pub struct FileWorkflowStore {
    folder: Arc<Folder>,
    /// Held until a write has ended, also one for which nobody waits any more: so none overtakes another.
    writing: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl FileWorkflowStore {
    /// The store in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// [`WorkflowStoreError::File`] if the folder cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, WorkflowStoreError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(at(&path))?;
        Ok(Self { folder: Arc::new(Folder { path }), writing: Arc::default() })
    }

    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, WorkflowStoreError> + Send + 'static,
    ) -> Result<T, WorkflowStoreError> {
        let turn = Arc::clone(&self.writing).lock_owned().await;
        self.blocking(move |folder| {
            let done = work(folder);
            drop(turn);
            done
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, WorkflowStoreError> + Send + 'static,
    ) -> Result<T, WorkflowStoreError> {
        let Ok(runtime) = Handle::try_current() else { return work(&self.folder) };
        let folder = Arc::clone(&self.folder);
        let done = runtime.spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|e| {
            Err(WorkflowStoreError::Unavailable { reason: format!("the files were not seen to: {e}") })
        })
    }
}

impl Folder {
    fn document(&self, conflict: &ConflictId) -> PathBuf {
        self.path.join(format!("{}.json", Hash::of(conflict.as_str().as_bytes())))
    }

    fn save(&self, conflict: &ConflictId, text: &[u8]) -> Result<(), WorkflowStoreError> {
        let document = self.document(conflict);
        let fresh = document.with_extension("tmp");
        let mut file = File::create(&fresh).map_err(at(&fresh))?;
        file.write_all(text).and_then(|()| file.sync_all()).map_err(at(&fresh))?;
        drop(file);
        fs::rename(&fresh, &document).map_err(at(&document))?;
        sync_folder(&self.path).map_err(at(&self.path))
    }

    fn read(path: &Path) -> Result<WorkflowRecord, WorkflowStoreError> {
        let damaged =
            |reason: String| WorkflowStoreError::Damaged { document: path.display().to_string(), reason };
        let text = fs::read(path).map_err(at(path))?;
        let record: WorkflowRecord = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        record.check().map_err(damaged)?;
        let named = Hash::of(record.conflict().as_str().as_bytes()).to_string();
        if path.file_stem() == Some(OsStr::new(&named)) {
            Ok(record)
        } else {
            Err(damaged(format!("it is about the conflict {}, which its name is not", record.conflict())))
        }
    }

    fn load(&self, conflict: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError> {
        match Self::read(&self.document(conflict)) {
            Err(WorkflowStoreError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(at(&self.path))? {
            paths.push(entry.map_err(at(&self.path))?.path());
        }
        paths.retain(|path| path.extension() == Some(OsStr::new("json")));
        paths.sort_unstable();
        let mut found = StoredWorkflows::default();
        for path in paths {
            match Self::read(&path) {
                Ok(record) => found.records.push(record),
                Err(WorkflowStoreError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }

    fn delete(&self, conflict: &ConflictId) -> Result<bool, WorkflowStoreError> {
        let document = self.document(conflict);
        match fs::remove_file(&document) {
            Ok(()) => sync_folder(&self.path).map(|()| true).map_err(at(&self.path)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(at(&document)(e)),
        }
    }
}

#[async_trait]
impl WorkflowStore for FileWorkflowStore {
    async fn save(&self, record: &WorkflowRecord) -> Result<(), WorkflowStoreError> {
        let conflict = record.conflict().clone();
        let text = serde_json::to_vec(record).map_err(|e| WorkflowStoreError::Unavailable {
            reason: format!("the workflow of {conflict} cannot be written as JSON: {e}"),
        })?;
        self.writing(move |folder| folder.save(&conflict, &text)).await
    }

    async fn load(&self, conflict: &ConflictId) -> Result<Option<WorkflowRecord>, WorkflowStoreError> {
        let conflict = conflict.clone();
        self.blocking(move |folder| folder.load(&conflict)).await
    }

    async fn list(&self) -> Result<StoredWorkflows, WorkflowStoreError> {
        self.blocking(Folder::list).await
    }

    async fn delete(&self, conflict: &ConflictId) -> Result<bool, WorkflowStoreError> {
        let conflict = conflict.clone();
        self.writing(move |folder| folder.delete(&conflict)).await
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> WorkflowStoreError {
    let path = path.to_owned();
    move |source| WorkflowStoreError::File { path: path.clone(), source }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere, folders need not be synced, or cannot be.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
