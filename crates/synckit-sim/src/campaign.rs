//! Many histories, and what they add up to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    backend::{Host, Kind, POSTGRES_URL},
    faults::Fault,
    ledger::Totals,
    plants::{self, Planted},
    points::Points,
    run::{Outcome, run},
    script::Script,
    shrink::{as_ranges, shrink},
};

/// Of so many seeds, one runs on SQLite as well, and another on fjall.
const ON_FILES: u64 = 200;
/// Of so many seeds, one runs on PostgreSQL as well.
const ON_POSTGRES: u64 = 400;
/// The remainder of those.
const POSTGRES: u64 = 125;
/// Of so many seeds, one runs twice.
const TWICE: u64 = 50;
/// Runs of fewer histories need not meet every fault.
const ENOUGH_FOR_FAULTS: u64 = 500;
/// Runs of fewer histories need not end nodes at every point.
const ENOUGH_FOR_POINTS: u64 = 2_000;
const LINES_SHOWN: usize = 60;
const LEAST: [(&str, u64); 3] = [("appends", 50), ("faults", 8), ("conflicts", 5)];

/// Which histories to run.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// No new history begins after this time.
    pub limit: Option<Duration>,
}

/// What all histories add up to.
#[derive(Debug, Default)]
struct Sum {
    histories: u64,
    on_sqlite: u64,
    on_fjall: u64,
    on_postgres: u64,
    twice: u64,
    totals: Totals,
    faults: BTreeMap<Fault, u64>,
    points: Points,
    /// Per history: appends, faults, conflicts.
    sizes: [Vec<u64>; 3],
    most_rounds: usize,
    failures: Vec<(u64, Kind)>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.histories += 1;
        let (all, one) = (&mut self.totals, outcome.totals);
        all.appends += one.appends;
        all.entries += one.entries;
        all.conflicts += one.conflicts;
        all.decisions += one.decisions;
        all.syncs += one.syncs;
        for (fault, times) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        self.points.add(&outcome.points);
        let faults = outcome.faults.values().sum();
        for (list, n) in self.sizes.iter_mut().zip([one.appends, faults, one.conflicts]) {
            list.push(n);
        }
        self.most_rounds = self.most_rounds.max(outcome.rounds);
        if outcome.violation.is_some() {
            self.failures.push((seed, Kind::Memory));
        }
    }

    fn print(&self, took: Duration, host: &Host) {
        println!(
            "{} histories in {:.1} s, {} of them on SQLite as well, {} on fjall, {} on PostgreSQL and {} twice: {} events \
             appended, {} entries logged, {} syncs, {} conflicts, {} decisions; converged in {} rounds at most",
            self.histories,
            took.as_secs_f64(),
            self.on_sqlite,
            self.on_fjall,
            self.on_postgres,
            self.twice,
            self.totals.appends,
            self.totals.entries,
            self.totals.syncs,
            self.totals.conflicts,
            self.totals.decisions,
            self.most_rounds
        );
        if !host.has_postgres() {
            println!("none ran on PostgreSQL: {POSTGRES_URL} names no server");
        }
        let faults =
            Fault::ALL.iter().map(|f| format!("{} {}", f.as_str(), self.faults.get(f).unwrap_or(&0)));
        println!("faults: {}", faults.collect::<Vec<_>>().join(", "));
        println!("points at which nodes ended: {} distinct", self.points.distinct());
        let medians =
            LEAST.iter().zip(&self.sizes).map(|((what, _), sizes)| format!("{what} {}", median(sizes)));
        println!("medians of a history: {}", medians.collect::<Vec<_>>().join(", "));
    }

    /// What a run has to have met, to say anything.
    fn shortcomings(&self) -> Vec<String> {
        let mut short = Vec::new();
        if self.histories >= ENOUGH_FOR_FAULTS {
            let none = Fault::ALL.iter().filter(|f| !self.faults.contains_key(f));
            short.extend(none.map(|f| format!("no history had the fault {:?}", f.as_str())));
            for ((what, least), sizes) in LEAST.iter().zip(&self.sizes) {
                if median(sizes) < *least {
                    short.push(format!("the median of {what} is below {least}"));
                }
            }
        }
        if self.histories >= ENOUGH_FOR_POINTS {
            let missed = self.points.missed();
            short.extend(missed.iter().map(|(call, phase)| format!("no node ended {phase:?} {call:?}")));
        }
        short
    }
}

