//! What applications, people and accidents do to nodes.

use std::sync::{Arc, PoisonError};

use synckit_core::{
    AggregateId, ConflictId, Error, ErrorKind, Event, EventId, EventType, Filter, Result, content_hash,
    store::{Outcome, QuarantineSide, RefusalCode},
};
use synckit_node::SyncNode;

use crate::{
    faults::Fault,
    net::{self, short},
    oracle::{
        Violation,
        syncs::{self, Before, Done},
    },
    rng::Rng,
    script::{Action, Step, Topology},
    shared::{Kind, Shared},
    world::World,
};

/// A domain event. Contents repeat under many ids; some fields are in all of them, and others only in some.
pub(crate) fn event(id: &str, aggregate: usize, data: usize) -> Result<Event> {
    let field = ["a", "b", "c"][data % 3];
    let tags = [data % 4, data % 5].map(|tag| format!("tag{tag}"));
    let payload = serde_json::json!({ "v": data, "n": data % 11, "f": { field: data % 7 }, "tags": tags });
    Event::new(format!("t{}", data % 3), format!("a{aggregate}"), &payload)?.with_id(id)
}

/// Errors that say that the kit or its data is broken.
fn judge_error(shared: &Shared, node: usize, what: &str, error: &Error) {
    shared.note(format_args!("n{node} {what}: {}: {}", error.kind(), error.message()));
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::Storage) {
        let what = format!("n{node} {what}: {error}");
        shared.judge(Err(Violation::new("errors", what)));
    }
}

impl World {
    pub(crate) fn act(&mut self, step: &Step) -> Result<()> {
        let n = |node: usize| node % self.replicas.len();
        match step.action.clone() {
            Action::Append { node, aggregates } => {
                let mut rng = Rng::new(self.seed ^ (step.number as u64) << 32);
                let events = aggregates
                    .iter()
                    .enumerate()
                    .map(|(i, a)| event(&format!("e{}-{i}", step.number), *a, rng.below(6)))
                    .collect::<Result<Vec<_>>>()?;
                self.append(n(node), events);
            }
            Action::Import { node, from, count } => {
                let all = self.settings.aggregates;
                let events = (from..from + count)
                    .map(|i| event(&format!("import-{i}"), i % all, i % 6))
                    .collect::<Result<Vec<_>>>()?;
                self.append(n(node), events);
            }
            Action::Contest { node, id } => {
                let events =
                    vec![event(&format!("contested-{id}"), id % self.settings.aggregates, 10 + node)?];
                self.append(n(node), events);
            }
            Action::Sync { node, link } => self.sync(n(node), link),
            Action::SyncAll => (0..self.replicas.len()).for_each(|n| self.sync(n, 0)),
            Action::Decide { node, choice } => self.decide(n(node), choice),
            Action::Undo { node, choice } => self.undo(n(node), choice),
            Action::Tidy { node, choice, crash_polls } => {
                let node = n(node);
                self.tidy(node, choice);
                if let Some(polls) = crash_polls {
                    self.crash_later(node, polls, 50);
                }
            }
            Action::Look { node } => self.look(n(node)),
            Action::Crash { node, polls, down_ms } => self.crash_later(n(node), polls, down_ms),
            Action::Cancel { node, polls } => self.cancel_later(n(node), polls),
            Action::FailWrite { node, nth } => {
                let node = n(node);
                self.shared.state().failing_writes.insert(node, nth);
            }
            Action::Partition { from, to, ms } => {
                let (from, to) = (n(from), n(to));
                if from != to {
                    self.shared.fault(Fault::OneWayPartition);
                    self.shared.note(format_args!("nothing gets from n{from} to n{to} for {ms} ms"));
                    self.network.block(from, to, self.shared.elapsed() + ms * 1_000);
                }
            }
            Action::Clock { node, skew_ms } => {
                let node = n(node);
                if skew_ms != 0 {
                    self.shared.fault(if skew_ms > 0 { Fault::ClockAhead } else { Fault::ClockBack });
                }
                self.shared.note(format_args!("the clock of n{node} is off by {skew_ms} ms"));
                self.replicas[node].clock.set_skew(skew_ms * 1_000);
            }
            Action::Copy { node } => self.copy(n(node))?,
            Action::Restore { node } => self.restore(n(node))?,
            Action::Wipe { node } => self.wipe(n(node))?,
            Action::Clone { node } => self.clone_node(n(node))?,
            Action::Refuse { node, salt } => {
                self.shared.fault(Fault::Refusal);
                self.shared.note(format_args!("n{} takes no more of some", n(node)));
                self.network.refuse(n(node), Some(salt));
            }
            Action::Release { node } => self.network.refuse(n(node), None),
            Action::Filter { node, choice } => {
                let filter = self.filter(choice)?;
                self.shared.fault(Fault::ChangedFilter);
                self.set_filter(n(node), filter)?;
            }
        }
        Ok(())
    }

