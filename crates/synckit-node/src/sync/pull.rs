//! Pulling to the peer's head.

use synckit_core::{
    AggregateId, Error, ErrorKind, EventId, Mark, Result, VectorCursor,
    decision::WITHDRAWAL,
    limits::MAX_CURSOR_STUBS,
    plant::{Plant, planted},
    store::{Apply, Write},
    transport::{PullPage, PullRequest},
};

use super::{Run, Session};

impl Run<'_> {
    /// Pulls what is new in the peer's log.
    ///
    /// By cursors over counters, what is held is left out, but for origins in doubt. A peer that is ahead leaves all of its
    /// origins in doubt until it was caught up with.
    pub(super) async fn pull(&mut self, session: &mut Session) -> Result<()> {
        let (pulled, head) = (session.checkpoint.pull, session.peer.head);
        let Some(theirs) = session.peer.vector.clone() else {
            return self.pull_after(session, pulled, None, Some(u64::MAX)).await;
        };
        let mut ours = self.node.store.vector().await?;
        let mut doubted = if head == pulled { Vec::new() } else { self.doubted(&ours, &theirs).await? };
        if !doubted.is_empty() && self.node.config.filter.is_everything() {
            self.pull_after(session, pulled, sendable(ours), None).await?;
            ours = self.node.store.vector().await?;
            doubted = self.doubted(&ours, &theirs).await?;
            if doubted.is_empty() {
                session.checkpoint.pull = head;
                return Ok(());
            }
        }
        // What came into the peer's log since the greeting was not compared yet.
        let last = Some(head.position);
        self.pull_after(session, pulled, sendable(ours.without(&doubted)), last).await?;
        // What was left out at first may be what others of the same pull wait for.
        if doubted.is_empty() { Ok(()) } else { self.retry_held(session).await }
    }

    /// Pulls page after page; while one is being stored, the next is on its way. The pull cursor moves along, as far as it may.
    async fn pull_after(
        &mut self,
        session: &mut Session,
        after: Mark,
        missing_from: Option<VectorCursor>,
        last: Option<u64>,
    ) -> Result<()> {
        let mut request = PullRequest {
            log: Some(session.peer.log),
            after,
            missing_from,
            limit: self.node.config.batch_size,
            filter: self.node.config.filter.clone(),
        };
        let mut page = self.request(|| session.transport.pull(request.clone())).await?;
        loop {
            check_page(&request, &page, session)?;
            let (has_more, next) = (page.has_more, page.next);
            // Only once the page is stored may the session go on from there.
            let mut covered = session.checkpoint.clone();
            if last.is_some_and(|last| next.position <= last) {
                let half = planted(Plant::HalfTakenForWhole) && session.checkpoint.pull == Mark::START;
                covered.pull = if half { page.head } else { next };
            } else if last.is_some_and(|last| covered.pull.position < last) {
                covered.pull = session.peer.head;
            }
            if planted(Plant::OnlyConflictsKept) {
                let open = self.node.store.conflicts(None, usize::MAX).await?;
                let in_conflict = |a: &AggregateId| open.iter().any(|c| c.aggregate == *a);
                if page.entries.iter().any(|e| in_conflict(&e.event.aggregate_id)) {
                    page.entries.retain(|e| in_conflict(&e.event.aggregate_id));
                }
            }
            covered.saw(page.head);
            covered.saw(next);
            let ids: Vec<EventId> = page.entries.iter().map(|e| e.event.id.clone()).collect();
            let withdraws = page.entries.iter().any(|e| e.event.event_type.as_str() == WITHDRAWAL);
            let apply = Apply {
                peer: Some(session.peer.log),
                entries: std::mem::take(&mut page.entries),
                hold: true,
                retry_held: withdraws,
                checkpoint: Some(covered.clone()),
                forget: session.forget,
                ..Apply::default()
            };
            let store = std::sync::Arc::clone(&self.node.store);
            let write = store.write(Write::Apply(apply));
            if !has_more {
                let written = write.await?;
                (session.checkpoint, session.forget) = (covered, None);
                self.note(&written, &ids);
                return Ok(());
            }
            request.after = next;
            let following = self.request(|| session.transport.pull(request.clone()));
            let (written, following) = tokio::join!(write, following);
            let written = written?;
            (session.checkpoint, session.forget) = (covered, None);
            self.note(&written, &ids);
            page = following?;
        }
    }
}

/// A cursor as it may be sent; with more stubs, what is new is asked for by positions.
fn sendable(cursor: VectorCursor) -> Option<VectorCursor> {
    Some(cursor).filter(|cursor| cursor.stub_ranges() <= MAX_CURSOR_STUBS)
}

/// A page must be of the log that was greeted, and lead on.
fn check_page(request: &PullRequest, page: &PullPage, session: &Session) -> Result<()> {
    if page.log != session.peer.log {
        return Err(Error::new(ErrorKind::LogChanged, "pull", "the peer's log changed between two pages"));
    }
    if page.next.position < request.after.position
        || (page.has_more && page.next.position == request.after.position)
    {
        return Err(Error::new(ErrorKind::Protocol, "pull", "the peer gives pages that do not lead on"));
    }
    // What the peer has shown is there: a page that ends before it was answered earlier, to the same request.
    if session.peer.keeps_stamps && !page.has_more && page.next.position < session.peer.head.position {
        return Err(Error::new(ErrorKind::Unavailable, "pull", "the peer gives a page that is out of date"));
    }
    Ok(())
}
