//! Who decided what, and what taking it back would do. The audit trail is the log itself.

use std::collections::HashMap;

use serde::Serialize;
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventType, Filter, NodeId, Result, Timestamp,
    VertexId,
    decision::{Decision, RESOLUTION},
    graph::{VertexBody, ViewEvent},
    store::{LogEntry, ReadRequest},
};
use synckit_resolve::Conflict;

use crate::{node::SyncNode, review::last_undo, sync::resolve::conflict};

/// Entries read together.
const PAGE: usize = 1_000;

/// A decision in the log.
#[derive(Debug, Clone)]
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

/// How much was built on a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Complexity {
    /// Nothing.
    Simple,
    /// One to three events or decisions.
    Moderate,
    /// More.
    Complex,
}

/// What taking back a decision would do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UndoAnalysis {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The decision that would be taken back: the last undo, if it was taken back before.
    pub vertex: VertexId,
    /// What it says.
    pub decision: Decision,
    /// Events that would count again.
    pub restored: Vec<EventId>,
    /// Events that would no longer count.
    pub hidden: Vec<EventId>,
    /// Events that were built on it, oldest first. They stay.
    pub later_events: Vec<EventId>,
    /// Decisions that were built on it, oldest first. They stay, and may decide on what changes.
    pub later_decisions: Vec<VertexId>,
    /// How much was built on it.
    pub complexity: Complexity,
    /// What to think of before taking it back.
    pub warnings: Vec<String>,
}

impl SyncNode {
    /// Visits the decisions that are wanted, in the order of the log.
    ///
    /// # Errors
    /// Any error of the store; the first error of `visit`.
    pub async fn audit<E: From<Error>>(
        &self,
        filter: &AuditFilter,
        mut visit: impl FnMut(AuditEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut wanted = Filter::everything().with_type(EventType::new(RESOLUTION)?);
        if let Some(aggregate) = &filter.aggregate {
            wanted = wanted.with_aggregate(aggregate.clone());
        }
        let mut after = 0;
        loop {
            let request = ReadRequest::after(after).limit(PAGE).filter(wanted.clone());
            let page = self.0.store.read(request).await?;
            // What a filter does not want comes as a stub.
            for entry in
                page.entries.into_iter().filter(|e| !e.stub && e.event.event_type.as_str() == RESOLUTION)
            {
                let entry = read(entry)?;
                if filter.wants(&entry) {
                    visit(entry)?;
                }
            }
            if !page.has_more {
                return Ok(());
            }
            after = page.next.position;
        }
    }

    /// Says what [`undo`](Self::undo) of a conflict would do. Nothing is changed.
    ///
    /// # Errors
    /// As [`undo`](Self::undo).
    pub async fn analyze_undo(&self, id: &ConflictId) -> Result<UndoAnalysis> {
        let found = self.find(id).await?;
        let graph = &found.graph;
        let none =
            || Error::new(ErrorKind::NotFound, "undo", format!("nothing was decided on the conflict {id}"));
        let decided = graph.decisions_on(id).pop().ok_or_else(none)?;
        let vertex = last_undo(graph, decided);
        let decision = graph.decision_at(&vertex).cloned().ok_or_else(none)?;
        let (undo, _) = graph.undo(&vertex)?;
        let (mut later_events, mut later_decisions) = (Vec::new(), Vec::new());
        let mut built = graph.built_on(&vertex);
        built.sort_by(|a, b| a.key.cmp(&b.key));
        for later in built {
            match &later.body {
                VertexBody::Decision(_) => later_decisions.push(later.id.clone()),
                _ => later_events.push(EventId::from(&later.id)),
            }
        }
        let complexity = match later_events.len() + later_decisions.len() {
            0 => Complexity::Simple,
            1..=3 => Complexity::Moderate,
            _ => Complexity::Complex,
        };
        let mut warnings = Vec::new();
        if !later_events.is_empty() {
            warnings
                .push(format!("{} events were written by people who saw this decision", later_events.len()));
        }
        if !later_decisions.is_empty() {
            warnings
                .push(format!("{} decisions were built on it, and stay as they are", later_decisions.len()));
        }
        if !decision.merged.is_empty() {
            warnings.push("what it merged no longer counts; the events that it was merged from do".into());
        }
        if graph.conflict().is_some() {
            warnings
                .push("the aggregate is in conflict again; the undo is written on one of its sides".into());
        }
        Ok(UndoAnalysis {
            aggregate: graph.aggregate().clone(),
            vertex,
            decision,
            restored: undo.restored,
            hidden: undo.hidden,
            later_events,
            later_decisions,
            complexity,
            warnings,
        })
    }

    /// The conflict with this id as a resolver sees it that reads everything; also one that was decided.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; any error of the store.
    pub async fn read_conflict(&self, id: &ConflictId) -> Result<Conflict> {
        let found = self.find(id).await?;
        let outline = found.graph.conflict_between(&found.heads)?;
        let of_sides = outline.sides.iter().flat_map(|s| &s.beyond);
        let logged = |e: &ViewEvent| match e {
            ViewEvent::Logged(id) => Some(id.clone()),
            ViewEvent::Merged(_) => None,
        };
        let ids: Vec<EventId> = of_sides.chain(&outline.common).filter_map(logged).collect();
        let entries = self.0.store.load(&ids).await?;
        let loaded: HashMap<EventId, LogEntry> =
            entries.into_iter().map(|e| (e.event.id.clone(), e)).collect();
        Ok(conflict(outline, &loaded))
    }
}

fn read(entry: LogEntry) -> Result<AuditEntry> {
    let decision = Decision::read(&entry.event, &entry.stamp.parents)?;
    Ok(AuditEntry {
        vertex: decision.vertex(&entry.event.id),
        event: entry.event.id,
        position: entry.position,
        aggregate: entry.event.aggregate_id,
        origin: entry.stamp.origin,
        written_at: entry.stamp.timestamp,
        decision,
    })
}
