//! The store under test.

use std::{cell::Cell, ops::Deref, sync::Arc};

use synckit_core::{
    AggregateId, ErrorKind, Event, EventId, EventStore, Result, VertexId,
    graph::{AggregateGraph, ConflictOutline},
    store::{Apply, DecisionDraft, LogEntry, LogPage, Offered, Outcome, ReadRequest, Write, Written},
};

use crate::{
    environment::ManualClock,
    sample::{self, ids},
    setup::{Receive, Reopen},
};

/// A store, with the clock that it goes by.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) clock: ManualClock,
    pub(crate) reopen: Option<Reopen>,
    pub(crate) receive: Cell<Option<Receive>>,
}

impl Deref for Subject {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Subject {
    pub(crate) async fn append(&self, events: Vec<Event>) -> Written {
        self.write(Write::Append(events)).await.unwrap()
    }

    pub(crate) async fn apply(&self, apply: Apply) -> Written {
        self.write(Write::Apply(apply)).await.unwrap()
    }

    /// Takes entries as if they were pulled from [`sample::PEER`].
    pub(crate) async fn pull(&self, entries: Vec<Offered>) -> Written {
        self.apply(sample::pulled(entries)).await
    }

    /// As [`pull`](Self::pull), of entries that all have to be accepted.
    pub(crate) async fn seed(&self, entries: Vec<Offered>) {
        let count = entries.len();
        let written = self.pull(entries).await;
        assert_eq!(written.accepted(), count, "{:?}", written.outcomes);
    }

    /// One decision.
    pub(crate) async fn decide(&self, draft: DecisionDraft) -> Result<Outcome> {
        let written = self.write(Write::Decide(vec![draft])).await?;
        assert_eq!(written.outcomes.len(), 1);
        Ok(written.outcomes[0].clone())
    }

    /// The whole log.
    pub(crate) async fn all(&self) -> Vec<LogEntry> {
        self.pages(&ReadRequest::default()).await
    }

    /// The entries of all pages of a request.
    pub(crate) async fn pages(&self, request: &ReadRequest) -> Vec<LogEntry> {
        all_entries(&**self, request).await
    }

    /// The entry that counts for an id.
    pub(crate) async fn entry(&self, id: &str) -> Option<LogEntry> {
        let mut found = self.load(&ids(&[id])).await.unwrap();
        assert!(found.len() < 2, "{id} has {} entries that count", found.len());
        found.pop()
    }

    pub(crate) async fn graph(&self, aggregate: &str) -> AggregateGraph {
        let mut graphs = self.graphs(&[sample::aggregate(aggregate)]).await.unwrap();
        assert_eq!(graphs.len(), 1);
        graphs.remove(0)
    }

    pub(crate) async fn heads(&self, aggregate: &str) -> Vec<String> {
        self.graph(aggregate).await.heads().iter().map(|h| h.vertex.to_string()).collect()
    }

    pub(crate) async fn conflict(&self, aggregate: &str) -> ConflictOutline {
        self.graph(aggregate).await.conflict().unwrap()
    }

    /// The ids of the events that count now.
    pub(crate) async fn view(&self, aggregate: &str) -> Vec<String> {
        self.graph(aggregate).await.view().iter().map(|e| e.id().to_string()).collect()
    }

    pub(crate) async fn parents(&self, id: &str) -> Vec<VertexId> {
        self.entry(id).await.unwrap().stamp.parents
    }

    /// What the store would offer to a peer, whole.
    pub(crate) async fn offers(&self) -> Vec<Offered> {
        self.all().await.into_iter().map(LogEntry::into_offered).collect()
    }

    pub(crate) async fn in_conflict(&self) -> Vec<AggregateId> {
        self.conflicts(None, 10_000).await.unwrap().into_iter().map(|c| c.aggregate).collect()
    }
}

/// The pages of a request up to the end, each of which has to get further.
pub(crate) async fn all_pages(store: &dyn EventStore, request: &ReadRequest) -> Vec<LogPage> {
    let mut request = request.clone();
    let mut pages: Vec<LogPage> = Vec::new();
    loop {
        let page = store.read(request.clone()).await.unwrap();
        let (next, more) = (page.next, page.has_more);
        assert!(next.position >= request.after, "a page goes backwards");
        assert!(!more || next.position > request.after, "a page with more after it does not get further");
        assert_eq!(more, next.position < page.head.position, "has_more does not say whether this is the end");
        if let Some(last) = page.entries.last() {
            assert!(last.position <= next.position, "an entry lies beyond where the page reaches");
        }
        request.after = next.position;
        pages.push(page);
        if !more {
            return pages;
        }
    }
}

/// The entries of all pages of a request.
pub(crate) async fn all_entries(store: &dyn EventStore, request: &ReadRequest) -> Vec<LogEntry> {
    all_pages(store, request).await.into_iter().flat_map(|p| p.entries).collect()
}

/// The ids of entries, in their order.
pub(crate) fn ids_of(entries: &[LogEntry]) -> Vec<&str> {
    entries.iter().map(|e| e.event.id.as_str()).collect()
}

/// The codes of refusals; none for events that were taken.
pub(crate) fn codes(written: &Written) -> Vec<Option<&'static str>> {
    written.outcomes.iter().map(|o| o.refusal().map(|r| r.code.as_str())).collect()
}

/// The kind of an error, which has to be one.
pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Whether an event was accepted, and where.
pub(crate) fn accepted_at(written: &Written) -> Vec<u64> {
    let position = |o: &Outcome| match o {
        Outcome::Accepted { position } => *position,
        other => panic!("not accepted: {other:?}"),
    };
    written.outcomes.iter().map(position).collect()
}

/// An event id as the name of a vertex.
pub(crate) fn vertex(id: &str) -> VertexId {
    VertexId::from(&EventId::new(id).unwrap())
}
