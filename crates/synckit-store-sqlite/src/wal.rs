//! Writing the write-ahead log back, beside the writes.
//!
//! SQLite has the commit that makes the log long enough write it back, and whoever waits for that commit waits for that,
//! too. Here, another connection does it. It never gets to the end while writes go on, and so the log would grow and grow:
//! at twice the length, a commit does what is left after all.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use rusqlite::{Connection, hooks::Wal};
use synckit_core::Result;

use crate::{error::failed, pool::Pool};

/// From so many pages on, the log is written back beside the writes. Writes touch many pages more than once; a small
/// interval would copy them again and again.
const WRITE_BACK_AFTER: i32 = 8_192;
/// From so many pages on, by the commit that sees it.
const BY_THE_COMMIT_AFTER: i32 = 2 * WRITE_BACK_AFTER;

/// How long the log is, and how long it was when it was last written back beside the writes.
#[derive(Debug, Default)]
pub(crate) struct WriteBack {
    pages: AtomicI32,
    started_at: AtomicI32,
}

impl WriteBack {
    /// Has each commit of a connection tell how long the log is.
    pub(crate) fn watch(self: &Arc<Self>, writer: &mut Connection) -> Result<()> {
        let told = Arc::clone(self);
        let committed = move |wal: &mut Wal, pages| {
            told.pages.store(pages, Ordering::Relaxed);
            if pages >= BY_THE_COMMIT_AFTER
                && let Err(error) = wal.checkpoint()
            {
                // The commit is done, and the next one tries again.
                tracing::debug!(%error, pages, "the write-ahead log was not written back");
            }
            Ok(())
        };
        writer.wal_hook(Some(committed)).map_err(failed("open store"))
    }

    /// Writes the log back if it is long, without keeping the caller waiting.
    pub(crate) fn start_if_due(&self, readers: &Arc<Pool>) {
        let pages = self.pages.load(Ordering::Relaxed);
        let started_at = self.started_at.load(Ordering::Relaxed);
        // A log that is shorter than it was has begun anew.
        let grown = if pages < started_at { pages } else { pages - started_at };
        if grown < WRITE_BACK_AFTER {
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
