//! What a history will be, worked out from its seed before it begins.

use synckit_core::CursorMode;

use crate::{
    points::{Call, Phase, Points},
    rng::Rng,
};

/// How nodes are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    Star,
    Chain,
    Ring,
    /// Every node only pulls from the next.
    PullingRing,
    /// Every node only pushes to the next.
    PushingRing,
    Mesh,
}

/// Who decides conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolver {
    LastWriteWins,
    FirstWriteWins,
    AdditiveMerge,
    ManualReview,
    /// Decides, reviews, fails, panics and hangs as it likes.
    Random,
    /// The rules of a file that is the history's own.
    Rules,
}

/// In which order nodes sync once the faults are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// One after the other.
    InTurn,
    /// All at once.
    InStep,
    /// All at once, each beginning at another time.
    Staggered,
}

/// What is fixed for a whole history.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) topology: Topology,
    pub(crate) modes: Vec<CursorMode>,
    pub(crate) aggregates: usize,
    pub(crate) resolvers: Vec<Resolver>,
    pub(crate) hub_decides_all: bool,
    /// Whether people decide, undo and tidy up.
    pub(crate) people: bool,
    pub(crate) batch: usize,
    pub(crate) attempts: u32,
    /// How many requests of a hundred go wrong.
    pub(crate) trouble: usize,
    pub(crate) schedule: Schedule,
    /// Whether a day passes at the end, after which any node may decide.
    pub(crate) a_day_later: bool,
    /// The point at which the first node to get there ends, from a step on.
    pub(crate) ends_at: Option<((Call, Phase), usize)>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Append {
        node: usize,
        aggregates: Vec<usize>,
    },
    Import {
        node: usize,
        from: usize,
        count: usize,
    },
    /// An event under an id that somebody else may use for another.
    Contest {
        node: usize,
        id: usize,
    },
    Sync {
        node: usize,
        link: usize,
    },
    SyncAll,
    Decide {
        node: usize,
        choice: u64,
    },
    Undo {
        node: usize,
        choice: u64,
    },
    /// Something is done about the quarantine; the node may crash while it is.
    Tidy {
        node: usize,
        choice: u64,
        crash_polls: Option<u64>,
    },
    Look {
        node: usize,
    },
    Crash {
        node: usize,
        polls: u64,
        down_ms: u64,
    },
    Cancel {
        node: usize,
        polls: u64,
    },
    FailWrite {
        node: usize,
        nth: u64,
    },
    Partition {
        from: usize,
        to: usize,
        ms: u64,
    },
    Clock {
        node: usize,
        skew_ms: i64,
    },
    Copy {
        node: usize,
    },
    Restore {
        node: usize,
    },
    Wipe {
        node: usize,
    },
    Clone {
        node: usize,
    },
    Refuse {
        node: usize,
        salt: u64,
    },
    Release {
        node: usize,
    },
    Filter {
        node: usize,
        choice: u64,
    },
}

/// How long to wait before an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    Millis(u64),
    Polls(u64),
}

/// An action and when it happens.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its number in the whole script; parts of a script keep it.
    pub(crate) number: usize,
    pub(crate) gap: Gap,
    pub(crate) action: Action,
}

/// A whole history to be.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
}

pub(crate) const MOST_NODES: usize = 6;
/// Of so many seeds, one has a node end at a point that the seed chooses: each point in turn.
const AIMED: u64 = 2;
/// Events that several nodes may import.
pub(crate) const IMPORTABLE: usize = 40;

impl Script {
    /// The history of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut settings = settings(&mut rng);
        let count = rng.between(60, 120);
        // Some histories are calm, so that what needs no fault to go wrong shows itself.
        let disasters = *rng.pick(&[0, 2, 2, 4]);
        let steps = (0..count)
            .map(|number| Step { number, gap: gap(&mut rng), action: action(&mut rng, &settings, disasters) })
            .collect();
        if seed.is_multiple_of(AIMED) {
            settings.ends_at = Points::nth(seed / AIMED).map(|point| (point, rng.below(count / 2)));
        }
        Self { seed, settings, steps }
    }

    /// Only the steps with these numbers.
    pub(crate) fn part(&self, numbers: &[usize]) -> Self {
        let steps = self.steps.iter().filter(|s| numbers.contains(&s.number)).cloned().collect();
        Self { seed: self.seed, settings: self.settings.clone(), steps }
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.steps.iter().map(|s| s.number).collect()
    }
}

