//! §3: an event names the leading head that its author saw, and the decisions which that head settles.

use std::collections::HashMap;

use synckit_core::{
    AggregateId, VertexId,
    graph::{AggregateGraph, Head},
    store::LogEntry,
};

use super::Violation;

fn expected(heads: &[Head]) -> Vec<VertexId> {
    let unsettled = heads.iter().filter(|h| h.settled_by.is_empty());
    let Some(lead) = unsettled.max_by(|a, b| (&a.newest, &a.vertex).cmp(&(&b.newest, &b.vertex))) else {
        return Vec::new();
    };
    let settled = heads.iter().filter(|h| h.settled_by.contains(&lead.vertex));
    let mut parents: Vec<VertexId> = settled.map(|h| h.vertex.clone()).collect();
    parents.push(lead.vertex.clone());
    parents.sort_unstable();
    parents
}

/// Checks the first new event of each aggregate against the histories as they were before.
pub(crate) fn appended(before: &[AggregateGraph], new: &[LogEntry]) -> Result<(), Violation> {
    let mut histories: HashMap<&AggregateId, &AggregateGraph> =
        before.iter().map(|g| (g.aggregate(), g)).collect();
    for entry in new {
        let Some(history) = histories.remove(&entry.event.aggregate_id) else { continue };
        let expected = expected(&history.heads());
        if entry.stamp.parents != expected {
            return Err(Violation::new(
                "§3",
                format!("{} is built on {:?}, and not on {expected:?}", entry.event.id, entry.stamp.parents),
            ));
        }
    }
    Ok(())
}
