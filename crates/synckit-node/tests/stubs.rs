//! Nodes in vector mode whose filters leave stubs: the data comes to whoever wants it, and no stub travels twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use synckit_core::{CursorMode, Event, EventStore, Filter};
use synckit_node::{DecideScope, Digest, SyncNode, SyncNodeBuilder};
use synckit_store_mem::MemStore;
use synckit_transport_mem::MemNetwork;

const MODES: [CursorMode; 2] = [CursorMode::Vector, CursorMode::Integer];

/// Stores by name, each of which can be reached as a hub.
struct World {
    network: MemNetwork,
    stores: Vec<(&'static str, MemStore)>,
}

impl World {
    fn new(mode: CursorMode, names: &[&'static str]) -> Self {
        let network = MemNetwork::new();
        let store = |name: &&'static str| (*name, MemStore::builder().mode(mode).build());
        let stores: Vec<_> = names.iter().map(store).collect();
        for (name, store) in &stores {
            network.expose(*name, Arc::new(store.clone()));
        }
        Self { network, stores }
    }

    fn store(&self, name: &str) -> &MemStore {
        &self.stores.iter().find(|(n, _)| *n == name).unwrap().1
    }

    fn node(&self, name: &str, peer: &str) -> SyncNodeBuilder {
        let transport = Arc::new(self.network.connect(peer).unwrap());
        let builder = SyncNode::builder(Arc::new(self.store(name).clone())).transport(transport);
        builder.decide(DecideScope::Nothing).batch_size(3)
    }

    /// How many events were pulled, pushed, and sent in vain.
    async fn sync(&self, name: &str, peer: &str, filter: &Filter) -> (usize, usize, usize) {
        let report = self.node(name, peer).filter(filter.clone()).build().unwrap().sync().await.unwrap();
        (report.pulled, report.pushed, report.duplicates)
    }

    async fn digest(&self, name: &str) -> Digest {
        SyncNode::builder(Arc::new(self.store(name).clone())).build().unwrap().digest().await.unwrap()
    }

    async fn agree(&self, why: &str) {
        let mut digests = Vec::new();
        for (name, _) in &self.stores {
            digests.push(self.digest(name).await);
        }
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{why}: {digests:#?}");
    }

    async fn stubs(&self, name: &str) -> usize {
        let log = self.store(name).read(synckit_core::store::ReadRequest::default()).await.unwrap();
        log.entries.iter().filter(|e| e.stub && !e.superseded).count()
    }
}

fn events(prefix: &str, count: usize) -> Vec<Event> {
    (0..count)
        .map(|n| {
            let event_type = if n % 2 == 0 { "even" } else { "odd" };
            let id = format!("{prefix}{n}");
            Event::new(event_type, format!("x{}", n % 3), &n).unwrap().with_id(id).unwrap()
        })
        .collect()
}

async fn append(store: &MemStore, events: Vec<Event>) {
    store.write(synckit_core::store::Write::Append(events)).await.unwrap();
}

fn odd() -> Filter {
    Filter::everything().with_type("odd".parse().unwrap())
}

fn all() -> Filter {
    Filter::everything()
}

#[tokio::test]
async fn stubs_at_second_hand_are_filled() {
    for mode in MODES {
        let world = World::new(mode, &["a", "b", "c"]);
        append(world.store("c"), events("e", 20)).await;
        world.sync("b", "c", &odd()).await;
        world.sync("a", "b", &all()).await;
        assert_eq!((world.stubs("a").await, world.stubs("b").await), (10, 10), "{mode}");
        world.sync("b", "c", &all()).await;
        world.sync("a", "b", &all()).await;
        assert_eq!((world.stubs("a").await, world.stubs("b").await), (0, 0), "{mode}");
        world.agree(&mode.to_string()).await;
        for (name, peer) in [("b", "c"), ("a", "b")] {
            assert_eq!(world.sync(name, peer, &all()).await, (0, 0, 0), "{mode}");
        }
    }
}

#[tokio::test]
async fn stubs_at_second_hand_are_filled_by_another_peer() {
    for mode in MODES {
        let world = World::new(mode, &["a", "b", "c"]);
        append(world.store("c"), events("e", 20)).await;
        world.sync("b", "c", &odd()).await;
        world.sync("a", "b", &all()).await;
        world.sync("a", "c", &all()).await;
        assert_eq!(world.stubs("a").await, 0, "{mode}");
        world.sync("a", "b", &all()).await;
        assert_eq!(world.stubs("b").await, 0, "{mode}: what b is pushed is not cut by its filter");
        world.agree(&mode.to_string()).await;
    }
}

#[tokio::test]
async fn a_push_fills_the_stubs_of_the_peer() {
    for mode in MODES {
        let world = World::new(mode, &["a", "b", "c"]);
        append(world.store("a"), events("e", 20)).await;
        world.sync("a", "b", &odd()).await;
        world.node("b", "c").push_only().build().unwrap().push().await.unwrap();
        assert_eq!((world.stubs("b").await, world.stubs("c").await), (10, 10), "{mode}");
        world.node("a", "b").push_only().build().unwrap().push().await.unwrap();
        world.node("b", "c").push_only().build().unwrap().push().await.unwrap();
        assert_eq!((world.stubs("b").await, world.stubs("c").await), (0, 0), "{mode}");
        world.agree(&mode.to_string()).await;
    }
}

#[tokio::test]
async fn no_stub_travels_twice() {
    let world = World::new(CursorMode::Vector, &["a", "b", "hub"]);
    append(world.store("b"), events("b", 20)).await;
    append(world.store("a"), events("a", 20)).await;
    world.sync("b", "hub", &all()).await;
    let first = world.sync("a", "hub", &odd()).await;
    assert_eq!(first, (20, 20, 0));
    let stubs = (world.stubs("a").await, world.stubs("hub").await);
    assert_eq!(stubs, (10, 10));
    assert_eq!(world.sync("a", "hub", &odd()).await, (0, 0, 0), "an idle sync");
    append(world.store("b"), events("more", 2)).await;
    world.sync("b", "hub", &all()).await;
    assert_eq!(world.sync("a", "hub", &odd()).await, (2, 0, 0), "only what is new");
    append(world.store("a"), events("own", 2)).await;
    assert_eq!(world.sync("a", "hub", &odd()).await, (0, 2, 0), "only what is new");
    assert_eq!(world.sync("a", "hub", &odd()).await, (0, 0, 0), "an idle sync");
    let wider = world.sync("a", "hub", &all()).await;
    assert_eq!(wider, (11, 11, 0), "the data of the stubs on either side, and nothing else");
    world.sync("b", "hub", &all()).await;
    world.agree("a wider filter").await;
}

#[tokio::test]
async fn data_that_a_filter_wants_comes_under_any_filter() {
    let world = World::new(CursorMode::Vector, &["a", "b", "hub"]);
    let even = Filter::everything().with_type("even".parse().unwrap());
    append(world.store("b"), events("b", 20)).await;
    world.sync("b", "hub", &odd()).await;
    world.sync("a", "hub", &even).await;
    assert_eq!(world.stubs("a").await, 20, "half of them for a's filter, and half of them for b's");
    world.sync("b", "hub", &all()).await;
    assert_eq!(world.sync("a", "hub", &even).await, (10, 0, 0));
    assert_eq!(world.stubs("a").await, 10);
    assert_eq!(world.sync("a", "hub", &even).await, (0, 0, 0));
}

#[tokio::test]
async fn one_event_of_two_authors_keeps_its_data_under_the_smaller_stamp() {
    for mode in MODES {
        let world = World::new(mode, &["a", "b", "hub"]);
        append(world.store("a"), events("e", 6)).await;
        append(world.store("b"), events("e", 6)).await;
        let nothing = Filter::everything().with_type("none".parse().unwrap());
        world.sync("b", "hub", &all()).await;
        world.sync("a", "hub", &nothing).await;
        world.sync("b", "hub", &all()).await;
        world.sync("a", "hub", &nothing).await;
        world.agree(&mode.to_string()).await;
    }
}
