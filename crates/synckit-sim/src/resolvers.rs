//! A resolver that does as it likes.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use synckit_core::{EventId, EventType, VertexId, decision::MergedEvent};
use synckit_resolve::{Conflict, ConflictResolver, Resolution, ResolveError};

use crate::rng::Rng;

/// The text of a panic that is part of the simulation.
pub(crate) const PANIC: &str = "a resolver panics";

/// Adopts any sides with any exceptions, asks for a review, fails, panics or hangs.
#[derive(Debug)]
pub(crate) struct RandomResolver(Mutex<Rng>);

impl RandomResolver {
    pub(crate) const fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }
}

#[async_trait]
impl ConflictResolver for RandomResolver {
    fn name(&self) -> &str {
        "random"
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner).fork();
        let heads: Vec<VertexId> = conflict.sides().iter().map(|s| s.outline.head.clone()).collect();
        let beyond: Vec<EventId> =
            conflict.sides().iter().flat_map(|s| &s.outline.beyond).map(|e| e.id().clone()).collect();
        match rng.below(100) {
            0..70 => {}
            70..90 => return Ok(Resolution::adopt(heads).because("all count")),
            90..95 => return Ok(Resolution::review("it is unclear")),
            95..97 => return Err(ResolveError::new("the resolver fails")),
            97..98 => panic!("{PANIC}"),
            98..99 => std::future::pending().await,
            _ => return Ok(Resolution::adopt([])),
        }
        let mut resolution = Resolution::adopt([rng.pick(&heads).clone()]);
        if !beyond.is_empty() && rng.percent(15) {
            resolution = resolution.without([rng.pick(&beyond).clone()]);
        }
        if rng.percent(15)
            && let Some(merged) = merged(conflict)
        {
            resolution = resolution.with_merged([merged]);
        }
        Ok(resolution)
    }
}

fn merged(conflict: &Conflict) -> Option<MergedEvent> {
    Some(MergedEvent {
        id: EventId::new(format!("merged-{}", conflict.id())).ok()?,
        event_type: EventType::new("thing.merged").ok()?,
        data: serde_json::value::RawValue::from_string("\"merged\"".into()).ok()?,
        metadata: None,
    })
}
