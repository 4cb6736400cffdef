//! One sync: greet, pull to the head, decide, push.

mod ask;
mod doubt;
mod pull;
mod push;
pub(crate) mod resolve;
mod start;

use std::sync::Arc;

use synckit_core::{
    CursorMode, Error, ErrorKind, Mark, Result, Transport, VectorCursor,
    plant::{Plant, planted, recall, remember},
    store::{Apply, Checkpoint, Outcome, QuarantineSide, Quarantined, Write, Written},
    transport::PeerState,
};

use self::start::{Start, plan_start};
use crate::{
    node::Inner,
    report::{RefusedEvent, SyncReport},
    state::SyncState,
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
    /// What the peer holds for sure, and need not be pushed; only in vector mode.
    held: Option<VectorCursor>,
    /// Up to here, our log was compared with what the peer holds.
    compared: u64,
    /// Where the peer's log ended after each push that no greeting has verified yet: a peer that is restored between two
    /// pushes may have grown beyond the first when it answers the second.
    pushed: Vec<Mark>,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(node: &'a Inner, direction: Direction, report: &'a mut SyncReport) -> Self {
        Self { node, direction, report }
    }

    pub(crate) async fn go(mut self) -> Result<()> {
        let turn = self.node.store.sync_turn().await?;
        if planted(Plant::CancelledSyncKeepsTurn) {
            let kept = std::mem::ManuallyDrop::new(turn);
            let done = self.attempts().await;
            drop(std::mem::ManuallyDrop::into_inner(kept));
            return done;
        }
        self.attempts().await
    }

    async fn attempts(&mut self) -> Result<()> {
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
        self.node.phases.enter(SyncState::Initializing);
        let mut session = self.greet(transport).await?;
        self.retry_held(&session).await?;
        let mut pulled = Ok(());
        if self.direction != Direction::Push {
            self.node.phases.enter(SyncState::Pulling);
            pulled = self.pull(&mut session).await;
            // A page that cannot be taken keeps nothing from going out; a peer that cannot be reached does.
            if pulled.as_ref().is_err_and(|e| e.is_retryable() || e.kind() == ErrorKind::LogChanged) {
                return pulled;
            }
            self.resolve().await?;
            if planted(Plant::CursorMovedByDecision) && self.report.conflicts.resolved > 0 {
                session.checkpoint.push = self.node.store.head().await?.position;
            }
        }
        if self.direction != Direction::Pull && !self.gave_up_pushing().await? {
            self.node.phases.enter(SyncState::Pushing);
            let pushed = self.push(&mut session).await;
            if planted(Plant::FailedPushNotRetried) && pushed.is_err() {
                let store = &self.node.store;
                remember(store.identity().log.as_u128(), store.head().await?.position);
            }
            pushed?;
        }
        self.verify_shown(&mut session).await?;
        pulled?;
        session.checkpoint.synced_at = self.node.environment.clock.now();
        self.record(&mut session).await
    }

    /// Never, unless a bug is planted.
    async fn gave_up_pushing(&self) -> Result<bool> {
        if !planted(Plant::FailedPushNotRetried) {
            return Ok(false);
        }
        let store = &self.node.store;
        Ok(recall(store.identity().log.as_u128()) == Some(store.head().await?.position))
    }

    /// Has the peer verify what it has shown, together with what it is known by.
    async fn verify_shown(&mut self, session: &mut Session) -> Result<()> {
        if session.checkpoint.shown == Mark::START && session.pushed.is_empty() {
            return Ok(());
        }
        let mut greeting = start::greeting(Some(&session.checkpoint), false);
        greeting.marks.extend(session.pushed.iter().filter(|m| **m != session.checkpoint.shown));
        let peer = self.request(|| session.transport.greet(greeting.clone())).await?;
        if !peer.verified {
            return Err(self.start_over(session).await?);
        }
        session.checkpoint.verified();
        session.pushed.clear();
        Ok(())
    }

    /// The peer's log was replaced during the sync: what was noted of it since is worth nothing. Gives the error that has it
    /// greeted again.
    async fn start_over(&mut self, session: &mut Session) -> Result<Error> {
        let old = &session.checkpoint;
        let mut checkpoint = Checkpoint::start(old.log, old.address.clone(), old.filter);
        checkpoint.echo_floor = self.node.store.head().await?.position;
        session.checkpoint = checkpoint;
        self.report.started_over = true;
        self.record(session).await?;
        Ok(Error::new(ErrorKind::LogChanged, "sync", "the peer's log was replaced during the sync"))
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
        let first = planted(Plant::OfflineWritesForgotten) && !self.node.has_synced();
        let Start { mut checkpoint, forget, over } =
            plan_start(&known, &peer, &address, filter, head.position);
        self.report.started_over |= over;
        if first {
            checkpoint.push = head.position;
        }
        Ok(Session {
            transport,
            peer,
            checkpoint,
            forget,
            held: None,
            compared: u64::MAX,
            pushed: Vec::new(),
        })
    }

    /// Tries again what is held: what it waited for may have come, or the event that had its id may have been withdrawn.
    async fn retry_held(&mut self, session: &Session) -> Result<()> {
        let mut held = self.node.store.quarantine().await?;
        held.retain(|q| q.side == QuarantineSide::Held);
        if held.is_empty() {
            return Ok(());
        }
        held.retain(|q| q.held.is_none());
        let retried = self.node.with_content(held).await?;
        let peer = Some(session.peer.log);
        let apply = Apply { peer, hold: true, retry_held: true, retried, ..Apply::default() };
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
            let fraction = (self.node.environment.entropy.random() >> 64) as f64 / u64::MAX as f64;
            let Some(pause) = self.node.config.retry.pause(failed, &error, fraction) else {
                return Err(error);
            };
            tracing::info!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
        Err(Error::new(ErrorKind::Internal, "request", "more attempts than can be counted"))
    }
}

/// The rows of the quarantine in which this peer refused something.
fn refused_by(rows: Vec<Quarantined>, peer: synckit_core::LogId) -> Vec<Quarantined> {
    rows.into_iter().filter(|q| q.side == QuarantineSide::Refused && q.peer == peer).collect()
}
