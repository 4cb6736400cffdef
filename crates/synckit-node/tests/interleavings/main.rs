//! Interleavings that must not lose, double or wedge anything, on stores in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use synckit_core::{CursorMode, Error, Event, EventStore, Filter, store::RefusalCode};
use synckit_node::{DecideScope, SyncNode};
use synckit_store_mem::MemStore;
use tokio::sync::Semaphore;

use support::*;

#[tokio::test]
async fn a_restored_replica_that_fell_behind_its_own_counter_converges() {
    for mode in MODES {
        let (a, hub) = (store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let first = through(&a, &network, "hub").build().unwrap();
        first.append(vec![event("1", "x", 1)]).await.unwrap();
        first.sync().await.unwrap();
        let restored = a.duplicate();
        first.append(vec![event("2", "x", 2), event("3", "x", 3)]).await.unwrap();
        first.sync().await.unwrap();
        let second = through(&restored, &network, "hub").build().unwrap();
        second.append(vec![event("other 2", "x", 4)]).await.unwrap();
        rounds(&[&second, &first], 4).await;
        assert!(holds_whole(&hub, "other 2").await, "{mode}");
        assert_eq!(local(&hub).digest().await.unwrap(), second.digest().await.unwrap(), "{mode}");
    }
}

#[tokio::test]
async fn an_event_offered_again_while_a_sync_runs_is_not_forgotten() {
    let (a, hub) = (store(CursorMode::Integer), small(CursorMode::Integer));
    let network = network(&[("hub", &hub)]);
    through(&a, &network, "hub").build().unwrap().append(vec![large("e", "x")]).await.unwrap();
    through(&a, &network, "hub").build().unwrap().sync().await.unwrap();
    assert_eq!(a.quarantine().await.unwrap().len(), 1);

    let gate = Arc::new(Semaphore::new(0));
    let mut staged = Staged::new(network.connect("hub").unwrap());
    staged.pulls = Some(Arc::clone(&gate));
    let pulling = Arc::clone(&staged.pulling);
    let node = SyncNode::builder(Arc::new(a.clone())).transport(Arc::new(staged)).build().unwrap();
    let running = tokio::spawn({
        let node = node.clone();
        async move { node.sync().await }
    });
    while !pulling.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let again = tokio::spawn({
        let node = node.clone();
        async move { node.retry_refused(&id("e")).await }
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    running.await.unwrap().unwrap();
    again.await.unwrap().unwrap();
    // It is still too large: whoever asks must be told so.
    let left = a.quarantine().await.unwrap();
    assert!(left.iter().any(|q| q.id == id("e")), "neither in quarantine nor at the hub");
}

#[tokio::test]
async fn an_id_that_was_withdrawn_is_not_free_again() {
    for mode in MODES {
        let (a, b, c) = (store(mode), store(mode), store(mode));
        let (one, two) = (small(mode), store(mode));
        let network = network(&[("one", &one), ("two", &two)]);
        let at = |s: &MemStore, hub| through(s, &network, hub).build().unwrap();
        at(&b, "one").append(vec![large("same", "x")]).await.unwrap();
        at(&a, "one").append(vec![event("same", "x", 1)]).await.unwrap();
        // One hub has no room for b's event and takes a's; the other takes b's, and c has it from there.
        at(&b, "one").sync().await.unwrap();
        at(&a, "one").sync().await.unwrap();
        at(&b, "two").sync().await.unwrap();
        at(&c, "two").sync().await.unwrap();
        let report = at(&c, "one").sync().await.unwrap();
        assert_eq!(report.refused.first().map(|r| r.code), Some(RefusalCode::ContentMismatch));
        at(&b, "one").withdraw(&id("same")).await.unwrap();
        let (a, b, c) = (at(&a, "one"), at(&b, "one"), at(&c, "one"));
        rounds(&[&b, &c, &a], 4).await;
        let at_hub = local(&one).digest().await.unwrap();
        for node in [&a, &b, &c] {
            assert_eq!(node.digest().await.unwrap(), at_hub, "{mode}");
        }
        assert_eq!(at_hub.events, 1, "{mode}: the withdrawal alone; b's event is the older one");
        a.reissue(&id("same"), &id("another")).await.unwrap();
        rounds(&[&a, &b, &c], 2).await;
        assert!(holds_whole(&one, "another").await, "{mode}: a's event comes in under a new id");
        assert!(a.refused().await.unwrap().is_empty(), "{mode}");
        assert_eq!(c.digest().await.unwrap(), local(&one).digest().await.unwrap(), "{mode}");
    }
}

#[tokio::test]
async fn an_event_displaced_by_one_that_is_withdrawn_stays_displaced() {
    for mode in MODES {
        let (a, b) = (store(mode), store(mode));
        let (one, two) = (small(mode), store(mode));
        let network = network(&[("one", &one), ("two", &two)]);
        let at = |s: &MemStore, hub| through(s, &network, hub).build().unwrap();
        at(&b, "one").append(vec![large("same", "x")]).await.unwrap();
        at(&a, "one").append(vec![event("same", "x", 1)]).await.unwrap();
        at(&b, "one").push().await.unwrap();
        at(&b, "two").push().await.unwrap();
        at(&a, "one").sync().await.unwrap();
        at(&a, "two").sync().await.unwrap();
        at(&b, "one").withdraw(&id("same")).await.unwrap();
        let (b1, a1) = (at(&b, "one"), at(&a, "one"));
        rounds(&[&b1, &a1], 3).await;
        let digest = a1.digest().await.unwrap();
        assert_eq!(digest, local(&one).digest().await.unwrap(), "{mode}");
        assert_eq!(digest.events, 1, "{mode}: the withdrawal");
        let rows = a1.refused().await.unwrap();
        assert!(rows.iter().any(|q| q.id == id("same") && q.position > 0), "{mode}: it can be issued again");
    }
}

#[tokio::test]
async fn an_event_is_not_taken_under_an_id_that_was_withdrawn_before_it_came() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), small(mode));
        let network = network(&[("hub", &hub)]);
        let at = |s: &MemStore| through(s, &network, "hub").build().unwrap();
        at(&b).append(vec![large("same", "x")]).await.unwrap();
        at(&b).sync().await.unwrap();
        at(&b).withdraw(&id("same")).await.unwrap();
        at(&a).append(vec![event("same", "x", 1)]).await.unwrap();
        at(&b).sync().await.unwrap();
        let report = at(&a).push().await.unwrap();
        assert_eq!(report.refused.first().map(|r| r.code), Some(RefusalCode::ContentMismatch), "{mode}");
        at(&a).reissue(&id("same"), &id("another")).await.unwrap();
        rounds(&[&at(&a), &at(&b)], 2).await;
        assert!(holds_whole(&hub, "another").await, "{mode}");
        assert_eq!(at(&a).digest().await.unwrap(), local(&hub).digest().await.unwrap(), "{mode}");
        assert_eq!(hub.count_conflicts().await.unwrap(), 0, "{mode}");
    }
}

