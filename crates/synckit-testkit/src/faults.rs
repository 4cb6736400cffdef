//! Stores on files and servers that fail: something to lose, everything to try, and processes that bear less.

use std::{collections::BTreeSet, time::Duration};

use synckit_core::{
    AggregateId, Error, ErrorKind, EventId, EventStore, Metadata, Payload, Result,
    decision::Review,
    store::{
        Acknowledged, Apply, LogEntry, Offered, Outcome, ReadRequest, RefusalCode, Table, Write, Written,
    },
};

use crate::sample::{
    adopt, aggregate, checkpoint, event, events, ids, pulled, refused, rivals, stamped, stub, with_data,
};

/// Nothing here takes a tenth of that.
const HANGS_AFTER: Duration = Duration::from_secs(60);
const LIMIT: usize = 100;

async fn pull(store: &dyn EventStore, entries: Vec<Offered>) -> Result<Written> {
    store.write(Write::Apply(pulled(entries))).await
}

/// Puts some of everything into an empty store: events of its own and of others, conflicts, a decision, a review, a stub,
/// contested ids, what waits, what a peer refused, a withdrawal, a checkpoint.
///
/// # Errors
/// Any error of the store.
///
/// # Panics
/// If the store takes something else than it should.
pub async fn fill(store: &dyn EventStore) -> Result<()> {
    store.write(Write::Append(events("own-", "tea", 20))).await?;
    let mut odd = event("odd", "coffee", "").with_metadata(Metadata::from_pairs([("k", "v")])?);
    odd.data = Payload::encoded("bin", vec![0, 0xff])?;
    store.write(Write::Append(vec![odd])).await?;
    for name in ["open", "decided", "reviewed"] {
        assert_eq!(pull(store, rivals(name)).await?.accepted(), 2);
    }
    let graphs = store.graphs(&[aggregate("decided"), aggregate("reviewed")]).await?;
    let conflicts: Vec<_> = graphs.iter().map(|graph| graph.conflict().unwrap()).collect();
    let written = store.write(Write::Decide(vec![adopt(&conflicts[0], "decided-b", true)])).await?;
    assert!(matches!(written.outcomes[..], [Outcome::Accepted { .. }]), "{:?}", written.outcomes);
    let (conflict, heads) = (conflicts[1].id.clone(), conflicts[1].heads.clone());
    let review = Review { conflict, heads, reason: "look at it".into() };
    store.write(Write::Review(vec![(aggregate("reviewed"), review)])).await?;
    // One event under two stamps, a stub, another content under a taken id, and what waits for its parent.
    for page in [
        vec![stamped("twice", "tea", 5, 9, 300, &[])],
        vec![stamped("twice", "tea", 6, 4, 100, &[])],
        vec![stamped("twice", "tea", 8, 1, 600, &[]), stamped("twice", "tea", 8, 2, 700, &[])],
        vec![stub(stamped("stub", "tea", 5, 10, 310, &[]))],
        vec![with_data(stamped("twice", "tea", 7, 1, 400, &[]), "other")],
        vec![stamped("orphan", "tea", 7, 2, 500, &["nowhere"])],
    ] {
        pull(store, page).await?;
    }
    let node = store.identity().node;
    store
        .write(Write::Acknowledge(Acknowledged {
            checkpoint: checkpoint(7),
            refused: vec![
                refused("own-5", node, 5, 5, RefusalCode::Quota),
                refused("own-20", node, 20, 20, RefusalCode::Quota),
            ],
            released: Vec::new(),
            forget: None,
        }))
        .await?;
    let withdrawn = store.write(Write::Withdraw(ids(&["own-20"]))).await?;
    assert_eq!(withdrawn.accepted(), 1, "{:?}", withdrawn.outcomes);
    Ok(())
}

/// What came of trying everything that a store can do.
#[derive(Debug, Default)]
pub struct Tried {
    /// What could be read of the log.
    pub entries: Vec<LogEntry>,
    /// What failed, with the name of the call.
    pub errors: Vec<(&'static str, Error)>,
    /// What the store's own examination found.
    pub findings: Vec<String>,
}

impl Tried {
    fn note<T>(&mut self, call: &'static str, done: Result<T>) -> Option<T> {
        done.map_err(|error| self.errors.push((call, error))).ok()
    }

