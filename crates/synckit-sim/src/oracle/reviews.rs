//! C6: the review queue is what the log says.

use std::collections::BTreeMap;

use synckit_core::{EventId, VertexId, decision::Review, graph::AggregateGraph, store::ReviewRow};

use super::{History, Violation, expect};

/// The store lists the reviews that are in the log, and nothing is built on a review, which is no vertex.
///
/// # Errors
/// What differs.
pub fn check(history: &History, graph: &AggregateGraph, listed: &[ReviewRow]) -> Result<(), Violation> {
    let aggregate = history.aggregate();
    let logged: BTreeMap<&EventId, &Review> = history.entries.reviews.iter().map(|(id, r)| (id, r)).collect();
    for row in listed {
        let review =
            Review { conflict: row.conflict.clone(), heads: row.heads.clone(), reason: row.reason.clone() };
        let same = row.aggregate == *aggregate && logged.get(&row.event) == Some(&&review);
        expect("C6", same, || format!("{aggregate}: the log does not have the review {row:?}"))?;
    }
    for event in logged.keys() {
        let rows = listed.iter().filter(|row| row.event == **event).count();
        expect("C6", rows == 1, || format!("{aggregate}: the review {event} is listed {rows} times"))?;
        let vertex = VertexId::from(*event);
        expect("C6", !graph.contains(&vertex), || format!("{aggregate}: the review {event} is a vertex"))?;
        let child = history.entries.vertices.iter().find(|v| v.parents.contains(&vertex));
        expect("C6", child.is_none(), || {
            format!("{aggregate}: {:?} is built on the review {event}", child.map(|v| &v.id))
        })?;
    }
    Ok(())
}
