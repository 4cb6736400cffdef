//! A seeded simulation of synckit nodes, their faults and the people who use them.
#![forbid(unsafe_code)]

mod actions;
mod backend;
mod executor;
mod faults;
mod heal;
mod ledger;
mod net;
pub mod oracle;
mod points;
mod resolvers;
mod rng;
mod run;
mod script;
mod shared;
mod store;
mod trace;
mod world;

pub use crate::{
    backend::{Host, Kind},
    faults::Fault,
    ledger::Totals,
    points::{Call, Phase, Points},
    run::{Outcome, quiet_panics},
};

/// Runs the history of a seed.
pub fn run_seed(seed: u64, kind: Kind, host: &std::sync::Arc<Host>, keep_trace: bool) -> Outcome {
    run::run(&script::Script::of(seed), kind, host, keep_trace)
}
