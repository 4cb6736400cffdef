//! Moving a log.

use std::collections::BTreeSet;

use synckit_core::{
    Environment, Error, ErrorKind, EventStore, Hash, LogId, Mark, NodeId, Result, chain_hash, content_hash,
    plan::{Changes, NewEntry, NodeState},
    store::{LogEntry, LogPage, ReadRequest, Standing, StoreMaintenance, StoreSettings, Table},
};

use crate::Progress;

const OPERATION: &str = "copy";
/// Entries in a page: a transaction at the target.
const PAGE: usize = 5_000;
/// Bytes in a page, roughly.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Rows of other tables in a transaction.
const ROWS: usize = 5_000;
/// How often everything that changed meanwhile is copied anew, while somebody writes to the source.
const ROUNDS: usize = 20;

/// Whose log the copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// The log moves, with its identity: the source is sealed, and names where it went.
    Moved {
        /// Where it goes, as a URL without credentials.
        successor: String,
    },
    /// The copy is a log of its own, of a new node. The source stays as it is.
    NewNode,
}

impl Arrival {
    /// The log moves to this URL, which has to be without credentials.
    #[must_use]
    pub fn moved(successor: impl Into<String>) -> Self {
        Self::Moved { successor: successor.into() }
    }
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Entries copied by this call.
    pub entries: u64,
    /// Entries in the log.
    pub total: u64,
    /// The log that the target is now.
    pub log: LogId,
    /// The node that the target is now.
    pub node: NodeId,
}

/// Copies all that `from` holds into `to`, which is being filled: a backend makes such a store from the identity of `from`.
///
/// If it is interrupted, a later call with the same two stores goes on. Each step is one transaction at the target, which
/// can neither be opened nor written to before the last. While somebody writes to the source, what changed is copied anew.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if a store cannot be moved; [`ErrorKind::Invalid`] if the target is not being filled, or holds
/// something else; [`ErrorKind::Sealed`] if the source was moved elsewhere; [`ErrorKind::Corrupt`] if the source's hash chain
/// is broken; [`ErrorKind::Busy`] if it is written to all the time; any error of the stores.
pub async fn copy(
    from: &dyn EventStore,
    to: &dyn EventStore,
    arrival: &Arrival,
    environment: &Environment,
    mut progress: impl Progress,
) -> Result<Copied> {
    let (source, target) = (maintenance(from)?, maintenance(to)?);
    target.standing().await?.may_fill()?;
    if let (Standing::Sealed { successor }, Arrival::Moved { successor: here }) =
        (source.standing().await?, arrival)
        && successor != *here
    {
        return Err(Error::new(ErrorKind::Sealed, OPERATION, format!("the log was moved to {successor}")));
    }
    let before = to.head().await?;
    if from.hashes(&[before.position]).await? != [Some(before.hash)] {
        return Err(Error::invalid(OPERATION, "what was copied there before is not from this log"));
    }
    let mut copying = Copying { from, to, source, target, progress: &mut progress };
    let node = copying.until_nothing_changes(arrival).await?;
    let mut settings = StoreSettings::default();
    settings.environment = environment.clone();
    let now = match arrival {
        Arrival::Moved { .. } => node,
        Arrival::NewNode => settings.as_new_node(node),
    };
    target.complete(now.clone()).await?;
    Ok(Copied {
        entries: now.head.position - before.position,
        total: now.head.position,
        log: now.log,
        node: now.node,
    })
}

fn maintenance(store: &dyn EventStore) -> Result<&dyn StoreMaintenance> {
    store
        .maintenance()
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, OPERATION, "a store of this kind cannot be moved"))
}

struct Copying<'a> {
    from: &'a dyn EventStore,
    to: &'a dyn EventStore,
    source: &'a dyn StoreMaintenance,
    target: &'a dyn StoreMaintenance,
    progress: &'a mut dyn Progress,
}