fn settings(rng: &mut Rng) -> Settings {
    let topologies = [
        Topology::Star,
        Topology::Star,
        Topology::Chain,
        Topology::Ring,
        Topology::PullingRing,
        Topology::PushingRing,
        Topology::Mesh,
    ];
    let nodes = rng.between(2, MOST_NODES);
    let all = if rng.percent(50) { CursorMode::Integer } else { CursorMode::Vector };
    let mixed = rng.percent(20);
    let mut mode = || match (mixed, rng.percent(50)) {
        (true, true) => CursorMode::Integer,
        (true, false) => CursorMode::Vector,
        _ => all,
    };
    let modes: Vec<CursorMode> = (0..nodes).map(|_| mode()).collect();
    let one = *rng.pick(&[
        Resolver::LastWriteWins,
        Resolver::LastWriteWins,
        Resolver::FirstWriteWins,
        Resolver::AdditiveMerge,
        Resolver::ManualReview,
        Resolver::Random,
        Resolver::Rules,
    ]);
    let each = [
        Resolver::LastWriteWins,
        Resolver::FirstWriteWins,
        Resolver::AdditiveMerge,
        Resolver::ManualReview,
        Resolver::Random,
        Resolver::Rules,
    ];
    let various = rng.percent(20);
    let resolvers = (0..nodes).map(|_| if various { *rng.pick(&each) } else { one }).collect();
    let topology = *rng.pick(&topologies);
    Settings {
        topology,
        modes,
        aggregates: *rng.pick(&[1, 2, 2, 3, 3, 4, 5, 6, 8]),
        resolvers,
        hub_decides_all: rng.percent(25),
        people: rng.percent(65),
        batch: *rng.pick(&[1, 2, 3, 5, 10, 50, 1_000]),
        attempts: *rng.pick(&[1, 1, 2, 3]),
        trouble: *rng.pick(&[0, 5, 10, 20, 30]),
        schedule: *rng.pick(&[Schedule::InTurn, Schedule::InStep, Schedule::Staggered]),
        a_day_later: rng.percent(30),
        ends_at: None,
    }
}

fn gap(rng: &mut Rng) -> Gap {
    match rng.below(10) {
        0..4 => Gap::Polls(rng.between(0, 60) as u64),
        4..9 => Gap::Millis(rng.between(1, 150) as u64),
        _ => Gap::Millis(rng.between(150, 12_000) as u64),
    }
}

fn action(rng: &mut Rng, settings: &Settings, disasters: usize) -> Action {
    let node = rng.below(settings.modes.len());
    let skew = |rng: &mut Rng| {
        *rng.pick(&[-3_600_000, -20_000, -500, 0, 0, 500, 20_000, 200_000, 900_000, 40_000_000])
    };
    match rng.below(100 + disasters * 3) {
        0..33 => {
            let burst = if rng.percent(6) { rng.between(10, 30) } else { rng.between(1, 3) };
            Action::Append { node, aggregates: (0..burst).map(|_| rng.below(settings.aggregates)).collect() }
        }
        33..35 => Action::Import { node, from: rng.below(IMPORTABLE), count: rng.between(1, 12) },
        35..37 => Action::Contest { node, id: rng.below(4) },
        37..68 => Action::Sync { node, link: rng.below(MOST_NODES) },
        68..70 => Action::SyncAll,
        70..80 if !settings.people => Action::Sync { node, link: rng.below(MOST_NODES) },
        70..75 => Action::Decide { node, choice: rng.next() },
        75..77 => Action::Undo { node, choice: rng.next() },
        77..80 => Action::Tidy {
            node,
            choice: rng.next(),
            crash_polls: rng.percent(60).then(|| rng.between(1, 14) as u64),
        },
        80..81 => Action::Look { node },
        81..85 => {
            Action::Crash { node, polls: rng.between(1, 120) as u64, down_ms: rng.between(1, 2_000) as u64 }
        }
        85..88 => Action::Cancel { node, polls: rng.between(1, 120) as u64 },
        88..90 => Action::FailWrite { node, nth: rng.between(1, 6) as u64 },
        90..92 => Action::Partition {
            from: node,
            to: rng.below(settings.modes.len()),
            ms: rng.between(50, 20_000) as u64,
        },
        92..94 => Action::Clock { node, skew_ms: skew(rng) },
        94..96 => Action::Refuse { node, salt: rng.next() },
        96..98 => Action::Release { node },
        98..100 => Action::Copy { node },
        n => match (n - 100) % 6 {
            0 => Action::Wipe { node },
            1 | 2 => Action::Restore { node },
            3 => Action::Clone { node },
            _ => Action::Filter { node, choice: rng.next() },
        },
    }
}
