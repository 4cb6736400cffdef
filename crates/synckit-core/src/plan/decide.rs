//! Decisions and reviews.

use std::sync::Arc;

use super::{
    own::refused,
    planner::{Meaning, Planner},
};
use crate::{
    decision::{RESOLUTION, Review},
    error::{Error, ErrorKind, Result},
    event::{Event, Metadata},
    graph::VertexBody,
    ids::{AggregateId, EventId, EventType},
    limits::MAX_PARENTS,
    store::{DecisionDraft, Outcome, RefusalCode},
};

impl Planner<'_> {
    pub(super) fn decide(&mut self, drafts: Vec<DecisionDraft>) -> Result<()> {
        for (i, draft) in drafts.into_iter().enumerate() {
            let outcome = self.decide_one(draft, i)?;
            self.written.outcomes.push(outcome);
        }
        Ok(())
    }

    fn decide_one(&mut self, mut draft: DecisionDraft, nth: usize) -> Result<Outcome> {
        draft.parents.sort_unstable();
        draft.parents.dedup();
        if let Some(missing) = draft.parents.iter().find(|p| !self.holds(p)) {
            return Err(Error::new(ErrorKind::NotFound, "decide", format!("no event {missing} in this log")));
        }
        let history = self.known.graphs.get(&draft.aggregate).map(Vec::as_slice).unwrap_or_default();
        if let Some(foreign) = draft.parents.iter().find(|p| !history.iter().any(|v| v.id == **p)) {
            let what = format!("{foreign} is not an event of the aggregate {}", draft.aggregate);
            return Ok(refused(RefusalCode::Invalid, what));
        }
        if history.iter().any(|v| v.body == VertexBody::Stub) {
            let what =
                format!("{}: no decision is taken over events that are not held whole", draft.aggregate);
            return Ok(refused(RefusalCode::Invalid, what));
        }
        let heads = self.current_heads(&draft.aggregate);
        if draft.expect_heads {
            let all: Vec<_> = heads.iter().map(|h| h.vertex.clone()).collect();
            let complete = all == draft.parents || draft.parents.len() == MAX_PARENTS;
            if !draft.parents.iter().all(|p| all.contains(p))
                || (draft.decision.conflict.is_some() && !complete)
            {
                return Ok(Outcome::Stale);
            }
        }
        if draft.by_machine {
            let id = draft.decision.machine_id(&draft.aggregate, &draft.parents);
            if self.known.decisions.contains_key(&id) {
                return Ok(Outcome::Duplicate);
            }
            draft.decision.decision = Some(id);
        } else {
            draft.decision.decision = None;
        }
        draft.decision.decided_at = self.around.now;
        let number = self.around.random ^ u128::from(self.known.node.counter + 1) ^ ((nth as u128) << 64);
        let event = Event {
            id: EventId::new(format!("synckit.e.{number:032x}"))?,
            event_type: EventType::new(RESOLUTION)?,
            aggregate_id: draft.aggregate.clone(),
            data: draft.decision.to_payload()?,
            metadata: Metadata::default(),
        };
        let decision = crate::decision::Decision::read(&event, &draft.parents)?;
        Ok(self.log_kit_event(event, Meaning::Decision(Arc::new(decision)), draft.parents))
    }

    pub(super) fn review(&mut self, reviews: Vec<(AggregateId, Review)>) -> Result<()> {
        for (aggregate, review) in reviews {
            let event = review.to_event(&aggregate)?;
            let outcome = if self.known.entries.contains_key(&event.id) {
                Outcome::Duplicate
            } else {
                self.log_kit_event(event, Meaning::Review(review), Vec::new())
            };
            self.written.outcomes.push(outcome);
        }
        Ok(())
    }
}
