//! Syncs that the simulation of whole nodes got to, and that lost something.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "interleavings/support.rs"]
#[allow(dead_code, reason = "the interleavings need more of it")]
mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use synckit_core::{
    CursorMode, Error, ErrorKind, EventStore as _, Filter, Result, Transport,
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};
use synckit_node::{RetryPolicy, SyncNode};
use synckit_store_mem::MemStore;
use synckit_transport_mem::{MemNetwork, MemTransport};

use support::{MODES, Staged, event, holds_whole, network, store, through};

/// Answers as before what it is asked again, or is gone once it was greeted so often.
#[derive(Debug)]
struct Faulty {
    inner: MemTransport,
    replays: AtomicBool,
    greetings_left: AtomicUsize,
    pages: Mutex<Vec<(PullRequest, PullPage)>>,
}

impl Faulty {
    fn new(network: &MemNetwork) -> Arc<Self> {
        Arc::new(Self {
            inner: network.connect("hub").unwrap(),
            replays: AtomicBool::new(false),
            greetings_left: AtomicUsize::new(usize::MAX),
            pages: Mutex::default(),
        })
    }

    fn node(self: &Arc<Self>, store: &MemStore) -> SyncNode {
        let transport = Arc::clone(self) as Arc<dyn Transport>;
        let builder = SyncNode::builder(Arc::new(store.clone())).transport(transport);
        builder.retry(RetryPolicy::never()).build().unwrap()
    }
}

#[async_trait::async_trait]
impl Transport for Faulty {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        let left = self.greetings_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(Error::new(ErrorKind::Unavailable, "greet", "it is gone"));
        }
        self.greetings_left.store(left - 1, Ordering::SeqCst);
        self.inner.greet(greeting).await
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        let same = |asked: &PullRequest| {
            (asked.after, &asked.missing_from) == (request.after, &request.missing_from)
        };
        let earlier =
            self.pages.lock().unwrap().iter().find(|(asked, _)| same(asked)).map(|(_, p)| p.clone());
        if let Some(page) = earlier.filter(|_| self.replays.load(Ordering::SeqCst)) {
            return Ok(page);
        }
        let page = self.inner.pull(request.clone()).await?;
        self.pages.lock().unwrap().push((request, page.clone()));
        Ok(page)
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        self.inner.push(request).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn an_old_page_is_not_taken_for_the_end_of_the_log() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let b = through(&b, &network, "hub").build().unwrap();
        let faulty = Faulty::new(&network);
        let node = faulty.node(&a);
        b.append(vec![event("1", "x", 1)]).await.unwrap();
        b.push().await.unwrap();
        node.pull().await.unwrap();
        node.pull().await.unwrap();
        b.append(vec![event("2", "x", 2)]).await.unwrap();
        b.push().await.unwrap();
        faulty.replays.store(true, Ordering::SeqCst);
        let error = node.pull().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{mode}: {error}");
        faulty.replays.store(false, Ordering::SeqCst);
        node.pull().await.unwrap();
        assert!(holds_whole(&a, "2").await, "{mode}");
    }
}

#[tokio::test]
async fn a_hub_restored_after_a_push_that_broke_off_is_recognised() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let b = through(&b, &network, "hub").build().unwrap();
        let faulty = Faulty::new(&network);
        let node = faulty.node(&a);
        node.append(vec![event("1", "x", 1)]).await.unwrap();
        node.sync().await.unwrap();
        let older = hub.duplicate();
        // What others wrote in between keeps the pull cursor where it is.
        b.append(vec![event("b", "y", 2)]).await.unwrap();
        b.push().await.unwrap();
        node.append(vec![event("2", "x", 3)]).await.unwrap();
        faulty.greetings_left.store(1, Ordering::SeqCst);
        node.push().await.unwrap_err();
        assert!(holds_whole(&hub, "2").await, "{mode}: it was taken, and acknowledged");
        network.expose("hub", Arc::new(older.clone()));
        faulty.greetings_left.store(usize::MAX, Ordering::SeqCst);
        let report = node.sync().await.unwrap();
        assert!(report.started_over, "{mode}");
        assert!(holds_whole(&older, "2").await, "{mode}");
    }
}

