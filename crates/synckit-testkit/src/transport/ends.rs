//! The two ends of a transport.

use std::{any::Any, cell::RefCell, fmt, ops::Deref, sync::Arc};

use synckit_core::{
    Event, EventStore, LogId, Mark, NodeId, Result, Transport,
    store::{Offered, Outcome, RefusalCode},
    transport::{PullPage, PullRequest, PushReply, PushRequest},
};

use crate::{
    polls::Boxed,
    run,
    sample::PEER,
    setup::{Fixture, Setup},
    stores::{Fresh, Stores},
    subject::Subject,
};

/// The node that the cases push as.
pub(super) const NODE: NodeId = NodeId::from_u128(2);

/// A transport made for one test, with what has to live as long as it.
pub struct TransportFixture {
    transport: Arc<dyn Transport>,
    guard: Option<Box<dyn Any>>,
}

impl TransportFixture {
    /// A transport that needs nothing else.
    #[must_use]
    pub fn new(transport: impl Transport) -> Self {
        Self { transport: Arc::new(transport), guard: None }
    }

    /// What has to live as long as the transport, such as a server. It is dropped after the transport was closed.
    #[must_use]
    pub fn guard(mut self, guard: impl Any) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl fmt::Debug for TransportFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportFixture").field("transport", &self.transport).finish_non_exhaustive()
    }
}

type Connect = Box<dyn Fn(Arc<dyn EventStore>) -> Boxed<'static, TransportFixture>>;

/// Makes both ends for each case.
#[doc(hidden)]
pub struct Ways {
    connect: Connect,
    fresh: Fresh,
}

impl Ways {
    /// Takes two async functions.
    pub fn new<C, S>(
        connect: impl Fn(Arc<dyn EventStore>) -> C + 'static,
        store: impl Fn(Setup) -> S + 'static,
    ) -> Self
    where
        C: Future<Output = TransportFixture> + 'static,
        S: Future<Output = Fixture> + 'static,
    {
        Self { connect: Box::new(move |store| Box::pin(connect(store))), fresh: Fresh::new(store) }
    }

    pub(crate) fn run(self, case: impl AsyncFn(&Ends<'_>)) {
        run::twice(async |mode| {
            let ends = Ends {
                stores: Stores::new(&self.fresh, mode),
                connect: &self.connect,
                open: RefCell::default(),
            };
            case(&ends).await;
            for fixture in ends.open.take() {
                fixture.transport.close().await.unwrap();
            }
            ends.stores.finish().await;
        });
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").finish_non_exhaustive()
    }
}

/// The stores and transports of one case.
pub(crate) struct Ends<'a> {
    stores: Stores<'a>,
    connect: &'a Connect,
    open: RefCell<Vec<TransportFixture>>,
}

impl Ends<'_> {
    /// An empty store, and the way to it.
    pub(super) async fn fresh(&self) -> (Subject, Way) {
        self.with(|_| {}).await
    }

    /// An empty store that is set up otherwise, and the way to it.
    pub(super) async fn with(&self, change: impl FnOnce(&mut Setup)) -> (Subject, Way) {
        let store = self.stores.with(change).await;
        let fixture = (self.connect)(Arc::clone(&store.store)).await;
        let way = Way(Arc::clone(&fixture.transport));
        self.open.borrow_mut().push(fixture);
        (store, way)
    }

    /// A store without a way to it.
    pub(super) async fn store(&self) -> Subject {
        self.stores.fresh().await
    }
}

/// The way to a store.
#[derive(Clone)]
pub(super) struct Way(pub(super) Arc<dyn Transport>);

impl Deref for Way {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Way {
    /// Pushes entries as [`NODE`], out of the log [`PEER`].
    pub(super) async fn give(&self, entries: Vec<Offered>) -> PushReply {
        self.try_give(None, entries).await.unwrap()
    }

    pub(super) async fn try_give(&self, log: Option<LogId>, entries: Vec<Offered>) -> Result<PushReply> {
        let ids: Vec<_> = entries.iter().map(|e| e.event.id.clone()).collect();
        let reply =
            self.push(PushRequest { log, node: NODE, from: Some(PEER), entries: entries.into() }).await?;
        assert!(reply.acks.iter().map(|(id, _)| id).eq(&ids), "one answer for each entry, in their order");
        Ok(reply)
    }

    /// Pulls all pages of a request. Each has to get further.
    pub(super) async fn pages(&self, request: &PullRequest) -> Vec<PullPage> {
        let mut request = request.clone();
        let mut pages: Vec<PullPage> = Vec::new();
        loop {
            let page = self.pull(request.clone()).await.unwrap();
            let more = page.has_more;
            assert!(page.next.position >= request.after.position, "a page goes backwards");
            assert!(!more || page.next.position > request.after.position, "a page does not get further");
            assert!(
                page.entries.windows(2).all(|w| w[0].position < w[1].position),
                "not in the order of the log"
            );
            assert!(page.entries.iter().all(|e| e.position <= page.next.position));
            assert_eq!(more, page.next.position < page.head.position);
            (request.log, request.after) = (Some(page.log), page.next);
            pages.push(page);
            if !more {
                return pages;
            }
        }
    }

    pub(super) async fn all(&self, request: &PullRequest) -> Vec<Offered> {
        self.pages(request).await.into_iter().flat_map(|p| p.entries).collect()
    }
}

/// Everything after a mark of a log.
pub(super) fn after(log: LogId, after: Mark) -> PullRequest {
    PullRequest { log: Some(log), after, ..PullRequest::default() }
}

pub(super) fn ids_of(entries: &[Offered]) -> Vec<&str> {
    entries.iter().map(|e| e.event.id.as_str()).collect()
}

pub(super) fn unstamped(events: Vec<Event>) -> Vec<Offered> {
    events.into_iter().map(Offered::unstamped).collect()
}

/// The codes of refusals; none for entries that were taken.
pub(super) fn codes(reply: &PushReply) -> Vec<Option<RefusalCode>> {
    reply.acks.iter().map(|(_, outcome)| outcome.refusal().map(|r| r.code)).collect()
}

pub(super) fn accepted(reply: &PushReply) -> usize {
    reply.acks.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Accepted { .. })).count()
}

pub(super) fn duplicates(reply: &PushReply) -> usize {
    reply.acks.iter().filter(|(_, outcome)| *outcome == Outcome::Duplicate).count()
}
