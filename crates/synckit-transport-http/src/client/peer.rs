//! Talking to a hub of this kit.

use std::sync::atomic::{AtomicBool, Ordering};

use synckit_core::{
    Error, ErrorKind, EventId, Mark, Result,
    limits::MAX_PAGE_EVENTS,
    store::{Offered, Outcome, Refusal, RefusalCode},
    transport::{PullPage, PullRequest, PushReply, PushRequest},
};
use synckit_wire::{
    Element, PushAnswer, PushResult, read_page, read_push_reply, read_staged, write_pull, write_push,
    write_staged_push,
};

use super::exchange::{Exchange, Packed};
use crate::offload::offload;

pub(super) async fn pull(exchange: &Exchange, request: PullRequest) -> Result<PullPage> {
    let body = exchange.post("pull", "pull-cursor", write_pull(&request)?).await?;
    let max = if request.limit == 0 { MAX_PAGE_EVENTS } else { request.limit.min(MAX_PAGE_EVENTS) };
    let answer = offload(body.len(), "pull", move || read_page(&body, max)).await?;
    let (Some(log), Some(next), Some(head), Some(has_more)) =
        (answer.log, answer.next, answer.head, answer.has_more)
    else {
        return Err(protocol("pull", "the page does not say how far it reaches"));
    };
    if let Some(expected) = request.log.filter(|expected| *expected != log) {
        return Err(Error::new(
            ErrorKind::LogChanged,
            "pull",
            format!("the page is of the log {log}, not of {expected}"),
        ));
    }
    if next.position < request.after.position || (has_more && next.position == request.after.position) {
        return Err(protocol("pull", "the page does not reach further than the one before"));
    }
    let entries = answer.elements.into_iter().map(stamped).collect::<Result<_>>()?;
    Ok(PullPage { log, entries, next, head, has_more })
}

fn stamped(element: Element) -> Result<Offered> {
    match element {
        Ok(offered) if offered.stamp.is_some() => Ok(offered),
        Ok(offered) => Err(protocol("pull", format!("{} has no stamp", offered.event.id))),
        Err(unfit) => {
            Err(protocol("pull", format!("element {} cannot be an event: {}", unfit.index, unfit.refusal)))
        }
    }
}

/// A push whose beginning is ready to be sent.
pub(super) struct Ready {
    request: PushRequest,
    body: Packed,
    size: usize,
    sent: usize,
    /// The name under which the peer has it already.
    staged: Option<String>,
}

impl Ready {
    /// Has the peer read it while it still stores what came before; it changes nothing there. Fails if the peer does not do
    /// that.
    pub(super) async fn stage(&mut self, exchange: &Exchange) -> Result<()> {
        let answer = exchange.post_packed("push", "stage", self.body.clone()).await?;
        self.staged = Some(read_staged(&answer)?);
        Ok(())
    }
}

/// Makes a push ready.
pub(super) async fn make_ready(exchange: &Exchange, max_bytes: usize, request: PushRequest) -> Result<Ready> {
    let (body, sent) = write_push(&request, 0, max_bytes)?;
    let size = body.len();
    Ok(Ready { body: exchange.pack("push", body).await?, request, size, sent, staged: None })
}

/// Pushes. What was made ready is taken if it is of this request; if the peer does not have what was staged there, it gets
/// the whole, and `stages` becomes false.
///
/// A request that is too large for the peer is made smaller; an event that is too large by itself is refused, and the rest
/// goes on.
pub(super) async fn push(
    exchange: &Exchange,
    mut max_bytes: usize,
    request: PushRequest,
    ready: Option<Ready>,
    stages: &AtomicBool,
) -> Result<PushReply> {
    let mut ready = ready.filter(|ready| ready.request == request);
    let mut acks = Vec::with_capacity(request.entries.len());
    // A peer that has taken nothing has shown nothing.
    let mut shown = request.log.map(|log| (log, Mark::START));
    loop {
        if let (Some((log, head)), true) = (shown, acks.len() == request.entries.len()) {
            return Ok(PushReply { log, acks, head });
        }
        let (body, size, sent, staged) = match ready.take() {
            Some(ready) => (ready.body, ready.size, ready.sent, ready.staged),
            None => {
                let (body, sent) = write_push(&request, acks.len(), max_bytes)?;
                let size = body.len();
                (exchange.pack("push", body).await?, size, sent, None)
            }
        };
        let was_staged = staged.is_some();
        let answer = match staged {
            Some(name) => exchange.post("push", "push", write_staged_push(&request, &name)).await,
            None => exchange.post_packed("push", "push", body.clone()).await,
        };
        let answer = match answer {
            Err(e) if was_staged && e.kind() == ErrorKind::NotFound => {
                stages.store(false, Ordering::Relaxed);
                exchange.post_packed("push", "push", body).await
            }
            answer => answer,
        };
        let answer = match answer {
            Err(e) if e.kind() == ErrorKind::TooLarge && sent > 1 => {
                max_bytes = size / 2;
                continue;
            }
            Err(e) if e.kind() == ErrorKind::TooLarge && shown.is_some() && sent == 1 => {
                let id = request.entries[acks.len()].event.id.clone();
                acks.push((id, Outcome::Refused(Refusal::new(RefusalCode::TooLarge, e.message()))));
                continue;
            }
            answer => answer?,
        };
        let PushAnswer::Kit { log, head, results } = read_push_reply(&answer)? else {
            return Err(protocol("push", "the peer does not say what became of the events"));
        };
        let batch = &request.entries[acks.len()..acks.len() + sent];
        acks.extend(matched(batch, &results)?);
        shown = Some((log, head));
    }
}

/// What became of each event of a batch, once it is sure that the answer is about them.
fn matched(batch: &[Offered], results: &[PushResult]) -> Result<Vec<(EventId, Outcome)>> {
    let mut acks = Vec::with_capacity(batch.len());
    for result in results {
        let rest = batch.get(acks.len()..).unwrap_or_default();
        let alike =
            rest.len() >= result.count && rest.first().is_some_and(|o| o.event.id.as_str() == result.id);
        if !alike {
            return Err(protocol("push", "the answer is about other events"));
        }
        acks.extend(rest.iter().map(|offered| offered.event.id.clone()).zip(result.outcomes()));
    }
    if acks.len() < batch.len() {
        return Err(protocol("push", "the answer leaves events out"));
    }
    Ok(acks)
}

fn protocol(operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, operation, message)
}
