//! Digests, by which replicas compare what they hold.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use synckit_core::{EventId, Hash, Result, content_hash, entry_bytes};

use crate::{history::Superseded, node::SyncNode};

/// What a replica holds, in four figures; equal on equal replicas.
///
/// - `ids`: SHA-256 over the ids, sorted bytewise, each followed by a line feed.
/// - `log`: SHA-256 over the canonical bytes of the entries that count for them, in the same order: id, origin, counter,
///   timestamp, parents and content hash; see [`synckit_core::entry_bytes`].
/// - `view`: SHA-256 over the events of the effective view, in the same order: each id, a line feed, and its content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Digest {
    /// How many events the log holds, each id counted once, without those that were withdrawn.
    pub events: u64,
    /// Over the ids.
    pub ids: Hash,
    /// Over the entries.
    pub log: Hash,
    /// Over the effective view.
    pub view: Hash,
}

impl SyncNode {
    /// The digests. They take one pass over the log, and about 200 bytes of memory an event.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn digest(&self) -> Result<Digest> {
        let mut entries: Vec<(EventId, Vec<u8>)> = Vec::new();
        let mut view: Vec<(EventId, Hash)> = Vec::new();
        self.history(None, 0, |item| {
            let (id, content) = (&item.entry.event.id, item.entry.content);
            if item.superseded == Some(Superseded::Withdrawn) {
                return Ok(());
            }
            entries.push((id.clone(), entry_bytes(id, &item.entry.stamp, &content)));
            if item.is_effective() {
                view.push((id.clone(), content));
            }
            view.extend(item.merged.iter().map(|event| (event.id.clone(), content_hash(event))));
            Ok::<(), synckit_core::Error>(())
        })
        .await?;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        view.sort_unstable();
        let (mut ids, mut log, mut effective) = (Sha256::new(), Sha256::new(), Sha256::new());
        for (id, bytes) in &entries {
            ids.update(id.as_str());
            ids.update(b"\n");
            log.update(bytes);
        }
        for (id, content) in &view {
            effective.update(id.as_str());
            effective.update(b"\n");
            effective.update(content.as_bytes());
        }
        let events = entries.len() as u64;
        Ok(Digest { events, ids: finish(ids), log: finish(log), view: finish(effective) })
    }
}

fn finish(sha: Sha256) -> Hash {
    Hash::from_bytes(sha.finalize().into())
}
