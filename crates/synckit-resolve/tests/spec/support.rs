//! Conflicts as a node would find them.

use std::collections::HashMap;

use serde_json::Value;
use synckit_core::{
    AggregateId, CanonicalKey, Event, EventType, Metadata, NodeId, Payload, Stamp, Timestamp, VertexId,
    graph::{AggregateGraph, Vertex, VertexBody},
};
use synckit_resolve::{Conflict, Side};

pub(crate) fn types(names: &[&'static str]) -> Vec<EventType> {
    names.iter().map(|n| EventType::new(*n).unwrap()).collect()
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

pub(crate) fn event(event_type: &str, data: &Value) -> Event {
    Event::new(event_type, "flight-7", data).unwrap()
}

pub(crate) fn with(event_type: &str, metadata: &[(&str, Value)]) -> Event {
    let pairs = metadata.iter().map(|(k, v)| (*k, v));
    event(event_type, &Value::Null).with_metadata(Metadata::from_pairs(pairs).unwrap())
}

/// A conflict of the aggregate `flight-7`; side `i` is written by node `i`.
pub(crate) fn conflict(common: Vec<Event>, sides: Vec<Vec<Event>>) -> Conflict {
    let mut counter = 0;
    let mut vertices = Vec::new();
    let mut stamps = HashMap::new();
    let mut chain = |events: &[Event], origin: u128, mut parents: Vec<VertexId>| {
        for event in events {
            counter += 1;
            let stamp = Stamp {
                origin: node(origin),
                counter,
                timestamp: Timestamp::from_micros(1_000 + counter),
                parents: parents.clone(),
            };
            let id = VertexId::from(&event.id);
            vertices.push(Vertex {
                id: id.clone(),
                parents: parents.clone(),
                key: stamp.key(&event.id),
                body: VertexBody::Domain,
            });
            stamps.insert(id.clone(), (event.clone(), stamp));
            parents = vec![id];
        }
        parents
    };
    let shared = chain(&common, 99, Vec::new());
    for (i, events) in (0..).zip(&sides) {
        chain(events, i, shared.clone());
    }
    let aggregate = AggregateId::new("flight-7").unwrap();
    let outline = AggregateGraph::new(aggregate, vertices).unwrap().conflict().unwrap();
    let read = |key: &CanonicalKey| {
        let (event, stamp) = stamps[&VertexId::from(&key.id)].clone();
        (event, Some(stamp))
    };
    let found = outline.sides.iter().map(|side| {
        let mut keys: Vec<CanonicalKey> = sides
            .iter()
            .find(|events| events.last().is_some_and(|e| e.id.as_str() == side.head.as_str()))
            .unwrap()
            .iter()
            .map(|e| stamps[&VertexId::from(&e.id)].1.key(&e.id))
            .collect();
        keys.sort_unstable();
        Side::new(side.clone(), keys.iter().map(read).collect())
    });
    let found = found.collect();
    let common = common.into_iter().map(|e| stamps[&VertexId::from(&e.id)].clone());
    let common = common.map(|(event, stamp)| (event, Some(stamp))).collect();
    Conflict::new(outline, found, common)
}

/// Two sides that went apart, each with one event of this data.
pub(crate) fn forked(base: &Value, left: &Value, right: &Value) -> Conflict {
    conflict(
        vec![event("flight.planned", base)],
        vec![vec![event("flight.delayed", left)], vec![event("flight.boarded", right)]],
    )
}

/// Data that is not JSON.
pub(crate) fn opaque(event_type: &str) -> Event {
    let mut event = event(event_type, &Value::Null);
    event.data = Payload::encoded("cbor", vec![0xa0]).unwrap();
    event
}
