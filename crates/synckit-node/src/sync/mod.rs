//! One sync: greet, pull to the head, decide, push.

mod pull;
mod push;
mod resolve;
mod start;

use std::sync::Arc;

use synckit_core::{
    CursorMode, Error, ErrorKind, Hash, Result, Transport, VectorCursor,
    store::{Apply, Checkpoint, Outcome, QuarantineSide, Quarantined, Write, Written},
    transport::PeerState,
};

use self::start::{Start, plan_start};
use crate::{
    node::Inner,
    report::{RefusedEvent, SyncReport},
};

/// How often a sync begins anew because the peer's log changed under it.
const FRESH_STARTS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Both = 0,
    Push = 1,
    Pull = 2,
}

/// A sync in progress.
pub(crate) struct Run<'a> {
    node: &'a Inner,
    direction: Direction,
    report: &'a mut SyncReport,
}

/// A sync in progress with a peer that has been greeted.
struct Session {
    transport: Arc<dyn Transport>,
    peer: PeerState,
    checkpoint: Checkpoint,
    forget: Option<synckit_core::LogId>,
    /// All that this node held when the sync began; only in vector mode.
    ours: Option<VectorCursor>,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(node: &'a Inner, direction: Direction, report: &'a mut SyncReport) -> Self {
        Self { node, direction, report }
    }

    pub(crate) async fn go(mut self) -> Result<()> {
        let _turn = self.node.store.sync_turn().await?;
        let Some(transport) = self.node.transport.clone() else {
            return self.resolve().await;
        };
        for attempt in 1.. {
            match self.exchange(Arc::clone(&transport)).await {
                Err(e) if e.kind() == ErrorKind::LogChanged && attempt < FRESH_STARTS => {
                    tracing::info!(error = %e, "the peer's log changed; greeting it again");
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        Ok(())
    }

    async fn exchange(&mut self, transport: Arc<dyn Transport>) -> Result<()> {
        let mut session = self.greet(transport).await?;
        self.retry_held(&session).await?;
        if self.direction != Direction::Push {
            self.pull(&mut session).await?;
            self.resolve().await?;
        }
        if self.direction != Direction::Pull {
            self.push(&mut session).await?;
        }
        session.checkpoint.synced_at = self.node.environment.clock.now();
        let config = &self.node.config;
        if self.direction == Direction::Both || config.push_only || config.pull_only {
            session.checkpoint.filter = config.filter.fingerprint();
        }
        self.record(&mut session).await
    }

    async fn greet(&mut self, transport: Arc<dyn Transport>) -> Result<Session> {
        let store = &self.node.store;
        let vector = store.identity().mode == CursorMode::Vector;
        let filter = self.node.config.filter.fingerprint();
        let address = transport.address();
        let mut known = store.checkpoints().await?;
        known.sort_by_key(|c| std::cmp::Reverse(c.synced_at));
        let at_address = known.iter().find(|c| c.address == address);
        let mut greeting = start::greeting(at_address, vector);
        let mut peer = self.request(|| transport.greet(greeting.clone())).await?;
        if greeting.log.is_none_or(|log| log != peer.log)
            && let Some(met) = known.iter().find(|c| c.log == peer.log)
        {
            greeting = start::greeting(Some(met), vector);
            peer = self.request(|| transport.greet(greeting.clone())).await?;
        }
        let head = store.head().await?;
        let Start { mut checkpoint, forget, over, backfill } =
            plan_start(&known, &peer, &address, filter, head.position);
        self.report.started_over |= over;
        let by_vector = vector && !backfill;
        let ours = if by_vector { Some(store.vector().await?) } else { None };
        if vector && backfill {
            // Until it is complete, a sync that is cut off starts the backfill again.
            peer.vector = None;
            checkpoint.filter = Hash::ZERO;
        }
        Ok(Session { transport, peer, checkpoint, forget, ours })
    }

    /// Tries again what is held because it waited for something.
    async fn retry_held(&mut self, session: &Session) -> Result<()> {
        let held = self.node.store.quarantine().await?;
        if !held.iter().any(|q| q.side == QuarantineSide::Held && q.refusal.code.may_pass()) {
            return Ok(());
        }
        let apply = Apply { peer: Some(session.peer.log), hold: true, retry_held: true, ..Apply::default() };
        let written = self.node.store.write(Write::Apply(apply)).await?;
        self.note(&written, &[]);
        Ok(())
    }

    /// Records the checkpoint alone.
    async fn record(&mut self, session: &mut Session) -> Result<()> {
        let apply = Apply {
            peer: Some(session.peer.log),
            hold: true,
            checkpoint: Some(session.checkpoint.clone()),
            forget: session.forget.take(),
            ..Apply::default()
        };
        self.node.store.write(Write::Apply(apply)).await.map(drop)
    }

    /// Notes what became of pulled entries.
    fn note(&mut self, written: &Written, ids: &[synckit_core::EventId]) {
        self.report.pulled += written.accepted() + written.released;
        self.report.duplicates += written.duplicates();
        self.report.notices.extend(written.notices.iter().cloned());
        for (id, outcome) in ids.iter().zip(&written.outcomes) {
            if let Outcome::Refused(refusal) = outcome {
                self.refuse(id, refusal);
            }
        }
    }

    fn refuse(&mut self, id: &synckit_core::EventId, refusal: &synckit_core::store::Refusal) {
        let reason = refusal.detail.clone();
        self.report.refused.push(RefusedEvent { id: id.clone(), code: refusal.code, reason });
    }

    /// Makes a request, and repeats it as the policy says.
    async fn request<T, F: Future<Output = Result<T>>>(&self, make: impl Fn() -> F) -> Result<T> {
        for failed in 1.. {
            let error = match make().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = self.node.config.retry.pause(failed, &error, rand::random()) else {
                return Err(error);
            };
            tracing::debug!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
        Err(Error::new(ErrorKind::Internal, "request", "more attempts than can be counted"))
    }
}

/// The rows of the quarantine in which this peer refused something.
fn refused_by(rows: Vec<Quarantined>, peer: synckit_core::LogId) -> Vec<Quarantined> {
    rows.into_iter().filter(|q| q.side == QuarantineSide::Refused && q.peer == peer).collect()
}
