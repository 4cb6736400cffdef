//! C6: what the workflows of a node's conflicts say is what the log says.

use std::collections::BTreeSet;

use synckit_core::{ConflictId, graph::AggregateGraph, store::ReviewRow};
use synckit_resolve::workflow::WorkflowSummary;

use super::{Violation, expect};

/// Once nothing runs, no workflow is under way, and those wait for a person whose review is not
/// answered while the aggregate is in conflict.
pub fn check<'a>(
    workflows: &[WorkflowSummary],
    reviews: impl Iterator<Item = (&'a AggregateGraph, &'a ReviewRow)>,
) -> Result<(), Violation> {
    let under_way = workflows.iter().find(|w| w.state.is_active());
    expect("C6", under_way.is_none(), || format!("a workflow is under way for ever: {under_way:?}"))?;
    let waiting: BTreeSet<&ConflictId> =
        workflows.iter().filter(|w| w.state.is_waiting()).map(|w| &w.conflict).collect();
    let waits = |(graph, r): &(&AggregateGraph, &ReviewRow)| {
        graph.conflict().is_some() && graph.in_review(&r.conflict, &r.heads)
    };
    let unanswered: BTreeSet<&ConflictId> = reviews.filter(waits).map(|(_, r)| &r.conflict).collect();
    expect("C6", waiting == unanswered, || {
        let only =
            |a: &BTreeSet<&ConflictId>, b: &BTreeSet<&ConflictId>| format!("{:?}", a.difference(b).next());
        format!(
            "a workflow waits for {}, which no review does, or none for {}, which one does",
            only(&waiting, &unanswered),
            only(&unanswered, &waiting)
        )
    })
}
