//! Digests, by which replicas compare what they hold.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use synckit_core::{EventId, Hash, Result, entry_bytes, store::ReadRequest};

use crate::{history, node::SyncNode};

const PAGE: usize = 5_000;

/// What a replica holds, in four figures; equal on equal replicas.
///
/// - `ids`: SHA-256 over the ids, sorted bytewise, each followed by a line feed.
/// - `log`: SHA-256 over the canonical bytes of the entries that count for them, in the same order: id, origin, counter,
///   timestamp, parents and content hash; see [`synckit_core::entry_bytes`].
/// - `view`: SHA-256 over the events of the effective view, in the same order: each id, a line feed, and its content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Digest {
    /// How many events the log holds, each id counted once.
    pub events: u64,
    /// Over the ids.
    pub ids: Hash,
    /// Over the entries.
    pub log: Hash,
    /// Over the effective view.
    pub view: Hash,
}

impl SyncNode {
    /// The digests. They take one pass over the log, and about 100 bytes of memory an event.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn digest(&self) -> Result<Digest> {
        let mut entries: Vec<(EventId, Vec<u8>)> = Vec::new();
        let mut after = 0;
        loop {
            let page = self.0.store.read(ReadRequest::after(after).limit(PAGE).only_counting()).await?;
            entries.extend(
                page.entries
                    .iter()
                    .map(|e| (e.event.id.clone(), entry_bytes(&e.event.id, &e.stamp, &e.content))),
            );
            after = page.next.position;
            if !page.has_more {
                break;
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (mut ids, mut log) = (Sha256::new(), Sha256::new());
        for (id, bytes) in &entries {
            ids.update(id.as_str());
            ids.update(b"\n");
            log.update(bytes);
        }
        let events = entries.len() as u64;
        drop(entries);
        Ok(Digest { events, ids: finish(ids), log: finish(log), view: self.view_digest().await? })
    }

    async fn view_digest(&self) -> Result<Hash> {
        let mut view: Vec<(EventId, Hash)> = Vec::new();
        self.effective(None, 0, |event, entry| {
            view.push((event.id.clone(), history::content(&event, entry.as_ref())));
            Ok::<(), synckit_core::Error>(())
        })
        .await?;
        view.sort_unstable();
        let mut sha = Sha256::new();
        for (id, content) in view {
            sha.update(id.as_str());
            sha.update(b"\n");
            sha.update(content.as_bytes());
        }
        Ok(finish(sha))
    }
}

fn finish(sha: Sha256) -> Hash {
    Hash::from_bytes(sha.finalize().into())
}
