//! Talking to a stock go-sync-kit hub: a log that knows positions, and nothing of stamps, hashes or filters.

use std::sync::Arc;

use synckit_core::{
    CursorMode, Error, ErrorKind, EventId, Hash, LogId, Mark, Result, Stamp, Timestamp,
    store::{Offered, Outcome, Refusal, RefusalCode},
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};
use synckit_wire::{
    PeerAnswer, PushAnswer, read_page, read_peer, read_push_reply, write_pull, write_stock_push,
};

use super::exchange::Exchange;
use crate::offload::offload;

/// The most events that a stock hub gives at a time.
const MAX_EVENTS: usize = 1000;

/// What is known of a stock hub. Its marks have no hashes: a position beyond its end is all that shows a loss.
pub(super) fn state(log: LogId, position: u64, greeting: &Greeting) -> PeerState {
    let known = |mark: &Mark| mark.position <= position && mark.hash == Hash::ZERO;
    let verified = greeting.log.is_none_or(|expected| expected == log) && greeting.marks.iter().all(known);
    let mut state = PeerState::new(log, log.into(), CursorMode::Integer, plain_mark(position), verified);
    state.keeps_stamps = false;
    state
}

const fn plain_mark(position: u64) -> Mark {
    Mark { position, hash: Hash::ZERO }
}

fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, "pull", message)
}

pub(super) async fn pull(exchange: &Exchange, log: LogId, request: PullRequest) -> Result<PullPage> {
    if let Some(expected) = request.log.filter(|expected| *expected != log) {
        return Err(Error::new(
            ErrorKind::LogChanged,
            "pull",
            format!("the log {expected} is not here any more"),
        ));
    }
    let limit = if request.limit == 0 { MAX_EVENTS } else { request.limit.min(MAX_EVENTS) };
    let after = request.after;
    let asked = PullRequest { after, limit, ..PullRequest::default() };
    let body = exchange.post("pull", "pull-cursor", write_pull(&asked)?).await?;
    let answer = offload(body.len(), "pull", move || read_page(&body, MAX_EVENTS)).await?;
    let mut reached = after.position;
    let mut entries = Vec::with_capacity(answer.elements.len());
    let has_more = !answer.elements.is_empty();
    for element in answer.elements {
        let offered = match element {
            Ok(offered) => offered,
            Err(unfit) => {
                tracing::warn!(id = %unfit.id, reason = %unfit.refusal, "a stock hub has an event that cannot be one here");
                continue;
            }
        };
        if offered.position <= reached {
            return Err(protocol(format!("{} has no version after the one before", offered.event.id)));
        }
        reached = offered.position;
        if wanted(&request, &offered, log)? {
            entries.push(Offered { stamp: None, stub: None, ..offered });
        }
    }
    // An empty page has no `next`: the cursor stays where it is.
    let next = answer.next.map_or(reached, |next| next.position.max(reached));
    if has_more && next == after.position {
        return Err(protocol("the page does not reach further than the one before"));
    }
    Ok(PullPage { log, entries, next: plain_mark(next), head: plain_mark(next), has_more })
}

/// A stock hub gives everything; what is not wanted is left out here.
fn wanted(request: &PullRequest, offered: &Offered, log: LogId) -> Result<bool> {
    let position = offered.position;
    let stamp = Stamp::checked(log.into(), position, Timestamp::from_micros(position), Vec::new())?;
    let covered = request.missing_from.as_ref().is_some_and(|cursor| cursor.covers(log.into(), position));
    Ok(!covered && request.filter.wants(&offered.event, &stamp))
}

/// Pushes what a stock hub can keep. Its answer says nothing of single events: the whole batch counts as accepted, and
/// what is not there will be missing from the pages that it gives.
pub(super) async fn push(
    exchange: &Exchange,
    log: LogId,
    max_bytes: usize,
    request: PushRequest,
) -> Result<PushReply> {
    if let Some(expected) = request.log.filter(|expected| *expected != log) {
        return Err(Error::new(
            ErrorKind::LogChanged,
            "push",
            format!("the log {expected} is not here any more"),
        ));
    }
    let mut acks: Vec<(EventId, Outcome)> = Vec::with_capacity(request.entries.len());
    let mut plain = Vec::with_capacity(request.entries.len());
    for offered in Arc::unwrap_or_clone(request.entries) {
        let id = offered.event.id.clone();
        if offered.stub.is_some() || !offered.event.data.is_json() {
            let refusal = Refusal::new(
                RefusalCode::Other,
                format!("{id}: a stock hub keeps whole events with JSON data only"),
            );
            acks.push((id, Outcome::Refused(refusal)));
        } else {
            acks.push((id, Outcome::Accepted { position: 0 }));
            // Stock hubs drop events whose version is not a positive number; which one it is does not matter to them.
            plain.push(Offered { stamp: None, position: offered.position.max(1), ..offered });
        }
    }
    let mut rest = &plain[..];
    while !rest.is_empty() {
        let (body, sent) = write_stock_push(rest, max_bytes)?;
        let answer = exchange.post("push", "push", body).await?;
        if !matches!(read_push_reply(&answer)?, PushAnswer::Stock | PushAnswer::Kit { .. }) {
            return Err(Error::new(
                ErrorKind::Protocol,
                "push",
                "the answer to a push is of an unknown kind",
            ));
        }
        rest = &rest[sent..];
    }
    let body = exchange.get("push", "latest-version", "").await?;
    let PeerAnswer::Stock(position) = read_peer(&body)? else {
        return Err(Error::new(ErrorKind::LogChanged, "push", "the peer is not a stock hub any more"));
    };
    Ok(PushReply { log, acks, head: plain_mark(position) })
}
