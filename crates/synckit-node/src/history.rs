//! The log as people read it: what counts, and what does not.

use std::collections::{HashMap, HashSet};

use synckit_core::{
    AggregateId, Event, EventId, Filter, Result, Version, VertexId,
    decision::{Decision, RESOLUTION},
    graph::{AggregateGraph, VertexBody, ViewEvent},
    store::{LogEntry, ReadRequest},
};

use crate::node::SyncNode;

/// Aggregates whose histories are read together.
const BATCH: usize = 500;
/// Entries read together.
const PAGE: usize = 2_000;

/// An entry of the log with what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The entry.
    pub entry: LogEntry,
    /// Why it does not count; none if it does.
    pub superseded: Option<Superseded>,
    /// Events that count because this entry, a decision, brought them along.
    pub merged: Vec<Event>,
}

/// Why an event does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Superseded {
    /// This decision took it out.
    By(VertexId),
    /// It loses for now, while a conflict is open.
    Provisionally,
    /// Its owner withdrew it.
    Withdrawn,
    /// The entry at this position counts for its id: it has a smaller stamp, or holds the data.
    Replaced {
        /// The position; 0 if it is not known.
        by: u64,
    },
}

/// What does not count, and what counts without being in the log itself.
#[derive(Debug, Default)]
struct Disputes {
    superseded: HashMap<EventId, Superseded>,
    merged: HashSet<EventId>,
}

impl Disputes {
    fn take(&mut self, graph: &AggregateGraph) {
        for (id, by) in graph.superseded() {
            self.superseded.insert(id, by.map_or(Superseded::Provisionally, Superseded::By));
        }
        let withdrawn = graph.vertices().iter().filter(|v| v.body == VertexBody::Withdrawn);
        self.superseded.extend(withdrawn.map(|v| (EventId::from(&v.id), Superseded::Withdrawn)));
        self.merged.extend(graph.view().into_iter().filter_map(|e| match e {
            ViewEvent::Merged(event) => Some(event.id),
            ViewEvent::Logged(_) => None,
        }));
    }

    /// The events that a decision brings along and that still count; each is given once.
    fn brought_by(&mut self, entry: &LogEntry) -> Vec<Event> {
        if self.merged.is_empty() || entry.event.event_type.as_str() != RESOLUTION {
            return Vec::new();
        }
        let merged = Decision::read(&entry.event, &entry.stamp.parents).map(|d| d.merged).unwrap_or_default();
        let events = merged.iter().filter_map(|m| m.to_event(&entry.event.aggregate_id).ok());
        events.filter(|event| self.merged.remove(&event.id)).collect()
    }
}

impl HistoryEntry {
    /// Whether it is a domain event that counts, and is held whole.
    #[must_use]
    pub fn is_effective(&self) -> bool {
        self.superseded.is_none() && !self.entry.stub && !self.entry.event.event_type.is_reserved()
    }
}

impl SyncNode {
    /// The domain events that do not count now, with the reason.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn superseded(&self, aggregate: Option<&AggregateId>) -> Result<HashMap<EventId, Superseded>> {
        Ok(self.disputes(aggregate).await?.superseded)
    }

    async fn disputes(&self, only: Option<&AggregateId>) -> Result<Disputes> {
        let store = &self.0.store;
        let mut disputes = Disputes::default();
        if let Some(aggregate) = only {
            store.graphs(std::slice::from_ref(aggregate)).await?.iter().for_each(|g| disputes.take(g));
            return Ok(disputes);
        }
        let mut after: Option<AggregateId> = None;
        loop {
            let names = store.disputed(after.as_ref(), BATCH).await?;
            let Some(last) = names.last() else { return Ok(disputes) };
            after = Some(last.clone());
            store.graphs(&names).await?.iter().for_each(|g| disputes.take(g));
        }
    }

    /// Visits the log after `after` in its order, a page at a time; of the entries of one id only the one that counts.
    ///
    /// # Errors
    /// Any error of the store; the first error of `visit`.
    pub async fn history<E: From<synckit_core::Error>>(
        &self,
        aggregate: Option<&AggregateId>,
        after: u64,
        visit: impl FnMut(HistoryEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        self.walk(aggregate, after, true, visit).await
    }

    /// Visits the whole log after `after` in its order, a page at a time: every entry that was ever made.
    ///
    /// # Errors
    /// Any error of the store; the first error of `visit`.
    pub async fn log<E: From<synckit_core::Error>>(
        &self,
        aggregate: Option<&AggregateId>,
        after: u64,
        visit: impl FnMut(HistoryEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        self.walk(aggregate, after, false, visit).await
    }

    async fn walk<E: From<synckit_core::Error>>(
        &self,
        aggregate: Option<&AggregateId>,
        after: u64,
        only_counting: bool,
        mut visit: impl FnMut(HistoryEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut disputes = self.disputes(aggregate).await?;
        let mut filter = Filter::everything();
        filter.aggregates.extend(aggregate.cloned());
        let mut position = after;
        loop {
            let mut request = ReadRequest::after(position).limit(PAGE).filter(filter.clone());
            request.only_counting = only_counting;
            let page = self.0.store.read(request).await?;
            let replaced = self.replacements(&page.entries).await?;
            for entry in page.entries {
                let superseded = if entry.superseded {
                    Some(Superseded::Replaced { by: replaced.get(&entry.event.id).copied().unwrap_or(0) })
                } else {
                    disputes.superseded.get(&entry.event.id).cloned()
                };
                let merged = disputes.brought_by(&entry);
                visit(HistoryEntry { entry, superseded, merged })?;
            }
            if !page.has_more {
                return Ok(());
            }
            position = page.next.position;
        }
    }

    /// Where the entries are that count for the ids of those which do not.
    async fn replacements(&self, entries: &[LogEntry]) -> Result<HashMap<EventId, u64>> {
        let ids: Vec<EventId> = entries.iter().filter(|e| e.superseded).map(|e| e.event.id.clone()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let counting = self.0.store.load(&ids).await?;
        Ok(counting.into_iter().map(|e| (e.event.id, e.position)).collect())
    }

    /// The domain events that count, in the order of the log, those that decisions brought along where their decision is;
    /// without stubs.
    ///
    /// # Errors
    /// Any error of the store; the first error of `visit`.
    pub async fn effective<E: From<synckit_core::Error>>(
        &self,
        aggregate: Option<&AggregateId>,
        after: u64,
        mut visit: impl FnMut(Event, Option<LogEntry>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.history(aggregate, after, |item| {
            if item.is_effective() {
                visit(item.entry.event.clone(), Some(item.entry))?;
            }
            item.merged.into_iter().try_for_each(|event| visit(event, None))
        })
        .await
    }

    /// The versions of the events of an aggregate, in the node's mode: positions, or vector clocks.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn versions(&self, aggregate: &AggregateId) -> Result<HashMap<EventId, Version>> {
        let mut versions = HashMap::new();
        if self.0.store.identity().mode == synckit_core::CursorMode::Vector {
            for graph in self.0.store.graphs(std::slice::from_ref(aggregate)).await? {
                let clocks = graph.clocks()?;
                versions
                    .extend(clocks.into_iter().map(|(v, clock)| (EventId::from(&v), Version::Vector(clock))));
            }
            return Ok(versions);
        }
        self.history(Some(aggregate), 0, |item| {
            versions.insert(item.entry.event.id.clone(), Version::Integer(item.entry.position));
            Ok::<(), synckit_core::Error>(())
        })
        .await?;
        Ok(versions)
    }
}
