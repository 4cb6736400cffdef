//! Work that takes long enough to keep others waiting.

use synckit_core::{Error, ErrorKind, Result};

/// Bytes from which work on them goes to another thread.
const WORTH_A_THREAD: usize = 128 * 1024;

/// Runs `work` on that many bytes: here if they are few, else where it keeps nobody waiting.
///
/// Dropping the future leaves the work to end by itself; its result is lost.
pub(crate) async fn offload<T: Send + 'static>(
    bytes: usize,
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes < WORTH_A_THREAD {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(ErrorKind::Internal, operation, "the work was not finished").with_source(e))?
}
