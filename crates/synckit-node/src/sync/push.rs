//! Pushing what the peer has not had from this log.

use std::collections::{HashMap, HashSet};

use synckit_core::{
    Error, ErrorKind, Event, EventId, Result,
    store::{
        Acknowledged, LogEntry, LogPage, Outcome, QuarantineSide, Quarantined, ReadRequest, RefusalCode,
        Write,
    },
    transport::{PushReply, PushRequest},
};

use super::{Run, Session, refused_by};

impl Run<'_> {
    pub(super) async fn push(&mut self, session: &mut Session) -> Result<()> {
        loop {
            let mut skewed = self.push_to_end(session).await?;
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

    /// Pushes from the push cursor to the end of the log; while the peer takes one page, the next is read. Returns what the
    /// peer refused because of its stamp.
    async fn push_to_end(&mut self, session: &mut Session) -> Result<Vec<EventId>> {
        let mut skewed = Vec::new();
        let mut page = self.read_own(session, session.checkpoint.push).await?;
        loop {
            let (next, has_more) = (page.next.position, page.has_more);
            let mut entries = std::mem::take(&mut page.entries);
            if !session.peer.keeps_stamps {
                // A plain log would hand the kit's own events on as if they were its own.
                entries.retain(|e| !e.event.event_type.is_reserved());
            }
            if entries.is_empty() {
                let moved = next != session.checkpoint.push;
                session.checkpoint.push = next;
                if moved {
                    self.record(session).await?;
                }
                if !has_more {
                    return Ok(skewed);
                }
                page = self.read_own(session, next).await?;
                continue;
            }
            let following = async { if has_more { Some(self.read_own(session, next).await) } else { None } };
            let (reply, following) = tokio::join!(self.offer(session, &entries), following);
            session.checkpoint.push = next;
            skewed.extend(self.acknowledge(session, entries, reply?, Vec::new()).await?);
            match following {
                Some(read) => page = read?,
                None => return Ok(skewed),
            }
        }
    }

    async fn read_own(&self, session: &Session, after: u64) -> Result<LogPage> {
        let request = ReadRequest::after(after)
            .limit(self.node.config.batch_size)
            .filter(self.node.config.filter.clone())
            .not_from(session.peer.log, session.checkpoint.echo_floor)
            .missing_from(session.peer.vector.clone());
        self.node.store.read(request).await
    }

    async fn offer(&self, session: &Session, entries: &[LogEntry]) -> Result<PushReply> {
        let identity = self.node.store.identity();
        let request = PushRequest {
            log: Some(session.peer.log),
            node: identity.node,
            from: Some(identity.log),
            entries: entries.iter().cloned().map(LogEntry::into_offered).collect(),
        };
        let reply = self.request(|| session.transport.push(request.clone())).await?;
        let complete = reply.acks.len() == entries.len()
            && reply.acks.iter().zip(entries).all(|((id, _), entry)| *id == entry.event.id);
        if !complete {
            return Err(Error::new(ErrorKind::Protocol, "push", "the peer did not answer for every event"));
        }
        Ok(reply)
    }

    /// Records what the peer said, with the checkpoint.
    async fn acknowledge(
        &mut self,
        session: &mut Session,
        entries: Vec<LogEntry>,
        reply: PushReply,
        again: Vec<Quarantined>,
    ) -> Result<Vec<EventId>> {
        let mut rows: HashMap<u64, Quarantined> = again.into_iter().map(|q| (q.position, q)).collect();
        let (mut refused, mut released, mut skewed, mut positions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (entry, (id, outcome)) in entries.iter().zip(reply.acks) {
            let before = rows.remove(&entry.position);
            match outcome {
                Outcome::Accepted { position } => {
                    self.report.pushed += 1;
                    positions.push(position);
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
        if follows(session.checkpoint.pull.position, &positions, reply.head.position) {
            session.checkpoint.pull = reply.head;
        }
        session.checkpoint.saw(reply.head);
        if let Some(forget) = session.forget.take() {
            session.forget = Some(forget);
            self.record(session).await?;
        }
        let checkpoint = session.checkpoint.clone();
        self.node.store.write(Write::Acknowledge(Acknowledged { checkpoint, refused, released })).await?;
        Ok(skewed)
    }

    /// Offers again what the peer refused for a reason that may have gone. Returns what it refuses still because of its stamp.
    async fn push_refused_again(&mut self, session: &mut Session) -> Result<Vec<EventId>> {
        let mut skewed = Vec::new();
        let mut rows = refused_by(self.node.store.quarantine().await?, session.peer.log);
        rows.retain(|q| q.refusal.code.may_pass());
        rows.sort_by_key(|q| q.position);
        for rows in rows.chunks(self.node.config.batch_size) {
            let ids: Vec<EventId> = rows.iter().map(|q| q.id.clone()).collect();
            let mut entries = self.node.store.load(&ids).await?;
            entries.sort_by_key(|e| e.position);
            entries.retain(|e| rows.iter().any(|q| q.position == e.position));
            let outdated = rows.iter().filter(|q| !entries.iter().any(|e| e.position == q.position)).cloned();
            self.node.store.write(Write::Release(outdated.collect())).await?;
            if entries.is_empty() {
                continue;
            }
            let reply = self.offer(session, &entries).await?;
            skewed.extend(self.acknowledge(session, entries, reply, rows.to_vec()).await?);
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

/// Whether the accepted entries are all that the peer's log has after our pull cursor: then there is nothing in between to
/// be pulled, and no need to have our own entries sent back.
fn follows(pulled: u64, accepted: &[u64], head: u64) -> bool {
    !accepted.is_empty()
        && accepted.iter().zip(pulled + 1..).all(|(position, expected)| *position == expected)
        && head == pulled + accepted.len() as u64
}

#[cfg(test)]
mod tests {
    use super::follows;

    #[test]
    fn the_pull_cursor_skips_what_we_pushed_ourselves() {
        assert!(follows(4, &[5, 6, 7], 7));
        assert!(!follows(4, &[6, 7], 7), "somebody else wrote position 5");
        assert!(!follows(4, &[5, 7], 7));
        assert!(!follows(4, &[5, 6], 7));
        assert!(!follows(4, &[], 4));
    }
}
