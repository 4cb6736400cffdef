//! Pushing what the peer has not had from this log.

use std::{collections::HashSet, sync::Arc};

use synckit_core::{
    Error, ErrorKind, Event, EventId, Mark, Result, chain_hash,
    plant::{Plant, planted},
    store::{
        Acknowledged, LogEntry, LogPage, Outcome, QuarantineSide, Quarantined, ReadRequest, RefusalCode,
        Write,
    },
    transport::{PeerState, PushReply, PushRequest},
};

use super::{Run, Session, refused_by};

/// After so many pushes, the peer is asked whether it still is what it was: few enough for one greeting.
const PUSHES_UNVERIFIED: usize = 8;
/// After so many pages that were taken as they were, the push cursor is recorded: should it be lost, a few pages go out once
/// more, and the peer has them already.
const PAGES_UNRECORDED: usize = 4;

/// What the peer said of pages, and is not recorded yet.
#[derive(Default)]
struct Said {
    pages: usize,
    last: Option<Acknowledged>,
}

impl Said {
    /// Pages must have been taken as they were before another can be added.
    fn add(&mut self, mut acknowledged: Acknowledged) {
        self.pages += 1;
        if let Some(before) = self.last.take() {
            acknowledged.forget = before.forget.or(acknowledged.forget);
        }
        self.last = Some(acknowledged);
    }

    fn is_due(&self, peer: &PeerState) -> bool {
        let plain = |said: &Acknowledged| said.refused.is_empty() && said.released.is_empty();
        // A plain log may keep what comes twice.
        self.pages >= PAGES_UNRECORDED || !peer.keeps_stamps || !self.last.as_ref().is_some_and(plain)
    }
}

