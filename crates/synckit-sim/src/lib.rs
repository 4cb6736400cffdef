#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod actions;
mod backend;
mod campaign;
mod executor;
mod faults;
mod heal;
mod ledger;
mod net;
pub mod oracle;
mod plants;
mod points;
mod resolvers;
mod rng;
mod rule_files;
mod run;
mod script;
mod shared;
mod shrink;
mod store;
mod trace;
mod world;

use std::sync::Arc;

pub use crate::{
    backend::{Host, Kind, POSTGRES_URL},
    campaign::{Campaign, run_campaign, run_plants},
    faults::Fault,
    ledger::Totals,
    plants::{PLANTS, Planted},
    points::{Call, Phase, Points},
    run::{Outcome, quiet_panics},
};
use crate::{run::run, script::Script};

/// Runs the history of a seed.
pub fn run_seed(seed: u64, kind: Kind, host: &Arc<Host>, keep_trace: bool) -> Outcome {
    run(&Script::of(seed), kind, host, keep_trace)
}

/// Runs the history of a seed, or some of its steps, and prints its trace; a failing one is made shorter. Gives whether all
/// is well.
///
/// # Errors
/// If `only` names no steps.
pub fn replay(seed: u64, only: Option<&str>, host: &Arc<Host>) -> Result<bool, String> {
    let mut script = Script::of(seed);
    if let Some(only) = only {
        script = script.part(&shrink::from_ranges(only)?);
    }
    let outcome = run(&script, Kind::Memory, host, true);
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in &outcome.lines {
        // Whoever reads may have had enough.
        if writeln!(out, "{line}").is_err() {
            return Ok(outcome.violation.is_none());
        }
    }
    drop(out);
    if outcome.violation.is_some() && only.is_none() {
        campaign::explain(&script, Kind::Memory, host);
    }
    Ok(outcome.violation.is_none())
}