#[tokio::test]
async fn two_living_copies_of_a_store_get_what_the_other_pushed() {
    for mode in MODES {
        let (original, between) = (store(mode), store(mode));
        let network = network(&[("original", &original), ("between", &between)]);
        let handing_on = through(&between, &network, "original").build().unwrap();
        let first = through(&original, &network, "between").build().unwrap();
        first.append(vec![event("1", "x", 1)]).await.unwrap();
        handing_on.sync().await.unwrap();
        let copy = through(&original.duplicate(), &network, "between").build().unwrap();
        copy.append(vec![event("2", "x", 2)]).await.unwrap();
        copy.push().await.unwrap();
        handing_on.push().await.unwrap();
        assert!(holds_whole(&original, "2").await, "{mode}");
    }
}

/// Has the hub replaced before its second push, and keeps count of what it is asked to verify at once.
struct Swapping {
    inner: MemTransport,
    pushes: AtomicUsize,
    most_marks: AtomicUsize,
    swap: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Swapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Swapping")
    }
}

#[async_trait::async_trait]
impl Transport for Swapping {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        self.most_marks.fetch_max(greeting.marks.len(), Ordering::SeqCst);
        self.inner.greet(greeting).await
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        self.inner.pull(request).await
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        if self.pushes.fetch_add(1, Ordering::SeqCst) == 1 {
            (self.swap)();
        }
        self.inner.push(request).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn a_hub_restored_between_two_pushes_is_recognised_however_long_it_is() {
    for mode in MODES {
        for grown in [0, 5] {
            let (a, hub) = (store(mode), store(mode));
            let network = network(&[("hub", &hub)]);
            let restored = hub.duplicate();
            let events = (0..grown).map(|n| event(&format!("grown-{n}"), "y", n)).collect();
            restored.write(synckit_core::store::Write::Append(events)).await.unwrap();
            let (net, back) = (network.clone(), restored.clone());
            let swap = Box::new(move || net.expose("hub", Arc::new(back.clone())));
            let inner = network.connect("hub").unwrap();
            let transport = Arc::new(Swapping {
                inner,
                pushes: AtomicUsize::new(0),
                most_marks: AtomicUsize::new(0),
                swap,
            });
            let node = SyncNode::builder(Arc::new(a.clone())).transport(transport).push_only().batch_size(1);
            let node = node.build().unwrap();
            node.append((0..3).map(|n| event(&format!("own-{n}"), "x", n)).collect()).await.unwrap();
            let report = node.sync().await.unwrap();
            assert!(report.started_over, "{mode}, {grown}: nobody noticed");
            assert!(
                holds_whole(&restored, "own-0").await,
                "{mode}, {grown}: lost with the hub, and not pushed again"
            );
        }
    }
}

#[tokio::test]
async fn events_under_counters_that_a_copy_used_again_are_pushed() {
    let mode = CursorMode::Vector;
    let (author, relay, hub) = (store(mode), store(mode), store(mode));
    let network = network(&[("relay", &relay), ("hub", &hub)]);
    let copy = author.duplicate();
    let write = |store: &MemStore, ids: &[&str]| {
        let events = ids.iter().map(|id| event(id, id, 1)).collect();
        let store = store.clone();
        async move { store.write(synckit_core::store::Write::Append(events)).await.unwrap() }
    };
    let through_relay = |store: &MemStore| through(store, &network, "relay").push_only().build().unwrap();
    let to_hub = through(&relay, &network, "hub").push_only().build().unwrap();
    write(&author, &["a1", "a2"]).await;
    through_relay(&author).sync().await.unwrap();
    to_hub.sync().await.unwrap();
    write(&author, &["a3"]).await;
    through_relay(&author).sync().await.unwrap();
    // The copy uses the counters 1 and 2 for other events, and reaches the relay by another way than cursors.
    write(&copy, &["b1", "b2"]).await;
    let log = copy.read(synckit_core::store::ReadRequest::default()).await.unwrap();
    let entries = log.entries.into_iter().map(synckit_core::store::LogEntry::into_offered).collect();
    let apply = synckit_core::store::Apply { entries, ..Default::default() };
    relay.write(synckit_core::store::Write::Apply(apply)).await.unwrap();
    for _ in 0..2 {
        to_hub.sync().await.unwrap();
    }
    assert!(holds_whole(&hub, "a3").await);
    assert!(
        holds_whole(&hub, "b1").await && holds_whole(&hub, "b2").await,
        "the hub covers their counters, and lacks them"
    );
}

/// A greeting has to fit into a URL, however long the push.
#[tokio::test]
async fn a_long_push_is_verified_bit_by_bit() {
    for mode in MODES {
        let (a, hub) = (store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let transport = || {
            let inner = network.connect("hub").unwrap();
            Arc::new(Swapping {
                inner,
                pushes: AtomicUsize::new(0),
                most_marks: AtomicUsize::new(0),
                swap: Box::new(|| {}),
            })
        };
        let node = |transport: &Arc<Swapping>, filter| {
            let transport = Arc::clone(transport) as Arc<dyn Transport>;
            let builder = SyncNode::builder(Arc::new(a.clone())).transport(transport);
            builder.push_only().batch_size(1).filter(filter).build().unwrap()
        };
        let first = transport();
        let all = node(&first, Filter::everything());
        all.append((0..100).map(|n| event(&format!("e{n}"), "x", n)).collect()).await.unwrap();
        assert_eq!(all.sync().await.unwrap().pushed, 100);
        // Another filter has everything offered again, and all of it is there but the last.
        let second = transport();
        let again = node(&second, Filter::everything().with_aggregate("x".parse().unwrap()));
        again.append(vec![event("last", "x", 0)]).await.unwrap();
        assert_eq!(again.sync().await.unwrap().pushed, 1);
        for transport in [first, second] {
            let most = transport.most_marks.load(Ordering::SeqCst);
            assert!(most <= 16, "{mode}: {most} marks in one greeting");
        }
    }
}

/// The store of a node, and a copy that goes on beside it, each with an event of its own under the first counter.
async fn copies(mode: CursorMode, events: [&str; 2]) -> (MemStore, MemStore) {
    let original = store(mode);
    let copy = original.duplicate();
    for (store, id) in [&original, &copy].into_iter().zip(events) {
        store.write(synckit_core::store::Write::Append(vec![event(id, "x", 1)])).await.unwrap();
    }
    (original, copy)
}

#[tokio::test]
async fn what_a_copy_wrote_is_pushed_to_a_hub_that_covers_more() {
    for mode in MODES {
        let (original, copy) = copies(mode, ["a", "b"]).await;
        let hub = store(mode);
        let network = network(&[("hub", &hub)]);
        let pushes = |store: &MemStore| through(store, &network, "hub").push_only().build().unwrap();
        pushes(&original).append(vec![event("a2", "y", 1)]).await.unwrap();
        pushes(&original).sync().await.unwrap();
        let report = pushes(&copy).sync().await.unwrap();
        assert!(holds_whole(&hub, "b").await, "{mode}: the hub covers its counter");
        assert_eq!(report.pushed, 1, "{mode}");
        let report = pushes(&copy).sync().await.unwrap();
        assert_eq!((report.pushed, report.duplicates), (0, 0), "{mode}: once is enough");
    }
}

#[tokio::test]
async fn one_event_that_two_copies_wrote_has_one_stamp_everywhere() {
    for mode in MODES {
        let (original, copy) = copies(mode, ["a", "a"]).await;
        let hub = store(mode);
        let network = network(&[("hub", &hub)]);
        let nodes = [&original, &copy].map(|store| through(store, &network, "hub").build().unwrap());
        support::rounds(&[&nodes[0], &nodes[1]], 3).await;
        let mut stamps = Vec::new();
        for store in [&original, &copy, &hub] {
            let entries = store.load(&[support::id("a")]).await.unwrap();
            stamps.extend(entries.into_iter().map(|e| e.stamp));
        }
        assert_eq!(stamps.len(), 3, "{mode}");
        assert!(stamps.iter().all(|s| *s == stamps[0]), "{mode}: {stamps:#?}");
    }
}

#[tokio::test]
async fn copies_end_with_the_data_of_each_others_stubs() {
    let mode = CursorMode::Vector;
    let (one, other) = (store(mode), store(mode));
    let (original, copy) = copies(mode, ["a", "b"]).await;
    // Each gets the other's event as a stub, by another way than cursors.
    for (from, to) in [(&original, &other), (&copy, &one)] {
        let log = from.read(synckit_core::store::ReadRequest::default()).await.unwrap();
        let offered = log.entries.into_iter().map(synckit_core::store::LogEntry::into_offered);
        let stubs = offered.map(|mut o| {
            o.stub = Some(synckit_core::content_hash(&o.event));
            o.event.data = synckit_core::Payload::stored(None, Vec::new());
            o
        });
        let apply = synckit_core::store::Apply { entries: stubs.collect(), ..Default::default() };
        to.write(synckit_core::store::Write::Apply(apply)).await.unwrap();
    }
    let network = network(&[("original", &original), ("copy", &copy), ("one", &one), ("other", &other)]);
    through(&one, &network, "original").pull_only().build().unwrap().sync().await.unwrap();
    through(&other, &network, "copy").pull_only().build().unwrap().sync().await.unwrap();
    assert!(holds_whole(&one, "a").await && !holds_whole(&one, "b").await);
    assert!(holds_whole(&other, "b").await && !holds_whole(&other, "a").await);
    through(&one, &network, "other").build().unwrap().sync().await.unwrap();
    for store in [&one, &other] {
        assert!(holds_whole(store, "a").await && holds_whole(store, "b").await);
    }
}

#[tokio::test]
async fn what_is_held_already_is_not_exchanged_with_another_hub() {
    let mode = CursorMode::Vector;
    let (author, reader, first, second) = (store(mode), store(mode), store(mode), store(mode));
    let network = network(&[("first", &first), ("second", &second)]);
    let node = |store: &MemStore, hub: &str| through(store, &network, hub).build().unwrap();
    let events = |from: usize, to: usize| (from..to).map(|n| event(&format!("e{n}"), "x", n)).collect();
    node(&author, "first").append(events(0, 10)).await.unwrap();
    node(&author, "first").sync().await.unwrap();
    node(&reader, "first").sync().await.unwrap();
    node(&author, "second").append(events(10, 12)).await.unwrap();
    node(&author, "second").sync().await.unwrap();
    let report = node(&reader, "second").sync().await.unwrap();
    assert_eq!((report.pulled, report.pushed, report.duplicates), (2, 0, 0));
}

#[tokio::test]
async fn a_hub_restored_between_its_greeting_and_the_first_push_is_recognised() {
    for mode in MODES {
        let (node, hub) = (store(mode), store(mode));
        let restored = hub.duplicate();
        let network = network(&[("hub", &hub)]);
        let staged = Staged::new(network.connect("hub").unwrap());
        let (net, back) = (network.clone(), restored.clone());
        *staged.before_push.lock().unwrap() = Some(Box::new(move || net.expose("hub", Arc::new(back))));
        let transport = Arc::new(staged);
        let node_of = |builder: synckit_node::SyncNodeBuilder| builder.push_only().build().unwrap();
        let pushes = node_of(SyncNode::builder(Arc::new(node.clone())).transport(transport));
        pushes.append(vec![event("1", "x", 1)]).await.unwrap();
        // The hub has it by another way, and loses it once it has said so.
        let log = node.read(synckit_core::store::ReadRequest::default()).await.unwrap();
        let entries = log.entries.into_iter().map(synckit_core::store::LogEntry::into_offered).collect();
        let apply = synckit_core::store::Apply { entries, ..Default::default() };
        hub.write(synckit_core::store::Write::Apply(apply)).await.unwrap();
        pushes.append(vec![event("2", "y", 2), event("3", "y", 3)]).await.unwrap();
        pushes.sync().await.unwrap();
        for id in ["1", "2", "3"] {
            assert!(holds_whole(&restored, id).await, "{mode}: {id} is covered no more");
        }
    }
}

#[tokio::test]
async fn what_was_left_out_of_a_push_rests_on_a_mark_that_is_on_record() {
    for mode in MODES {
        let (node, hub) = (store(mode), store(mode));
        let restored = hub.duplicate();
        let network = network(&[("hub", &hub)]);
        let faulty = Faulty::new(&network);
        let pushes = faulty.node(&node);
        pushes.append(vec![event("1", "x", 1)]).await.unwrap();
        // The hub has it by another way; the push leaves it out, and does not come to verify what the hub showed.
        let log = node.read(synckit_core::store::ReadRequest::default()).await.unwrap();
        let entries = log.entries.into_iter().map(synckit_core::store::LogEntry::into_offered).collect();
        let apply = synckit_core::store::Apply { entries, ..Default::default() };
        hub.write(synckit_core::store::Write::Apply(apply)).await.unwrap();
        faulty.greetings_left.store(1, Ordering::SeqCst);
        assert_eq!(pushes.push().await.unwrap_err().kind(), ErrorKind::Unavailable, "{mode}");
        network.expose("hub", Arc::new(restored.clone()));
        faulty.greetings_left.store(usize::MAX, Ordering::SeqCst);
        pushes.push().await.unwrap();
        assert!(holds_whole(&restored, "1").await, "{mode}: it is covered no more");
    }
}
