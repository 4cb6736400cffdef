//! L6: where entries came from, and what is known of peers.

use synckit_core::{
    Hash, LogId, Mark, NodeId, Timestamp,
    limits::MAX_COUNTER,
    store::{Acknowledged, Apply, Checkpoint, ReadRequest, RefusalCode, Write},
};

use crate::{
    sample::{PEER, adopt, checkpoint, event, pulled, pushed, refused, rivals, stamped},
    stores::Stores,
    subject::ids_of,
};

const OTHER: LogId = LogId::from_u128(0xfeed);

pub(super) async fn l6_entries_record_the_log_they_came_from(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("own", "x", "1")]).await;
    store.seed(rivals("y")).await;
    let mut other = pushed(NodeId::from_u128(4), vec![stamped("pushed", "z", 4, 1, 1, &[])]);
    other.peer = Some(OTHER);
    store.apply(other).await;
    let nameless = Apply { entries: vec![stamped("nameless", "z", 4, 2, 2, &["pushed"])], ..Apply::default() };
    store.apply(nameless).await;
    store.decide(adopt(&store.conflict("y").await, "y-a", true)).await.unwrap();
    let from: Vec<Option<LogId>> = store.all().await.iter().map(|e| e.from).collect();
    // One that pushes proves nothing about what its log holds: a copy of its store has the same identity.
    assert_eq!(from, [None, Some(PEER), Some(PEER), None, None, None]);
}

pub(super) async fn l6_what_came_from_a_peer_is_left_out_beyond_the_floor(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    for n in 1..=4 {
        store.append(vec![event(&format!("own{n}"), "x", "1")]).await;
        store.seed(vec![stamped(&format!("peer{n}"), "y", 2, n, n, &[])]).await;
    }
    for (floor, expected) in [
        (0, &["own1", "own2", "own3", "own4"][..]),
        (4, &["own1", "peer1", "own2", "peer2", "own3", "own4"]),
        (5, &["own1", "peer1", "own2", "peer2", "own3", "own4"]),
        (u64::MAX, &["own1", "peer1", "own2", "peer2", "own3", "peer3", "own4", "peer4"]),
    ] {
        for limit in 1..=9 {
            let request = ReadRequest::default().not_from(PEER, floor).limit(limit);
            assert_eq!(ids_of(&store.pages(&request).await), expected, "floor {floor}, limit {limit}");
        }
    }
    let others = ReadRequest::default().not_from(OTHER, 0);
    assert_eq!(store.pages(&others).await.len(), 8);
    let page = store.read(ReadRequest::after(7).not_from(PEER, 0)).await.unwrap();
    assert!(page.entries.is_empty() && !page.has_more);
    assert_eq!(page.next, store.head().await.unwrap());
}

/// A checkpoint in which nothing is as it is by default.
fn unusual(log: LogId, n: u64) -> Checkpoint {
    let mark = |position| Mark { position, hash: Hash::of(&[u8::try_from(position % 251).unwrap()]) };
    let mut checkpoint = Checkpoint::start(log, "http://hub.example/ü?x=\"'\u{1F980}", Hash::of(b"filter"));
    checkpoint.pull = mark(MAX_COUNTER - n);
    checkpoint.push = (1 << 53) + n;
    checkpoint.seen = mark(MAX_COUNTER);
    checkpoint.shown = mark(MAX_COUNTER - 1);
    checkpoint.echo_floor = 17 + n;
    checkpoint.synced_at = Timestamp::from_micros((1 << 53) - 1);
    checkpoint
}

pub(super) async fn l6_a_checkpoint_comes_back_as_it_was(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let first = unusual(PEER, 1);
    store.apply(Apply { checkpoint: Some(first.clone()), ..Apply::default() }).await;
    assert_eq!(store.checkpoints().await.unwrap(), [first]);
    let second = unusual(PEER, 2);
    let acknowledged =
        Acknowledged { checkpoint: second.clone(), refused: Vec::new(), released: Vec::new(), forget: None };
    store.write(Write::Acknowledge(acknowledged)).await.unwrap();
    assert_eq!(store.checkpoints().await.unwrap(), std::slice::from_ref(&second));
    let lower = Checkpoint::start(PEER, "", Hash::ZERO);
    store.apply(Apply { checkpoint: Some(lower.clone()), ..Apply::default() }).await;
    assert_eq!(store.checkpoints().await.unwrap(), [lower], "starting over is a checkpoint like any other");
    assert!(store.all().await.is_empty());
}

pub(super) async fn l6_checkpoints_are_kept_per_peer(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let mut expected: Vec<Checkpoint> =
        [0, 1, u128::MAX, 7 << 100].into_iter().zip(1..).map(|(log, n)| unusual(LogId::from_u128(log), n)).collect();
    for checkpoint in &expected {
        store.apply(Apply { checkpoint: Some(checkpoint.clone()), ..pulled(Vec::new()) }).await;
    }
    let store = stores.reopened(store).await;
    let mut found = store.checkpoints().await.unwrap();
    found.sort_by_key(|c| c.log);
    expected.sort_by_key(|c| c.log);
    assert_eq!(found, expected);
}

pub(super) async fn l6_a_peer_is_forgotten(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let node = store.identity().node;
    let refusal = refused("a", node, 1, 1, RefusalCode::Quota);
    let mut elsewhere = refusal.clone();
    elsewhere.peer = OTHER;
    for row in [refusal, elsewhere.clone()] {
        let mut checkpoint = checkpoint(1);
        checkpoint.log = row.peer;
        let acknowledged = Acknowledged { checkpoint, refused: vec![row], released: Vec::new(), forget: None };
        store.write(Write::Acknowledge(acknowledged)).await.unwrap();
    }
    store.pull(vec![stamped("waits", "y", 2, 1, 1, &["unknown"])]).await;
    assert_eq!(store.quarantine().await.unwrap().len(), 3);
    let mut replacement = checkpoint(0);
    replacement.log = LogId::from_u128(3);
    let forget = Apply { forget: Some(PEER), checkpoint: Some(replacement.clone()), ..Apply::default() };
    store.apply(forget).await;
    let mut logs: Vec<LogId> = store.checkpoints().await.unwrap().iter().map(|c| c.log).collect();
    logs.sort_unstable();
    assert_eq!(logs, [replacement.log, OTHER]);
    let mut rows = store.quarantine().await.unwrap();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(rows.len(), 2, "what we hold is ours; what the peer said is void");
    assert_eq!((&rows[0], rows[1].id.as_str()), (&elsewhere, "waits"));
}
