//! `POST /push`.

use std::sync::Arc;

use axum::extract::Request;
use synckit_core::{
    Transport as _,
    store::{Outcome, RefusalCode},
    transport::PushRequest,
};
use synckit_wire::{PushResult, read_push, write_push_reply};

use super::{Failure, Reply, Shared};

impl Shared {
    pub(super) async fn push(&self, request: Request) -> Result<Reply, Failure> {
        let max_events = self.options.max_events_per_request;
        let mut push = self.body("push", request, move |body| read_push(body, max_events)).await?;
        if let Some(name) = &push.staged {
            let missing = || Failure::new("NOT_FOUND", "no such push is waiting; send it whole");
            push = self.stage.take(name).ok_or_else(missing)?;
        }
        let mut results = Vec::with_capacity(push.elements.len());
        let mut entries = Vec::with_capacity(push.elements.len());
        for element in push.elements {
            match element {
                Ok(offered) => {
                    results.push(None);
                    entries.push(offered);
                }
                Err(unfit) => {
                    results.push(Some(PushResult::one(unfit.id, Outcome::Refused(unfit.refusal))));
                }
            }
        }
        let entries = Arc::new(entries);
        let request = match push.caller {
            Some(caller) => PushRequest { log: caller.log, node: caller.node, from: caller.from, entries },
            // What a client without stamps pushes becomes this node's own.
            None => PushRequest { log: None, node: self.hub.store().identity().node, from: None, entries },
        };
        let reply = self.hub.push(request).await?;
        let mut acks = reply.acks.into_iter();
        let mut ack = || acks.next().map(|(id, outcome)| PushResult::one(id.to_string(), outcome));
        let mut results: Vec<PushResult> =
            results.into_iter().filter_map(|unfit| unfit.or_else(&mut ack)).collect();
        if push.caller.is_some() {
            results = PushResult::together(results);
        } else {
            self.all_stored(&results)?;
        }
        Ok(Reply::ok(write_push_reply("ok", &results, reply.log, reply.head)))
    }

    /// A stock client reads nothing but the status: it is 200 only if every event is durable, or its id was taken
    /// before by another event, which trying again would not change.
    fn all_stored(&self, results: &[PushResult]) -> Result<(), Failure> {
        let mut refused = 0_usize;
        let mut first = None;
        for PushResult { id, outcome, .. } in results {
            let Outcome::Refused(refusal) = outcome else { continue };
            if refusal.code == RefusalCode::ContentMismatch && !self.options.conflict_on_mismatch {
                tracing::warn!(%id, reason = %refusal, "a stock client pushed another event under an id that is taken");
                continue;
            }
            refused += 1;
            first.get_or_insert((id, refusal));
        }
        let Some((id, refusal)) = first else { return Ok(()) };
        let code = match refusal.code {
            RefusalCode::ContentMismatch => "CONFLICT",
            RefusalCode::Invalid | RefusalCode::ClockSkew => "INVALID_REQUEST",
            RefusalCode::TooLarge => "REQUEST_TOO_LARGE",
            RefusalCode::Forbidden => "FORBIDDEN",
            _ => "UNAVAILABLE",
        };
        let of = results.len();
        Err(Failure::new(
            code,
            format!("{refused} of {of} events were not stored; the first is {id:?}: {refusal}"),
        ))
    }
}
