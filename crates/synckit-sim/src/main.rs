//! The simulation as a program; `cargo xtask sim` builds and runs it.
#![forbid(unsafe_code)]

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use synckit_sim::{
    Campaign, Host, PLANTS, POSTGRES_URL, Planted, quiet_panics, replay, run_campaign, run_plants,
};

/// Seeded histories of synckit nodes, with faults, checked against the model.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
struct Arguments {
    /// How many histories; of a planted bug, how many at most.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed, or, without --seeds, the only one, with its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these steps of the history, such as 1,4-6.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    only: Option<String>,
    /// Begin no history after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Plant a bug that a product shipped, or all, one after the other, and look for it.
    #[arg(long, conflicts_with_all = ["only", "minutes"])]
    plant: Option<String>,
}

fn main() -> ExitCode {
    quiet_panics();
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let host = Host::new().map_err(|e| format!("no place for stores in files: {e}"))?;
    if let Some(name) = &arguments.plant {
        return run_plants(&named(name)?, arguments.seeds, &Arc::new(host));
    }
    if let (Some(seed), None) = (arguments.seed, arguments.seeds) {
        return replay(seed, arguments.only.as_deref(), &Arc::new(host));
    }
    let host = match std::env::var(POSTGRES_URL) {
        Ok(url) => host.with_postgres(&url).map_err(|e| format!("{POSTGRES_URL}: {e}"))?,
        Err(_) => host,
    };
    let limit = arguments.minutes.map(|m| Duration::from_secs_f64(m.max(0.0) * 60.0));
    let seeds = arguments.seeds.unwrap_or(if limit.is_some() { u64::MAX } else { 2_000 });
    Ok(run_campaign(Campaign { first: arguments.seed.unwrap_or(0), seeds, limit }, &Arc::new(host)))
}

fn named(name: &str) -> Result<Vec<Planted>, String> {
    let list: Vec<Planted> = PLANTS.into_iter().filter(|p| name == "all" || p.name == name).collect();
    if list.is_empty() {
        let known: Vec<&str> = PLANTS.iter().map(|p| p.name).collect();
        return Err(format!("there is no bug named {name:?}; known are all, {}", known.join(", ")));
    }
    Ok(list)
}
