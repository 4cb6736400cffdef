//! What must hold when everything has been said.

use std::collections::BTreeSet;

use synckit_core::{
    CanonicalKey, VertexId,
    graph::{AggregateGraph, ViewEvent},
};

use super::{
    support::{Oracle, Replica},
    world::{Machine, World},
};

impl World {
    pub(crate) fn check(&self) {
        let ids = |n: &Replica| n.counting.keys().cloned().collect::<Vec<_>>();
        for node in &self.nodes {
            node.check_heads();
            assert_eq!(ids(node), ids(&self.nodes[0]), "an event did not reach a node");
        }
        for aggregate in &self.aggregates {
            let graphs: Vec<AggregateGraph> = self.nodes.iter().map(|n| n.graph(aggregate)).collect();
            for graph in &graphs[1..] {
                assert_eq!(graph.view(), graphs[0].view(), "the views differ");
                assert_eq!(graph.heads(), graphs[0].heads(), "the heads differ");
                assert_eq!(graph.conflict(), graphs[0].conflict(), "the open conflicts differ");
            }
            let oracle = Oracle::of(&self.nodes[0], aggregate);
            compare(&graphs[0], &oracle);
            self.check_outcome(&graphs[0], &oracle);
        }
    }

    fn check_outcome(&self, graph: &AggregateGraph, oracle: &Oracle) {
        let active = oracle.active_heads();
        assert!(active.len() < 2, "the conflict between {active:?} is left over");
        let Some(head) = active.first() else { return };
        let view: BTreeSet<String> = graph.view().iter().map(|e| e.id().to_string()).collect();
        for (event, counts) in oracle.verdicts(head) {
            assert_eq!(view.contains(&event), counts, "a machine overturned what a person said of {event}");
        }
        if self.machine != Machine::LastWriteWins || self.persons || self.undos {
            return;
        }
        let domain = graph.vertices().iter().filter(|v| graph.decision_at(&v.id).is_none());
        let Some(newest) = domain.max_by_key(|v| &v.key) else { return };
        assert!(view.contains(newest.id.as_str()), "the newest write {} was superseded", newest.id);
        let base = oracle.view_at(newest.id.as_str());
        assert!(base.iter().all(|e| view.contains(e)), "the newest write stands on a superseded base");
        let in_order = graph.view();
        for pair in in_order.windows(2) {
            let past = graph.past(&VertexId::from(pair[1].id()));
            assert!(past.contains(&VertexId::from(pair[0].id())), "two concurrent writes count");
        }
    }
}

/// The graph says what plain sets say, at every vertex.
pub(crate) fn compare(graph: &AggregateGraph, oracle: &Oracle) {
    let heads = graph.heads();
    let all: BTreeSet<String> = heads.iter().map(|h| h.vertex.to_string()).collect();
    assert_eq!(all, oracle.heads(), "heads");
    let active: BTreeSet<String> =
        heads.iter().filter(|h| h.is_unsettled()).map(|h| h.vertex.to_string()).collect();
    assert_eq!(active, oracle.active_heads(), "unsettled heads");
    for head in &heads {
        let newest: Option<CanonicalKey> = oracle.newest_of(head.vertex.as_str());
        assert_eq!(head.newest, newest, "the newest event of {}", head.vertex);
    }
    let listed = |view: Vec<ViewEvent>| -> Vec<String> { view.iter().map(|e| e.id().to_string()).collect() };
    assert_eq!(listed(graph.view()), oracle.view(), "the view");
    for id in oracle.ids() {
        let vertex = VertexId::new(id).unwrap();
        assert_eq!(listed(graph.view_at(&vertex)), oracle.view_at(id), "the view at {id}");
        let past: BTreeSet<String> = graph.past(&vertex).iter().map(ToString::to_string).collect();
        assert_eq!(past, *oracle.past(id), "the past of {id}");
    }
}
