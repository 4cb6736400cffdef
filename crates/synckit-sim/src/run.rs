//! Runs one history.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use synckit_core::Result;

use crate::{
    backend::{Backend, Host, Kind},
    faults::Fault,
    ledger::Totals,
    oracle::Violation,
    points::Points,
    resolvers,
    script::{Resolver, Script},
    shared::Shared,
    world::World,
};

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// What does not hold, if something does not.
    pub violation: Option<Violation>,
    /// The same for the same trace.
    pub fingerprint: u64,
    /// The digest that all replicas had in the end.
    pub digest: Option<String>,
    /// How much happened.
    pub totals: Totals,
    /// The faults.
    pub faults: BTreeMap<Fault, u64>,
    /// The points at which nodes ended.
    pub points: Points,
    /// How many rounds it took to converge.
    pub rounds: usize,
    /// The trace, if it was kept.
    pub lines: Vec<String>,
}

impl World {
    pub(crate) fn only_last_write_wins(&self) -> bool {
        self.settings.resolvers.iter().all(|r| *r == Resolver::LastWriteWins)
    }
}

async fn history(script: &Script, backend: Backend, shared: &Arc<Shared>) -> Result<(usize, Option<String>)> {
    shared.note(format_args!("{:?}", script.settings));
    let mut world = World::new(script, backend, shared)?;
    let mut aim = script.settings.ends_at;
    for step in &script.steps {
        world.pass(step.gap).await?;
        if let Some((point, from)) = aim.filter(|(_, from)| step.number >= *from) {
            shared.note(format_args!("from step {from} on, the first node to get to {point:?} ends"));
            shared.state().ends_at = Some(point);
            aim = None;
        }
        world.act(step)?;
        if shared.is_violated() {
            return Ok((0, None));
        }
    }
    world.heal().await
}

/// Runs a script on stores of a kind.
pub(crate) fn run(script: &Script, kind: Kind, host: &Arc<Host>, keep_trace: bool) -> Outcome {
    let backend = Backend::new(kind, host);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("no runtime: {error}")),
    };
    let shared = {
        let _entered = runtime.enter();
        Shared::new(keep_trace)
    };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(tokio::task::unconstrained(history(script, backend, &shared)))
    }));
    let (rounds, digest) = match ended {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            shared.judge(Err(Violation::new("errors", error.to_string())));
            (0, None)
        }
        Err(cause) => {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            shared.judge(Err(Violation::new("panics", text)));
            (0, None)
        }
    };
    let mut state = shared.state();
    Outcome {
        violation: state.violation.take(),
        fingerprint: state.trace.fingerprint(),
        digest,
        totals: state.ledger.totals,
        faults: std::mem::take(&mut state.faults),
        points: std::mem::take(&mut state.points),
        rounds,
        lines: state.trace.lines().to_vec(),
    }
}

fn failed(what: String) -> Outcome {
    Outcome {
        violation: Some(Violation::new("errors", what)),
        fingerprint: 0,
        digest: None,
        totals: Totals::default(),
        faults: BTreeMap::new(),
        points: Points::default(),
        rounds: 0,
        lines: Vec::new(),
    }
}

/// Keeps panics that are part of the simulation, or are caught and reported, off the terminal.
pub fn quiet_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let simulated = info.payload().downcast_ref::<String>().is_some_and(|p| p == resolvers::PANIC);
        let simulated =
            simulated || info.payload().downcast_ref::<&str>().is_some_and(|p| *p == resolvers::PANIC);
        if !simulated {
            before(info);
        }
    }));
}