impl Run<'_> {
    pub(super) async fn push(&mut self, session: &mut Session) -> Result<()> {
        loop {
            self.compare(session).await?;
            let before = refused_by(self.node.store.quarantine().await?, session.peer.log);
            let mut skewed = self.push_to_end(session, &before).await?;
            skewed.extend(self.push_refused_again(session).await?);
            if skewed.is_empty() || !self.restamp(&skewed).await? {
                break;
            }
        }
        // What was refused at first may have been taken since, because something else arrived.
        let left = self.node.store.quarantine().await?;
        let mut told = HashSet::new();
        self.report.refused.retain(|r| left.iter().any(|q| q.id == r.id) && told.insert(r.id.clone()));
        Ok(())
    }

    /// Works out what the peer holds for sure, and how far our log was compared with that. What came later is pushed as well,
    /// and looked at once more by the next sync.
    async fn compare(&self, session: &mut Session) -> Result<()> {
        let Some(theirs) = session.peer.vector.clone() else { return Ok(()) };
        let compared = self.node.store.head().await?.position;
        let mut doubted = Vec::new();
        if compared != session.checkpoint.push {
            doubted = self.doubted(&self.node.store.vector().await?, &theirs).await?;
            // What is left out rests on what the greeting showed: the push cursor never passes it without that on record.
            let (shown, known) = (session.peer.head, &session.checkpoint);
            let verified = shown == known.pull || shown.position <= known.seen.position;
            if session.peer.keeps_stamps && !verified && !session.pushed.contains(&shown) {
                session.checkpoint.saw(shown);
                session.pushed.push(shown);
            }
        }
        session.held = Some(theirs.without(&doubted));
        session.compared = compared;
        Ok(())
    }

    /// Pushes from the push cursor to the end of the log; while the peer takes one page, the next is read and made ready, and
    /// what it said of the one before is recorded. Returns what the peer refused because of its stamp.
    async fn push_to_end(&mut self, session: &mut Session, before: &[Quarantined]) -> Result<Vec<EventId>> {
        let mut skewed = Vec::new();
        let mut from = session.checkpoint.push;
        if planted(Plant::PushFromPeersPosition) {
            from = session.peer.head.position.min(self.node.store.head().await?.position);
        }
        let mut said = Said::default();
        let mut page = self.read_own(session, from).await?;
        let mut expected = None;
        loop {
            let (next, has_more) = (page.next.position, page.has_more);
            let entries = std::mem::take(&mut page.entries);
            if entries.is_empty() {
                self.acknowledged(&mut said).await?;
                let covered = next.min(session.compared);
                let moved = covered != session.checkpoint.push;
                session.checkpoint.push = covered;
                if moved {
                    self.record(session).await?;
                }
                if !has_more {
                    return Ok(skewed);
                }
                page = self.read_own(session, next).await?;
                expected = None;
                continue;
            }
            let request = self.push_request(session, &entries, expected.take());
            let following = async {
                if !has_more {
                    return None;
                }
                Some(match self.read_own(session, next).await {
                    Ok(page) => {
                        let request = self.push_request(session, &page.entries, None);
                        session.transport.expect_push(request.clone()).await;
                        Ok((page, request))
                    }
                    Err(error) => Err(error),
                })
            };
            let (reply, following, recorded, end) = tokio::join!(
                self.offer(session, &request, &entries),
                following,
                async {
                    if said.is_due(&session.peer) { self.acknowledged(&mut said).await } else { Ok(()) }
                },
                async { end_of(session.checkpoint.pull, &entries) }
            );
            recorded?;
            session.checkpoint.push = next.min(session.compared);
            if planted(Plant::CheckpointBeforePush) && reply.is_err() {
                self.record(session).await?;
            }
            let again = before.iter().filter(|q| entries.iter().any(|e| is_about(q, e)));
            let again: Vec<Quarantined> = again.cloned().collect();
            let reply = match reply {
                Ok(reply) => reply,
                Err(error) => {
                    self.acknowledged(&mut said).await?;
                    return Err(error);
                }
            };
            self.check_head(session, reply.head).await?;
            let (acknowledged, page_skewed) = self.digest(session, &entries, reply, end, again);
            if planted(Plant::PoisonHoldsQueue) && !acknowledged.refused.is_empty() {
                return Err(Error::new(ErrorKind::Forbidden, "push", "an event was refused"));
            }
            skewed.extend(page_skewed);
            said.add(acknowledged);
            match following {
                Some(Ok((read, request))) => {
                    (page, expected) = (read, Some(request));
                }
                last => {
                    self.acknowledged(&mut said).await?;
                    return last.transpose().map(|_| skewed);
                }
            }
        }
    }

    async fn read_own(&self, session: &Session, after: u64) -> Result<LogPage> {
        let request = ReadRequest::after(after)
            .limit(self.node.config.batch_size)
            .filter(self.node.config.filter.clone())
            .not_from(session.peer.log, session.checkpoint.echo_floor)
            .missing_from(session.held.clone());
        let mut page = self.node.store.read(request).await?;
        if !session.peer.keeps_stamps {
            // A plain log would hand the kit's own events on as if they were its own.
            page.entries.retain(|e| !e.event.event_type.is_reserved());
        }
        if planted(Plant::BurstDropped) {
            page.entries.truncate(8);
        }
        Ok(page)
    }

    /// The push of these entries: the one that was expected, unless the node has a new name since.
    fn push_request(
        &self,
        session: &Session,
        entries: &[LogEntry],
        expected: Option<PushRequest>,
    ) -> PushRequest {
        let identity = self.node.store.identity();
        if let Some(request) = expected
            && (request.node, request.from) == (identity.node, Some(identity.log))
        {
            return request;
        }
        PushRequest {
            log: Some(session.peer.log),
            node: identity.node,
            from: Some(identity.log),
            entries: Arc::new(entries.iter().cloned().map(LogEntry::into_offered).collect()),
        }
    }

    async fn offer(
        &self,
        session: &Session,
        request: &PushRequest,
        entries: &[LogEntry],
    ) -> Result<PushReply> {
        let reply = self.request(|| session.transport.push(request.clone())).await?;
        let complete = reply.acks.len() == entries.len()
            && reply.acks.iter().zip(entries).all(|((id, _), entry)| *id == entry.event.id);
        if !complete {
            return Err(Error::new(ErrorKind::Protocol, "push", "the peer did not answer for every event"));
        }
        Ok(reply)
    }

    /// What is to be recorded of what the peer said, with the checkpoint; and what it refused because of its stamp.
    fn digest(
        &mut self,
        session: &mut Session,
        entries: &[LogEntry],
        reply: PushReply,
        end: Option<Mark>,
        again: Vec<Quarantined>,
    ) -> (Acknowledged, Vec<EventId>) {
        let (mut refused, mut released, mut skewed) = (Vec::new(), Vec::new(), Vec::new());
        let mut accepted = Vec::with_capacity(entries.len());
        for (entry, (id, outcome)) in entries.iter().zip(reply.acks) {
            let before = again.iter().filter(|q| is_about(q, entry)).cloned();
            match outcome {
                Outcome::Accepted { .. } => {
                    self.report.pushed += 1;
                    accepted.push(entry);
                    released.extend(before);
                }
                Outcome::Refused(refusal) => {
                    self.refuse(&id, &refusal);
                    if refusal.code == RefusalCode::ClockSkew {
                        skewed.push(id.clone());
                    }
                    refused.push(Quarantined {
                        side: QuarantineSide::Refused,
                        peer: session.peer.log,
                        id,
                        origin: Some(entry.stamp.origin),
                        counter: entry.stamp.counter,
                        refusal,
                        position: entry.position,
                        held: None,
                    });
                }
                _ => {
                    self.report.duplicates += 1;
                    released.extend(before);
                }
            }
        }
        let pulled = session.checkpoint.pull;
        let end = end.filter(|_| accepted.len() == entries.len()).or_else(|| end_of(pulled, accepted));
        if end.is_some_and(|end| end != pulled && end == reply.head) {
            session.checkpoint.pull = reply.head;
        }
        let last_shown = session.pushed.last().copied().unwrap_or(session.checkpoint.seen);
        if session.peer.keeps_stamps && reply.head != last_shown {
            session.pushed.push(reply.head);
        }
        session.checkpoint.saw(reply.head);
        let (checkpoint, forget) = (session.checkpoint.clone(), session.forget.take());
        (Acknowledged { checkpoint, refused, released, forget }, skewed)
    }

    /// A log never gets shorter. Once in a while, what was shown is verified before more is pushed.
    async fn check_head(&mut self, session: &mut Session, head: Mark) -> Result<()> {
        let shown = session.pushed.last().map_or(0, |m| m.position).max(session.checkpoint.seen.position);
        if session.peer.keeps_stamps && head.position < shown {
            return Err(self.start_over(session).await?);
        }
        if session.pushed.len() >= PUSHES_UNVERIFIED {
            self.verify_shown(session).await?;
        }
        Ok(())
    }

    async fn acknowledged(&self, said: &mut Said) -> Result<()> {
        match std::mem::take(said).last {
            Some(said) => self.node.store.write(Write::Acknowledge(said)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Offers again what the peer refused for a reason that may have gone. Returns what it refuses still because of its stamp.
    async fn push_refused_again(&mut self, session: &mut Session) -> Result<Vec<EventId>> {
        let mut skewed = Vec::new();
        let mut rows = refused_by(self.node.store.quarantine().await?, session.peer.log);
        rows.retain(|q| q.refusal.code.may_pass());
        if planted(Plant::RefusedOnceForever) {
            rows.retain(|q| q.refusal.code != RefusalCode::Quota);
        }
        rows.sort_by_key(|q| q.position);
        for rows in rows.chunks(self.node.config.batch_size) {
            let ids: Vec<EventId> = rows.iter().map(|q| q.id.clone()).collect();
            let mut entries = self.node.store.load(&ids).await?;
            entries.retain(|e| rows.iter().any(|q| q.position == e.position));
            let filter = ReadRequest::default().filter(self.node.config.filter.clone());
            let mut entries: Vec<LogEntry> = entries.into_iter().filter_map(|e| filter.shape(e)).collect();
            entries.sort_by_key(|e| e.position);
            let outdated = rows.iter().filter(|q| !entries.iter().any(|e| e.position == q.position)).cloned();
            self.node.store.write(Write::Release(outdated.collect())).await?;
            if entries.is_empty() {
                continue;
            }
            let request = self.push_request(session, &entries, None);
            let reply = self.offer(session, &request, &entries).await?;
            self.check_head(session, reply.head).await?;
            let (acknowledged, still) = self.digest(session, &entries, reply, None, rows.to_vec());
            let mut said = Said::default();
            said.add(acknowledged);
            self.acknowledged(&mut said).await?;
            skewed.extend(still);
        }
        Ok(skewed)
    }

    /// Gives events that were stamped by a clock running ahead smaller stamps, now that the clock is right. Returns whether
    /// there was any.
    async fn restamp(&mut self, ids: &[EventId]) -> Result<bool> {
        if ids.is_empty() {
            return Ok(false);
        }
        let events: Vec<Event> = self.node.store.load(ids).await?.into_iter().map(|e| e.event).collect();
        let written = self.node.store.write(Write::Restamp(events)).await?;
        Ok(written.accepted() > 0)
    }
}

/// Whether a refusal is one of this entry, or of an earlier entry with its stamp.
fn is_about(row: &Quarantined, entry: &LogEntry) -> bool {
    (&row.id, row.origin, row.counter) == (&entry.event.id, Some(entry.stamp.origin), entry.stamp.counter)
}

/// Where the peer's log ends if it has nothing after our pull cursor but these entries: then there is nothing in between to
/// be pulled, and no need to have our own entries sent back. The chain tells; a log that was restored has another one. It
/// does not tell whether the peer had the data of a stub.
fn end_of<'a>(pulled: Mark, entries: impl IntoIterator<Item = &'a LogEntry>) -> Option<Mark> {
    let mut end = pulled;
    for entry in entries {
        let hash = chain_hash(&end.hash, &entry.event.id, &entry.stamp, &entry.content);
        end = Mark { position: end.position.checked_add(1).filter(|_| !entry.stub)?, hash };
    }
    Some(end)
}
