//! The kit's own events: decisions, conflicts opened for review, and withdrawals.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    binary::Writer,
    error::{Error, Result},
    event::{Event, Metadata, Payload},
    hash::Hash,
    ids::{AggregateId, ConflictId, EventId, EventType, NodeId, VertexId},
    plan::Claim,
    stamp::{Stamp, Timestamp},
};

/// The type of a decision.
pub const RESOLUTION: &str = "synckit.resolution";
/// The type of a conflict that was opened for review.
pub const CONFLICT: &str = "synckit.conflict";
/// The type of a withdrawal.
pub const WITHDRAWAL: &str = "synckit.withdrawal";

/// The outcome of a conflict: whose views count, and the exceptions.
///
/// The decision's parents are the heads it decides. `V(decision) = ⋃ V(adopts) − hidden ∪ restored ∪ merged`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Decision {
    /// The conflict decided; none for an undo, which is nobody's rival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<ConflictId>,
    /// A machine's decision: its deterministic id. A person's decision has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<VertexId>,
    /// The heads whose views are adopted: one wins, or several are united.
    pub adopts: Vec<VertexId>,
    /// Events of those views that do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<EventId>,
    /// Events outside those views that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<EventId>,
    /// New domain events that the decision brings along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedEvent>,
    /// What was done, in a word: `keep`, `merge`, `undo`, or what the resolver calls it.
    pub outcome: String,
    /// The name of the resolver that decided.
    pub resolver: String,
    /// The rule that matched, if rules decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The group that the rule is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The person who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session in which the person decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was decided, by the decider's clock.
    pub decided_at: Timestamp,
    /// An undo: the decision that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<VertexId>,
}

impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        serde_json::to_string(self).ok() == serde_json::to_string(other).ok()
    }
}

/// A domain event that a decision brings along.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergedEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Its data, JSON.
    pub data: Box<RawValue>,
    /// Its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
}

impl MergedEvent {
    /// The event as one of `aggregate`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if its metadata is not an object or is too large.
    pub fn to_event(&self, aggregate: &AggregateId) -> Result<Event> {
        Ok(Event {
            id: self.id.clone(),
            event_type: self.event_type.clone(),
            aggregate_id: aggregate.clone(),
            data: Payload::from_raw(&self.data),
            metadata: match &self.metadata {
                Some(raw) => Metadata::from_json(raw.get())?,
                None => Metadata::default(),
            },
        })
    }
}

impl Decision {
    /// A decision that adopts the views of some heads.
    #[must_use]
    pub fn adopting(adopts: Vec<VertexId>, outcome: impl Into<String>, resolver: impl Into<String>) -> Self {
        Self {
            conflict: None,
            decision: None,
            adopts,
            hidden: Vec::new(),
            restored: Vec::new(),
            merged: Vec::new(),
            outcome: outcome.into(),
            resolver: resolver.into(),
            rule: None,
            group: None,
            reasons: Vec::new(),
            user: None,
            session: None,
            decided_at: Timestamp::default(),
            undoes: None,
        }
    }

    /// Whether a person decided.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        self.decision.is_none()
    }

    /// The deterministic id of a machine's decision: a hash of the heads decided and the outcome.
    #[must_use]
    pub fn machine_id(&self, aggregate: &AggregateId, parents: &[VertexId]) -> VertexId {
        let mut writer = Writer::default();
        writer.text(aggregate.as_str());
        let mut list = |names: Vec<&str>, sort: bool| {
            let mut names = names;
            if sort {
                names.sort_unstable();
            }
            writer.u64(names.len() as u64);
            names.into_iter().for_each(|name| {
                writer.text(name);
            });
        };
        list(parents.iter().map(VertexId::as_str).collect(), true);
        list(self.adopts.iter().map(VertexId::as_str).collect(), true);
        list(self.hidden.iter().map(EventId::as_str).collect(), true);
        list(self.restored.iter().map(EventId::as_str).collect(), true);
        list(
            self.merged
                .iter()
                .flat_map(|m| {
                    [
                        m.id.as_str(),
                        m.event_type.as_str(),
                        m.data.get(),
                        m.metadata.as_ref().map_or("", |r| r.get()),
                    ]
                })
                .collect(),
            false,
        );
        name("synckit.d.", &writer.0)
    }

    /// Writes the decision as the data of an event.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it cannot be written as JSON.
    pub fn to_payload(&self) -> Result<Payload> {
        Payload::json(self)
    }

    /// Reads the decision in an event of the type [`RESOLUTION`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the data is not a decision about the stamp's parents: it adopts
    /// something else, or a machine's id is not the hash of its heads and outcome.
    pub fn read(event: &Event, parents: &[VertexId]) -> Result<Self> {
        let invalid = |what: &str| Error::invalid("read decision", format!("{}: {what}", event.id));
        let decision: Self = serde_json::from_slice(event.data.bytes())
            .map_err(|e| invalid("not a decision").with_source(e))?;
        if decision.adopts.is_empty() || !decision.adopts.iter().all(|a| parents.contains(a)) {
            return Err(invalid("it adopts a view that is not of its heads"));
        }
        if decision
            .decision
            .as_ref()
            .is_some_and(|id| *id != decision.machine_id(&event.aggregate_id, parents))
        {
            return Err(invalid("its decision id does not belong to its heads and outcome"));
        }
        Ok(decision)
    }

    /// The vertex that the decision is in the history of its aggregate.
    #[must_use]
    pub fn vertex(&self, event: &EventId) -> VertexId {
        self.decision.clone().unwrap_or_else(|| VertexId::from(event))
    }
}

