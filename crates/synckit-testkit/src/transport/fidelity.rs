//! What goes in at one end comes out at the other.

use synckit_core::{
    EventType, NodeId, Payload, Stamp, Timestamp, VertexId,
    decision::{RESOLUTION, Review},
    limits::{MAX_COUNTER, MAX_NAME_BYTES, MAX_TIMESTAMP_MICROS},
    store::{Acknowledged, Offered, RefusalCode, Write},
    transport::PullRequest,
};

use super::ends::{Ends, accepted, codes};
use crate::{
    sample::{aggregate, adopt, checkpoint, event, events, ids, refused, rivals, stamp, stamped, typed},
    store::{ALIKE, ODD, fragile},
    subject::Subject,
};

/// Gives what one store has to another over transports, in both directions.
async fn relay(ends: &Ends<'_>, store: &Subject) {
    let offers = store.offers().await;
    let (hub, way) = ends.fresh().await;
    let reply = way.give(offers.clone()).await;
    assert_eq!(accepted(&reply), offers.len(), "{:?}", reply.acks);
    let pulled = way.all(&PullRequest::default()).await;
    assert!(pulled == offers, "what was pulled is not what was pushed");
    let third = ends.store().await;
    third.seed(pulled).await;
    assert_eq!(third.head().await.unwrap(), store.head().await.unwrap(), "the hashes differ");
    assert_eq!(hub.head().await.unwrap(), store.head().await.unwrap());
}

pub(super) async fn bytes_survive_a_push_and_a_pull(ends: &Ends<'_>) {
    let store = ends.store().await;
    store.append(fragile()).await;
    relay(ends, &store).await;
    let (hub, way) = ends.fresh().await;
    let entries: Vec<Offered> = fragile().into_iter().map(Offered::unstamped).collect();
    let request = synckit_core::transport::PushRequest { log: None, node: super::ends::NODE, from: None, entries: entries.into() };
    assert_eq!(accepted(&way.push(request).await.unwrap()), fragile().len());
    assert!(hub.all().await.iter().map(|e| &e.event).eq(&fragile()), "events without stamps have bytes, too");
}

pub(super) async fn bytes_of_decisions_survive(ends: &Ends<'_>) {
    let store = ends.store().await;
    store.seed(rivals("x")).await;
    let conflict = store.conflict("x").await;
    let text = format!(
        r#"{{"conflict":"{}","adopts":["x-a"],"merged":[{{"id":"m","type":"t","data":{{"n":9007199254740993,"e":1e400,"nul":"\u0000"}}}}],"outcome":"m","resolver":"r","reasons":["\"why\"\n\u00fc"],"user":"Zo\u00eb","decided_at":5}}"#,
        conflict.id
    );
    let mut foreign = stamp(event("synckit.e.1", "x", ""), 4, 1, 50, &["x-a", "x-b"]);
    foreign.event.event_type = EventType::new(RESOLUTION).unwrap();
    foreign.event.data = Payload::json_text(text).unwrap();
    store.seed(vec![foreign]).await;
    store.seed(rivals("y")).await;
    let open = store.conflict("y").await;
    let review = Review { conflict: open.id.clone(), heads: open.heads.clone(), reason: "\"no\"\n\u{1F980}".into() };
    store.write(Write::Review(vec![(aggregate("y"), review)])).await.unwrap();
    store.decide(adopt(&open, "y-b", true)).await.unwrap();
    store.append(events("own", "z", 2)).await;
    let row = refused("own2", store.identity().node, store.entry("own2").await.unwrap().stamp.counter, 0, RefusalCode::Quota);
    let acknowledged = Acknowledged { checkpoint: checkpoint(1), refused: vec![row], released: Vec::new(), forget: None };
    store.write(Write::Acknowledge(acknowledged)).await.unwrap();
    assert_eq!(store.write(Write::Withdraw(ids(&["own2"]))).await.unwrap().accepted(), 1);
    relay(ends, &store).await;
}

pub(super) async fn names_survive(ends: &Ends<'_>) {
    let store = ends.store().await;
    let long = ["\u{1F980}".repeat(63), "a".repeat(MAX_NAME_BYTES), "\"".repeat(MAX_NAME_BYTES)];
    for name in ALIKE.into_iter().chain(ODD).chain(long.iter().map(String::as_str)) {
        store.append(vec![typed(name, name, name), typed(name, &format!("2{}", &"n".repeat(9)), "other")]).await;
        store.append(vec![event(&format!("on {}", store.all().await.len()), name, "1")]).await;
        assert_eq!(store.heads(name).await.len(), 1);
    }
    assert!(store.all().await.iter().any(|e| e.stamp.parents.iter().any(|p| p.as_str() == long[0])));
    relay(ends, &store).await;
}

pub(super) async fn stamps_survive(ends: &Ends<'_>) {
    let store = ends.store().await;
    let names: Vec<String> = (0..1_000).map(|n| format!("p{n:04}")).collect();
    let parents: Vec<VertexId> = names.iter().map(|n| VertexId::new(n.as_str()).unwrap()).collect();
    let heads = names.iter().zip(1..).map(|(name, n)| stamped(name, "x", 5, n, 1, &[])).collect();
    store.seed(heads).await;
    for (origin, counter, at, parents) in [
        (0, 1, 0, Vec::new()),
        (u128::MAX, MAX_COUNTER, MAX_TIMESTAMP_MICROS, Vec::new()),
        (1 << 127, (1 << 53) + 1, (1 << 53) - 1, parents),
    ] {
        let mut offered = stamped(&format!("e{counter}"), "x", 1, 1, 1, &[]);
        let stamp = Stamp::checked(NodeId::from_u128(origin), counter, Timestamp::from_micros(at), parents);
        offered.stamp = Some(stamp.unwrap());
        store.seed(vec![offered]).await;
    }
    relay(ends, &store).await;
}

pub(super) async fn texts_of_refusals_survive(ends: &Ends<'_>) {
    let (direct, (_, way)) = (ends.store().await, ends.fresh().await);
    let name = "\"waits\"\\ \u{1F980} <&>";
    let entries = vec![stamped(name, "x", 2, 1, 10, &["\"unknown\" 'p'"])];
    let reply = way.give(entries.clone()).await;
    assert_eq!(codes(&reply), [Some(RefusalCode::WaitingForParent)]);
    let written = direct.apply(crate::sample::pushed(super::ends::NODE, entries)).await;
    assert_eq!(reply.acks[0].1, written.outcomes[0], "the reason comes out as the store gave it");
}
