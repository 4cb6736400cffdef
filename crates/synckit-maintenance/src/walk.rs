//! Going through a log that may be damaged.

use synckit_core::{
    Environment, Error, ErrorKind, EventStore, Hash, Mark, Result, chain_hash, content_hash,
    limits::DEFAULT_CLOCK_TOLERANCE_MICROS,
    store::{LogEntry, ReadRequest},
};

use crate::{
    Progress,
    findings::{CLOCK, Findings, RESTORE},
};

const PAGE: usize = 1_000;

/// Walks along the log: positions, chain, content and stamps of each entry. The number of entries read.
pub(crate) async fn walk(
    store: &dyn EventStore,
    environment: &Environment,
    findings: &mut Findings,
    progress: &mut impl Progress,
) -> Result<u64> {
    let latest = environment.clock.now().plus(DEFAULT_CLOCK_TOLERANCE_MICROS);
    let (mut at, mut limit, mut read) = (Mark::START, PAGE, 0);
    loop {
        let page = match store.read(ReadRequest::after(at.position).limit(limit)).await {
            Ok(page) => page,
            Err(e) if is_damage(&e) && limit > 1 => {
                // One by one, to see which entry it is.
                limit = 1;
                continue;
            }
            Err(e) if is_damage(&e) => {
                let position = at.position + 1;
                findings.add("damaged", RESTORE, format!("position {position} cannot be read: {e}"));
                let head = store.head().await?.position;
                if position >= head {
                    return Ok(read);
                }
                let hash = store.hashes(&[position]).await?.pop().flatten().unwrap_or(Hash::ZERO);
                at = Mark { position, hash };
                limit = PAGE;
                continue;
            }
            Err(e) => return Err(e),
        };
        progress(page.next.position, page.head.position);
        read += page.entries.len() as u64;
        for entry in &page.entries {
            at = follow(at, entry, findings);
            if entry.stamp.timestamp > latest {
                let what =
                    format!("{} at position {} has a stamp from the future", entry.event.id, entry.position);
                findings.add("stamp-ahead", CLOCK, what);
            }
        }
        if !page.has_more {
            if page.head.position != at.position || page.head.hash != at.hash {
                let what = format!(
                    "the log ends at position {}, and the store says {}, or another hash",
                    at.position, page.head.position
                );
                findings.add("head", RESTORE, what);
            }
            return Ok(read);
        }
        limit = PAGE;
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid)
}

/// The mark after an entry.
fn follow(at: Mark, entry: &LogEntry, findings: &mut Findings) -> Mark {
    let (id, position) = (&entry.event.id, entry.position);
    if position != at.position + 1 {
        findings.add("position", RESTORE, format!("position {position} follows on {}", at.position));
    }
    if !entry.stub && content_hash(&entry.event) != entry.content {
        let what = format!("{id} at position {position}: its content is not what its hash says");
        findings.add("content", RESTORE, what);
    }
    if entry.stub && !(entry.event.data.bytes().is_empty() && entry.event.metadata.is_empty()) {
        findings.add("stub", RESTORE, format!("{id} at position {position} is a stub, and has data"));
    }
    if entry.stamp.counter == 0 {
        findings.add("stamp", RESTORE, format!("{id} at position {position} has no counter"));
    }
    let hash = chain_hash(&at.hash, id, &entry.stamp, &entry.content);
    if hash != entry.hash {
        let what = format!(
            "{id} at position {position}: the hash chain is broken; it, or what is before it, was changed"
        );
        findings.add("chain", RESTORE, what);
    }
    // From here on the chain is compared with what the entry says, so that one break is told once.
    Mark { position, hash: entry.hash }
}
