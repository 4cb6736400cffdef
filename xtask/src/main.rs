//! The project's chores: `cargo xtask --help`.
#![forbid(unsafe_code)]

mod bench;
mod january;
mod january_rules;
mod run;
mod servers;
mod sim;
mod tidy;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::run::{Outcome, cargo};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Everything that continuous integration checks.
    Ci,
    /// Every test, with servers of its own for those that need some.
    Test,
    /// The rules of the workspace that no other tool checks.
    Tidy,
    /// A month of flights through the command line: three replicas, one hub, both modes.
    January {
        /// CloudEvents, one JSON object a line, plain or gzip; January 2013 by default.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Seeded histories of whole nodes, with faults and people, checked against the model.
    #[command(disable_help_flag = true)]
    Sim {
        /// --seeds N, --seed S, --only STEPS, --minutes M, --plant NAME|all; --help says more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Speed and memory against plain SQLite; fails if a target is missed.
    Bench {
        /// Benches or groups; all of them if none is named.
        names: Vec<String>,
        /// One JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Stores with logs of 10,000,000 events against stores with 10,000; takes long, and gigabytes on disk.
    #[command(disable_help_flag = true)]
    Scale {
        /// --events N, --stores KIND,KIND, --json; --help says more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Ci => ci(),
        Chore::Test => test(),
        Chore::Tidy => tidy::check(),
        Chore::January { file } => january::run(file),
        Chore::Sim { arguments } => sim::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()),
        Chore::Bench { names, json } => bench::run(&names, json),
        Chore::Scale { arguments } => bench::scale(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ci() -> Outcome<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    tidy::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--all-features", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    cargo(&["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"], &[])?;
    sim::run(&["--seeds", "2000"])?;
    sim::run(&["--plant", "all"])?;
    january::run(None)?;
    test()
}

fn test() -> Outcome<()> {
    let servers = servers::Servers::start()?;
    cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"], &servers.variables())
}
