//! `POST /stage`: pushes that are read before they are made.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::Request;
use synckit_core::NodeId;
use synckit_wire::{PushBody, read_push, write_staged};

use super::{Failure, Reply, Shared};

/// Most pushes that wait at a time; the oldest makes room.
const MOST: usize = 8;
/// Most events that wait at a time, in bytes as pages count them; the oldest push makes room.
const MOST_BYTES: usize = 16 << 20;
/// How long a push waits.
const KEPT: Duration = Duration::from_secs(30);

/// A push that has been read.
#[derive(Debug)]
struct Waiting {
    name: String,
    push: PushBody,
    bytes: usize,
}

/// Pushes that have been read, and are made when their names are given.
#[derive(Debug, Default)]
pub(super) struct Stage(Mutex<VecDeque<Waiting>>);

impl Stage {
    fn put(&self, push: PushBody) -> Option<String> {
        let sizes = push.elements.iter().map(|e| e.as_ref().map_or(0, |o| o.event.size()));
        let bytes: usize = sizes.sum();
        if bytes > MOST_BYTES {
            return None;
        }
        let name = NodeId::random().to_string();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.len() >= MOST || waiting.iter().map(|w| w.bytes).sum::<usize>() + bytes > MOST_BYTES {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { name: name.clone(), push, bytes });
        Some(name)
    }

    pub(super) fn take(&self, name: &str) -> Option<PushBody> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|w| w.name == name)?;
        waiting.remove(at).map(|w| w.push)
    }
}

impl Shared {
    /// Reads a push that is to be made soon, and forgets it if it is not. It changes nothing.
    pub(super) async fn stage(self: &Arc<Self>, request: Request) -> Result<Reply, Failure> {
        let max_events = self.options.max_events_per_request;
        let push = self.body("push", request, move |body| read_push(body, max_events)).await?;
        if push.caller.is_none() || push.staged.is_some() {
            return Err(Failure::new("INVALID_REQUEST", "only a push of a node is staged"));
        }
        let name = self.stage.put(push);
        let name = name.ok_or_else(|| Failure::new("REQUEST_TOO_LARGE", "the push is too large to wait"))?;
        let (stage, old) = (Arc::downgrade(self), name.clone());
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Some(shared) = stage.upgrade() {
                shared.stage.take(&old);
            }
        });
        Ok(Reply::ok(write_staged(&name)))
    }
}
