//! The built-in strategies that look at no document. Each depends on the sides' contents alone.

use std::cmp::Ordering;

use async_trait::async_trait;
use synckit_core::{CanonicalKey, Event};

use crate::{
    conflict::{Conflict, Side},
    resolver::{ConflictResolver, Reads, Resolution, ResolveError},
    time::{Instant, instant},
};

/// By which time "last" and "first" are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WriteTime {
    /// When the event was appended, by the hybrid logical clock.
    #[default]
    Clock,
    /// When the event says that it happened: the string `time` of its metadata, RFC 3339, as in CloudEvents. An
    /// event without one counts as older than every event with one.
    Metadata,
}

/// The side with the newest domain event wins.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastWriteWins {
    time: WriteTime,
}

/// The side with the oldest domain event of its own wins.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstWriteWins {
    time: WriteTime,
}

/// Every conflict goes to a person.
#[derive(Debug, Clone, Default)]
pub struct ManualReview {
    reason: Option<String>,
}

impl LastWriteWins {
    /// Last write wins, by the time that the events themselves tell.
    #[must_use]
    pub const fn by_event_time() -> Self {
        Self { time: WriteTime::Metadata }
    }
}

impl FirstWriteWins {
    /// First write wins, by the time that the events themselves tell.
    #[must_use]
    pub const fn by_event_time() -> Self {
        Self { time: WriteTime::Metadata }
    }
}

impl ManualReview {
    /// Every conflict goes to a person, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()) }
    }
}

/// A side's place in the order of writes; the canonical key breaks ties.
type Rank = (Option<Instant>, Option<CanonicalKey>);

/// When the event says that it happened; none if it does not, or not in RFC 3339.
fn event_time(event: &Event) -> Option<Instant> {
    event.metadata.get_str("time").and_then(|text| instant(&text))
}

fn newest(side: &Side, time: WriteTime) -> Rank {
    let times = side.events.iter().map(|(e, _)| event_time(e));
    let time = if time == WriteTime::Metadata { times.max().flatten() } else { None };
    (time, side.outline.newest.clone())
}

fn oldest(side: &Side, time: WriteTime) -> Rank {
    let times = side.events.iter().map(|(e, _)| event_time(e));
    let time = if time == WriteTime::Metadata { times.min().flatten() } else { None };
    (time, side.outline.oldest.clone())
}

fn winner(
    conflict: &Conflict,
    why: &str,
    rank: impl Fn(&Side) -> Rank,
    better: Ordering,
) -> Result<Resolution, ResolveError> {
    let mut best: Option<(Rank, &Side)> = None;
    for side in conflict.sides() {
        let candidate = (rank(side), side);
        let wins = best.as_ref().is_none_or(|held| {
            (&candidate.0, &side.outline.head).cmp(&(&held.0, &held.1.outline.head)) == better
        });
        if wins {
            best = Some(candidate);
        }
    }
    let (_, side) = best.ok_or_else(|| ResolveError::new("a conflict without sides"))?;
    Ok(Resolution::adopt([side.outline.head.clone()]).because(why))
}

const fn reads(time: WriteTime) -> Reads {
    match time {
        WriteTime::Clock => Reads::Outline,
        WriteTime::Metadata => Reads::Sides,
    }
}

#[async_trait]
impl ConflictResolver for LastWriteWins {
    fn name(&self) -> &str {
        "last_write_wins"
    }

    fn reads(&self) -> Reads {
        reads(self.time)
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        winner(conflict, "its newest event is the last", |s| newest(s, self.time), Ordering::Greater)
    }
}

#[async_trait]
impl ConflictResolver for FirstWriteWins {
    fn name(&self) -> &str {
        "first_write_wins"
    }

    fn reads(&self) -> Reads {
        reads(self.time)
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        winner(conflict, "its oldest event is the first", |s| oldest(s, self.time), Ordering::Less)
    }
}

#[async_trait]
impl ConflictResolver for ManualReview {
    fn name(&self) -> &str {
        "manual_review"
    }

    fn reads(&self) -> Reads {
        Reads::Outline
    }

    async fn resolve(&self, _: &Conflict) -> Result<Resolution, ResolveError> {
        Ok(Resolution::review(self.reason.clone().unwrap_or_else(|| "manual review required".into())))
    }
}
