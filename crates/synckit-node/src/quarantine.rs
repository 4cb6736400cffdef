//! Events that somebody did not take.

use synckit_core::{
    Error, ErrorKind, EventId, Result,
    store::{
        Apply, LogEntry, Outcome, QuarantineSide, Quarantined, ReadRequest, Refusal, RefusalCode, Write,
    },
};

use crate::node::{Inner, SyncNode};

impl SyncNode {
    /// What is in quarantine, in both directions.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn refused(&self) -> Result<Vec<Quarantined>> {
        let mut rows = self.0.store.quarantine().await?;
        rows.sort_by(|a, b| (&a.id, a.side, a.peer).cmp(&(&b.id, b.side, b.peer)));
        Ok(rows)
    }

    /// Tries an event again, whatever it was refused for: one that is held here at once, one that a peer refused by pushing
    /// it at the next sync. Returns why it is refused still, if it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the event is not in quarantine; any error of the store, the network or the peer.
    pub async fn retry_refused(&self, id: &EventId) -> Result<Option<Refusal>> {
        self.check_open("retry")?;
        let rows: Vec<Quarantined> =
            self.0.store.quarantine().await?.into_iter().filter(|q| q.id == *id).collect();
        if rows.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "retry", format!("{id} is not in quarantine")));
        }
        let (held, refused): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|q| q.side == QuarantineSide::Held);
        let waits = !refused.is_empty() && (self.0.transport.is_none() || self.0.config.pull_only);
        if !refused.is_empty() {
            self.0.store.write(Write::Reoffer(refused)).await?;
            if !waits {
                self.sync().await?;
            }
        }
        if !held.is_empty() {
            let retried = self.0.with_content(held).await?;
            let apply = Apply { hold: true, retried, ..Apply::default() };
            self.0.store.write(Write::Apply(apply)).await?;
        }
        let mut left = self.0.store.quarantine().await?.into_iter();
        let still = left.find(|q| q.id == *id && !(waits && q.side == QuarantineSide::Refused));
        Ok(still.map(|q| q.refusal))
    }

    /// Issues an event again under a new id: one of this node's own whose id names another event. The refusals of the old id
    /// are forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no event of this node was refused because of that id; [`ErrorKind::Invalid`] if the new id
    /// is taken or no good; any error of the store.
    pub async fn reissue(&self, id: &EventId, new_id: &EventId) -> Result<()> {
        self.check_open("issue again")?;
        let identity = self.0.store.identity();
        let mut rows = self.0.store.quarantine().await?;
        rows.retain(|q| {
            let own = q.origin.is_some_and(|o| identity.is_or_was(o));
            q.id == *id && q.position > 0 && own && q.refusal.code == RefusalCode::ContentMismatch
        });
        let Some(position) = rows.first().map(|q| q.position) else {
            let what = format!("no event of this node with the id {id} was refused because the id is taken");
            return Err(Error::new(ErrorKind::NotFound, "issue again", what));
        };
        let page = self.0.store.read(ReadRequest::after(position - 1).limit(1)).await?;
        let Some(entry) = page.entries.into_iter().next() else {
            return Err(Error::new(ErrorKind::NotFound, "issue again", format!("{id} is not in the log")));
        };
        let mut event = entry.event;
        event.id = new_id.clone();
        let written = self.0.store.write(Write::Reissue(event, rows)).await?;
        match written.outcomes.first().and_then(Outcome::refusal) {
            Some(refusal) => Err(Error::invalid("issue again", refusal.detail.clone())),
            None => Ok(()),
        }
    }

    /// Gives up an own event that a peer refused, for good and on every replica.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such event; [`ErrorKind::Forbidden`] with the reason if it cannot be given up;
    /// any error of the store.
    pub async fn withdraw(&self, id: &EventId) -> Result<()> {
        self.check_open("withdraw")?;
        let written = self.0.store.write(Write::Withdraw(vec![id.clone()])).await?;
        match written.outcomes.into_iter().next() {
            Some(Outcome::Refused(refusal)) => {
                Err(Error::new(ErrorKind::Forbidden, "withdraw", refusal.detail))
            }
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// The rows with the events themselves: those of events that lost their id are in our own log.
    pub(crate) async fn with_content(&self, mut rows: Vec<Quarantined>) -> Result<Vec<Quarantined>> {
        for row in rows.iter_mut().filter(|q| q.held.is_none() && q.position > 0) {
            let page = self.store.read(ReadRequest::after(row.position - 1).limit(1)).await?;
            row.held = page.entries.into_iter().next().map(LogEntry::into_offered);
        }
        Ok(rows)
    }
}
