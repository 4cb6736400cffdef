//! Single writes whose plans are easily got wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::{Replica, event, offered};
use synckit_core::{
    AggregateId, CanonicalKey, ErrorKind, EventId, LogId, NodeId, Stamp, Timestamp, VertexId, content_hash,
    decision::{Decision, Withdrawal},
    graph::{Head, decode_heads, encode_heads},
    limits::{MAX_PARENTS, MAX_TIMESTAMP_MICROS},
    plan::Surroundings,
    store::{Apply, DecisionDraft, Offered, Outcome, QuarantineSide, RefusalCode, Write, Written},
};

const SECOND: u64 = 1_000_000;

fn around(now: u64) -> Surroundings {
    Surroundings::new(Timestamp::from_micros(now), u128::from(now))
}

fn from_peer(entries: Vec<Offered>) -> Write {
    Write::Apply(Apply { peer: Some(LogId::from_u128(99)), entries, hold: true, ..Apply::default() })
}

fn pushed_by(author: NodeId, entries: Vec<Offered>) -> Write {
    let peer = Some(LogId::from_u128(99));
    Write::Apply(Apply { peer, author: Some(author), entries, ..Apply::default() })
}

fn stamped(
    id: &str,
    aggregate: &str,
    data: &str,
    origin: u128,
    counter: u64,
    at: u64,
    parents: &[&str],
) -> Offered {
    let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
    let stamp =
        Stamp::checked(NodeId::from_u128(origin), counter, Timestamp::from_micros(at), parents).unwrap();
    Offered { event: event(id, aggregate, data), stamp: Some(stamp), stub: None, position: 0 }
}

fn append(replica: &mut Replica, now: u64, id: &str, aggregate: &str) -> Written {
    replica.write(Write::Append(vec![event(id, aggregate, "x")]), &around(now)).unwrap()
}

fn name(text: &str) -> AggregateId {
    AggregateId::new(text).unwrap()
}

/// The union of all sides of the conflict.
fn unite(replica: &mut Replica, aggregate: &str, now: u64) -> Written {
    let conflict = replica.graph(&name(aggregate)).conflict().unwrap();
    let adopts = conflict.sides.iter().map(|s| s.head.clone()).collect();
    let mut decision = Decision::adopting(adopts, "united", "machine");
    decision.conflict = Some(conflict.id);
    let (aggregate, parents) = (conflict.aggregate, conflict.heads);
    let draft = DecisionDraft { aggregate, parents, decision, by_machine: true, expect_heads: true };
    replica.write(Write::Decide(vec![draft]), &around(now)).unwrap()
}

#[test]
fn one_page_gives_an_id_to_two_aggregates() {
    let mut replica = Replica::new(1, 1);
    append(&mut replica, 10, "a", "x");
    let page = vec![stamped("id", "x", "1", 2, 1, 50, &["a"]), stamped("id", "y", "2", 3, 1, 40, &[])];
    replica.write(from_peer(page), &around(60)).unwrap();
    replica.check_heads();
    assert_eq!(replica.entry(&EventId::new("id").unwrap()).unwrap().event.aggregate_id, name("y"));
}

#[test]
fn a_machines_decision_from_the_future_carries_what_is_built_on_it() {
    let (mut hub, mut node) = (Replica::new(1, 1), Replica::new(2, 2));
    let future = 1000 * SECOND;
    let sides = vec![stamped("a", "x", "1", 3, 1, 10, &[]), stamped("b", "x", "2", 4, 1, future, &[])];
    hub.write(from_peer(sides.clone()), &around(SECOND)).unwrap();
    node.write(from_peer(sides), &around(SECOND)).unwrap();
    unite(&mut node, "x", SECOND);
    let decided = node.log.last().map(offered).unwrap();
    let vertex = node.heads[&name("x")][0].vertex.to_string();
    let others = stamped("c", "x", "3", 5, 1, future + 10, &[&vertex]);
    hub.write(from_peer(vec![decided, others]), &around(SECOND)).unwrap();
    append(&mut node, SECOND, "d", "x");
    let own = node.log.last().map(offered).unwrap();
    let written = hub.write(pushed_by(NodeId::from_u128(2), vec![own]), &around(SECOND)).unwrap();
    assert_eq!(written.outcomes[0].refusal(), None, "it is ahead of the clock, and not of its parent");
}

