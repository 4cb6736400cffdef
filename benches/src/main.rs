//! How fast the kit is, and how much memory it takes: `cargo xtask bench`, and docs/benchmarks.md.
#![forbid(unsafe_code)]

mod append;
mod change;
mod child;
mod figure;
mod fjall;
mod load;
mod memory;
mod peer;
mod places;
mod postgres;
mod process;
mod raw;
mod resolve;
mod scale;
mod sync;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use synckit::CursorMode;

use crate::{
    figure::Figure,
    world::{Outcome, World},
};

/// A bench: its name, its groups, and what it does.
struct Bench {
    name: &'static str,
    groups: &'static [&'static str],
    run: fn(&mut World) -> Outcome<Vec<Figure>>,
}

/// All of them, in the order in which they run.
const BENCHES: [Bench; 12] = [
    Bench { name: "append", groups: &["stores", "sqlite"], run: append::run },
    Bench { name: "load", groups: &["stores", "sqlite"], run: load::run },
    Bench { name: "append-postgres", groups: &["stores", "postgres"], run: postgres::append },
    Bench { name: "load-postgres", groups: &["stores", "postgres"], run: postgres::load },
    Bench { name: "append-fjall", groups: &["stores", "fjall"], run: fjall::append },
    Bench { name: "pull", groups: &["sync"], run: sync::pull },
    Bench { name: "push", groups: &["sync"], run: sync::push },
    Bench { name: "rules", groups: &["resolve"], run: resolve::rules },
    Bench { name: "detect", groups: &["resolve"], run: resolve::detect },
    Bench { name: "diff", groups: &["resolve"], run: resolve::difference },
    Bench { name: "memory", groups: &["scale"], run: memory::run },
    Bench { name: "change", groups: &["scale"], run: change::run },
];

#[derive(Debug, Parser)]
#[command(name = "synckit-bench", about = "How fast synckit is, and how much memory it takes")]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Benches or groups; all of them if none is named.
    names: Vec<String>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    work: Option<Work>,
}

/// What takes its own time, and the processes whose memory is measured.
#[derive(Debug, Subcommand)]
enum Work {
    /// Stores with very long logs against stores with short ones: minutes to an hour, and gigabytes on disk.
    Scale {
        /// How many events the long logs have.
        #[arg(long, default_value_t = 10_000_000)]
        events: usize,
        /// Which stores, with commas between them; all unless given.
        #[arg(long, value_delimiter = ',')]
        stores: Vec<String>,
        /// One JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
    },
    #[command(hide = true)]
    ScanProcess { store: String },
    #[command(hide = true)]
    HubProcess { store: PathBuf },
    #[command(hide = true)]
    ClientProcess { store: PathBuf, remote: String, mode: CursorMode },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.work {
        Some(Work::HubProcess { store }) => process::hub(store).map(|()| true),
        Some(Work::ClientProcess { store, remote, mode }) => {
            process::client(store, &remote, mode).map(|()| true)
        }
        Some(Work::Scale { events, mut stores, json }) => {
            if stores.is_empty() {
                stores = places::KINDS.map(str::to_owned).to_vec();
            }
            World::new()
                .and_then(|mut world| scale::run(&mut world, &stores, events))
                .map(|f| shown(&f, json))
        }
        Some(Work::ScanProcess { store }) => scale::scan(&store).map(|()| true),
        None => run(&arguments.names, arguments.json),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Shows figures. Whether all targets were met.
fn shown(figures: &[Figure], json: bool) -> bool {
    if json {
        figures.iter().for_each(|figure| println!("{}", figure.as_json()));
    } else {
        print!("{}", figure::table(figures));
    }
    figures.iter().all(Figure::is_met)
}

/// Runs the benches, and shows each figure as soon as it is known. Whether all targets were met.
fn run(names: &[String], json: bool) -> Outcome<bool> {
    let named = |bench: &Bench, name: &String| name == bench.name || bench.groups.contains(&name.as_str());
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|bench| named(bench, name))) {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        return Err(format!("there is no bench {unknown:?}; there are {}", known.join(", ")).into());
    }
    let mut world = World::new()?;
    let mut figures = Vec::new();
    for bench in &BENCHES {
        if !names.is_empty() && !names.iter().any(|name| named(bench, name)) {
            continue;
        }
        eprintln!("{}", bench.name);
        for figure in (bench.run)(&mut world)? {
            if json {
                println!("{}", figure.as_json());
            }
            figures.push(figure);
        }
    }
    if !json {
        print!("{}", figure::table(&figures));
    }
    Ok(figures.iter().all(Figure::is_met))
}
