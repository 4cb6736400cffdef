//! Writes that the simulation of whole nodes got to, and that went wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::{Replica, event, offered};
use synckit_core::{
    AggregateId, EventId, Hash, LogId, NodeId, Stamp, Timestamp, VertexId,
    decision::{Decision, Withdrawal},
    plan::Surroundings,
    store::{
        Acknowledged, Apply, Checkpoint, DecisionDraft, Offered, Outcome, QuarantineSide, Quarantined,
        Refusal, RefusalCode, Write,
    },
};

const SECOND: u64 = 1_000_000;
const FUTURE: u64 = 1_000 * SECOND;

fn around(now: u64) -> Surroundings {
    Surroundings::new(Timestamp::from_micros(now), u128::from(now))
}

fn peer() -> LogId {
    LogId::from_u128(99)
}

fn pulled(entries: Vec<Offered>) -> Write {
    Write::Apply(Apply { peer: Some(peer()), entries, hold: true, ..Apply::default() })
}

fn stamped(id: &str, origin: u128, at: u64, parents: &[&VertexId]) -> Offered {
    let parents = parents.iter().map(|p| (*p).clone()).collect();
    let stamp = Stamp::checked(NodeId::from_u128(origin), 1, Timestamp::from_micros(at), parents).unwrap();
    Offered { event: event(id, "x", id), stamp: Some(stamp), stub: None, position: 0 }
}

fn aggregate() -> AggregateId {
    AggregateId::new("x").unwrap()
}

/// A replica that has adopted both sides of a conflict, as any machine would.
fn decided(node: u128, now: u64) -> Replica {
    let mut replica = Replica::new(node, node);
    let sides = vec![stamped("a", 3, 10, &[]), stamped("b", 4, 11, &[])];
    replica.write(pulled(sides), &around(now)).unwrap();
    let conflict = replica.graph(&aggregate()).conflict().unwrap();
    let adopts = conflict.sides.iter().map(|s| s.head.clone()).collect();
    let mut decision = Decision::adopting(adopts, "united", "machine");
    decision.conflict = Some(conflict.id);
    let (aggregate, parents) = (conflict.aggregate, conflict.heads);
    let draft = DecisionDraft { aggregate, parents, decision, by_machine: true, expect_heads: true };
    replica.write(Write::Decide(vec![draft]), &around(now)).unwrap();
    replica
}

#[test]
fn an_event_that_is_to_be_stamped_again_twice_is_stamped_again_once() {
    let mut replica = Replica::new(1, 1);
    replica.write(Write::Append(vec![event("a", "x", "1")]), &around(FUTURE)).unwrap();
    let twice = vec![event("a", "x", "1"), event("a", "x", "1")];
    let written = replica.write(Write::Restamp(twice), &around(SECOND)).unwrap();
    assert!(matches!(written.outcomes[..], [Outcome::Accepted { .. }, Outcome::Duplicate]), "{written:?}");
    let smallest = replica.log.iter().map(|e| e.stamp.timestamp).min().unwrap();
    assert_eq!(replica.entry(&EventId::new("a").unwrap()).unwrap().stamp.timestamp, smallest);
}

#[test]
fn a_decision_that_is_stamped_again_keeps_the_smaller_timestamp_of_its_copy() {
    let (mut ahead, copy) = (decided(1, FUTURE), decided(2, 10 * SECOND));
    let vertex = ahead.heads[&aggregate()][0].vertex.clone();
    assert_eq!(vertex, copy.heads[&aggregate()][0].vertex, "two copies of one decision");
    let of_copy = copy.log.last().map(offered).unwrap();
    ahead.write(pulled(vec![of_copy]), &around(100 * SECOND)).unwrap();
    let own = ahead.log[2].event.clone();
    let written = ahead.write(Write::Restamp(vec![own]), &around(100 * SECOND)).unwrap();
    assert_eq!(written.accepted(), 1);
    assert_eq!(ahead.decisions[&vertex].timestamp.as_micros(), 10 * SECOND);
    let after_the_copy = stamped("c", 5, 50 * SECOND, &[&vertex]);
    let written = ahead.write(pulled(vec![after_the_copy]), &around(100 * SECOND)).unwrap();
    assert_eq!(written.outcomes[0].refusal(), None);
}

#[test]
fn only_what_was_pulled_is_known_to_be_in_the_log_it_came_from() {
    let mut replica = Replica::new(1, 1);
    let pushed = Apply { peer: Some(peer()), author: Some(NodeId::from_u128(3)), ..Apply::default() };
    let entries = vec![stamped("pushed", 3, 10, &[])];
    replica.write(Write::Apply(Apply { entries, ..pushed }), &around(SECOND)).unwrap();
    replica.write(pulled(vec![stamped("pulled", 4, 11, &[])]), &around(SECOND)).unwrap();
    let from: Vec<Option<LogId>> = replica.log.iter().map(|e| e.from).collect();
    assert_eq!(from, [None, Some(peer())]);
}

