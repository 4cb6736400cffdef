//! Who decided what: decisions as entries of a log.

use crate::{
    decision::Decision,
    error::Result,
    ids::{AggregateId, ConflictId, EventId, NodeId, VertexId},
    stamp::Timestamp,
    store::LogEntry,
};

/// A decision in the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its event.
    pub event: EventId,
    /// Its position in this log.
    pub position: u64,
    /// The vertex that it is: machines that decide alike decide one.
    pub vertex: VertexId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The node that wrote it.
    pub origin: NodeId,
    /// When it was written, by the hybrid logical clock.
    pub written_at: Timestamp,
    /// What was decided, by whom, by which rule, and why.
    pub decision: Decision,
}

impl AuditEntry {
    /// The decision in an entry of the type [`RESOLUTION`](crate::decision::RESOLUTION) that is held whole.
    ///
    /// # Errors
    /// As [`Decision::read`].
    pub fn read(entry: LogEntry) -> Result<Self> {
        let decision = Decision::read(&entry.event, &entry.stamp.parents)?;
        Ok(Self::new(
            entry.event.id,
            entry.position,
            entry.event.aggregate_id,
            entry.stamp.origin,
            entry.stamp.timestamp,
            decision,
        ))
    }

    /// The entry of these parts, for indexes that keep them. Nothing is checked; the vertex follows from the decision.
    #[must_use]
    pub fn new(
        event: EventId,
        position: u64,
        aggregate: AggregateId,
        origin: NodeId,
        written_at: Timestamp,
        decision: Decision,
    ) -> Self {
        Self { vertex: decision.vertex(&event), event, position, aggregate, origin, written_at, decision }
    }
}

/// Which decisions are wanted: those for which all that is given holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFilter {
    /// Decisions about this aggregate.
    pub aggregate: Option<AggregateId>,
    /// Decisions on this conflict.
    pub conflict: Option<ConflictId>,
    /// Decisions of this person.
    pub user: Option<String>,
    /// Decisions of this resolver.
    pub resolver: Option<String>,
    /// Decisions of this rule, with its groups before it.
    pub rule: Option<String>,
    /// Decisions of rules or fallbacks of this group, or of one within it.
    pub group: Option<String>,
    /// Decisions written at this time or later.
    pub from: Option<Timestamp>,
    /// Decisions written at this time or earlier.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether a decision is wanted.
    #[must_use]
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        let same =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|w| is == Some(w));
        let within = |group: &str| {
            let rest = entry.decision.group.as_deref().and_then(|g| g.strip_prefix(group));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.aggregate.as_ref().is_none_or(|a| *a == entry.aggregate)
            && self.conflict.as_ref().is_none_or(|c| Some(c) == entry.decision.conflict.as_ref())
            && same(&self.user, entry.decision.user.as_deref())
            && same(&self.resolver, Some(&entry.decision.resolver))
            && same(&self.rule, entry.decision.rule.as_deref())
            && self.group.as_deref().is_none_or(within)
            && self.from.is_none_or(|from| entry.written_at >= from)
            && self.to.is_none_or(|to| entry.written_at <= to)
    }
}
