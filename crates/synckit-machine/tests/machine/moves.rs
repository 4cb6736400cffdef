//! Rules, moves, deadlines, snapshots and drawings.

use std::{sync::Barrier, thread, time::Duration};

use crate::support::{Order, builder, machine, rules, with_timeouts};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use synckit_machine::{Machine, Note, RestoreError, Rules, RulesError, Snapshot, State, TimeoutAction};

#[test]
fn rules_are_checked_when_they_are_built() {
    let name = || "order".to_owned();
    let built = |b: synckit_machine::RulesBuilder<Order>| b.build().unwrap_err();
    assert_eq!(built(Rules::builder("order", Order::New)), RulesError::Empty { rules: name() });
    assert_eq!(
        built(Rules::builder("order", Order::New).allow(Order::New, [])),
        RulesError::Empty { rules: name() }
    );
    assert_eq!(
        built(Rules::builder("order", Order::Cancelled).allow(Order::New, [Order::Paid])),
        RulesError::UnknownInitial { rules: name(), state: "cancelled \"for good\"\\" }
    );
    let paid_only = || Rules::builder("order", Order::New).allow(Order::New, [Order::Paid]);
    let second = Duration::from_secs(1);
    assert_eq!(
        built(paid_only().timeout(Order::Sent, second, TimeoutAction::Report)),
        RulesError::UnknownTimeoutState { rules: name(), state: "sent" }
    );
    assert_eq!(
        built(paid_only().timeout(Order::Paid, second, TimeoutAction::TransitionTo(Order::New))),
        RulesError::TimeoutNotAllowed { rules: name(), from: "paid", to: "new" }
    );
    for after in [Duration::ZERO, Duration::MAX] {
        assert_eq!(
            built(paid_only().timeout(Order::Paid, after, TimeoutAction::Report)),
            RulesError::TimeoutLength { rules: name(), state: "paid", after }
        );
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Misnamed {
    One,
    AlsoOne,
    Nameless,
}

impl State for Misnamed {
    fn name(&self) -> &'static str {
        if *self == Self::Nameless { "" } else { "one" }
    }
}

#[test]
fn states_need_names_of_their_own() {
    use Misnamed::{AlsoOne, Nameless, One};
    let built = |to| Rules::builder("bad", One).allow(One, [to]).build().unwrap_err();
    assert_eq!(built(AlsoOne), RulesError::SameName { rules: "bad".into(), name: "one" });
    assert_eq!(built(Nameless), RulesError::NoName { rules: "bad".into() });
}

#[test]
fn states_without_a_way_out_are_terminal() {
    let rules = rules();
    let terminal: Vec<Order> = Order::ALL.into_iter().filter(|s| rules.is_terminal(*s)).collect();
    assert_eq!(terminal, [Order::Sent, Order::Cancelled]);
}

#[test]
fn a_move_is_noted_and_a_wrong_one_changes_nothing() {
    let machine = machine(&rules());
    let note = Note::from([("by".to_owned(), "ann".to_owned())]);
    assert!(machine.can(Order::Paid) && !machine.can(Order::Sent));
    let moved = machine.transition(Order::Paid, 7, note.clone()).unwrap();
    assert_eq!((moved.sequence, moved.from, moved.to), (1, Order::New, Order::Paid));
    assert_eq!((moved.at, moved.stayed, &moved.note), (7, 7, &note));

    let refused = machine.transition(Order::Cancelled, 8, Note::new()).unwrap_err();
    assert_eq!((refused.from, refused.to), (Order::Paid, Order::Cancelled));
    assert!(refused.to_string().starts_with("\"order 1\" cannot go from \"paid\" to"));
    assert!(machine.transition_from(Order::New, Order::Sent, 8, Note::new()).is_err());
    assert_eq!(machine.history(), [moved]);

    let back = machine.transition_from(Order::Paid, Order::New, 5, Note::new()).unwrap();
    assert_eq!(back.stayed, 0);
}

#[test]
fn the_history_is_bounded() {
    for most in [0, 1, 3] {
        let machine = machine(&builder().history(most).build().unwrap());
        for at in 0..10 {
            let to = if at % 2 == 0 { Order::Paid } else { Order::New };
            machine.transition(to, at, Note::new()).unwrap();
        }
        let kept: Vec<u64> = machine.history().iter().map(|t| t.sequence).collect();
        assert_eq!(kept, (11 - most as u64..=10).collect::<Vec<_>>());
    }
}

#[test]
fn of_moves_that_exclude_each_other_one_succeeds() {
    let rules = rules();
    for _ in 0..200 {
        let machine = machine(&rules);
        let start = Barrier::new(4);
        let won: Vec<bool> = thread::scope(|scope| {
            let racers: Vec<_> = [Order::Paid, Order::Cancelled, Order::Paid, Order::Cancelled]
                .into_iter()
                .map(|to| {
                    let (machine, start) = (&machine, &start);
                    scope.spawn(move || {
                        start.wait();
                        machine.transition(to, 1, Note::new()).is_ok()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|w| **w).count(), 1);
        assert_eq!(machine.history().len(), 1);
    }
}

#[test]
fn deadlines_pass_in_order_and_once_per_stay() {
    let machine = machine(&with_timeouts());
    assert!(machine.due(999_999).is_none() && machine.expire(999_999).is_none());
    assert_eq!(machine.due(1_000_000).unwrap().action, TimeoutAction::Report);
    assert_eq!(machine.expire(1_000_000).unwrap().at, 1_000_000);
    assert_eq!(machine.current(), Order::New);
    assert!(machine.expire(2_999_999).is_none());
    assert_eq!(machine.deadline().unwrap().at, 3_000_000);
    assert!(machine.expire(3_000_005).is_some());
    assert_eq!(machine.current(), Order::Cancelled);
    assert_eq!(machine.history()[0].note["timeout"], "new");
    assert!(machine.deadline().is_none() && machine.expire(u64::MAX).is_none());
}

#[test]
fn a_new_stay_has_all_deadlines_again() {
    let machine = machine(&with_timeouts());
    machine.expire(1_000_000).unwrap();
    machine.transition(Order::Paid, 1_000_001, Note::new()).unwrap();
    machine.transition(Order::New, 2_000_000, Note::new()).unwrap();
    let deadline = machine.deadline().unwrap();
    assert_eq!((deadline.at, deadline.action), (3_000_000, TimeoutAction::Report));
}

#[test]
fn a_deadline_does_nothing_once_the_state_was_left() {
    let machine = machine(&with_timeouts());
    assert!(machine.due(3_000_000).is_some());
    machine.transition(Order::Paid, 3_000_000, Note::new()).unwrap();
    assert!(machine.expire(9_000_000).is_none());
    machine.transition(Order::New, 9_000_000, Note::new()).unwrap();
    assert!(machine.expire(9_999_999).is_none());
    assert_eq!(machine.expire(10_000_000).unwrap().at, 10_000_000);
}

#[test]
fn a_deadline_beyond_the_end_of_time_never_passes() {
    let machine = Machine::new(&with_timeouts(), "late", u64::MAX - 1);
    assert!(machine.deadline().is_none() && machine.expire(u64::MAX).is_none());
}

#[test]
fn a_restored_machine_goes_on_where_it_was() {
    let rules = with_timeouts();
    let before = machine(&rules);
    before.transition(Order::Paid, 1, Note::new()).unwrap();
    before.transition(Order::New, 2, Note::new()).unwrap();
    before.expire(1_000_002).unwrap();
    let text = serde_json::to_string(&before.snapshot()).unwrap();
    let after = Machine::restore(&rules, serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(after.snapshot(), before.snapshot());
    assert_eq!((after.name(), after.deadline()), ("order 1", before.deadline()));
    assert_eq!(after.transition(Order::Paid, 9, Note::new()).unwrap().sequence, 3);

    let shorter = builder().history(1).build().unwrap();
    let shortened = Machine::restore(&shorter, before.snapshot()).unwrap();
    assert_eq!(shortened.history()[0].sequence, 2);
}

#[test]
fn a_snapshot_that_does_not_fit_is_refused() {
    let machine = machine(&rules());
    machine.transition(Order::Paid, 1, Note::new()).unwrap();
    machine.transition(Order::Sent, 2, Note::new()).unwrap();
    let good = serde_json::to_value(machine.snapshot()).unwrap();
    let with = |pointer: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<Snapshot<Order>>(changed)
    };
    let refused =
        |pointer: &str, value| Machine::restore(&rules(), with(pointer, value).unwrap()).unwrap_err();
    assert_eq!(refused("/version", json!(2)), RestoreError::Version { found: 2, known: 1 });
    let other = RestoreError::OtherRules { found: "x".into(), expected: "order".into() };
    assert_eq!(refused("/rules", json!("x")), other);
    let broken = RestoreError::Broken { machine: "order 1".into() };
    assert_eq!(refused("/state", json!("Paid")), broken);
    assert_eq!(refused("/sequence", json!(7)), broken);
    assert_eq!(refused("/history/0/to", json!("New")), broken);
    assert!(with("/state", json!("Stolen")).is_err());

    let fewer = Rules::builder("order", Order::New).allow(Order::New, [Order::Paid]).build().unwrap();
    let unknown = RestoreError::UnknownState { rules: "order".into(), state: "sent" };
    assert_eq!(Machine::restore(&fewer, machine.snapshot()).unwrap_err(), unknown);
}

#[test]
fn a_drawing() {
    let machine = machine(&rules());
    machine.transition(Order::Cancelled, 1, Note::new()).unwrap();
    let expected = r#"digraph "order 1" {
  rankdir=LR;
  node [shape=circle];
  "" [shape=point];
  "new";
  "paid";
  "cancelled \"for good\"\\" [shape=doublecircle, style=filled, fillcolor=lightblue];
  "sent" [shape=doublecircle];
  "" -> "new";
  "new" -> "paid";
  "new" -> "cancelled \"for good\"\\";
  "paid" -> "sent";
  "paid" -> "new";
}
"#;
    assert_eq!(machine.to_dot(), expected);
}

proptest! {
    #[test]
    fn moves_never_leave_the_graph(moves in proptest::collection::vec((0..4_usize, any::<u64>()), 0..80)) {
        let rules = with_timeouts();
        let machine = machine(&rules);
        for (to, now) in moves {
            let (to, from) = (Order::ALL[to], machine.current());
            let moved = machine.transition(to, now, Note::new());
            prop_assert_eq!(moved.is_ok(), rules.allows(from, to));
            prop_assert_eq!(machine.current(), if moved.is_ok() { to } else { from });
            machine.expire(now.saturating_add(1_500_000));
        }
        let history = machine.history();
        prop_assert!(history.iter().all(|t| rules.allows(t.from, t.to)));
        prop_assert!(history.windows(2).all(|t| t[0].to == t[1].from));

        let text = serde_json::to_string(&machine.snapshot()).unwrap();
        let restored = Machine::restore(&rules, serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(restored.snapshot(), machine.snapshot());
    }
}