#[test]
fn nothing_is_stamped_beyond_the_greatest_timestamp() {
    let mut replica = Replica::new(1, 1);
    let last = stamped("last", "x", "1", 2, 1, MAX_TIMESTAMP_MICROS, &[]);
    replica.write(from_peer(vec![last]), &around(SECOND)).unwrap();
    append(&mut replica, SECOND, "next", "x");
    for entry in &replica.log {
        let stamp = entry.stamp.clone();
        assert!(Stamp::checked(stamp.origin, stamp.counter, stamp.timestamp, stamp.parents).is_ok());
    }
}

#[test]
fn a_decision_names_no_more_parents_than_a_stamp_may_have() {
    let mut replica = Replica::new(1, 1);
    let heads =
        (0..=MAX_PARENTS).map(|i| stamped(&format!("h{i}"), "x", "1", i as u128 + 2, 1, 10, &[])).collect();
    replica.write(from_peer(heads), &around(20)).unwrap();
    let conflict = replica.graph(&name("x")).conflict().unwrap();
    let adopts = vec![conflict.sides[0].head.clone()];
    let mut decision = Decision::adopting(adopts, "first", "machine");
    decision.conflict = Some(conflict.id);
    let (aggregate, parents) = (conflict.aggregate, conflict.heads);
    let draft = DecisionDraft { aggregate, parents, decision, by_machine: true, expect_heads: true };
    // Either it is refused, or what is written can be read by others; the replica checks each stamp.
    let _ = replica.write(Write::Decide(vec![draft]), &around(30));
}

