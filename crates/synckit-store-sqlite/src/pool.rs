//! Connections, each used by one call at a time, on a thread that may wait.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;
use synckit_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

type Open = Box<dyn Fn() -> Result<Connection> + Send + Sync>;

/// So many connections to one database, opened when they are needed.
pub(crate) struct Pool {
    open: Open,
    size: u32,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    closed: AtomicBool,
}

impl Pool {
    pub(crate) fn new(size: u32, open: impl Fn() -> Result<Connection> + Send + Sync + 'static) -> Self {
        Self {
            open: Box::new(open),
            size,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(size as usize)),
            closed: AtomicBool::new(false),
        }
    }

    /// Puts a connection in that is open already.
    pub(crate) fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| (self.open)(), Ok)
    }

    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, operation, "the store is closed"));
        }
        Ok(())
    }

    /// Works with a connection. Once the work has begun, it comes to its end even if nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.check_open(operation)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        self.check_open(operation)?;
        let pool = Arc::clone(self);
        let working = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = pool.take()?;
            let done = work(&mut connection);
            // A transaction that was left open is of no use to the next call.
            if connection.is_autocommit() {
                pool.put(connection);
            }
            done
        });
        working.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, operation, "the work did not end").with_source(e))
        })
    }

    /// Waits for what is running, and closes all connections.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Those who wait for a permit are told that the pool is closed when it is their turn.
        let all = self.permits.acquire_many(self.size).await;
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        // To close the last connection to a file writes its log back, which may take a while.
        let _ = tokio::task::spawn_blocking(move || drop(idle)).await;
        drop(all);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size)
            .field("closed", &self.closed.load(Ordering::SeqCst))
            .finish_non_exhaustive()
    }
}
