//! The log as people read it: what counts, and what does not.

use std::collections::HashMap;

use synckit_core::{
    AggregateId, Event, EventId, Filter, Hash, Result, Version, VertexId,
    decision::{Decision, RESOLUTION},
    graph::{AggregateGraph, ViewEvent},
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
}

/// Why an event does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Superseded {
    /// This decision took it out.
    By(VertexId),
    /// It loses for now, while a conflict is open.
    Provisionally,
    /// Another entry counts for its id.
    OtherEntry,
}

impl SyncNode {
    /// The domain events that do not count now, with the decisions that took them out; none for those that only lose while
    /// a conflict is open.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn superseded(
        &self,
        aggregate: Option<&AggregateId>,
    ) -> Result<HashMap<EventId, Option<VertexId>>> {
        let mut found = HashMap::new();
        self.each_history(aggregate, |graph| found.extend(graph.superseded())).await?;
        Ok(found)
    }

    async fn each_history(
        &self,
        only: Option<&AggregateId>,
        mut visit: impl FnMut(&AggregateGraph),
    ) -> Result<()> {
        let store = &self.0.store;
        if let Some(aggregate) = only {
            store.graphs(std::slice::from_ref(aggregate)).await?.iter().for_each(visit);
            return Ok(());
        }
        let mut after: Option<AggregateId> = None;
        loop {
            let names = store.aggregates(after.as_ref(), BATCH).await?;
            let Some(last) = names.last() else { return Ok(()) };
            after = Some(last.clone());
            store.graphs(&names).await?.iter().for_each(&mut visit);
        }
    }

    /// Visits the log after `after` in its order, a page at a time; superseded entries of one id are left out. Events that
    /// decisions brought along come with the decisions.
    ///
    /// # Errors
    /// Any error of the store; the first error of `visit`.
    pub async fn history<E: From<synckit_core::Error>>(
        &self,
        aggregate: Option<&AggregateId>,
        after: u64,
        mut visit: impl FnMut(HistoryEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let superseded = self.superseded(aggregate).await?;
        let mut filter = Filter::everything();
        filter.aggregates.extend(aggregate.cloned());
        let mut position = after;
        loop {
            let request = ReadRequest::after(position).limit(PAGE).filter(filter.clone()).only_counting();
            let page = self.0.store.read(request).await?;
            for entry in page.entries {
                let why = superseded.get(&entry.event.id).map(|by| match by {
                    Some(decision) => Superseded::By(decision.clone()),
                    None => Superseded::Provisionally,
                });
                visit(HistoryEntry { entry, superseded: why })?;
            }
            if !page.has_more {
                return Ok(());
            }
            position = page.next.position;
        }
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
        let mut merged: HashMap<EventId, ()> = HashMap::new();
        let mut withdrawn: HashMap<EventId, ()> = HashMap::new();
        let collect = |graph: &AggregateGraph| {
            merged.extend(graph.view().into_iter().filter_map(|e| match e {
                ViewEvent::Merged(event) => Some((event.id, ())),
                ViewEvent::Logged(_) => None,
            }));
            let gone =
                graph.vertices().iter().filter(|v| v.body == synckit_core::graph::VertexBody::Withdrawn);
            withdrawn.extend(gone.map(|v| (EventId::from(&v.id), ())));
        };
        self.each_history(aggregate, collect).await?;
        self.history(aggregate, after, |item| {
            let HistoryEntry { entry, superseded } = item;
            if entry.event.event_type.as_str() == RESOLUTION {
                let brought =
                    Decision::read(&entry.event, &entry.stamp.parents).map(|d| d.merged).unwrap_or_default();
                for event in brought.iter().filter_map(|m| m.to_event(&entry.event.aggregate_id).ok()) {
                    if merged.remove(&event.id).is_some() {
                        visit(event, None)?;
                    }
                }
                return Ok(());
            }
            let counts = superseded.is_none() && !entry.stub && !withdrawn.contains_key(&entry.event.id);
            if counts && !entry.event.event_type.is_reserved() {
                visit(entry.event.clone(), Some(entry))?;
            }
            Ok(())
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

/// The hash that a replica's event contributes to digests.
pub(crate) fn content(event: &Event, entry: Option<&LogEntry>) -> Hash {
    entry.map_or_else(|| synckit_core::content_hash(event), |e| e.content)
}
