//! The simulation as a program.
#![forbid(unsafe_code)]

fn main() {
    synckit_sim::quiet_panics();
    let host = std::sync::Arc::new(synckit_sim::Host::new().expect("host"));
    let mut args = std::env::args().skip(1);
    let from: u64 = args.next().map_or(0, |a| a.parse().expect("seed"));
    let count: u64 = args.next().map_or(1, |a| a.parse().expect("count"));
    let mut bad = 0;
    let start = std::time::Instant::now();
    for seed in from..from + count {
        let o = synckit_sim::run_seed(seed, synckit_sim::Kind::Memory, &host, count == 1);
        if count == 1 && std::env::var("SHOW").is_err() {
            use std::io::Write as _; let mut out = std::io::stdout().lock(); for l in &o.lines { let _ = writeln!(out, "{l}"); }
            let _ = writeln!(out, "{:?} {:?} rounds {}", o.totals, o.faults, o.rounds);
        }
        if let Some(v) = o.violation {
            bad += 1;
            if bad < 40 { println!("seed {seed}: {}: {}", v.invariant, v.what); }
        }
    }
    println!("{bad} of {count} in {:?}", start.elapsed());
}
