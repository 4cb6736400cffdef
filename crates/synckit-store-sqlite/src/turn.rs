//! Turns to sync, across processes.

use std::{fs::File, io, path::PathBuf, sync::Arc, time::Duration};

use synckit_core::{Error, ErrorKind, Result, store::SyncTurn};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Within the process a mutex, between processes a lock on a file, which ends with the process that holds it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    within: Arc<Mutex<()>>,
    file: Option<PathBuf>,
}

struct Held {
    _file: Option<File>,
    _within: OwnedMutexGuard<()>,
}

impl Turns {
    pub(crate) fn new(database: Option<&std::path::Path>) -> Self {
        let file = database.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push("-sync");
            PathBuf::from(name)
        });
        Self { within: Arc::default(), file }
    }

    pub(crate) async fn wait(&self) -> Result<SyncTurn> {
        let within = Arc::clone(&self.within).lock_owned().await;
        let file = match &self.file {
            None => None,
            Some(path) => Some(lock(path).await?),
        };
        Ok(SyncTurn::new(Held { _file: file, _within: within }))
    }
}

async fn lock(path: &std::path::Path) -> Result<File> {
    let failed = |e: io::Error| {
        let kind = match e.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Forbidden,
            _ => ErrorKind::Storage,
        };
        let what = format!("cannot lock {}", path.display());
        Error::new(kind, "wait for a turn to sync", what).with_source(e)
    };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(std::fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
}