    fn filter(&self, choice: u64) -> Result<Filter> {
        let mut rng = Rng::new(choice);
        let everything = Filter::everything();
        Ok(match rng.below(4) {
            0 => everything.with_type(EventType::new(format!("t{}", rng.below(3)))?),
            1 => everything
                .with_aggregate(AggregateId::new(format!("a{}", rng.below(self.settings.aggregates)))?),
            2 => {
                let books = &self.shared.state().ledger.books;
                let tape = &books[rng.below(books.len())].tape;
                if tape.is_empty() { everything } else { everything.with_origin(rng.pick(tape).stamp.origin) }
            }
            _ => everything,
        })
    }

    fn local(&self, n: usize) -> Option<SyncNode> {
        self.replicas[n].running.as_ref().map(|r| r.local.clone())
    }

    /// Gives events to a node, with those that it has not acknowledged before.
    pub(crate) fn append(&mut self, n: usize, events: Vec<Event>) {
        let waiting = Arc::clone(&self.replicas[n].unacknowledged);
        let mut list = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        list.extend(events.into_iter().map(|e| (e.id.clone(), e)));
        let events: Vec<Event> = list.values().cloned().collect();
        drop(list);
        let Some(node) = self.local(n).filter(|_| !events.is_empty()) else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(n, Kind::App, async move {
            let ids: Vec<&str> = events.iter().map(|e| e.id.as_str()).collect();
            shared.note(format_args!("n{n} appends {}", ids.join(" ")));
            match node.append(events.clone()).await {
                Err(error) => judge_error(&shared, n, "append", &error),
                Ok(written) => {
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    for (event, outcome) in events.iter().zip(&written.outcomes) {
                        waiting.remove(&event.id);
                        shared.note(format_args!("n{n} {}: {}", event.id, net::outcome(outcome)));
                        if matches!(outcome, Outcome::Accepted { .. } | Outcome::Duplicate) {
                            shared.state().ledger.promise(&event.id, content_hash(event));
                        }
                    }
                }
            }
        });
    }

    /// Has a node sync over one of its links; one without links decides its conflicts.
    pub(crate) fn sync(&mut self, n: usize, link: usize) {
        let Some(running) = &self.replicas[n].running else { return };
        let shared = Arc::clone(&self.shared);
        if running.links.is_empty() {
            let node = running.local.clone();
            self.shared.spawn(n, Kind::Sync, async move {
                if let Err(error) = node.sync().await {
                    judge_error(&shared, n, "decide", &error);
                }
            });
            return;
        }
        let link = &running.links[link % running.links.len()];
        let (node, peer, store) = (link.node.clone(), link.peer, Arc::clone(&running.store));
        let original = n < self.settings.modes.len();
        let topology = if original { self.settings.topology } else { Topology::Mesh };
        self.shared.spawn(n, Kind::Sync, async move {
            let before = Before::of(&shared.state().ledger, n, peer);
            shared.note(format_args!("n{n} syncs with n{peer}"));
            match node.sync().await {
                Err(error) => {
                    judge_error(&shared, n, "sync", &error);
                    shared.state().errors.push(format!("n{n} with n{peer}: {}", error.message()));
                }
                Ok(report) => {
                    shared.note(format_args!(
                        "n{n} synced with n{peer}: {} pulled, {} pushed, {} decided",
                        report.pulled, report.pushed, report.conflicts.resolved
                    ));
                    let quarantine = || store.now(store.inner().quarantine()).unwrap_or_default();
                    let mut state = shared.state();
                    state.ledger.totals.syncs += 1;
                    let done = Done {
                        node: n,
                        peer,
                        pulled: topology != Topology::PushingRing,
                        pushed: topology != Topology::PullingRing,
                        address: net::address(peer),
                        peer_age: state.ledger.ages[peer],
                    };
                    let found = syncs::ended(&state.ledger, &before, &done, quarantine);
                    drop(state);
                    shared.judge(found);
                }
            }
        });
    }

