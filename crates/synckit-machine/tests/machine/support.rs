//! A machine of an order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use synckit_machine::{Deadline, Machine, Observer, Rules, RulesBuilder, State, TimeoutAction, Transition};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Order {
    New,
    Paid,
    Sent,
    Cancelled,
}

impl Order {
    pub(crate) const ALL: [Self; 4] = [Self::New, Self::Paid, Self::Sent, Self::Cancelled];
}

impl State for Order {
    fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Paid => "paid",
            Self::Sent => "sent",
            Self::Cancelled => "cancelled \"for good\"\\",
        }
    }
}

pub(crate) fn builder() -> RulesBuilder<Order> {
    Rules::builder("order", Order::New)
        .allow(Order::New, [Order::Paid, Order::Cancelled])
        .allow(Order::Paid, [Order::Sent, Order::New])
}

pub(crate) fn rules() -> Rules<Order> {
    builder().build().unwrap()
}

pub(crate) fn with_timeouts() -> Rules<Order> {
    let second = Duration::from_secs(1);
    builder()
        .timeout(Order::New, second * 3, TimeoutAction::TransitionTo(Order::Cancelled))
        .timeout(Order::New, second, TimeoutAction::Report)
        .build()
        .unwrap()
}

pub(crate) fn machine(rules: &Rules<Order>) -> Machine<Order> {
    Machine::new(rules, "order 1", 0)
}

/// Writes down what it is told, each line beginning with its name.
pub(crate) struct Scribe {
    pub(crate) name: &'static str,
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
}

impl Scribe {
    fn write(&self, line: &str) {
        self.lines.lock().unwrap().push(format!("{}: {line}", self.name));
    }
}

impl Observer<Order> for Scribe {
    fn transitioned(&self, machine: &str, transition: &Transition<Order>) {
        self.write(&format!("{machine} {} {:?}", transition.sequence, transition.to));
    }

    fn refused(&self, machine: &str, from: Order, to: Order, at: u64) {
        self.write(&format!("{machine} not {from:?} to {to:?} at {at}"));
    }

    fn timed_out(&self, machine: &str, deadline: &Deadline<Order>) {
        self.write(&format!("{machine} {:?} timed out at {}", deadline.state, deadline.at));
    }
}