#[tokio::test]
async fn of_two_authors_of_one_event_one_gives_it_up() {
    for mode in MODES {
        let (a, b, c) = (store(mode), store(mode), store(mode));
        let (one, two) = (small(mode), store(mode));
        let network = network(&[("one", &one), ("two", &two)]);
        let at = |s: &MemStore, hub| through(s, &network, hub).build().unwrap();
        // Both import one file; b's stamp is the smaller one.
        at(&b, "two").append(vec![large("same", "x")]).await.unwrap();
        at(&a, "two").append(vec![large("same", "x"), event("after", "x", 1)]).await.unwrap();
        at(&b, "one").push().await.unwrap();
        let (a, b, c) = (at(&a, "two"), at(&b, "two"), at(&c, "two"));
        rounds(&[&b, &a, &c], 2).await;
        b.withdraw(&id("same")).await.unwrap();
        rounds(&[&b, &a, &c, &b], 3).await;
        let digest = local(&two).digest().await.unwrap();
        assert_eq!(
            digest.events, 3,
            "{mode}: it counts under a's stamp, beside what follows and the withdrawal"
        );
        for node in [&a, &b, &c] {
            assert_eq!(node.digest().await.unwrap(), digest, "{mode}");
        }
    }
}

#[tokio::test]
async fn a_stub_with_a_smaller_stamp_does_not_keep_the_data_out() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let filter = Filter::everything().with_type("wanted".parse().unwrap());
        let a = through(&a, &network, "hub").filter(filter).build().unwrap();
        let b = through(&b, &network, "hub").build().unwrap();
        a.append(vec![typed("e", "other", "x")]).await.unwrap();
        b.append(vec![typed("e", "other", "x")]).await.unwrap();
        rounds(&[&a, &b], 3).await;
        assert!(holds_whole(&hub, "e").await, "{mode}: b offered it whole");
    }
}

