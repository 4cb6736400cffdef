//! Running one case.

use std::time::Duration;

use synckit_core::CursorMode;
use tokio::runtime::Builder;

/// Far more than any case needs; it only turns a case that hangs into one that fails.
const HANGS: Duration = Duration::from_secs(120);

/// Runs a case twice: in integer mode on one thread, and in vector mode on several.
pub(crate) fn twice(case: impl AsyncFn(CursorMode)) {
    for (mode, mut builder) in [
        (CursorMode::Integer, Builder::new_current_thread()),
        (CursorMode::Vector, Builder::new_multi_thread()),
    ] {
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        println!("in {mode} mode");
        runtime.block_on(async {
            assert!(tokio::time::timeout(HANGS, case(mode)).await.is_ok(), "the case does not end");
        });
    }
}
