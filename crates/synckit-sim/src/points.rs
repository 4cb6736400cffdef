//! The places at which a node may end: before and after every effect.

use std::collections::BTreeMap;

/// A call with an effect, or one that shows what others did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// The store: where the log ends.
    Head,
    /// The store: new events.
    Append,
    /// The store: entries from elsewhere.
    Apply,
    /// The store: what a peer said of entries.
    Acknowledge,
    /// The store: decisions.
    Decide,
    /// The store: reviews.
    Review,
    /// The store: events given up.
    Withdraw,
    /// The store: stamps corrected.
    Restamp,
    /// The store: refusals forgotten.
    Release,
    /// The store: refusals to be tried again.
    Reoffer,
    /// The store: events under new ids.
    Reissue,
    /// The store: a page of the log.
    Read,
    /// The store: chain hashes.
    Hashes,
    /// The store: entries by id.
    Load,
    /// The store: histories.
    Graphs,
    /// The store: aggregates in dispute.
    Disputed,
    /// The store: open conflicts.
    Conflicts,
    /// The store: the reviews of a conflict.
    Reviews,
    /// The store: the reviews of an aggregate.
    ReviewsOf,
    /// The store: the decisions on a conflict.
    Decisions,
    /// The store: checkpoints.
    Checkpoints,
    /// The store: the quarantine.
    Quarantine,
    /// The store: all that is held.
    Vector,
    /// The store: hashes over what is held.
    Mixed,
    /// The store: a turn to sync.
    SyncTurn,
    /// A request: who are you?
    Greet,
    /// A request for a page.
    Pull,
    /// A request with entries.
    Push,
    /// A peer's greeting, answered.
    ServeGreet,
    /// A peer's request for a page, answered.
    ServePull,
    /// A peer's entries, answered.
    ServePush,
}

/// Before or after the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before it.
    Before,
    /// After it.
    After,
}

/// The points at which a node ended, and how often.
#[derive(Debug, Clone, Default)]
pub struct Points(BTreeMap<(Call, Phase), u64>);

impl Call {
    /// Every call that a node makes while it syncs, serves, or is used.
    pub const ALL: [Self; 31] = [
        Self::Head,
        Self::Append,
        Self::Apply,
        Self::Acknowledge,
        Self::Decide,
        Self::Review,
        Self::Withdraw,
        Self::Restamp,
        Self::Release,
        Self::Reoffer,
        Self::Reissue,
        Self::Read,
        Self::Hashes,
        Self::Load,
        Self::Graphs,
        Self::Disputed,
        Self::Conflicts,
        Self::Reviews,
        Self::ReviewsOf,
        Self::Decisions,
        Self::Checkpoints,
        Self::Quarantine,
        Self::Vector,
        Self::Mixed,
        Self::SyncTurn,
        Self::Greet,
        Self::Pull,
        Self::Push,
        Self::ServeGreet,
        Self::ServePull,
        Self::ServePush,
    ];
}

impl Points {
    /// A node ended here.
    pub fn hit(&mut self, call: Call, phase: Phase) {
        *self.0.entry((call, phase)).or_default() += 1;
    }

    /// Adds those of another history.
    pub fn add(&mut self, other: &Self) {
        for (point, times) in &other.0 {
            *self.0.entry(*point).or_default() += times;
        }
    }

    /// How many distinct points were hit.
    pub fn distinct(&self) -> usize {
        self.0.len()
    }

    /// The points that were never hit.
    pub fn missed(&self) -> Vec<(Call, Phase)> {
        Self::all().filter(|p| !self.0.contains_key(p)).collect()
    }

    /// Every point that there is.
    fn all() -> impl Iterator<Item = (Call, Phase)> + Clone {
        Call::ALL.iter().flat_map(|c| [(*c, Phase::Before), (*c, Phase::After)])
    }

    /// The `n`th point, from the first again after the last.
    pub(crate) fn nth(n: u64) -> Option<(Call, Phase)> {
        Self::all().cycle().nth(usize::try_from(n % (2 * Call::ALL.len() as u64)).unwrap_or(0))
    }

    /// Every point hit, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (&(Call, Phase), &u64)> {
        self.0.iter()
    }
}
