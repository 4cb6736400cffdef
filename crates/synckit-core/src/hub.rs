//! A hub: a node's store, exposed.

use async_trait::async_trait;

use crate::{
    cursor::Mark,
    error::{Error, ErrorKind, Result},
    limits::{MAX_CURSOR_STUBS, MAX_PAGE_EVENTS},
    plant::{Plant, planted},
    store::{Apply, EventStore, LogEntry, ReadRequest, Write},
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest, Transport},
};
use std::sync::Arc;

/// Answers peers out of a store. Servers put a network in front of it; in one process it is a transport by itself.
#[derive(Debug, Clone)]
pub struct Hub {
    store: Arc<dyn EventStore>,
}

impl Hub {
    /// A hub over a store.
    #[must_use]
    pub const fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    async fn verified(&self, log: Option<crate::LogId>, marks: &[Mark]) -> Result<bool> {
        if planted(Plant::OldPositionsTrusted) {
            return Ok(true);
        }
        let own = self.store.identity().log;
        if log.is_some_and(|log| log != own) {
            return Ok(false);
        }
        let positions: Vec<u64> = marks.iter().map(|m| m.position).collect();
        let hashes = self.store.hashes(&positions).await?;
        Ok(hashes.iter().zip(marks).all(|(hash, mark)| *hash == Some(mark.hash)))
    }

    fn log_changed(&self, operation: &'static str) -> Error {
        let log = self.store.identity().log;
        Error::new(ErrorKind::LogChanged, operation, format!("the cursor is not one of the log {log}"))
    }
}

#[async_trait]
impl Transport for Hub {
    fn address(&self) -> String {
        format!("mem:{}", self.store.identity().log)
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        let verified = self.verified(greeting.log, &greeting.marks).await?;
        let identity = self.store.identity();
        let head = self.store.head().await?;
        let mut state = PeerState::new(identity.log, identity.node, identity.mode, head, verified);
        if greeting.wants_vector {
            let vector = self.store.vector().await?;
            state.vector = Some(vector).filter(|v| v.stub_ranges() <= MAX_CURSOR_STUBS);
        }
        Ok(state)
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        if !self.verified(request.log, &[request.after]).await? {
            return Err(self.log_changed("pull"));
        }
        let read = ReadRequest::after(request.after.position)
            .limit(request.limit.min(MAX_PAGE_EVENTS))
            .filter(request.filter)
            .missing_from(request.missing_from);
        let mut page = self.store.read(read).await?;
        if planted(Plant::NoMoreFlag) {
            (page.next, page.has_more) = (page.head, false);
        }
        Ok(PullPage {
            log: self.store.identity().log,
            entries: page.entries.into_iter().map(LogEntry::into_offered).collect(),
            next: page.next,
            head: page.head,
            has_more: page.has_more,
        })
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        let log = self.store.identity().log;
        if request.log.is_some_and(|expected| expected != log) {
            return Err(self.log_changed("push"));
        }
        let ids: Vec<_> = request.entries.iter().map(|e| e.event.id.clone()).collect();
        let apply = Apply {
            peer: request.from,
            author: Some(request.node),
            entries: Arc::unwrap_or_clone(request.entries),
            ..Apply::default()
        };
        let written = self.store.write(Write::Apply(apply)).await?;
        Ok(PushReply { log, acks: ids.into_iter().zip(written.outcomes).collect(), head: written.head })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