fn median(sizes: &[u64]) -> u64 {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Runs the histories on all processors, and prints what they add up to. Gives whether all is well.
pub fn run_campaign(campaign: Campaign, host: &Arc<Host>) -> bool {
    let begun = Instant::now();
    let next = AtomicU64::new(campaign.first);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let late = campaign.limit.is_some_and(|limit| begun.elapsed() > limit);
                    if seed >= campaign.first.saturating_add(campaign.seeds)
                        || late
                        || stop.load(Ordering::SeqCst)
                    {
                        return;
                    }
                    let outcome = one(seed, host, &sum);
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.print(begun.elapsed(), host);
    for (seed, kind) in &sum.failures {
        explain(&Script::of(*seed), *kind, host);
    }
    let short = sum.shortcomings();
    short.iter().for_each(|what| println!("error: {what}"));
    sum.failures.is_empty() && short.is_empty()
}

/// On what a seed runs as well, if on anything.
fn again(seed: u64, host: &Host) -> Option<Kind> {
    if seed % ON_POSTGRES == POSTGRES {
        return host.has_postgres().then_some(Kind::Postgres);
    }
    match seed % ON_FILES {
        0 => Some(Kind::Sqlite),
        seed if seed == ON_FILES / 2 => Some(Kind::Fjall),
        seed => seed.is_multiple_of(TWICE).then_some(Kind::Memory),
    }
}

/// Runs one history; some of them on other stores too, or a second time, which must leave the same trace and the same
/// digest.
fn one(seed: u64, host: &Arc<Host>, sum: &Mutex<Sum>) -> Outcome {
    let script = Script::of(seed);
    let outcome = run(&script, Kind::Memory, host, false);
    let other = again(seed, host).map(|kind| (kind, run(&script, kind, host, false)));
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.add(seed, &outcome);
    if let Some((kind, other)) = other {
        match kind {
            Kind::Sqlite => sum.on_sqlite += 1,
            Kind::Fjall => sum.on_fjall += 1,
            Kind::Postgres => sum.on_postgres += 1,
            Kind::Memory => sum.twice += 1,
        }
        if (other.fingerprint, &other.digest) != (outcome.fingerprint, &outcome.digest) {
            sum.failures.push((seed, kind));
        }
    }
    outcome
}

/// Prints why a history fails, as short as it can be made, and how to run it again.
pub(crate) fn explain(script: &Script, kind: Kind, host: &Arc<Host>) {
    let whole = run(script, kind, host, true);
    let Some(violation) = whole.violation else {
        let first = run(script, Kind::Memory, host, true);
        let at = first.lines.iter().zip(&whole.lines).position(|(a, b)| a != b).unwrap_or(0);
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        println!("seed {}: the same history left two traces; line {}:", script.seed, at + 1);
        println!("  {}\n  {} ({kind:?})", line(&first.lines), line(&whole.lines));
        return;
    };
    println!("seed {}: {} does not hold: {}", script.seed, violation.invariant, violation.what);
    let steps = shrink(script, violation.invariant, kind, host);
    let short = run(&script.part(&steps), kind, host, true);
    let skipped = short.lines.len().saturating_sub(LINES_SHOWN);
    println!("{} of {} steps are enough; the last lines of their trace:", steps.len(), script.steps.len());
    short
        .lines
        .iter()
        .take(1)
        .chain(short.lines.iter().skip(skipped.max(1)))
        .for_each(|line| println!("{line}"));
    println!("replay: cargo xtask sim --seed {} --only {}", script.seed, as_ranges(&steps));
}

/// Plants a bug and looks for it. Gives the seed that found it and what it found.
fn find(planted: &Planted, seeds: u64, host: &Arc<Host>) -> Result<Option<(u64, Outcome)>, String> {
    for seed in 0..seeds {
        plants::set(Some(planted.plant))?;
        let outcome = run(&Script::of(seed), Kind::Memory, host, false);
        plants::set(None)?;
        if outcome.violation.is_some() {
            return Ok(Some((seed, outcome)));
        }
    }
    Ok(None)
}

/// Plants bugs one by one: each must be found within so many seeds, or twice the number in the table, and the seed that
/// finds it must pass without it. Gives whether all is well.
///
/// # Errors
/// If this build cannot plant bugs.
pub fn run_plants(list: &[Planted], seeds: Option<u64>, host: &Arc<Host>) -> Result<bool, String> {
    let mut well = true;
    for planted in list {
        let most = seeds.unwrap_or(planted.seeds * 2);
        let Some((seed, outcome)) = find(planted, most, host)? else {
            println!("{:<32} NOT FOUND within {most} seeds", planted.name);
            well = false;
            continue;
        };
        let (invariant, what) = outcome.violation.map(|v| (v.invariant, v.what)).unwrap_or_default();
        println!("{:<32} {:>5} seeds  {invariant}: {what}", planted.name, seed + 1);
        if let Some(violation) = run(&Script::of(seed), Kind::Memory, host, false).violation {
            println!("error: seed {seed} fails without it: {}: {}", violation.invariant, violation.what);
            well = false;
        }
    }
    Ok(well)
}
