//! Who is told what, and when.

use std::{
    sync::{Arc, Mutex, OnceLock, Weak},
    thread,
};

use crate::support::{Order, Scribe, machine, rules, with_timeouts};
use synckit_machine::{Machine, Note, Observer, ObserverId, Transition};

type Lines = Arc<Mutex<Vec<String>>>;

fn scribe(machine: &Machine<Order>, name: &'static str, lines: &Lines) -> ObserverId {
    machine.subscribe(Arc::new(Scribe { name, lines: Arc::clone(lines) }))
}

fn taken(lines: &Lines) -> Vec<String> {
    std::mem::take(&mut lines.lock().unwrap())
}

#[test]
fn observers_are_told_in_order_until_they_unsubscribe() {
    let (machine, lines) = (machine(&with_timeouts()), Lines::default());
    let first = scribe(&machine, "a", &lines);
    let second = scribe(&machine, "b", &lines);
    machine.transition(Order::Sent, 1, Note::new()).unwrap_err();
    machine.expire(1_000_000).unwrap();
    machine.expire(3_000_000).unwrap();
    let told = taken(&lines);
    assert_eq!(
        told,
        [
            "a: order 1 not New to Sent at 1",
            "b: order 1 not New to Sent at 1",
            "a: order 1 New timed out at 1000000",
            "b: order 1 New timed out at 1000000",
            "a: order 1 New timed out at 3000000",
            "b: order 1 New timed out at 3000000",
            "a: order 1 1 Cancelled",
            "b: order 1 1 Cancelled",
        ]
    );
    assert!(machine.unsubscribe(first) && !machine.unsubscribe(first));
    machine.transition(Order::New, 4, Note::new()).unwrap_err();
    assert_eq!(taken(&lines), ["b: order 1 not Cancelled to New at 4"]);
    assert!(machine.unsubscribe(second));
    machine.transition(Order::New, 5, Note::new()).unwrap_err();
    assert!(taken(&lines).is_empty());
}

#[test]
fn a_subscription_of_another_machine_ends_nothing() {
    let (one, other, lines) = (machine(&rules()), machine(&rules()), Lines::default());
    scribe(&one, "a", &lines);
    let id = scribe(&other, "b", &lines);
    assert!(!one.unsubscribe(id));
}

struct Panics;

impl Observer<Order> for Panics {
    fn transitioned(&self, _: &str, _: &Transition<Order>) {
        panic!("an observer's own trouble");
    }
}

#[test]
fn a_panic_changes_nothing() {
    let (machine, lines) = (machine(&rules()), Lines::default());
    machine.subscribe(Arc::new(Panics));
    scribe(&machine, "a", &lines);
    machine.transition(Order::Paid, 1, Note::new()).unwrap();
    machine.transition(Order::Sent, 2, Note::new()).unwrap();
    assert_eq!(machine.current(), Order::Sent);
    assert_eq!(taken(&lines), ["a: order 1 1 Paid", "a: order 1 2 Sent"]);
}

/// Sends what is paid, and then listens no more.
#[derive(Default)]
struct Sends {
    machine: OnceLock<(Weak<Machine<Order>>, ObserverId)>,
}

impl Observer<Order> for Sends {
    fn transitioned(&self, _: &str, transition: &Transition<Order>) {
        let (machine, id) = self.machine.get().unwrap();
        let machine = machine.upgrade().unwrap();
        assert_eq!(transition.to, Order::Paid);
        machine.transition(Order::Sent, transition.at + 1, Note::new()).unwrap();
        assert!(machine.unsubscribe(*id));
    }
}

#[test]
fn an_observer_may_move_the_machine_and_unsubscribe() {
    let (machine, lines) = (Arc::new(machine(&rules())), Lines::default());
    let sends = Arc::new(Sends::default());
    let id = machine.subscribe(Arc::clone(&sends) as Arc<dyn Observer<Order>>);
    assert!(sends.machine.set((Arc::downgrade(&machine), id)).is_ok());
    scribe(&machine, "a", &lines);
    machine.transition(Order::Paid, 1, Note::new()).unwrap();
    assert_eq!(taken(&lines), ["a: order 1 1 Paid", "a: order 1 2 Sent"]);
    assert_eq!(machine.current(), Order::Sent);
}

/// Has a scribe subscribe when the machine moves.
struct Introduces {
    machine: OnceLock<Weak<Machine<Order>>>,
    lines: Lines,
}

impl Observer<Order> for Introduces {
    fn transitioned(&self, _: &str, _: &Transition<Order>) {
        scribe(&self.machine.get().unwrap().upgrade().unwrap(), "late", &self.lines);
    }
}

#[test]
fn who_comes_late_is_not_told_what_was_before() {
    let (machine, lines) = (Arc::new(machine(&rules())), Lines::default());
    let introduces = Arc::new(Introduces { machine: OnceLock::new(), lines: Arc::clone(&lines) });
    assert!(introduces.machine.set(Arc::downgrade(&machine)).is_ok());
    machine.subscribe(introduces);
    machine.transition(Order::Paid, 1, Note::new()).unwrap();
    assert!(taken(&lines).is_empty());
    machine.transition(Order::Sent, 2, Note::new()).unwrap();
    assert_eq!(taken(&lines), ["late: order 1 2 Sent"]);
}

#[test]
fn threads_that_move_the_machine_keep_the_order() {
    let (machine, lines) = (machine(&rules()), Lines::default());
    scribe(&machine, "a", &lines);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for at in 0..200 {
                    let _ = machine.transition_from(Order::New, Order::Paid, at, Note::new());
                    let _ = machine.transition_from(Order::Paid, Order::New, at, Note::new());
                }
            });
        }
    });
    let moved: Vec<String> = taken(&lines).into_iter().filter(|line| !line.contains("not")).collect();
    let expected: Vec<String> = (1..=moved.len())
        .map(|n| format!("a: order 1 {n} {}", if n % 2 == 1 { "Paid" } else { "New" }))
        .collect();
    assert_eq!(moved, expected);
    assert!(moved.len() >= 2);
}
