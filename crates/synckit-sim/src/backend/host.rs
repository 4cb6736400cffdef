//! Where stores live.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::store::at_once;

/// Where the stores' own threads and timers run, and where their files are.
#[derive(Debug)]
pub struct Host {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    files: AtomicU64,
}

impl Host {
    /// A place for stores in files, in memory where the system has such a folder.
    ///
    /// # Errors
    /// Any error of making threads or folders.
    pub fn new() -> std::io::Result<Self> {
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
            folder: tempfile::Builder::new().prefix("synckit-sim-").tempdir_in(base)?,
            files: AtomicU64::new(0),
        })
    }

    /// A path that nobody else has.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.files.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn handle(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// Runs what a store does to its end.
    pub(super) fn now<T>(&self, future: impl Future<Output = T>) -> T {
        at_once(Some(self.handle()), future)
    }
}
