//! Events that decisions bring along are as old as the decisions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use synckit_core::{
    AggregateId, CanonicalKey, EventId, NodeId, Stamp, Timestamp, VertexId,
    decision::Decision,
    graph::{AggregateGraph, Vertex, VertexBody},
};

fn key(id: &str, at: u64) -> CanonicalKey {
    let timestamp = Timestamp::from_micros(at);
    let stamp = Stamp { origin: NodeId::from_u128(1), counter: at, timestamp, parents: Vec::new() };
    stamp.key(&EventId::new(id.to_owned()).unwrap())
}

fn vertex(id: &str, at: u64, parents: &[&str], body: VertexBody) -> Vertex {
    let name = |id: &str| VertexId::new(id.to_owned()).unwrap();
    Vertex { id: name(id), parents: parents.iter().map(|p| name(p)).collect(), key: key(id, at), body }
}

#[test]
fn what_is_built_on_a_decision_comes_after_what_the_decision_brought() {
    let heads = ["a", "b"].map(|h| VertexId::new(h).unwrap());
    let mut merge = Decision::adopting(heads.to_vec(), "merge", "person");
    merge.merged = vec![serde_json::from_str(r#"{"id":"merged","type":"t","data":{"x":1}}"#).unwrap()];
    let graph = AggregateGraph::new(
        AggregateId::new("x").unwrap(),
        [
            vertex("a", 1, &[], VertexBody::Domain),
            vertex("b", 2, &[], VertexBody::Domain),
            vertex("d", 3, &["a", "b"], VertexBody::Decision(Arc::new(merge))),
            vertex("later", 4, &["d"], VertexBody::Domain),
        ],
    )
    .unwrap();
    let view = graph.view();
    let ids: Vec<&str> = view.iter().map(|e| e.id().as_str()).collect();
    assert_eq!(ids, ["a", "b", "merged", "later"]);
}
