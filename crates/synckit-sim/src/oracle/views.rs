//! C3: the events that count, now and at every vertex.

use synckit_core::graph::{AggregateGraph, ViewEvent};

use super::{History, Violation, expect};

/// The graph has the vertices that the log has, the same view, and the same view and past at each of them.
///
/// # Errors
/// What differs.
pub fn check(history: &History, graph: &AggregateGraph) -> Result<(), Violation> {
    let aggregate = history.aggregate();
    let missing = (0..history.len()).map(|i| history.id(i)).find(|id| !graph.contains(id));
    let size = graph.vertices().len();
    expect("C3", missing.is_none() && size == history.len(), || {
        format!("{aggregate}: the graph has {size} vertices of {}, and not {missing:?}", history.len())
    })?;
    same(history, "the view now", &graph.view(), &history.view())?;
    for i in 0..history.len() {
        let id = history.id(i);
        same(history, id.as_str(), &graph.view_at(id), &history.listed(i))?;
        let past = graph.past(id);
        let wanted = || history.points[i].past.iter().filter(|v| *v < history.len());
        let agrees = wanted().all(|v| past.contains(history.id(v))) && wanted().count() == past.len();
        expect("C3", agrees, || format!("{aggregate}: the past of {id} is {past:?} in the graph"))?;
    }
    Ok(())
}

fn same(history: &History, at: &str, given: &[ViewEvent], wanted: &[ViewEvent]) -> Result<(), Violation> {
    let ids = |view: &[ViewEvent]| -> Vec<String> { view.iter().map(|e| e.id().to_string()).collect() };
    expect("C3", given == wanted, || {
        let (given, wanted) = (ids(given), ids(wanted));
        format!("{}: at {at} the graph has {given:?}; it is {wanted:?}", history.aggregate())
    })
}
