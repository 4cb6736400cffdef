//! The oracle agrees with good histories, and finds what is wrong with others.

mod doctored;
mod random;
mod sample;

use synckit_core::{VertexId, graph::ViewEvent};

use self::sample::{Replica, event, first, stamped, stub, withdrawal};

fn vertex(id: &str) -> VertexId {
    VertexId::new(id).unwrap()
}

fn one() -> Replica {
    Replica::several(1, 1).remove(0)
}

/// A replica in conflict: two first events, `x` and the later `y`.
fn rivals() -> Replica {
    let (one, other) = (one(), one());
    let written = one.take(&other, vec![first("x", 2, 10), first("y", 3, 20)]);
    assert_eq!(written.accepted(), 2);
    one
}

fn ids(view: Vec<ViewEvent>) -> Vec<String> {
    view.iter().map(|e| e.id().to_string()).collect()
}

/// The only decision that is a head.
fn decision(of: &Replica) -> VertexId {
    let heads = of.history().heads();
    assert_eq!(heads.len(), 1);
    heads[0].clone()
}

#[test]
fn no_history() {
    let one = one();
    one.check_all().unwrap();
    assert!(one.history().is_empty());
}

#[test]
fn without_conflicts() {
    let one = one();
    (0..3).for_each(|i| assert!(one.append(&format!("e{i}"), "data")));
    one.check_all().unwrap();
    assert_eq!(ids(one.history().view()), ["e0", "e1", "e2"]);
    assert_eq!(ids(one.history().view_at(&vertex("e1"))), ["e0", "e1"]);
}

#[test]
fn in_conflict_and_in_review() {
    let one = rivals();
    one.check_all().unwrap();
    let history = one.history();
    assert_eq!(history.active_heads(), [vertex("x"), vertex("y")]);
    assert_eq!(ids(history.view()), ["y"]);
    assert!(history.conflict().is_some());
    one.review();
    one.check_all().unwrap();
    assert_eq!(one.reviews().len(), 1);
    assert_eq!(one.history().len(), 2);
}

#[test]
fn decided_by_a_machine_then_by_a_person_and_undone() {
    let one = rivals();
    one.last_write_wins();
    one.check_all().unwrap();
    let machine = decision(&one);
    assert!(machine.is_reserved() && !one.history().people_decided());
    assert_eq!(ids(one.history().view()), ["y"]);
    assert!(one.append("e", "data"));
    one.check_all().unwrap();
    one.undo(&machine);
    one.check_all().unwrap();
    assert!(one.history().people_decided());

    let other = rivals();
    other.keep(&["x"]);
    other.check_all().unwrap();
    assert_eq!(ids(other.history().view()), ["x"]);
    other.undo(&decision(&other));
    other.check_all().unwrap();
    assert_eq!(ids(other.history().view()), ["y"]);
    other.undo(&decision(&other));
    other.check_all().unwrap();
    assert_eq!(ids(other.history().view()), ["x"]);
}

#[test]
fn copies_of_a_machines_decision_are_one() {
    let (one, other) = (rivals(), rivals());
    one.last_write_wins();
    other.write(synckit_core::store::Write::Append(vec![
        synckit_core::Event::new("thing.happened", "b", "data").unwrap(),
    ]));
    other.last_write_wins();
    one.pull(&other);
    one.check_all().unwrap();
    assert_eq!(one.history().entries.decisions.len(), 2);
    assert_eq!(one.history().len(), 3);
}

#[test]
fn withdrawn() {
    let one = one();
    assert!(one.append("e", "data"));
    assert!(one.append("f", "data"));
    one.withdraw("e");
    one.check_all().unwrap();
    let history = one.history();
    assert!(history.has_withdrawals());
    assert_eq!(ids(history.view()), ["f"]);
    assert_eq!(history.len(), 2);
}

#[test]
fn withdrawn_and_never_held() {
    let (one, other) = (one(), one());
    let x = first("x", 2, 10);
    one.take(&other, vec![withdrawal(&x, 11), stamped(event("y", "data"), 3, 20, &["x"])]);
    one.check_all().unwrap();
    assert_eq!(one.history().len(), 2);
    assert_eq!(ids(one.history().view()), ["y"]);
    assert_eq!(one.take(&other, vec![x]).accepted(), 0);
    one.check_all().unwrap();
    assert_eq!(ids(one.history().view()), ["y"]);
}

#[test]
fn the_smaller_stamp_holds_a_withdrawn_id() {
    for (at, holds) in [(5, true), (20, false)] {
        for turned in [false, true] {
            let (one, other) = (one(), one());
            let x = first("x", 2, 10);
            let another = stamped(event("x", "something else"), 3, at, &[]);
            let mut entries = vec![withdrawal(&x, 11), another];
            if turned {
                entries.reverse();
            }
            for entry in entries {
                one.take(&other, vec![entry]);
            }
            one.check_all().unwrap();
            let view = ids(one.history().view());
            assert_eq!(view, if holds { vec!["x"] } else { Vec::new() });
        }
    }
}

#[test]
fn an_event_counts_under_the_stamp_that_is_not_withdrawn() {
    let (x, again) = (first("x", 2, 10), first("x", 3, 20));
    for order in [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 2, 0]] {
        let (one, other) = (one(), one());
        let all = [x.clone(), again.clone(), withdrawal(&x, 11)];
        for i in order {
            one.take(&other, vec![all[i].clone()]);
        }
        one.check_all().unwrap();
        assert_eq!(ids(one.history().view()), ["x"], "in the order {order:?}");
    }
}

#[test]
fn stubs_are_never_listed() {
    let (one, other) = (one(), one());
    let y = || stamped(event("y", "data"), 3, 20, &["x"]);
    one.take(&other, vec![stub(first("x", 2, 10)), y()]);
    one.check_all().unwrap();
    assert!(one.history().has_stubs());
    assert_eq!(ids(one.history().view()), ["y"]);
    one.take(&other, vec![first("x", 2, 10)]);
    one.check_all().unwrap();
    assert!(!one.history().has_stubs() && !one.history().has_replaced());
    assert_eq!(ids(one.history().view()), ["x", "y"]);
}

#[test]
fn what_is_built_on_another_aggregate_begins_anew() {
    let (one, other) = (one(), one());
    let mut elsewhere = first("x", 2, 10);
    elsewhere.event.aggregate_id = synckit_core::AggregateId::new("b").unwrap();
    let written = one.take(&other, vec![elsewhere, stamped(event("y", "data"), 3, 20, &["x"])]);
    assert_eq!(written.accepted(), 2);
    one.check_all().unwrap();
    assert_eq!(one.history().len(), 1);
}

#[test]
fn of_two_stamps_the_smaller_counts() {
    let (one, other) = (one(), one());
    one.take(&other, vec![first("x", 2, 10), first("y", 3, 20)]);
    one.take(&other, vec![first("y", 3, 5)]);
    one.check_all().unwrap();
    assert!(one.history().has_replaced());
    assert_eq!(ids(one.history().view()), ["x"]);
}
