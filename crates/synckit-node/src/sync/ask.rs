//! Asking the resolver, whatever it does.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use synckit_resolve::{Conflict, ConflictResolver, Resolution, ResolveError};
use tokio::{runtime::Handle, sync::oneshot};

use crate::node::Inner;

/// From so many events on, a conflict is decided on a thread for blocking work.
const MANY_EVENTS: usize = 256;
/// From so many bytes of data on, it is, too.
const MANY_BYTES: usize = 256 * 1024;

type Answer = Result<Result<Resolution, ResolveError>, Box<dyn Any + Send>>;

impl Inner {
    /// The resolver's answer; a resolver that fails, panics or hangs gives the reason for a review instead.
    pub(super) async fn ask(&self, conflict: Conflict) -> Result<Resolution, String> {
        let name = self.resolver.name();
        let allowed = Duration::from_millis(self.config.resolver_timeout_ms);
        let limit = self.resolver.limits().answer.map_or(allowed, |limit| limit.min(allowed));
        let answer = async {
            match Handle::try_current() {
                Ok(runtime) if is_large(&conflict) => {
                    elsewhere(&runtime, Arc::clone(&self.resolver), conflict).await
                }
                _ => AssertUnwindSafe(self.resolver.resolve(&conflict)).catch_unwind().await,
            }
        };
        match tokio::time::timeout(limit, answer).await {
            Err(_) => Err(format!("the resolver {name} did not answer within {} ms", limit.as_millis())),
            Ok(Err(_)) => Err(format!("the resolver {name} panicked")),
            Ok(Ok(Err(error))) => Err(format!("the resolver {name} failed: {error}")),
            Ok(Ok(Ok(resolution))) => Ok(resolution),
        }
    }
}

fn is_large(conflict: &Conflict) -> bool {
    let events = || conflict.common().iter().chain(conflict.sides().iter().flat_map(|s| &s.events));
    events().nth(MANY_EVENTS - 1).is_some()
        || events().map(|(event, _)| event.data.bytes().len()).sum::<usize>() >= MANY_BYTES
}

/// Has the conflict decided on a thread for blocking work, so that a merge that computes for long keeps nobody waiting who
/// has other things to do, and whoever gives up waiting can. The resolver is dropped at its next await point then.
async fn elsewhere(runtime: &Handle, resolver: Arc<dyn ConflictResolver>, conflict: Conflict) -> Answer {
    let (waits, given_up) = oneshot::channel::<()>();
    let here = runtime.clone();
    let answer = runtime.spawn_blocking(move || {
        here.block_on(async {
            tokio::select! {
                biased;
                _ = given_up => Ok(Err(ResolveError::new("nobody waits for the answer any more"))),
                answer = AssertUnwindSafe(resolver.resolve(&conflict)).catch_unwind() => answer,
            }
        })
    });
    let answer = answer.await;
    drop(waits);
    answer.unwrap_or_else(|error| Err(Box::new(error)))
}
