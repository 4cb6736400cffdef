//! What a document holds at a point of its history: per place, the last write.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    amount::Amount,
    paths::{Paths, Place},
};

/// What is written to a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Said<'c> {
    /// This value is there.
    Value(&'c Value),
    /// There is an object, an array or an element of a list.
    Is,
    /// A counter is there; its number is the sum of all changes.
    Counted,
    /// Nothing is there any more.
    Gone,
}

/// The number of the fact that wrote, from 1.
pub(super) type Rank = usize;

/// Per place, what was said last, and by which fact. Places are never forgotten: a write that is in the way of older ones
/// hides them, so that the state is the greatest write per place, in whatever order states are joined.
#[derive(Debug, Clone, Default)]
pub(super) struct State<'c> {
    said: HashMap<Place, (Rank, Said<'c>)>,
    /// What each counter shows.
    pub(super) shown: HashMap<Place, Amount>,
}

impl<'c> State<'c> {
    /// A state in which nothing was said yet, with what its counters will show.
    pub(super) fn showing(shown: HashMap<Place, Amount>) -> Self {
        Self { said: HashMap::new(), shown }
    }

    pub(super) fn put(&mut self, at: Place, rank: Rank, said: Said<'c>) {
        let held = self.said.entry(at).or_insert((rank, said));
        if held.0 <= rank {
            *held = (rank, said);
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (at, (rank, said)) in &other.said {
            self.put(*at, *rank, *said);
        }
    }

    pub(super) fn rank(&self, at: Place) -> Rank {
        self.said.get(&at).map_or(0, |(rank, _)| *rank)
    }

    pub(super) fn said(&self, at: Place) -> Option<(Rank, Said<'c>)> {
        self.said.get(&at).copied()
    }

    /// What a reader of the document finds at a place: what was said last, unless a later write is in its way.
    pub(super) fn visible(&self, paths: &Paths, at: Place) -> Option<Said<'c>> {
        let (rank, said) = self.said(at).filter(|(_, said)| *said != Said::Gone)?;
        if paths.children(at).values().any(|child| self.newest_under(paths, *child) > rank) {
            return None;
        }
        let mut below = at;
        while below != Paths::ROOT {
            let within = paths.within(below);
            let hidden = || {
                let others =
                    paths.children(within).values().filter(|c| paths.shape(**c) != paths.shape(below));
                others.into_iter().any(|other| self.newest_under(paths, *other) > rank)
            };
            if self.rank(within) > rank || (paths.is_mixed(within) && hidden()) {
                return None;
            }
            below = within;
        }
        Some(said)
    }

    fn newest_under(&self, paths: &Paths, at: Place) -> Rank {
        let under = paths.children(at).values().map(|child| self.newest_under(paths, *child));
        under.fold(self.rank(at), Rank::max)
    }
}