#[tokio::test]
async fn a_wider_filter_brings_the_data_of_stubs() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let filter = Filter::everything().with_type("wanted".parse().unwrap());
        let a = through(&a, &network, "hub").build().unwrap();
        a.append(vec![typed("e", "other", "x"), typed("f", "wanted", "x")]).await.unwrap();
        a.sync().await.unwrap();
        through(&b, &network, "hub").filter(filter).build().unwrap().sync().await.unwrap();
        assert!(!holds_whole(&b, "e").await);
        through(&b, &network, "hub").build().unwrap().sync().await.unwrap();
        assert!(holds_whole(&b, "e").await, "{mode}");
    }
}

#[tokio::test]
async fn a_wider_filter_sends_the_data_of_stubs() {
    for mode in MODES {
        let (a, hub) = (store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let filter = Filter::everything().with_type("wanted".parse().unwrap());
        let narrow = through(&a, &network, "hub").filter(filter).build().unwrap();
        narrow.append(vec![typed("e", "other", "x"), typed("f", "wanted", "x")]).await.unwrap();
        narrow.sync().await.unwrap();
        assert!(!holds_whole(&hub, "e").await);
        through(&a, &network, "hub").build().unwrap().sync().await.unwrap();
        assert!(holds_whole(&hub, "e").await, "{mode}");
    }
}

#[tokio::test]
async fn a_hub_restored_between_pull_and_push_is_recognised() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let a_plain = through(&a, &network, "hub").build().unwrap();
        let b = through(&b, &network, "hub").build().unwrap();
        a_plain.append(vec![event("1", "x", 1)]).await.unwrap();
        a_plain.sync().await.unwrap();
        let old = hub.duplicate();
        a_plain.append(vec![event("2", "y", 2)]).await.unwrap();
        a_plain.sync().await.unwrap();
        // Restored to the first event, and grown by another since.
        local(&old).append(vec![event("grown", "z", 3)]).await.unwrap();

        let staged = Staged::new(network.connect("hub").unwrap());
        let (net, back) = (network.clone(), old.clone());
        *staged.before_push.lock().unwrap() = Some(Box::new(move || net.expose("hub", Arc::new(back))));
        a_plain.append(vec![event("3", "w", 4)]).await.unwrap();
        let staged = SyncNode::builder(Arc::new(a.clone())).transport(Arc::new(staged)).build().unwrap();
        let _ = staged.sync().await;
        rounds(&[&a_plain, &b], 4).await;
        assert!(holds_whole(&a, "grown").await, "{mode}: passed over");
        assert!(holds_whole(&old, "2").await, "{mode}: lost by the hub, and not given back");
    }
}