    /// Whether anything is known to be wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        !self.errors.is_empty() || !self.findings.is_empty()
    }

    /// Whatever failed, failed because something is damaged, and says who says more.
    ///
    /// # Panics
    /// If something failed in another way; `what` tells what was done to the store.
    pub fn assert_damage(&self, what: &str) {
        for (call, error) in &self.errors {
            assert_damage(error, &format!("{what}: {call}"));
        }
    }
}

/// The error is of damage, and says who says more.
///
/// # Panics
/// If it is another one; `what` tells what was done to the store.
pub fn assert_damage(error: &Error, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    assert!(error.to_string().contains("synckit doctor"), "{what}: {error}");
}

/// Reads everything that a store has, and then writes what touches everything that [`fill`] put there.
///
/// # Panics
/// If the store hangs.
pub async fn try_everything(store: &dyn EventStore) -> Tried {
    let mut tried = Tried::default();
    let all = async {
        read_log(store, &mut tried).await;
        read_tables(store, &mut tried).await;
        maintain(store, &mut tried).await;
        write(store, &mut tried).await;
    };
    tokio::time::timeout(HANGS_AFTER, all).await.unwrap();
    tried
}

async fn read_log(store: &dyn EventStore, tried: &mut Tried) {
    tried.note("head", store.head().await);
    let mut request = ReadRequest::default().limit(7);
    while let Some(page) = tried.note("read", store.read(request.clone()).await) {
        tried.entries.extend(page.entries);
        request.after = page.next.position;
        if !page.has_more {
            break;
        }
    }
    let known: Vec<EventId> = ids(&["own-1", "own-20", "twice", "stub", "open-a", "decided-b"]);
    tried.note("load", store.load(&known).await);
    tried.note("hashes", store.hashes(&(1..=30).collect::<Vec<_>>()).await);
}

async fn read_tables(store: &dyn EventStore, tried: &mut Tried) {
    let mut names: BTreeSet<AggregateId> =
        ["tea", "open", "decided", "reviewed"].into_iter().map(aggregate).collect();
    names.extend(tried.note("aggregates", store.aggregates(None, LIMIT).await).unwrap_or_default());
    for name in &names {
        tried.note("graphs", store.graphs(std::slice::from_ref(name)).await);
        tried.note("reviews_of", store.reviews_of(name).await);
    }
    tried.note("disputed", store.disputed(None, LIMIT).await);
    let conflicts = tried.note("conflicts", store.conflicts(None, LIMIT).await).unwrap_or_default();
    for conflict in conflicts {
        tried.note("reviews", store.reviews(&conflict.id).await);
        tried.note("decisions", store.decisions(&conflict.id).await);
    }
    tried.note("count_conflicts", store.count_conflicts().await);
    tried.note("checkpoints", store.checkpoints().await);
    tried.note("quarantine", store.quarantine().await);
    if let Some(vector) = tried.note("vector", store.vector().await) {
        let ranges: Vec<_> = vector.origins().keys().map(|origin| (*origin, 1, 10)).collect();
        tried.note("mixed", store.mixed(&ranges).await);
    }
}

async fn maintain(store: &dyn EventStore, tried: &mut Tried) {
    let Some(maintenance) = store.maintenance() else { return };
    tried.note("standing", maintenance.standing().await);
    tried.note("node", maintenance.node().await);
    for table in Table::ALL {
        tried.note("rows", maintenance.rows(table, None, LIMIT).await);
    }
    let findings = tried.note("integrity", maintenance.integrity().await);
    tried.findings.extend(findings.unwrap_or_default());
}

async fn write(store: &dyn EventStore, tried: &mut Tried) {
    for name in ["tea", "open", "decided", "reviewed", "new"] {
        let new = event(&format!("then {name}"), name, "data");
        tried.note("append", store.write(Write::Append(vec![new])).await);
    }
    let again = Apply {
        retry_held: true,
        ..pulled(vec![stamped("twice", "tea", 6, 4, 100, &[]), stamped("stub", "tea", 5, 10, 310, &[])])
    };
    tried.note("apply", store.write(Write::Apply(again)).await);
    tried.note("withdraw", store.write(Write::Withdraw(ids(&["own-5"]))).await);
}