#[test]
fn a_withdrawal_that_is_stamped_again_withdraws_once() {
    let mut replica = Replica::new(1, 1);
    let events = vec![event("a", "x", "1"), event("b", "x", "2")];
    replica.write(Write::Append(events), &around(FUTURE)).unwrap();
    let refused = Quarantined {
        side: QuarantineSide::Refused,
        peer: peer(),
        id: EventId::new("b").unwrap(),
        origin: Some(replica.node.node),
        counter: 2,
        refusal: Refusal::new(RefusalCode::Quota, "no room"),
        position: 2,
        held: None,
    };
    let acknowledged = Acknowledged {
        checkpoint: Checkpoint::start(peer(), "hub", Hash::ZERO),
        refused: vec![refused],
        released: Vec::new(),
        forget: None,
    };
    replica.write(Write::Acknowledge(acknowledged), &around(FUTURE)).unwrap();
    replica.write(Write::Withdraw(vec![EventId::new("b").unwrap()]), &around(FUTURE)).unwrap();
    let before: Vec<VertexId> = replica.heads[&aggregate()].iter().map(|h| h.vertex.clone()).collect();
    let withdrawal = replica.log.last().unwrap().event.clone();
    let written = replica.write(Write::Restamp(vec![withdrawal]), &around(SECOND)).unwrap();
    assert_eq!(written.accepted(), 1);
    let after: Vec<VertexId> = replica.heads[&aggregate()].iter().map(|h| h.vertex.clone()).collect();
    assert_eq!(after, before, "the withdrawn event is no head of its own");
}

#[test]
fn an_event_that_was_stamped_again_is_withdrawn_under_all_its_stamps() {
    let mut replica = Replica::new(1, 1);
    let a = || vec![event("a", "x", "1")];
    replica.write(Write::Append(a()), &around(FUTURE)).unwrap();
    replica.write(Write::Restamp(a()), &around(SECOND)).unwrap();
    let id = EventId::new("a").unwrap();
    let position = replica.log.len() as u64;
    let refused = Quarantined {
        side: QuarantineSide::Refused,
        peer: peer(),
        id: id.clone(),
        origin: Some(replica.node.node),
        counter: 2,
        refusal: Refusal::new(RefusalCode::Quota, "no room"),
        position,
        held: None,
    };
    let acknowledged = Acknowledged {
        checkpoint: Checkpoint::start(peer(), "hub", Hash::ZERO),
        refused: vec![refused],
        released: Vec::new(),
        forget: None,
    };
    replica.write(Write::Acknowledge(acknowledged), &around(SECOND)).unwrap();
    replica.write(Write::Withdraw(vec![id]), &around(SECOND)).unwrap();
    assert_eq!(
        replica.log.len() as u64,
        position + 1,
        "it does not count again under the stamp from the future"
    );
    assert!(replica.graph(&aggregate()).view().is_empty());
}

/// A copy of a node gives an event up under the stamp from the future; the other has stamped it again by then.
#[test]
fn a_withdrawn_event_has_its_place_from_its_smallest_stamp_in_every_order() {
    let stamp = |counter, at, parents: &[VertexId]| {
        Stamp::checked(NodeId::from_u128(7), counter, Timestamp::from_micros(at), parents.to_vec()).unwrap()
    };
    let of = |event, stamp| Offered { event, stamp: Some(stamp), stub: None, position: 0 };
    let first = of(event("a", "x", "1"), stamp(1, FUTURE, &[]));
    let again = of(event("a", "x", "1"), stamp(2, SECOND, &[]));
    let withdrawal = Withdrawal {
        id: first.event.id.clone(),
        event_type: first.event.event_type.clone(),
        origin: NodeId::from_u128(7),
        counter: 1,
        timestamp: Timestamp::from_micros(FUTURE),
        parents: Vec::new(),
        content: synckit_core::content_hash(&first.event),
    };
    let withdrawal = of(withdrawal.to_event(&aggregate()).unwrap(), stamp(3, FUTURE + 1, &[]));
    let on_top = stamped("b", 8, 2 * SECOND, &[&VertexId::new("a").unwrap()]);
    let orders = [
        [&first, &withdrawal, &again],
        [&first, &again, &withdrawal],
        [&withdrawal, &again, &first],
        [&again, &withdrawal, &first],
    ];
    let mut ends = Vec::new();
    for order in orders {
        for pages in [1, 3] {
            let mut replica = Replica::new(1, 1);
            for page in order.chunks(3 / pages) {
                let page = page.iter().map(|o| (*o).clone()).collect();
                replica.write(pulled(page), &around(SECOND)).unwrap();
            }
            let written = replica.write(pulled(vec![on_top.clone()]), &around(SECOND)).unwrap();
            assert_eq!(written.accepted(), 1, "what is built on it need not wait");
            assert!(replica.log.iter().any(|e| Some(&e.stamp) == again.stamp.as_ref()), "it travels");
            ends.push((replica.heads[&aggregate()].clone(), replica.graph(&aggregate()).view()));
        }
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:#?}");
}

/// The peer may have been restored since, and have lost it.
#[test]
fn what_was_held_is_offered_to_the_peer_that_it_came_from() {
    let mut replica = Replica::new(1, 1);
    let parent = stamped("a", 7, SECOND, &[]);
    let child = stamped("b", 8, 2 * SECOND, &[&VertexId::new("a").unwrap()]);
    let written = replica.write(pulled(vec![child]), &around(SECOND)).unwrap();
    assert_eq!(written.outcomes[0].refusal().map(|r| r.code), Some(RefusalCode::WaitingForParent));
    replica.write(pulled(vec![parent]), &around(SECOND)).unwrap();
    let retry = Apply { peer: Some(peer()), hold: true, retry_held: true, ..Apply::default() };
    assert_eq!(replica.write(Write::Apply(retry), &around(SECOND)).unwrap().released, 1);
    let from: Vec<_> = replica.log.iter().map(|e| (e.event.id.as_str(), e.from)).collect();
    assert_eq!(from, [("a", Some(peer())), ("b", None)]);
}