impl Copying<'_> {
    /// Copies in rounds until the source was the same before and after; then it is sealed, if it is to be, and copied once
    /// more.
    async fn until_nothing_changes(&mut self, arrival: &Arrival) -> Result<NodeState> {
        for _ in 0..ROUNDS {
            let sealed = matches!(self.source.standing().await?, Standing::Sealed { .. });
            let before = self.source.node().await?;
            self.entries(&before).await?;
            self.rest().await?;
            if self.source.node().await? != before {
                continue;
            }
            match arrival {
                Arrival::Moved { successor } if !sealed => self.source.seal(successor).await?,
                _ => return Ok(before),
            }
        }
        let what = "the source is written to all the time; stop what writes to it, and copy again";
        Err(Error::new(ErrorKind::Busy, OPERATION, what))
    }

    /// The entries that the target does not have yet.
    async fn entries(&mut self, node: &NodeState) -> Result<()> {
        let mut at = self.to.head().await?;
        let first = at.position;
        loop {
            let request = ReadRequest::after(at.position).limit(PAGE).max_bytes(PAGE_BYTES);
            let page = self.from.read(request).await?;
            (self.progress)(page.next.position, page.head.position);
            if page.entries.is_empty() {
                return Ok(());
            }
            let more = page.has_more;
            let mut changes = Changes::default();
            if first > 0 || page.head != node.head {
                changes.superseded = self.superseded_since(&page, at.position).await?;
            }
            for entry in page.entries {
                at = verified(at, &entry)?;
                changes.entries.push(new_entry(entry));
            }
            changes.node = Some(NodeState { head: at, ..node.clone() });
            self.target.fill(changes).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Entries that counted when they were copied, and count no more since these came.
    async fn superseded_since(&self, page: &LogPage, before: u64) -> Result<Vec<u64>> {
        let ids: BTreeSet<_> =
            page.entries.iter().filter(|e| !e.superseded).map(|e| e.event.id.clone()).collect();
        let held = self.to.load(&ids.into_iter().collect::<Vec<_>>()).await?;
        Ok(held.iter().map(|e| e.position).filter(|p| *p <= before).collect())
    }

    /// All but the entries. The checkpoints come first: they may say less than what follows, and never more.
    async fn rest(&mut self) -> Result<()> {
        let (checkpoints, quarantine) = (self.from.checkpoints().await?, self.from.quarantine().await?);
        for table in Table::ALL {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let rows = self.source.rows(table, after.as_deref(), ROWS).await?;
                self.target.fill(rows.changes).await?;
                after = rows.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let gone: Vec<LogId> = self.to.checkpoints().await?.iter().map(|c| c.log).collect();
        for log in gone.into_iter().filter(|log| !checkpoints.iter().any(|c| c.log == *log)) {
            let mut changes = Changes::default();
            changes.forget = Some(log);
            self.target.fill(changes).await?;
        }
        for checkpoint in checkpoints {
            let mut changes = Changes::default();
            changes.checkpoint = Some(checkpoint);
            self.target.fill(changes).await?;
        }
        let mut changes = Changes::default();
        changes.released = self.to.quarantine().await?;
        changes.quarantined = quarantine;
        self.target.fill(changes).await
    }
}

/// The mark after an entry, if it follows on `before`.
fn verified(before: Mark, entry: &LogEntry) -> Result<Mark> {
    let position = before.position + 1;
    let hash: Hash = chain_hash(&before.hash, &entry.event.id, &entry.stamp, &entry.content);
    let whole = entry.stub || content_hash(&entry.event) == entry.content;
    if entry.position != position || entry.hash != hash || !whole {
        return Err(Error::new(
            ErrorKind::Corrupt,
            OPERATION,
            format!("the log is damaged at position {position}; `synckit doctor` says more"),
        ));
    }
    Ok(Mark { position, hash })
}

fn new_entry(entry: LogEntry) -> NewEntry {
    let share = synckit_core::Progress::share(&entry.event.id, &entry.stamp, &entry.content);
    NewEntry {
        share,
        position: entry.position,
        event: entry.event,
        stamp: entry.stamp,
        content: entry.content,
        hash: entry.hash,
        from: entry.from,
        stub: entry.stub,
        superseded: entry.superseded,
    }
}