#[tokio::test]
async fn a_crash_after_a_push_to_a_new_log_forgets_no_refusal() {
    for mode in MODES {
        let (a, hub) = (store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let node = through(&a, &network, "hub").push_only().build().unwrap();
        node.append(vec![event("1", "x", 1)]).await.unwrap();
        node.sync().await.unwrap();
        let fresh = small(mode);
        network.expose("hub", Arc::new(fresh.clone()));
        node.append(vec![large("2", "y")]).await.unwrap();
        let dying = Arc::new(Dying { inner: a.clone(), dead: AtomicBool::new(false), full: false });
        let transport = Arc::new(network.connect("hub").unwrap());
        let crashing = SyncNode::builder(dying).transport(transport).push_only().build().unwrap();
        crashing.sync().await.unwrap_err();
        node.sync().await.unwrap();
        assert!(holds_whole(&fresh, "1").await);
        let left = a.quarantine().await.unwrap();
        assert!(left.iter().any(|q| q.id == id("2")), "{mode}: neither at the hub nor in quarantine");
    }
}

#[tokio::test]
async fn a_refusal_is_forgotten_once_the_event_is_taken() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let at = |s: &MemStore| through(s, &network, "hub").push_only().build().unwrap();
        let old = hub.duplicate();
        at(&b).append(vec![event("same", "x", 2)]).await.unwrap();
        at(&a).append(vec![event("same", "x", 1), event("else", "y", 1)]).await.unwrap();
        at(&b).sync().await.unwrap();
        at(&a).sync().await.unwrap();
        assert_eq!(a.quarantine().await.unwrap()[0].refusal.code, RefusalCode::ContentMismatch);
        network.expose("hub", Arc::new(old.clone()));
        at(&a).sync().await.unwrap();
        assert!(holds_whole(&old, "same").await);
        assert!(a.quarantine().await.unwrap().is_empty(), "{mode}: the hub holds it");
    }
}

