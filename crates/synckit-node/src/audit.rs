//! Who decided what, and what taking it back would do. The audit trail is the log itself.

use std::collections::HashMap;

use serde::Serialize;
use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, EventId, EventType, Filter, Result, VertexId,
    audit::{AuditEntry, AuditFilter},
    decision::{Decision, RESOLUTION},
    graph::{VertexBody, ViewEvent},
    store::{LogEntry, ReadRequest},
};
use synckit_resolve::Conflict;

use crate::{node::SyncNode, review::last_undo, sync::resolve::conflict};

/// Entries read together.
const PAGE: usize = 1_000;

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
    /// Visits the decisions that are wanted, in the order of the log; one that came under several stamps once.
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
            let request = ReadRequest::after(after).limit(PAGE).filter(wanted.clone()).only_counting();
            let page = self.0.store.read(request).await?;
            // What a filter does not want comes as a stub.
            for entry in
                page.entries.into_iter().filter(|e| !e.stub && e.event.event_type.as_str() == RESOLUTION)
            {
                let entry = AuditEntry::read(entry)?;
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
