//! Real histories, and their conflicts as resolvers see them.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that cannot go on panics; not every test needs everything"
)]

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use synckit_core::{
    AggregateId, CanonicalKey, Event, EventId, EventType, Metadata, NodeId, Payload, Stamp, Timestamp,
    VertexId,
    decision::{Decision, MergedEvent},
    graph::{AggregateGraph, ConflictOutline, Vertex, VertexBody, ViewEvent},
};
use synckit_resolve::{Conflict, ConflictResolver, Resolution, Side};

/// The history of one aggregate.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    events: BTreeMap<String, (Event, Stamp)>,
    vertices: Vec<Vertex>,
}

/// What a resolver made of a conflict.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) heads: Vec<VertexId>,
    pub(crate) hidden: Vec<EventId>,
    pub(crate) merged: Vec<MergedEvent>,
    pub(crate) reasons: Vec<String>,
    /// The merged document, whether brought along or in the newest event.
    pub(crate) document: Value,
}

pub(crate) fn aggregate() -> AggregateId {
    AggregateId::new("a").unwrap()
}

pub(crate) fn vertex(id: &str) -> VertexId {
    VertexId::new(id).unwrap()
}

impl World {
    /// Adds an event by a node, at a time, on top of others.
    pub(crate) fn event(&mut self, id: &str, node: u128, time: u64, parents: &[&str], data: &Value) {
        self.payload(id, node, time, parents, Payload::json(data).unwrap(), Metadata::default());
    }

    pub(crate) fn payload(
        &mut self,
        id: &str,
        node: u128,
        time: u64,
        on: &[&str],
        data: Payload,
        metadata: Metadata,
    ) {
        let event = Event {
            id: EventId::new(id).unwrap(),
            event_type: EventType::new("thing.changed").unwrap(),
            aggregate_id: aggregate(),
            data,
            metadata,
        };
        let parents: Vec<VertexId> = on.iter().map(|p| vertex(p)).collect();
        let counter = self.vertices.len() as u64 + 1;
        let stamp =
            Stamp::checked(NodeId::from_u128(node), counter, Timestamp::from_micros(time), parents).unwrap();
        self.vertices.push(Vertex {
            id: vertex(id),
            parents: stamp.parents.clone(),
            key: stamp.key(&event.id),
            body: VertexBody::Domain,
        });
        self.events.insert(id.to_owned(), (event, stamp));
    }

    /// Adds a decision, and gives its vertex.
    pub(crate) fn decision(
        &mut self,
        mut decision: Decision,
        parents: Vec<VertexId>,
        by_machine: bool,
    ) -> VertexId {
        let id = if by_machine {
            let id = decision.machine_id(&aggregate(), &parents);
            decision.decision = Some(id.clone());
            id
        } else {
            vertex(&format!("person-{}", self.vertices.len()))
        };
        let key = CanonicalKey {
            timestamp: Timestamp::from_micros(1_000_000),
            origin: NodeId::from_u128(99),
            counter: self.vertices.len() as u64 + 1,
            id: EventId::from(&id),
        };
        let body = VertexBody::Decision(Arc::new(decision));
        self.vertices.push(Vertex { id: id.clone(), parents, key, body });
        id
    }

    pub(crate) fn graph(&self) -> AggregateGraph {
        AggregateGraph::new(aggregate(), self.vertices.clone()).unwrap()
    }

    /// Takes over what another history of the aggregate has beyond this one.
    pub(crate) fn adopt_from(&mut self, other: &Self) {
        for vertex in &other.vertices {
            if !self.vertices.iter().any(|v| v.id == vertex.id) {
                self.vertices.push(vertex.clone());
            }
        }
    }

    /// The history up to these vertices.
    pub(crate) fn up_to(&self, heads: &[&str]) -> Self {
        let graph = self.graph();
        let past: Vec<_> = heads.iter().map(|h| graph.past(&vertex(h))).collect();
        let vertices = self.vertices.iter().filter(|v| past.iter().any(|p| p.contains(&v.id)));
        Self { events: self.events.clone(), vertices: vertices.cloned().collect() }
    }

