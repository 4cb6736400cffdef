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
    /// Pulls all that this node lacks.
    ///
    /// By cursors over counters, the peer's whole log is gone through for what is not held at all, and only what is new in
    /// it for the data of stubs: what this node wants of the rest, it has had.
    pub(super) async fn pull(&mut self, session: &mut Session) -> Result<()> {
        let pulled = session.checkpoint.pull;
        let Some(ours) = session.ours.take() else {
            return self.pull_after(session, pulled, None, true).await.map(drop);
        };
        let stubs = ours.stub_ranges();
        if stubs == 0 || (pulled == Mark::START && stubs <= MAX_CURSOR_STUBS) {
            return self.pull_after(session, Mark::START, Some(ours), true).await.map(drop);
        }
        let head = self.pull_after(session, Mark::START, Some(ours.without_stubs()), false).await?;
        if head == pulled {
            return Ok(());
        }
        let ours = self.node.store.vector().await?;
        let missing_from = Some(ours).filter(|ours| ours.stub_ranges() <= MAX_CURSOR_STUBS);
        self.pull_after(session, pulled, missing_from, true).await.map(drop)
    }

    /// Pulls page after page; while one is being stored, the next is on its way. Returns where the peer's log ends. The pull
    /// cursor moves along if it is to.
    async fn pull_after(
        &mut self,
        session: &mut Session,
        after: Mark,
        missing_from: Option<VectorCursor>,
        moves: bool,
    ) -> Result<Mark> {
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
            if moves {
                let half = planted(Plant::HalfTakenForWhole) && session.checkpoint.pull == Mark::START;
                covered.pull = if half { page.head } else { next };
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
                return Ok(next);
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
