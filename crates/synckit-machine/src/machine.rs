//! A machine.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    dot,
    observer::{Notice, Observer, ObserverId},
    rules::{Rules, TimeoutAction},
    snapshot::{RestoreError, Snapshot, VERSION},
    state::{Deadline, Note, State, Transition},
};

/// A machine in some state of its rules. To share one, put it into an [`Arc`].
pub struct Machine<S: State> {
    name: Arc<str>,
    rules: Rules<S>,
    inner: Mutex<Inner<S>>,
}

struct Inner<S: State> {
    state: S,
    entered_at: u64,
    sequence: u64,
    timeouts_passed: usize,
    history: VecDeque<Transition<S>>,
    observers: Vec<(ObserverId, Arc<dyn Observer<S>>)>,
    /// What observers are to be told, each with the last one who had subscribed by then.
    notices: VecDeque<(Notice<S>, ObserverId)>,
    telling: bool,
}

impl<S: State> Machine<S> {
    /// A machine in the initial state of its rules. The name is for errors, observers and drawings.
    #[must_use]
    pub fn new(rules: &Rules<S>, name: impl Into<Arc<str>>, now: u64) -> Self {
        Self::assemble(
            rules,
            name.into(),
            Inner {
                state: rules.initial(),
                entered_at: now,
                sequence: 0,
                timeouts_passed: 0,
                history: VecDeque::new(),
                observers: Vec::new(),
                notices: VecDeque::new(),
                telling: false,
            },
        )
    }

    /// The machine of a snapshot, without observers. If its rules remember less now, the oldest transitions are
    /// left out.
    ///
    /// # Errors
    /// A [`RestoreError`] if the snapshot has another version or other rules, a state that the rules do not have,
    /// or a history that does not lead to its state.
    pub fn restore(rules: &Rules<S>, snapshot: Snapshot<S>) -> Result<Self, RestoreError> {
        snapshot.check(rules)?;
        let mut history = snapshot.history;
        history.drain(..history.len().saturating_sub(rules.history()));
        Ok(Self::assemble(
            rules,
            snapshot.machine.into(),
            Inner {
                state: snapshot.state,
                entered_at: snapshot.entered_at,
                sequence: snapshot.sequence,
                timeouts_passed: snapshot.timeouts_passed,
                history: history.into(),
                observers: Vec::new(),
                notices: VecDeque::new(),
                telling: false,
            },
        ))
    }

    fn assemble(rules: &Rules<S>, name: Arc<str>, inner: Inner<S>) -> Self {
        Self { name, rules: rules.clone(), inner: Mutex::new(inner) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules<S> {
        &self.rules
    }

    /// The state now.
    #[must_use]
    pub fn current(&self) -> S {
        self.lock().state
    }

    /// Since when it is in that state, in microseconds since 1970 UTC.
    #[must_use]
    pub fn entered_at(&self) -> u64 {
        self.lock().entered_at
    }

    /// Whether the machine could move to this state now.
    #[must_use]
    pub fn can(&self, to: S) -> bool {
        self.rules.allows(self.current(), to)
    }

    /// Moves to another state, if a transition leads there from the one that the machine is in. Check and move are
    /// one step: of two callers whose moves exclude each other, one succeeds.
    ///
    /// When this returns, observers have been told, or another thread is telling them.
    ///
    /// # Errors
    /// [`InvalidTransition`] if no transition leads there; the machine stays as it is.
    pub fn transition(&self, to: S, now: u64, note: Note) -> Result<Transition<S>, InvalidTransition<S>> {
        self.try_transition(None, to, now, note)
    }

    /// Like [`transition`](Self::transition), but only if the machine is in the state `from`.
    ///
    /// # Errors
    /// [`InvalidTransition`], with the state that the machine is in, if that is another one or no transition leads
    /// on.
    pub fn transition_from(
        &self,
        from: S,
        to: S,
        now: u64,
        note: Note,
    ) -> Result<Transition<S>, InvalidTransition<S>> {
        self.try_transition(Some(from), to, now, note)
    }

    fn try_transition(
        &self,
        expected: Option<S>,
        to: S,
        now: u64,
        note: Note,
    ) -> Result<Transition<S>, InvalidTransition<S>> {
        let mut inner = self.lock();
        let from = inner.state;
        let result = if expected.is_none_or(|e| e == from) && self.rules.allows(from, to) {
            Ok(inner.enter(to, now, note, self.rules.history()))
        } else {
            inner.notify(|| Notice::Refused { from, to, at: now });
            Err(InvalidTransition { machine: Arc::clone(&self.name), from, to })
        };
        drop(inner);
        self.tell();
        result
    }

    /// The transitions that the machine remembers, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Transition<S>> {
        self.lock().history.iter().cloned().collect()
    }

    /// The next deadline of the stay in the current state, whether it has passed or not; none if there is none left.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline<S>> {
        self.lock().deadline(&self.rules)
    }