    fn decide(&mut self, n: usize, choice: u64) {
        let Some(node) = self.local(n) else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(n, Kind::App, async move {
            let done = person_decides(&node, choice).await;
            match done {
                Ok(Some(id)) => shared.note(format_args!("n{n}: a person decides {id}")),
                Ok(None) => {}
                Err(error) => judge_error(&shared, n, "a person decides", &error),
            }
        });
    }

    /// Takes back, or decides anew, a conflict that was once found anywhere.
    fn undo(&mut self, n: usize, choice: u64) {
        let Some(node) = self.local(n) else { return };
        let mut rng = Rng::new(choice);
        let mut known: Vec<String> = self.shared.state().ledger.conflicts.iter().cloned().collect();
        known.sort_unstable();
        let Some(id) = (!known.is_empty()).then(|| ConflictId::new(rng.pick(&known).clone())) else { return };
        let Ok(id) = id else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(n, Kind::App, async move {
            let result = if rng.percent(70) {
                node.undo(&id, Some("person"), None).await.map(drop)
            } else {
                decide_anew(&node, &id, &mut rng).await
            };
            match result {
                Ok(()) => shared.note(format_args!("n{n}: a person takes {id} back or decides it anew")),
                Err(error) => judge_error(&shared, n, "undo", &error),
            }
        });
    }

    /// Does something about what is in quarantine.
    fn tidy(&mut self, n: usize, choice: u64) {
        let Some(local) = self.local(n) else { return };
        let linked = self.replicas[n].running.as_ref().and_then(|r| r.links.first()).map(|l| l.node.clone());
        let node = linked.unwrap_or(local);
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(n, Kind::App, async move {
            if let Err(error) = tidy_up(&node, choice, &shared, n).await {
                judge_error(&shared, n, "tidy", &error);
            }
        });
    }

    fn look(&mut self, n: usize) {
        let Some(node) = self.local(n) else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(n, Kind::App, async move {
            let looked = async {
                node.status().await?;
                node.digest().await
            };
            if let Err(error) = looked.await {
                judge_error(&shared, n, "look", &error);
            }
        });
    }
}

async fn person_decides(node: &SyncNode, choice: u64) -> Result<Option<ConflictId>> {
    let mut rng = Rng::new(choice);
    let open = node.conflicts(None, 100).await?;
    if open.is_empty() {
        return Ok(None);
    }
    let id = rng.pick(&open).id.clone();
    decide_anew(node, &id, &mut rng).await.map(|()| Some(id))
}

async fn decide_anew(node: &SyncNode, id: &ConflictId, rng: &mut Rng) -> Result<()> {
    let view = node.conflict(id).await?;
    let mut keep: Vec<EventId> = Vec::new();
    if rng.percent(60) || view.sides.iter().all(|s| s.events.is_empty()) {
        keep.push(EventId::from(&rng.pick(&view.sides).head));
    } else {
        let all = view.sides.iter().flat_map(|s| s.events.iter().map(|e| e.event.id.clone()));
        keep.extend(all.filter(|_| rng.percent(50)));
        if keep.is_empty() {
            keep.push(EventId::from(&rng.pick(&view.sides).head));
        }
    }
    node.resolve_conflict(id, &keep, Some("person"), Some("they know")).await.map(drop)
}

async fn tidy_up(node: &SyncNode, choice: u64, shared: &Shared, n: usize) -> Result<()> {
    let mut rng = Rng::new(choice);
    let rows = node.refused().await?;
    if rows.is_empty() {
        return Ok(());
    }
    let row = rng.pick(&rows).clone();
    let id = short(row.id.as_str()).to_owned();
    let taken = row.refusal.code == RefusalCode::ContentMismatch;
    if taken && rng.percent(85) {
        let fresh = EventId::new(format!("again-{:x}", choice >> 40))?;
        shared.note(format_args!("n{n} issues {id} again as {fresh}"));
        return node.reissue(&row.id, &fresh).await;
    }
    if row.side == QuarantineSide::Refused && rng.percent(40) {
        shared.note(format_args!("n{n} withdraws {id}"));
        return node.withdraw(&row.id).await;
    }
    shared.note(format_args!("n{n} tries {id} again"));
    node.retry_refused(&row.id).await.map(drop)
}