    pub(crate) fn outline(&self) -> ConflictOutline {
        self.graph().conflict().expect("a conflict")
    }

    pub(crate) fn read(&self, outline: ConflictOutline) -> Conflict {
        let load = |e: &ViewEvent| match e {
            ViewEvent::Logged(id) => {
                let (event, stamp) = &self.events[id.as_str()];
                (event.clone(), Some(stamp.clone()))
            }
            ViewEvent::Merged(event) => (event.clone(), None),
        };
        let side =
            |s: &synckit_core::graph::SideOutline| Side::new(s.clone(), s.beyond.iter().map(load).collect());
        let sides = outline.sides.iter().map(side).collect();
        let common = outline.common.iter().map(load).collect();
        Conflict::new(outline, sides, common)
    }

    pub(crate) fn conflict(&self) -> Conflict {
        self.read(self.outline())
    }

    /// Has the resolver decide the conflict, and gives the decision's vertex.
    pub(crate) fn decide(&mut self, resolver: &dyn ConflictResolver) -> (VertexId, Outcome) {
        let conflict = self.conflict();
        let outcome = outcome(&conflict, resolver);
        let mut decision = Decision::adopting(outcome.heads.clone(), "merge", resolver.name());
        decision.conflict = Some(conflict.id().clone());
        (decision.hidden, decision.merged) = (outcome.hidden.clone(), outcome.merged.clone());
        (self.decision(decision, conflict.outline().heads.clone(), true), outcome)
    }

    /// Decides the conflict as a resolver of someone's own would: all sides count, and an event comes with the decision.
    pub(crate) fn decide_by_hand(&mut self, data: &Value) -> VertexId {
        let outline = self.outline();
        let sides = outline.sides.iter().map(|s| s.head.clone()).collect();
        let mut decision = Decision::adopting(sides, "merge", "own");
        decision.conflict = Some(outline.id.clone());
        decision.merged = vec![MergedEvent {
            id: EventId::new(format!("brought-{}", self.vertices.len())).unwrap(),
            event_type: EventType::new("thing.changed").unwrap(),
            data: serde_json::value::to_raw_value(data).unwrap(),
            metadata: None,
        }];
        self.decision(decision, outline.heads, true)
    }

    /// The logged events that count, sorted.
    pub(crate) fn counting(&self) -> Vec<EventId> {
        let logged = |e: &ViewEvent| matches!(e, ViewEvent::Logged(_)).then(|| e.id().clone());
        let mut ids: Vec<EventId> = self.graph().view().iter().filter_map(logged).collect();
        ids.sort();
        ids
    }
}

pub(crate) fn resolve(conflict: &Conflict, resolver: &dyn ConflictResolver) -> Resolution {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(resolver.resolve(conflict)).unwrap()
}

pub(crate) fn outcome(conflict: &Conflict, resolver: &dyn ConflictResolver) -> Outcome {
    match resolve(conflict, resolver) {
        Resolution::Adopt { heads, hidden, merged, reasons, .. } => {
            let logged = conflict.unshared().filter_map(|(e, stamp)| stamp.map(|s| (s.key(&e.id), e)));
            let newest = logged.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, e)| e.data.as_json().unwrap());
            let text = merged.first().map(|m| m.data.get()).or(newest).unwrap_or("null");
            let document = serde_json::from_str(text).unwrap();
            Outcome { heads, hidden, merged, reasons, document }
        }
        other => panic!("not decided: {other:?}"),
    }
}

pub(crate) fn review_reason(conflict: &Conflict, resolver: &dyn ConflictResolver) -> String {
    match resolve(conflict, resolver) {
        Resolution::Review { reason, .. } => reason,
        other => panic!("decided: {other:?}"),
    }
}
