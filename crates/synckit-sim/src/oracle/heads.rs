//! C0: the heads, and the one conflict that an aggregate may have.

use std::collections::BTreeMap;

use synckit_core::{
    ConflictId, VertexId,
    graph::{AggregateGraph, Head},
};

use super::{History, Violation, expect};

/// The graph has the heads that the log has, settles them alike, and the store's open conflict is the one between them.
///
/// # Errors
/// What differs.
pub fn check(history: &History, graph: &AggregateGraph, open: Option<&ConflictId>) -> Result<(), Violation> {
    let given = graph.heads();
    let aggregate = history.aggregate();
    let mut found: BTreeMap<&VertexId, &Head> = given.iter().map(|h| (&h.vertex, h)).collect();
    expect("C0", found.len() == given.len(), || format!("{aggregate}: a head is given twice"))?;
    let heads = history.head_indices();
    for &i in &heads {
        let wanted = wanted(history, &heads, i);
        let given = found.remove(&wanted.vertex);
        expect("C0", given == Some(&wanted), || {
            format!("{aggregate}: the head {wanted:?} is {given:?} in the graph")
        })?;
    }
    let left = found.into_keys().next();
    expect("C0", left.is_none(), || format!("{aggregate}: {left:?} is no head"))?;
    let conflict = history.conflict();
    expect("C0", open == conflict.as_ref(), || {
        format!("{aggregate}: the store has the conflict {open:?} open; it is {conflict:?}")
    })?;
    let outlined = graph.conflict().map(|c| c.id);
    expect("C0", outlined == conflict, || {
        format!("{aggregate}: the graph outlines the conflict {outlined:?}; it is {conflict:?}")
    })
}

fn wanted(history: &History, heads: &[usize], i: usize) -> Head {
    let settling: Vec<usize> = heads.iter().copied().filter(|f| *f != i && history.settles(*f, i)).collect();
    Head {
        vertex: history.id(i).clone(),
        timestamp: history.key(i).timestamp,
        is_decision: history.decision(i).is_some(),
        newest: history.newest(i).map(|e| history.key(e).clone()),
        settled_by: history.sorted(&settling),
    }
}
