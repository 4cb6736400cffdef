//! `memory`: what a hub and a node take, as processes, while a million events pass between them.

use std::path::Path;

use serde_json::Value;
use synckit::CursorMode;

use crate::{
    child::Process,
    figure::{Figure, Target},
    process::Usage,
    world::{Outcome, World, remove},
};

const EVENTS: usize = 1_000_000;
/// The greatest of them counts.
const RUNS: usize = 3;

pub(crate) fn run(world: &mut World) -> Outcome<Vec<Figure>> {
    let target = Target::Below(96.0);
    let figure = |who: &str, mode: CursorMode, ours: Option<f64>| Figure {
        bench: format!("memory-{who}-{mode}"),
        ours,
        raw: None,
        target,
        unit: "MiB",
    };
    let modes = [CursorMode::Integer, CursorMode::Vector];
    if Usage::now().is_none() {
        eprintln!("  not measured: this system has no /proc/self/status");
        let both = |mode| [figure("hub", mode, None), figure("client", mode, None)];
        return Ok(modes.into_iter().flat_map(both).collect());
    }
    let full = world.log_of(EVENTS)?;
    let mut figures = Vec::new();
    for mode in modes {
        let (mut hub, mut client) = (0.0_f64, 0.0_f64);
        for run in 1..=RUNS {
            let empty = world.path();
            let peaks = pull(&full, &empty, mode)?;
            remove(&empty);
            eprintln!("  {mode}, run {run}: hub {:.1} MiB, client {:.1} MiB above idle", peaks.0, peaks.1);
            hub = hub.max(peaks.0);
            client = client.max(peaks.1);
        }
        figures.extend([figure("hub", mode, Some(hub)), figure("client", mode, Some(client))]);
    }
    Ok(figures)
}

/// The peaks above idle, in MiB, of the hub and of the client.
fn pull(full: &Path, empty: &Path, mode: CursorMode) -> Outcome<(f64, f64)> {
    let mut hub = Process::start(&["hub-process", &full.to_string_lossy()])?;
    let said = hub.says()?;
    let url = said["url"].as_str().ok_or("the hub gave no url")?;
    let mut client = Process::start(&["client-process", &empty.to_string_lossy(), url, &mode.to_string()])?;
    let done = client.says()?;
    if done["pulled"] != EVENTS {
        return Err(format!("the client says {done}").into());
    }
    hub.end()?;
    let served = hub.says()?;
    let above =
        |said: &Value| said["above_idle_mib"].as_f64().ok_or_else(|| format!("a process said {said}"));
    Ok((above(&served)?, above(&done)?))
}
