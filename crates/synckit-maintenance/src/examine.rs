//! Examining a store.

use std::collections::BTreeMap;

use synckit_core::{
    AggregateId, Environment, Error, ErrorKind, EventStore, Progress as OriginProgress, Result,
    decision::conflict_id,
    graph::{AggregateGraph, conflicting},
    limits::DEFAULT_CLOCK_TOLERANCE_MICROS,
    plan::NewHeads,
    store::{StoreMaintenance, Table},
};

use crate::{
    Progress,
    findings::{CLOCK, Examined, Findings, REBUILD, RESTORE},
    walk,
};

/// Rows of a table at a time. Each may bring the history of an aggregate along.
const ROWS: usize = 500;
/// Counters whose ids are hashed at a time.
const COUNTERS: u64 = 10_000;

/// Examines a store: what its engine says, the hash chain, positions, contents, stamps, heads, conflicts, decisions, progress,
/// checkpoints and clocks. Changes nothing. Memory stays bounded by pages, and by the longest history of an aggregate.
///
/// Events that come while it runs may be told of as if something were wrong: nobody should write meanwhile.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the store cannot be examined; any error of the store other than that something is damaged.
pub async fn examine(
    store: &dyn EventStore,
    environment: &Environment,
    mut progress: impl Progress,
) -> Result<Examined> {
    let maintenance = store.maintenance().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "examine", "a store of this kind cannot be examined")
    })?;
    let mut findings = Findings::default();
    for line in maintenance.integrity().await? {
        findings.add("engine", RESTORE, line);
    }
    let entries = walk::walk(store, environment, &mut findings, &mut progress).await?;
    let aggregates = heads(store, maintenance, &mut findings).await?;
    decisions(store, maintenance, &mut findings).await?;
    origins(store, maintenance, &mut findings).await?;
    peers(store, environment, maintenance, &mut findings).await?;
    let standing = maintenance.standing().await?;
    Ok(Examined { entries, aggregates, standing, findings: findings.finish() })
}

/// Reads the histories of aggregates; one that is damaged is told of and left out.
async fn graphs(
    store: &dyn EventStore,
    aggregates: &[AggregateId],
    findings: &mut Findings,
) -> Result<BTreeMap<AggregateId, AggregateGraph>> {
    let mut found = BTreeMap::new();
    match store.graphs(aggregates).await {
        Ok(graphs) => found.extend(graphs.into_iter().map(|g| (g.aggregate().clone(), g))),
        Err(_) => {
            for aggregate in aggregates {
                match store.graphs(std::slice::from_ref(aggregate)).await {
                    Ok(graphs) => found.extend(graphs.into_iter().map(|g| (g.aggregate().clone(), g))),
                    Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                        findings.add("history", RESTORE, format!("the history of {aggregate}: {e}"));
                    }
                    Err(e) => return Err(e),
                }
            }
        }
    }
    Ok(found)
}

/// Heads and conflicts are those of the histories.
async fn heads(
    store: &dyn EventStore,
    maintenance: &dyn StoreMaintenance,
    findings: &mut Findings,
) -> Result<u64> {
    let (mut after, mut count): (Option<Vec<u8>>, u64) = (None, 0);
    loop {
        let rows = maintenance.rows(Table::Heads, after.as_deref(), ROWS).await?;
        let named: Vec<AggregateId> = rows.changes.heads.iter().map(|row| row.aggregate.clone()).collect();
        let graphs = graphs(store, &named, findings).await?;
        count += named.len() as u64;
        for row in &rows.changes.heads {
            if let Some(graph) = graphs.get(&row.aggregate) {
                compare(row, graph, findings);
            }
        }
        after = rows.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

fn compare(row: &NewHeads, graph: &AggregateGraph, findings: &mut Findings) {
    let heads = graph.heads();
    if heads != row.heads {
        findings.add(
            "heads",
            REBUILD,
            format!("the heads of {} are not those of its history", row.aggregate),
        );
    }
    let conflict = conflicting(&heads).map(|active| conflict_id(&row.aggregate, &active));
    if conflict != row.conflict {
        let what = format!("the conflict of {} is not that of its history", row.aggregate);
        findings.add("conflict", REBUILD, what);
    }
}

/// Decisions are in the histories of their aggregates.
async fn decisions(
    store: &dyn EventStore,
    maintenance: &dyn StoreMaintenance,
    findings: &mut Findings,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = maintenance.rows(Table::Decisions, after.as_deref(), ROWS).await?;
        let mut named: Vec<AggregateId> =
            rows.changes.decisions.iter().map(|row| row.aggregate.clone()).collect();
        named.sort_unstable();
        named.dedup();
        let graphs = graphs(store, &named, findings).await?;
        for row in &rows.changes.decisions {
            if graphs.get(&row.aggregate).is_some_and(|graph| !graph.contains(&row.vertex)) {
                let what = format!("the decision {} is not in the history of {}", row.vertex, row.aggregate);
                findings.add("decision", REBUILD, what);
            }
        }
        after = rows.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The progress of each origin is that of the stamps.
async fn origins(
    store: &dyn EventStore,
    maintenance: &dyn StoreMaintenance,
    findings: &mut Findings,
) -> Result<()> {
    let (vector, node) = (store.vector().await?, maintenance.node().await?);
    for (origin, progress) in vector.origins() {
        let mut ids = 0;
        for (mut from, end) in covered(progress) {
            while from <= end {
                let to = end.min(from.saturating_add(COUNTERS - 1));
                ids ^=
                    store.mixed(&[(*origin, from, to)]).await?.into_iter().fold(0, |all, share| all ^ share);
                from = to + 1;
            }
        }
        if ids != progress.ids {
            let what = format!("the progress of the origin {origin} is not that of its events");
            findings.add("progress", REBUILD, what);
        }
        if *origin == node.node && progress.counter > node.counter {
            let what = format!(
                "this node's counter is {}, and there is an event of its own under {}",
                node.counter, progress.counter
            );
            findings.add("counter", RESTORE, what);
        }
    }
    Ok(())
}

/// The ranges of counters between the gaps.
fn covered(progress: &OriginProgress) -> Vec<(u64, u64)> {
    let mut ranges = Vec::with_capacity(progress.gaps.len() + 1);
    let mut from = 1;
    for (start, end) in &progress.gaps {
        ranges.push((from, start.saturating_sub(1)));
        from = end.saturating_add(1);
    }
    ranges.push((from, progress.counter));
    ranges
}

/// Checkpoints and the clock.
async fn peers(
    store: &dyn EventStore,
    environment: &Environment,
    maintenance: &dyn StoreMaintenance,
    findings: &mut Findings,
) -> Result<()> {
    let node = maintenance.node().await?;
    for checkpoint in store.checkpoints().await? {
        if checkpoint.push > node.head.position {
            let what = format!(
                "{} positions were pushed to {}, and the log has {}",
                checkpoint.push, checkpoint.log, node.head.position
            );
            findings.add("checkpoint", REBUILD, what);
        }
    }
    let now = environment.clock.now();
    if node.clock > now.plus(DEFAULT_CLOCK_TOLERANCE_MICROS) {
        let ahead = node.clock.since(now) / 1_000_000;
        findings.add("clock", CLOCK, format!("this node's clock once was {ahead} s ahead of what it is now"));
    }
    Ok(())
}