    /// The next deadline, if it has passed.
    #[must_use]
    pub fn due(&self, now: u64) -> Option<Deadline<S>> {
        self.deadline().filter(|deadline| deadline.at <= now)
    }

    /// Carries out the next deadline of the current state, if it has passed: what another thread did meanwhile
    /// counts. A machine that has left the state is left alone. Call it until it returns nothing, for a state may
    /// have several timeouts.
    pub fn expire(&self, now: u64) -> Option<Deadline<S>> {
        let mut inner = self.lock();
        let deadline = inner.deadline(&self.rules).filter(|deadline| deadline.at <= now)?;
        inner.timeouts_passed += 1;
        inner.notify(|| Notice::TimedOut(deadline));
        if let TimeoutAction::TransitionTo(to) = deadline.action {
            let note = Note::from([("timeout".to_owned(), deadline.state.name().to_owned())]);
            inner.enter(to, now, note, self.rules.history());
        }
        drop(inner);
        self.tell();
        Some(deadline)
    }

    /// Has an observer told of what happens from now on. Those who came first are told first.
    pub fn subscribe(&self, observer: Arc<dyn Observer<S>>) -> ObserverId {
        let mut inner = self.lock();
        let id = ObserverId::next();
        inner.observers.push((id, observer));
        id
    }

    /// Ends a subscription; whether there was one. No call begins after this, not even about earlier transitions;
    /// one that another thread has begun may still be under way.
    pub fn unsubscribe(&self, id: ObserverId) -> bool {
        let mut inner = self.lock();
        let found = inner.observers.iter().position(|(held, _)| *held == id);
        let removed = found.map(|at| inner.observers.remove(at));
        drop(inner);
        removed.is_some()
    }

    /// The machine as it is now, for serde.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<S> {
        let inner = self.lock();
        Snapshot {
            version: VERSION,
            rules: self.rules.name().to_owned(),
            machine: self.name.to_string(),
            state: inner.state,
            entered_at: inner.entered_at,
            sequence: inner.sequence,
            timeouts_passed: inner.timeouts_passed,
            history: inner.history.iter().cloned().collect(),
        }
    }

    /// The rules as a Graphviz graph from left to right: an arrow out of nowhere leads to the initial state,
    /// terminal states have a double border, and the current one is filled.
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::draw(&self.rules, &self.name, self.current())
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the observers all that they have not been told, unless a thread is at it: that one will.
    fn tell(&self) {
        loop {
            let mut inner = self.lock();
            if inner.telling {
                return;
            }
            let Some((notice, last)) = inner.notices.pop_front() else { return };
            inner.telling = true;
            drop(inner);
            let mut told = None;
            while let Some((id, observer)) = self.observer_after(told, last) {
                notice.tell(&self.name, &*observer);
                told = Some(id);
            }
            self.lock().telling = false;
        }
    }

    fn observer_after(
        &self,
        told: Option<ObserverId>,
        last: ObserverId,
    ) -> Option<(ObserverId, Arc<dyn Observer<S>>)> {
        let inner = self.lock();
        inner.observers.iter().find(|(id, _)| Some(*id) > told && *id <= last).cloned()
    }
}

impl<S: State> Inner<S> {
    fn enter(&mut self, to: S, now: u64, note: Note, most: usize) -> Transition<S> {
        self.sequence = self.sequence.saturating_add(1);
        let transition = Transition {
            sequence: self.sequence,
            from: self.state,
            to,
            at: now,
            stayed: now.saturating_sub(self.entered_at),
            note,
        };
        self.state = to;
        self.entered_at = now;
        self.timeouts_passed = 0;
        if most > 0 {
            if self.history.len() >= most {
                self.history.pop_front();
            }
            self.history.push_back(transition.clone());
        }
        self.notify(|| Notice::Transitioned(transition.clone()));
        transition
    }

    fn deadline(&self, rules: &Rules<S>) -> Option<Deadline<S>> {
        let timeout = rules.timeouts(self.state).get(self.timeouts_passed)?;
        let at = self.entered_at.checked_add(timeout.after)?;
        Some(Deadline { state: self.state, at, action: timeout.action })
    }

    fn notify(&mut self, notice: impl FnOnce() -> Notice<S>) {
        if let Some((last, _)) = self.observers.last() {
            self.notices.push_back((notice(), *last));
        }
    }
}

impl<S: State> fmt::Debug for Machine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("name", &self.name)
            .field("rules", &self.rules.name())
            .field("state", &self.current())
            .finish_non_exhaustive()
    }
}

/// No transition leads from the machine's state to the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{machine:?} cannot go from {:?} to {:?}", .from.name(), .to.name())]
#[non_exhaustive]
pub struct InvalidTransition<S: State> {
    /// The machine's name.
    pub machine: Arc<str>,
    /// The state that it is in.
    pub from: S,
    /// The state that was asked for.
    pub to: S,
}