#[test]
fn two_stamps_that_differ_in_their_parents_only_are_ranked_alike_everywhere() {
    let entries = [stamped("e", "x", "1", 2, 1, 50, &[]), stamped("e", "x", "1", 2, 1, 50, &["a"])];
    let mut results = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let mut replica = Replica::new(1, 1);
        append(&mut replica, 10, "a", "x");
        for i in order {
            replica.write(from_peer(vec![entries[i].clone()]), &around(60)).unwrap();
        }
        results.push(replica.entry(&EventId::new("e").unwrap()).unwrap().stamp.parents.clone());
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_displaced_event_opens_no_conflict_that_was_open_before() {
    let mut replica = Replica::new(1, 1);
    let open = vec![
        stamped("a", "x", "1", 2, 1, 10, &[]),
        stamped("b", "x", "1", 3, 1, 11, &[]),
        stamped("c", "x", "1", 4, 1, 12, &[]),
    ];
    let written = replica.write(from_peer(open), &around(60)).unwrap();
    assert_eq!(written.conflicts_opened, 1);
    let other = stamped("c", "y", "2", 5, 1, 5, &[]);
    let written = replica.write(from_peer(vec![other]), &around(60)).unwrap();
    assert_eq!(written.accepted(), 1);
    assert_eq!(written.conflicts_opened, 0);
}

#[test]
fn a_restamp_answers_in_the_order_of_the_request() {
    let mut replica = Replica::new(1, 1);
    append(&mut replica, 1000 * SECOND, "a", "x");
    append(&mut replica, SECOND, "b", "y");
    let events = vec![event("unknown", "x", "x"), event("b", "y", "x"), event("a", "x", "x")];
    let written = replica.write(Write::Restamp(events), &around(SECOND)).unwrap();
    assert_eq!(written.outcomes.len(), 3, "one outcome for each event");
    assert!(matches!(written.outcomes[2], Outcome::Accepted { .. }));
}

#[test]
fn reserved_names_are_not_for_domain_events_of_others_either() {
    let mut replica = Replica::new(1, 1);
    let entries =
        vec![stamped("synckit.e.1", "x", "1", 2, 1, 10, &[]), stamped("a", "synckit.x", "1", 2, 2, 11, &[])];
    let written = replica.write(from_peer(entries), &around(60)).unwrap();
    for outcome in written.outcomes {
        assert_eq!(outcome.refusal().map(|r| r.code), Some(RefusalCode::Invalid));
    }
}

#[test]
fn a_domain_event_cannot_turn_into_a_kit_event_of_the_same_id() {
    let mut replica = Replica::new(1, 1);
    let heads = vec![
        stamped("a", "x", "1", 2, 1, 10, &[]),
        stamped("b", "x", "1", 3, 1, 11, &[]),
        stamped("c", "x", "1", 4, 1, 50, &["a"]),
    ];
    replica.write(from_peer(heads), &around(60)).unwrap();
    let parents = vec![VertexId::new("a").unwrap(), VertexId::new("b").unwrap()];
    let mut decision = Decision::adopting(parents.clone(), "united", "machine");
    decision.decision = Some(decision.machine_id(&name("x"), &parents));
    let mut entry = stamped("c", "x", "1", 5, 1, 40, &["a", "b"]);
    entry.event.event_type = "synckit.resolution".parse().unwrap();
    entry.event.data = decision.to_payload().unwrap();
    replica.write(from_peer(vec![entry]), &around(60)).unwrap();
    replica.check_heads();
}

#[test]
fn a_decision_is_about_its_own_aggregate() {
    let mut replica = Replica::new(1, 1);
    append(&mut replica, 10, "a", "x");
    append(&mut replica, 11, "b", "y");
    let parents = vec![VertexId::new("a").unwrap(), VertexId::new("b").unwrap()];
    let decision = Decision::adopting(parents.clone(), "united", "machine");
    let draft =
        DecisionDraft { aggregate: name("x"), parents, decision, by_machine: false, expect_heads: false };
    let taken = replica.write(Write::Decide(vec![draft]), &around(20)).is_ok_and(|w| w.accepted() > 0);
    assert!(!taken, "no peer would take it");
}

#[test]
fn no_decision_is_recorded_over_stubs() {
    let mut replica = Replica::new(1, 1);
    let mut stub = stamped("a", "x", "1", 2, 1, 10, &[]);
    stub.stub = Some(content_hash(&stub.event));
    let entries = vec![stub, stamped("b", "x", "1", 3, 1, 11, &[])];
    replica.write(from_peer(entries), &around(60)).unwrap();
    let conflict = replica.graph(&name("x")).conflict().unwrap();
    assert!(conflict.has_stubs);
    let mut decision = Decision::adopting(vec![conflict.sides[0].head.clone()], "first", "machine");
    decision.conflict = Some(conflict.id);
    let (aggregate, parents) = (conflict.aggregate, conflict.heads);
    let draft = DecisionDraft { aggregate, parents, decision, by_machine: true, expect_heads: true };
    let taken = replica.write(Write::Decide(vec![draft]), &around(70)).is_ok_and(|w| w.accepted() > 0);
    assert!(!taken);
}

#[test]
fn an_owner_that_was_copied_can_still_withdraw_what_it_wrote() {
    use synckit_core::store::{Acknowledged, Checkpoint, QuarantineSide, Quarantined, Refusal};
    let mut replica = Replica::new(1, 1);
    append(&mut replica, 10, "a", "x");
    let (id, peer) = (EventId::new("a").unwrap(), LogId::from_u128(99));
    let row = Quarantined {
        side: QuarantineSide::Refused,
        peer,
        id: id.clone(),
        origin: Some(NodeId::from_u128(1)),
        counter: 1,
        refusal: Refusal::new(RefusalCode::Forbidden, "no"),
        position: 1,
        held: None,
    };
    let checkpoint = Checkpoint::start(peer, "mem:", synckit_core::Hash::ZERO);
    let acknowledged = Acknowledged { checkpoint, refused: vec![row], released: Vec::new(), forget: None };
    replica.write(Write::Acknowledge(acknowledged), &around(20)).unwrap();
    let unheld = stamped("other", "y", "1", 1, 9, 30, &[]);
    replica.write(from_peer(vec![unheld]), &around(40)).unwrap();
    assert_eq!(replica.node.former, [NodeId::from_u128(1)]);
    let written = replica.write(Write::Withdraw(vec![id]), &around(50)).unwrap();
    assert_eq!(written.outcomes[0].refusal(), None);
    let mut other = Replica::new(2, 2);
    let taken =
        other.write(from_peer(replica.log.iter().rev().take(1).map(offered).collect()), &around(60)).unwrap();
    assert_eq!(taken.outcomes[0].refusal(), None, "and others believe it");
}

#[test]
fn heads_come_out_as_they_went_in() {
    let key = |id: &str| CanonicalKey {
        timestamp: Timestamp::from_micros(7),
        origin: NodeId::from_u128(8),
        counter: 9,
        id: EventId::new(id).unwrap(),
    };
    let head = |id: &str, newest, settled_by: &[&str]| Head {
        vertex: VertexId::new(id).unwrap(),
        timestamp: Timestamp::from_micros(3),
        is_decision: newest != Some(key(id)),
        newest,
        settled_by: settled_by.iter().map(|s| VertexId::new(*s).unwrap()).collect(),
    };
    let heads =
        vec![head("a", Some(key("a")), &[]), head("b", Some(key("z")), &["a", "c"]), head("c", None, &["é"])];
    let bytes = encode_heads(&heads);
    assert_eq!(decode_heads(&bytes).unwrap(), heads);
    for end in 1..bytes.len() {
        if let Err(e) = decode_heads(&bytes[..end]) {
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        }
    }
    for i in 0..bytes.len() {
        for value in [0, 1, 0x0a, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[i] = value;
            if let Err(e) = decode_heads(&damaged) {
                assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
            }
        }
    }
}

#[test]
fn what_is_built_on_a_displaced_event_fares_alike_everywhere() {
    let loser = stamped("id", "x", "1", 2, 1, 50, &[]);
    let child = stamped("child", "x", "1", 2, 2, 60, &["id"]);
    let winner = stamped("id", "y", "2", 3, 1, 40, &[]);
    let mut held = Vec::new();
    for entries in [[&loser, &child, &winner], [&winner, &loser, &child]] {
        let mut replica = Replica::new(1, 1);
        for entry in entries {
            replica.write(from_peer(vec![entry.clone()]), &around(70)).unwrap();
        }
        held.push(replica.counting.keys().cloned().collect::<Vec<_>>());
    }
    assert_eq!(held[0], held[1]);
}

#[test]
fn what_is_held_of_a_log_without_stamps_keeps_its_place() {
    let plain = |n: u64, data: &str| Offered {
        position: n,
        ..Offered::unstamped(event(&format!("e{n}"), "x", data))
    };
    let long = "x".repeat(100);
    let log = [plain(1, "1"), plain(2, &long), plain(3, "3")];
    let (mut small, mut large) = (Replica::new(1, 1), Replica::new(2, 2));
    large.write(from_peer(log.to_vec()), &around(10)).unwrap();
    let mut narrow = around(10);
    narrow.max_data = 50;
    let written = small.write(from_peer(log.to_vec()), &narrow).unwrap();
    assert_eq!(written.accepted(), 1, "what is built on the large event waits with it");
    let again = Apply { peer: Some(LogId::from_u128(99)), hold: true, retry_held: true, ..Apply::default() };
    let written = small.write(Write::Apply(again), &around(20)).unwrap();
    assert_eq!(written.released, 2);
    for id in ["e1", "e2", "e3"] {
        let id = EventId::new(id).unwrap();
        assert_eq!(small.entry(&id).unwrap().stamp, large.entry(&id).unwrap().stamp, "{id}");
    }
}

/// The withdrawal of an event by its owner.
fn withdrawal(of: &Offered, counter: u64, at: u64) -> Offered {
    let stamp = of.stamp.clone().unwrap();
    let withdrawal = Withdrawal {
        id: of.event.id.clone(),
        event_type: of.event.event_type.clone(),
        origin: stamp.origin,
        counter: stamp.counter,
        timestamp: stamp.timestamp,
        parents: stamp.parents.clone(),
        content: content_hash(&of.event),
    };
    let event = withdrawal.to_event(&of.event.aggregate_id).unwrap();
    let timestamp = Timestamp::from_micros(at);
    let stamp = Stamp::checked(stamp.origin, counter, timestamp, stamp.parents).unwrap();
    Offered { event, stamp: Some(stamp), stub: None, position: 0 }
}

/// A replica that took these one by one, and tried again what it held whenever something came.
fn given(entries: &[&Offered]) -> Replica {
    let mut replica = Replica::new(1, 1);
    for entry in entries {
        let peer = Some(LogId::from_u128(99));
        let entries = vec![(*entry).clone()];
        let apply = Apply { peer, entries, hold: true, retry_held: true, ..Apply::default() };
        replica.write(Write::Apply(apply), &around(1_000)).unwrap();
        replica.check_heads();
    }
    replica
}

fn view(replica: &Replica, aggregate: &str) -> Vec<String> {
    replica.graph(&name(aggregate)).view().iter().map(|e| e.id().to_string()).collect()
}

#[test]
fn what_took_over_a_withdrawn_id_is_not_built_on_itself() {
    let (x, z) = (stamped("x", "p", "1", 2, 1, 10, &[]), stamped("z", "p", "1", 2, 2, 20, &["x"]));
    let gone = withdrawal(&x, 3, 25);
    let (other_z, other_x) =
        (stamped("z", "p", "2", 3, 1, 30, &[]), stamped("x", "p", "2", 3, 2, 40, &["z"]));
    for order in [[&x, &z, &gone, &other_z, &other_x], [&other_z, &other_x, &gone, &z, &x]] {
        let replica = given(&order);
        assert_eq!(view(&replica, "p"), ["z"]);
        assert_eq!(replica.heads[&name("p")][0].newest.as_ref().unwrap().timestamp.as_micros(), 20);
    }
}

#[test]
fn a_later_event_under_a_withdrawn_id_moves_no_head() {
    let x = stamped("x", "p", "1", 2, 1, 10, &[]);
    let (y, z) = (stamped("y", "p", "1", 4, 1, 20, &["x"]), stamped("z", "p", "1", 5, 1, 100, &[]));
    let mut replica = given(&[&withdrawal(&x, 2, 11), &y, &z]);
    let (heads, before) = (replica.heads.clone(), view(&replica, "p"));
    let later = stamped("x", "p", "2", 3, 1, 500, &[]);
    let written = replica.write(from_peer(vec![later]), &around(1_000)).unwrap();
    assert_eq!(written.outcomes[0].refusal().map(|r| r.code), Some(RefusalCode::ContentMismatch));
    assert_eq!((&replica.heads, view(&replica, "p")), (&heads, before));
}

#[test]
fn a_withdrawn_id_ends_alike_in_every_order() {
    let (x, later) = (stamped("x", "p", "1", 2, 1, 10, &[]), stamped("x", "p", "2", 3, 1, 20, &[]));
    let gone = withdrawal(&x, 2, 30);
    for order in [[&x, &gone, &later], [&gone, &later, &x], [&later, &x, &gone], [&later, &gone, &x]] {
        let replica = given(&order);
        assert!(view(&replica, "p").is_empty());
        let held = replica.quarantined(QuarantineSide::Held);
        assert_eq!(held.len(), 1, "the later event can be issued again");
        assert_eq!((held[0].counter, held[0].refusal.code), (1, RefusalCode::ContentMismatch));
    }
}

#[test]
fn a_withdrawal_is_of_an_event_of_its_aggregate() {
    let (x, elsewhere) = (stamped("x", "p", "1", 2, 1, 10, &[]), stamped("x", "q", "1", 2, 1, 10, &[]));
    let gone = withdrawal(&x, 2, 11);
    let ends = [[&elsewhere, &gone], [&gone, &elsewhere]].map(|order| {
        let replica = given(&order);
        (view(&replica, "p"), view(&replica, "q"))
    });
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn an_event_counts_under_the_stamp_that_is_not_withdrawn() {
    let (first, second) = (stamped("x", "p", "1", 2, 1, 10, &[]), stamped("x", "p", "1", 3, 1, 20, &[]));
    let gone = withdrawal(&first, 2, 30);
    for order in [[&first, &second, &gone], [&second, &first, &gone], [&gone, &second, &first]] {
        let replica = given(&order);
        assert_eq!(view(&replica, "p"), ["x"]);
        let entry = replica.entry(&EventId::new("x").unwrap()).unwrap();
        assert_eq!(entry.stamp, second.stamp.clone().unwrap());
        assert_eq!(replica.heads[&name("p")][0].timestamp.as_micros(), 10, "its place is that of the first");
    }
}

#[test]
fn people_who_decide_two_conflicts_anew_do_not_settle_each_other() {
    let mut replica = Replica::new(1, 1);
    let first = vec![stamped("a", "x", "1", 2, 1, 10, &[]), stamped("b", "x", "1", 3, 1, 11, &[])];
    replica.write(from_peer(first), &around(60)).unwrap();
    let one = replica.graph(&name("x")).conflict().unwrap();
    unite(&mut replica, "x", 70);
    let second = vec![stamped("c", "x", "1", 2, 2, 80, &["b"]), stamped("d", "x", "1", 3, 2, 81, &["b"])];
    replica.write(from_peer(second), &around(90)).unwrap();
    let two = replica.graph(&name("x")).conflict().unwrap();
    unite(&mut replica, "x", 100);
    let graph = replica.graph(&name("x"));
    let anew = [(one.heads, "a"), (two.heads, "c")].map(|(heads, keep)| {
        let (decision, parents) = graph.keep_instead(&heads, &[EventId::new(keep).unwrap()]).unwrap();
        let aggregate = name("x");
        DecisionDraft { aggregate, parents, decision, by_machine: false, expect_heads: false }
    });
    replica.write(Write::Decide(anew.to_vec()), &around(110)).unwrap();
    let heads = &replica.heads[&name("x")];
    assert_eq!(heads.iter().filter(|h| h.is_unsettled()).count(), 2, "people have to agree");
}

#[test]
fn a_decision_restores_nothing_that_another_brings_along_elsewhere() {
    let mut replica = Replica::new(1, 1);
    let sides = vec![stamped("a", "x", "1", 2, 1, 10, &[]), stamped("b", "x", "1", 3, 1, 11, &[])];
    replica.write(from_peer(sides), &around(60)).unwrap();
    let conflict = replica.graph(&name("x")).conflict().unwrap();
    let person = |adopts: usize| {
        let mut decision = Decision::adopting(vec![conflict.heads[adopts].clone()], "keep", "person");
        decision.conflict = Some(conflict.id.clone());
        decision
    };
    let mut merges = person(0);
    merges.merged = vec![serde_json::from_str(r#"{"id":"m","type":"t","data":1}"#).unwrap()];
    let mut restores = person(1);
    restores.restored = vec![EventId::new("m").unwrap()];
    for (decision, now) in [(merges, 70), (restores, 80)] {
        let (aggregate, parents) = (name("x"), conflict.heads.clone());
        let draft = DecisionDraft { aggregate, parents, decision, by_machine: false, expect_heads: false };
        replica.write(Write::Decide(vec![draft]), &around(now)).unwrap();
    }
    assert_eq!(view(&replica, "x"), ["b"], "the later person did not know of it");
}
