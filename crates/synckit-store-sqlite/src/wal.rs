//! Writing the write-ahead log back, beside the writes.
//!
//! SQLite has the commit that makes the log long enough write it back, and whoever waits for that commit waits for that,
//! too. Here, another connection does it. It never gets to the end while writes go on, and so the log would grow and grow:
//! at twice the length, a commit does what is left after all.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use rusqlite::Connection;

use crate::{error::failed, pool::Pool};

/// From so many pages on, the log is written back beside the writes. Writes touch many pages more than once; a small
/// interval would copy them again and again.
const WRITE_BACK_AFTER: i32 = 8_192;
/// From so many pages on, by the commit that sees it.
const BY_THE_COMMIT_AFTER: i32 = 2 * WRITE_BACK_AFTER;

thread_local! {
    /// How long the log was after this thread's last commit, in pages.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// Has each commit of a connection tell how long the log is.
pub(crate) fn watch(writer: &Connection) {
    writer.wal_hook(Some(|wal, pages| {
        PAGES.set(pages);
        if pages >= BY_THE_COMMIT_AFTER
            && let Err(error) = wal.checkpoint()
        {
            // The commit is done, and the next one tries again.
            tracing::debug!(%error, pages, "the write-ahead log was not written back");
        }
        Ok(())
    }));
}

/// How long the log is after the commit that this thread has just made, in pages; 0 if it changed nothing.
pub(crate) fn pages() -> i32 {
    PAGES.take()
}

/// How long the log was when it was last written back beside the writes.
#[derive(Debug, Default)]
pub(crate) struct WriteBack {
    started_at: AtomicI32,
}

impl WriteBack {
    /// Writes the log back if it is long, without keeping the caller waiting.
    pub(crate) fn start_if_due(&self, pages: i32, readers: &Arc<Pool>) {
        if pages == 0 {
            return;
        }
        let mut started_at = self.started_at.load(Ordering::Relaxed);
        if pages < started_at {
            // The log has begun anew.
            started_at = 0;
            self.started_at.store(0, Ordering::Relaxed);
        }
        if pages - started_at < WRITE_BACK_AFTER {
            return;
        }
        self.started_at.store(pages, Ordering::Relaxed);
        let readers = Arc::clone(readers);
        tokio::spawn(async move {
            let operation = "write back";
            let write_back = move |connection: &mut Connection| {
                let sql = "PRAGMA wal_checkpoint(PASSIVE)";
                connection.query_row(sql, [], |_| Ok(())).map_err(failed(operation))
            };
            if let Err(error) = readers.run(operation, write_back).await {
                tracing::debug!(%error, "the write-ahead log was not written back");
            }
        });
    }
}
