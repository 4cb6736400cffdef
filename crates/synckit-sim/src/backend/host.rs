//! Where stores live.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use synckit_core::{Error, Result};

use super::postgres::Database;
use crate::store::at_once;

/// Where the stores' own threads and timers run, and where their files and their database are.
#[derive(Debug)]
pub struct Host {
    /// It needs the runtime when it goes, and so it goes first.
    database: Option<Arc<Database>>,
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
            database: None,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
            folder: tempfile::Builder::new().prefix("synckit-sim-").tempdir_in(base)?,
            files: AtomicU64::new(0),
        })
    }

    /// A place for stores on PostgreSQL as well: a database of its own on the server that a URL names.
    ///
    /// # Errors
    /// What is wrong with the URL; any error of PostgreSQL.
    pub fn with_postgres(self, url: &str) -> Result<Self> {
        let database = Database::create(self.handle(), url)?;
        Ok(Self { database: Some(Arc::new(database)), ..self })
    }

    /// Whether stores can be on PostgreSQL.
    #[must_use]
    pub const fn has_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub(super) fn database(&self) -> Result<&Arc<Database>> {
        let none = || Error::invalid("simulate", "there is no PostgreSQL server for these stores");
        self.database.as_ref().ok_or_else(none)
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