/// A conflict that was opened for review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The conflict.
    pub conflict: ConflictId,
    /// Its heads, sorted.
    pub heads: Vec<VertexId>,
    /// Why a person has to decide.
    pub reason: String,
}

impl Review {
    /// The event that opens the review. Its id depends on its content alone, so that replicas which open the same review
    /// open one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it cannot be written as JSON.
    pub fn to_event(&self, aggregate: &AggregateId) -> Result<Event> {
        let data = Payload::json(self)?;
        let mut writer = Writer::default();
        writer.text(aggregate.as_str()).bytes(data.bytes());
        let id: VertexId = name("synckit.c.", &writer.0);
        Ok(Event {
            id: EventId::from(&id),
            event_type: EventType::new(CONFLICT)?,
            aggregate_id: aggregate.clone(),
            data,
            metadata: Metadata::default(),
        })
    }

    /// Reads the review in an event of the type [`CONFLICT`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the data is not a review.
    pub fn read(event: &Event) -> Result<Self> {
        serde_json::from_slice(event.data.bytes())
            .map_err(|e| Error::invalid("read review", format!("{}: not a review", event.id)).with_source(e))
    }
}

/// An event that its owner gave up. It stands in for the event: what was built on it need not wait any longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// The event withdrawn.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Its origin.
    pub origin: NodeId,
    /// Its counter.
    pub counter: u64,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its parents.
    pub parents: Vec<VertexId>,
    /// The hash of its content.
    pub content: Hash,
}

impl Withdrawal {
    /// The event that withdraws.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it cannot be written as JSON.
    pub fn to_event(&self, aggregate: &AggregateId) -> Result<Event> {
        let data = Payload::json(self)?;
        let mut writer = Writer::default();
        writer.text(aggregate.as_str()).bytes(data.bytes());
        let id: VertexId = name("synckit.w.", &writer.0);
        Ok(Event {
            id: EventId::from(&id),
            event_type: EventType::new(WITHDRAWAL)?,
            aggregate_id: aggregate.clone(),
            data,
            metadata: Metadata::default(),
        })
    }

    /// Reads the withdrawal in an event of the type [`WITHDRAWAL`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the data is not a withdrawal.
    pub fn read(event: &Event) -> Result<Self> {
        let withdrawal: Self = serde_json::from_slice(event.data.bytes()).map_err(|e| {
            Error::invalid("read withdrawal", format!("{}: not a withdrawal", event.id)).with_source(e)
        })?;
        withdrawal.stamp()?;
        Ok(withdrawal)
    }

    /// The stamp of the event withdrawn.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is out of range.
    pub fn stamp(&self) -> Result<Stamp> {
        Stamp::checked(self.origin, self.counter, self.timestamp, self.parents.clone())
    }

    /// What the event withdrawn claims its id with.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if its stamp is out of range.
    pub fn claim(&self, aggregate: &AggregateId) -> Result<Claim> {
        Ok(Claim { aggregate: aggregate.clone(), stamp: self.stamp()?, content: self.content })
    }
}

/// The id of the conflict between these heads of an aggregate.
#[must_use]
pub fn conflict_id(aggregate: &AggregateId, heads: &[VertexId]) -> ConflictId {
    let mut sorted: Vec<&VertexId> = heads.iter().collect();
    sorted.sort_unstable();
    let mut writer = Writer::default();
    writer.text(aggregate.as_str());
    for head in sorted {
        writer.text(head.as_str());
    }
    let hash = Hash::of(&writer.0).to_string();
    #[allow(clippy::unwrap_used, reason = "18 ASCII characters are a name")]
    ConflictId::new(format!("c-{}", &hash[..16])).unwrap()
}

fn name(prefix: &str, bytes: &[u8]) -> VertexId {
    let hash = Hash::of(bytes).to_string();
    #[allow(clippy::unwrap_used, reason = "at most 50 ASCII characters are a name")]
    VertexId::new(format!("{prefix}{}", &hash[..40])).unwrap()
}
