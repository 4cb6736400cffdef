//! The contract of transports.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    cursor::{Mark, VectorCursor},
    error::Result,
    filter::Filter,
    ids::{EventId, LogId, NodeId},
    store::{Offered, Outcome},
    version::CursorMode,
};

/// What a node knows of a peer when it greets it.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    /// The log that the node expects, if it has met the peer before.
    pub log: Option<LogId>,
    /// Marks in that log, to be verified.
    pub marks: Vec<Mark>,
    /// Whether the node wants to know all that the peer holds.
    pub wants_vector: bool,
}

/// How a peer answers a greeting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerState {
    /// The peer's log.
    pub log: LogId,
    /// The peer's node.
    pub node: NodeId,
    /// The peer's mode.
    pub mode: CursorMode,
    /// Where its log ends.
    pub head: Mark,
    /// Whether its log is the expected one, and every mark is right.
    pub verified: bool,
    /// All that it holds, if that was asked for.
    pub vector: Option<VectorCursor>,
    /// Whether it keeps stamps. A peer that does not is a plain log: it numbers what it gets.
    pub keeps_stamps: bool,
}

impl PeerState {
    /// The answer of a peer that keeps stamps.
    #[must_use]
    pub const fn new(log: LogId, node: NodeId, mode: CursorMode, head: Mark, verified: bool) -> Self {
        Self { log, node, mode, head, verified, vector: None, keeps_stamps: true }
    }
}

/// A request for entries of the peer's log.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// The log that the cursor belongs to.
    pub log: Option<LogId>,
    /// Entries after this mark.
    pub after: Mark,
    /// Leave out what is covered by this cursor: all that the node holds.
    pub missing_from: Option<VectorCursor>,
    /// At most this many entries; 0 leaves it to the peer.
    pub limit: usize,
    /// Which events are wanted.
    pub filter: Filter,
}

/// A page of the peer's log.
#[derive(Debug, Clone)]
pub struct PullPage {
    /// The peer's log.
    pub log: LogId,
    /// The entries, in the order of their positions.
    pub entries: Vec<Offered>,
    /// How far the page reaches.
    pub next: Mark,
    /// Where the peer's log ended.
    pub head: Mark,
    /// Whether there is more after `next`.
    pub has_more: bool,
}

/// Entries for the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRequest {
    /// The log that the entries are meant for.
    pub log: Option<LogId>,
    /// The node that pushes.
    pub node: NodeId,
    /// The log that they come from; none for a client without one.
    pub from: Option<LogId>,
    /// The entries; a request that is repeated is not copied.
    pub entries: Arc<Vec<Offered>>,
}

/// What became of pushed entries. Everything acknowledged is durable.
#[derive(Debug, Clone)]
pub struct PushReply {
    /// The peer's log.
    pub log: LogId,
    /// For each entry, in the order of the request, its id and what became of it.
    pub acks: Vec<(EventId, Outcome)>,
    /// Where the peer's log ends now.
    pub head: Mark,
}

/// The way to one peer.
///
/// # To be correct
///
/// - An answer is given only after what it acknowledges is durable at the peer.
/// - A request may reach the peer although its answer is lost: callers repeat it, and the peer's store makes that safe.
/// - A future that is dropped leaves the transport usable.
/// - A cursor of another log is answered with [`ErrorKind::LogChanged`](crate::ErrorKind::LogChanged).
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Where the peer is, for people; without credentials.
    fn address(&self) -> String;

    /// Asks the peer who it is, and whether it still is who it was.
    ///
    /// # Errors
    /// Any error of the network or the peer.
    async fn greet(&self, greeting: Greeting) -> Result<PeerState>;

    /// Asks for a page of the peer's log.
    ///
    /// # Errors
    /// [`ErrorKind::LogChanged`](crate::ErrorKind::LogChanged) if the cursor is not one of the peer's log; any error of
    /// the network or the peer.
    async fn pull(&self, request: PullRequest) -> Result<PullPage>;

    /// Offers entries to the peer.
    ///
    /// # Errors
    /// [`ErrorKind::LogChanged`](crate::ErrorKind::LogChanged) if the peer's log is another one; any error of the network
    /// or the peer. Single entries that the peer does not take are no error: the reply says so.
    async fn push(&self, request: PushRequest) -> Result<PushReply>;

    /// Says what is likely to be pushed next, so that it can be made ready while another request is on its way: here, or at
    /// the peer. Nothing is stored, and nothing depends on it: the default does nothing.
    async fn expect_push(&self, _request: PushRequest) {}

    /// Waits for what is running, then closes. Closing twice is fine.
    ///
    /// # Errors
    /// Any error of the network.
    async fn close(&self) -> Result<()>;
}
