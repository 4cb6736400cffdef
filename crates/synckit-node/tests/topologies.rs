//! Nodes that switch hubs, meet each other without one, and share a store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use synckit_core::{CursorMode, Event, EventStore, Filter};
use synckit_node::{DecideScope, SyncNode};
use synckit_store_mem::MemStore;
use synckit_transport_mem::MemNetwork;

const MODES: [CursorMode; 2] = [CursorMode::Integer, CursorMode::Vector];

fn event(id: &str, aggregate: &str) -> Event {
    Event::new("t", aggregate, &id).unwrap().with_id(id).unwrap()
}

fn node(network: &MemNetwork, own: &MemStore, peer: &str) -> SyncNode {
    let transport = Arc::new(network.connect(peer).unwrap());
    SyncNode::builder(Arc::new(own.clone())).transport(transport).batch_size(2).build().unwrap()
}

async fn agree(stores: &[&MemStore]) {
    let mut digests = Vec::new();
    for store in stores {
        digests.push(SyncNode::builder(Arc::new((*store).clone())).build().unwrap().digest().await.unwrap());
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:#?}");
}

#[tokio::test]
async fn a_node_switches_hubs() {
    for mode in MODES {
        let network = MemNetwork::new();
        let stores: Vec<MemStore> = (0..4).map(|_| MemStore::builder().mode(mode).build()).collect();
        let [a, b, one, two] = &stores[..] else { unreachable!() };
        network.expose("one", Arc::new(one.clone()));
        network.expose("two", Arc::new(two.clone()));
        for n in 0..7 {
            a.write(synckit_core::store::Write::Append(vec![event(&format!("a{n}"), "x")])).await.unwrap();
            b.write(synckit_core::store::Write::Append(vec![event(&format!("b{n}"), "x")])).await.unwrap();
            let (first, second) = if n % 2 == 0 { ("one", "two") } else { ("two", "one") };
            node(&network, a, first).sync().await.unwrap();
            node(&network, b, second).sync().await.unwrap();
        }
        for _ in 0..2 {
            for (own, peer) in [(a, "one"), (a, "two"), (b, "one"), (b, "two")] {
                node(&network, own, peer).sync().await.unwrap();
            }
        }
        agree(&[a, b, one, two]).await;
        let quiet = node(&network, a, "two").sync().await.unwrap();
        assert_eq!((quiet.pulled, quiet.pushed, quiet.duplicates), (0, 0, 0), "{mode}");
    }
}

#[tokio::test]
async fn a_ring_without_a_hub_agrees() {
    for mode in MODES {
        let network = MemNetwork::new();
        let stores: Vec<MemStore> = (0..5).map(|_| MemStore::builder().mode(mode).build()).collect();
        for (i, store) in stores.iter().enumerate() {
            network.expose(i.to_string(), Arc::new(store.clone()));
            for n in 0..3 {
                let events = vec![event(&format!("{i}-{n}"), &format!("x{n}"))];
                store.write(synckit_core::store::Write::Append(events)).await.unwrap();
            }
        }
        for _ in 0..8 {
            for (i, store) in stores.iter().enumerate() {
                node(&network, store, &((i + 1) % 5).to_string()).sync().await.unwrap();
            }
        }
        agree(&stores.iter().collect::<Vec<_>>()).await;
        assert_eq!(stores[0].count_conflicts().await.unwrap(), 0, "{mode}");
    }
}

#[tokio::test]
async fn nodes_of_both_modes_share_a_hub_that_decides() {
    let network = MemNetwork::new();
    let hub = MemStore::new();
    network.expose("hub", Arc::new(hub.clone()));
    let (a, b) = (MemStore::new(), MemStore::builder().mode(CursorMode::Vector).build());
    let quiet = |own: &MemStore| {
        let transport = Arc::new(network.connect("hub").unwrap());
        let builder = SyncNode::builder(Arc::new(own.clone())).transport(transport);
        builder.decide(DecideScope::Nothing).build().unwrap()
    };
    let decider = SyncNode::builder(Arc::new(hub.clone())).decide(DecideScope::Every).build().unwrap();
    quiet(&a).append(vec![event("a", "x")]).await.unwrap();
    quiet(&b).append(vec![event("b", "x")]).await.unwrap();
    quiet(&a).sync().await.unwrap();
    quiet(&b).sync().await.unwrap();
    assert_eq!(b.count_conflicts().await.unwrap(), 1, "neither decides");
    let report = decider.sync().await.unwrap();
    assert_eq!((report.conflicts.found, report.conflicts.resolved), (1, 1));
    quiet(&a).sync().await.unwrap();
    quiet(&b).sync().await.unwrap();
    agree(&[&a, &b, &hub]).await;
    assert_eq!(a.count_conflicts().await.unwrap(), 0);
}

#[tokio::test]
async fn a_filter_that_changes_starts_a_backfill() {
    for mode in MODES {
        let network = MemNetwork::new();
        let hub = MemStore::builder().mode(mode).build();
        network.expose("hub", Arc::new(hub.clone()));
        let writer = MemStore::builder().mode(mode).build();
        let events = (0..9).map(|n| {
            let event = event(&format!("e{n}"), &format!("x{}", n % 3));
            Event { event_type: if n % 2 == 0 { "even" } else { "odd" }.parse().unwrap(), ..event }
        });
        writer.write(synckit_core::store::Write::Append(events.collect())).await.unwrap();
        node(&network, &writer, "hub").sync().await.unwrap();
        let reader = MemStore::builder().mode(mode).build();
        let filtered = |filter: Filter| {
            let transport = Arc::new(network.connect("hub").unwrap());
            let builder = SyncNode::builder(Arc::new(reader.clone())).transport(transport).batch_size(2);
            builder.filter(filter).build().unwrap()
        };
        let held = async || {
            let mut whole = Vec::new();
            let node = SyncNode::builder(Arc::new(reader.clone())).build().unwrap();
            let collect = |e: Event, _| {
                whole.push(e.id.to_string());
                Ok::<(), synckit_core::Error>(())
            };
            node.effective(None, 0, collect).await.unwrap();
            whole.sort_unstable();
            whole
        };
        let one = filtered(Filter::everything().with_aggregate("x1".parse().unwrap()));
        one.sync().await.unwrap();
        assert_eq!(held().await, ["e1", "e4", "e7"], "{mode}");
        let odd = filtered(Filter::everything().with_type("odd".parse().unwrap()));
        odd.sync().await.unwrap();
        assert_eq!(held().await, ["e1", "e3", "e4", "e5", "e7"], "{mode}: the rest are stubs");
        filtered(Filter::everything()).sync().await.unwrap();
        assert_eq!(held().await.len(), 9, "{mode}");
        agree(&[&writer, &reader, &hub]).await;
    }
}
