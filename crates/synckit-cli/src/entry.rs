//! Events as `--json` shows them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Serialize;
use serde_json::value::RawValue;
use synckit::{
    AggregateId, Event, EventId, EventType, LogId, NodeId, Version, VertexId,
    core::{Hash, VectorClock, store::LogEntry},
};

use crate::output::time;

/// An event with all that is known of it.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    id: &'a EventId,
    #[serde(rename = "type")]
    event_type: &'a EventType,
    aggregate: &'a AggregateId,
    codec: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    metadata: Option<&'a RawValue>,
    #[serde(flatten)]
    logged: Option<Logged<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded: Option<Superseded>,
}

/// What only events of the log have; those that a decision brought along do not.
#[derive(Serialize)]
struct Logged<'a> {
    position: u64,
    time: String,
    origin: NodeId,
    counter: u64,
    timestamp: u64,
    parents: &'a [VertexId],
    version: Numbered,
    content: Hash,
    hash: Hash,
    received_from: Option<LogId>,
    stub: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbered {
    Position(u64),
    Clock(VectorClock),
}

/// Why an event does not count.
#[derive(Serialize)]
pub(crate) struct Superseded {
    /// The reason, for programs.
    pub(crate) why: &'static str,
    /// The decision that took it out, if one did.
    pub(crate) by: Option<VertexId>,
}

impl<'a> Shown<'a> {
    /// An event that a decision brought along.
    pub(crate) fn event(event: &'a Event) -> Self {
        let json = event.data.as_json();
        Self {
            id: &event.id,
            event_type: &event.event_type,
            aggregate: &event.aggregate_id,
            codec: event.data.codec(),
            data: json.and_then(|text| serde_json::from_str(text).ok()),
            data_base64: json.is_none().then(|| BASE64.encode(event.data.bytes())),
            metadata: serde_json::from_str(event.metadata.as_json()).ok(),
            logged: None,
            superseded: None,
        }
    }

    /// An event of the log.
    pub(crate) fn entry(entry: &'a LogEntry, version: Option<Version>) -> Self {
        let logged = Logged {
            position: entry.position,
            time: time(entry.stamp.timestamp),
            origin: entry.stamp.origin,
            counter: entry.stamp.counter,
            timestamp: entry.stamp.timestamp.as_micros(),
            parents: &entry.stamp.parents,
            version: match version {
                Some(Version::Vector(clock)) => Numbered::Clock(clock),
                _ => Numbered::Position(entry.position),
            },
            content: entry.content,
            hash: entry.hash,
            received_from: entry.from,
            stub: entry.stub,
        };
        Self { logged: Some(logged), ..Self::event(&entry.event) }
    }

    /// The same, with why it does not count.
    pub(crate) fn superseded(self, superseded: Option<Superseded>) -> Self {
        Self { superseded, ..self }
    }
}