#[tokio::test]
async fn a_limit_on_data_does_not_keep_a_withdrawal_out() {
    let (a, hub) = (store(CursorMode::Integer), MemStore::builder().max_data_bytes(100).build());
    let network = network(&[("hub", &hub)]);
    let node = through(&a, &network, "hub").build().unwrap();
    node.append(vec![large("1", "x"), event("2", "x", 2)]).await.unwrap();
    node.sync().await.unwrap();
    node.withdraw(&id("1")).await.unwrap();
    rounds(&[&node], 3).await;
    assert!(holds_whole(&hub, "2").await, "it waits for what was withdrawn");
    assert!(a.quarantine().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_issued_again_does_not_count_twice() {
    let (a, hub) = (store(CursorMode::Integer), small(CursorMode::Integer));
    let network = network(&[("hub", &hub)]);
    let node = through(&a, &network, "hub").build().unwrap();
    node.append(vec![large("1", "x")]).await.unwrap();
    node.sync().await.unwrap();
    // Refusing to do it is as good: the id is not taken, the event is too large.
    let _ = node.reissue(&id("1"), &id("again")).await;
    node.sync().await.unwrap();
    let mut counting = Vec::new();
    let collect = |e: Event, _| {
        counting.push(e.id.to_string());
        Ok::<(), Error>(())
    };
    node.effective(None, 0, collect).await.unwrap();
    assert_eq!(counting.len(), 1, "{counting:?}");
    let first_waits = a.quarantine().await.unwrap().iter().any(|q| q.id == id("1"));
    assert!(first_waits || counting == ["again"], "{counting:?}: it counts here, and nobody hears of it");
}

#[tokio::test]
async fn a_review_that_two_nodes_open_alike_is_one() {
    let (hub, a, b) = (store(CursorMode::Integer), store(CursorMode::Integer), store(CursorMode::Integer));
    let network = network(&[("hub", &hub)]);
    let make = |s: &MemStore| {
        let builder = through(s, &network, "hub").decide(DecideScope::Every);
        builder.resolver_kind(synckit_node::ResolverKind::ManualReview).build().unwrap()
    };
    for n in 0..2 {
        let author = store(CursorMode::Integer);
        let author = through(&author, &network, "hub").build().unwrap();
        author.append(vec![event(&format!("e{n}"), "x", n)]).await.unwrap();
        author.push().await.unwrap();
    }
    let (a, b) = (make(&a), make(&b));
    a.pull().await.unwrap();
    b.pull().await.unwrap();
    b.push().await.unwrap();
    rounds(&[&a, &b, &a], 2).await;
    let open = b.conflicts(None, 10).await.unwrap().remove(0);
    for node in [&a, &b, &local(&hub)] {
        assert_eq!(node.conflict(&open.id).await.unwrap().reasons.len(), 1);
    }
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_not_sent_when_it_is_offered_again() {
    let (a, hub) = (store(CursorMode::Integer), small(CursorMode::Integer));
    let network = network(&[("hub", &hub)]);
    let filter = Filter::everything().with_type("t".parse().unwrap());
    let a = through(&a, &network, "hub").filter(filter).build().unwrap();
    a.append(vec![large("1", "x")]).await.unwrap();
    a.append(vec![typed("secret", "other", "x")]).await.unwrap();
    a.sync().await.unwrap();
    // What it builds on is given up, so that it no longer waits.
    a.withdraw(&id("1")).await.unwrap();
    rounds(&[&a], 2).await;
    assert!(!holds_whole(&hub, "secret").await);
}

#[tokio::test]
async fn a_page_that_could_not_be_stored_is_pulled_again() {
    for mode in MODES {
        let (a, b, hub) = (store(mode), store(mode), store(mode));
        let network = network(&[("hub", &hub)]);
        let (a_plain, b) =
            (through(&a, &network, "hub").build().unwrap(), through(&b, &network, "hub").build().unwrap());
        b.append((0..3).map(|n| event(&format!("b{n}"), "x", n)).collect()).await.unwrap();
        b.sync().await.unwrap();
        a_plain.append(vec![event("a", "y", 1)]).await.unwrap();
        let full = Arc::new(Dying { inner: a.clone(), dead: AtomicBool::new(false), full: true });
        let transport = Arc::new(network.connect("hub").unwrap());
        let full = SyncNode::builder(full).transport(transport).build().unwrap();
        full.sync().await.unwrap_err();
        assert!(holds_whole(&hub, "a").await, "{mode}: what can go out goes out");
        a_plain.sync().await.unwrap();
        assert!(holds_whole(&a, "b0").await && holds_whole(&a, "b2").await, "{mode}: passed over");
    }
}

#[tokio::test]
async fn a_withdrawal_does_not_touch_an_event_with_its_id_in_another_aggregate() {
    let mode = CursorMode::Integer;
    let (a, b, hub) = (store(mode), store(mode), store(mode));
    let network = network(&[("hub", &hub)]);
    let (a, b) =
        (through(&a, &network, "hub").build().unwrap(), through(&b, &network, "hub").build().unwrap());
    a.append(vec![event("same", "y", 1)]).await.unwrap();
    a.sync().await.unwrap();
    b.append(vec![event("same", "x", 2), event("after", "x", 3)]).await.unwrap();
    b.push().await.unwrap();
    b.withdraw(&id("same")).await.unwrap();
    b.sync().await.unwrap();
    let log = hub.read(synckit_core::store::ReadRequest::default()).await.unwrap().entries;
    let offered: Vec<_> = log.into_iter().map(synckit_core::store::LogEntry::into_offered).collect();
    let mut digests = Vec::new();
    for turned in [false, true] {
        for size in [1, 10] {
            let fresh = store(mode);
            // The withdrawal comes before or after the event that has the id, in one page or in several.
            let mut page = offered.clone();
            if turned {
                page.rotate_left(1);
            }
            for entries in page.chunks(size) {
                let peer = Some(hub.identity().log);
                let entries = entries.to_vec();
                let apply = synckit_core::store::Apply { peer, entries, hold: true, ..Default::default() };
                fresh.write(synckit_core::store::Write::Apply(apply)).await.unwrap();
            }
            let retry = synckit_core::store::Apply {
                peer: Some(hub.identity().log),
                hold: true,
                retry_held: true,
                ..Default::default()
            };
            fresh.write(synckit_core::store::Write::Apply(retry)).await.unwrap();
            assert!(holds_whole(&fresh, "same").await && holds_whole(&fresh, "after").await);
            assert_eq!(fresh.count_conflicts().await.unwrap(), 0);
            digests.push(local(&fresh).digest().await.unwrap());
        }
    }
    digests.push(local(&hub).digest().await.unwrap());
    digests.push(b.digest().await.unwrap());
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:#?}");
}
