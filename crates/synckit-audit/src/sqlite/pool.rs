//! Connections, each used by one call at a time, on a thread that may wait.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use synckit_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use super::{error::failed, schema};

/// A writer and a few readers.
const CONNECTIONS: usize = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to one database, opened when they are needed.
pub(super) struct Pool {
    path: Option<PathBuf>,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        // A database in memory is there for its one connection only.
        let connections = if path.is_some() { CONNECTIONS } else { 1 };
        Self { path, idle: Mutex::default(), permits: Arc::new(Semaphore::new(connections)) }
    }

    fn take(&self) -> Result<Connection> {
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(idle);
        }
        let opened = match &self.path {
            None => Connection::open_in_memory(),
            Some(path) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                    | OpenFlags::SQLITE_OPEN_CREATE
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(path, flags)
            }
        };
        let failed = failed("open audit index");
        let mut connection = opened.map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        schema::prepare(&mut connection)?;
        Ok(connection)
    }

    /// The error with the file that could not be opened.
    fn named(&self, error: &Error) -> Error {
        let place = self.path.as_ref().map_or_else(|| "in memory".into(), |path| path.display().to_string());
        let said = error.to_string();
        let what = said.strip_prefix(error.operation()).unwrap_or(&said).trim_start_matches(": ");
        Error::new(error.kind(), error.operation(), format!("{place}: {what}"))
    }

    /// Works with a connection. Once the work has begun, it comes to its end even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let pool = Arc::clone(self);
        let working = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = pool.take().map_err(|error| pool.named(&error))?;
            let done = work(&mut connection);
            // A transaction that was left open is of no use to the next call.
            if connection.is_autocommit() {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            done
        });
        working.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, operation, "the work did not end").with_source(e))
        })
    }
}
