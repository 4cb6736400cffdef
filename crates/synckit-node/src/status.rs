//! How a node stands.

use serde::Serialize;
use synckit_core::{
    CursorMode, LogCursor, LogId, NodeId, Result, Timestamp,
    store::{Quarantined, Standing},
};

use crate::node::SyncNode;

/// How a node stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The node.
    pub node: NodeId,
    /// Nodes that it was before, because its store was copied or restored.
    pub former: Vec<NodeId>,
    /// Its name for people.
    pub label: String,
    /// Its mode.
    pub mode: CursorMode,
    /// Where its log ends.
    pub head: LogCursor,
    /// The peers that it has met.
    pub peers: Vec<PeerStatus>,
    /// Open conflicts.
    pub conflicts: u64,
    /// What is in quarantine.
    pub refused: Vec<Quarantined>,
    /// Where the log was moved to, if it was: then it can be read, and is written to no more.
    pub moved_to: Option<String>,
}

/// How a node stands with a peer, as of their last meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Where it was reached; without credentials.
    pub address: String,
    /// Its log.
    pub log: LogId,
    /// How far its log was pulled.
    pub pulled_to: u64,
    /// How far its log is known to reach.
    pub head_seen: u64,
    /// Entries of its log that are known and not yet pulled.
    pub to_pull: u64,
    /// How far our log was pushed.
    pub pushed_to: u64,
    /// Entries of our log after that; some of them may be its own.
    pub to_push: u64,
    /// When it was last synced to the end; never, if it is zero.
    pub synced_at: Timestamp,
}

impl SyncNode {
    /// How the node stands.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn status(&self) -> Result<Status> {
        let store = &self.0.store;
        let identity = store.identity();
        let mark = store.head().await?;
        let peers = store
            .checkpoints()
            .await?
            .into_iter()
            .map(|c| PeerStatus {
                address: c.address,
                log: c.log,
                pulled_to: c.pull.position,
                head_seen: c.seen.position.max(c.shown.position),
                to_pull: c.seen.position.max(c.shown.position).saturating_sub(c.pull.position),
                pushed_to: c.push,
                to_push: mark.position.saturating_sub(c.push),
                synced_at: c.synced_at,
            })
            .collect();
        let standing = match store.maintenance() {
            Some(maintenance) => maintenance.standing().await?,
            None => Standing::Live,
        };
        let moved_to = match standing {
            Standing::Sealed { successor } => Some(successor),
            _ => None,
        };
        Ok(Status {
            node: identity.node,
            former: identity.former,
            label: identity.label,
            mode: identity.mode,
            head: LogCursor { log: identity.log, mark },
            peers,
            conflicts: store.count_conflicts().await?,
            refused: self.refused().await?,
            moved_to,
        })
    }
}
