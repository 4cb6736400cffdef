//! One workflow.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use synckit_core::{AggregateId, ConflictId, Timestamp};
use synckit_machine::{InvalidTransition, Machine, Note, Snapshot, State, Transition};

use crate::workflow::{
    state::WorkflowState,
    summary::{RuleEvaluation, RuleVerdict, WorkflowOutcome, WorkflowSummary},
};

const VERSION: u32 = 1;
const MOST_EVALUATIONS: usize = 200;
/// How many characters of the reasons go into the path; the outcome has all of them.
const MOST_NOTED: usize = 500;

type Refused = InvalidTransition<WorkflowState>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    conflict: ConflictId,
    aggregate: AggregateId,
    run: u64,
    started_at: Timestamp,
    evaluations: VecDeque<RuleEvaluation>,
    evaluated: u64,
    matched: u64,
    failed: u64,
    outcome: Option<WorkflowOutcome>,
}

impl Facts {
    const fn new(conflict: ConflictId, aggregate: AggregateId, run: u64, started_at: Timestamp) -> Self {
        Self {
            conflict,
            aggregate,
            run,
            started_at,
            evaluations: VecDeque::new(),
            evaluated: 0,
            matched: 0,
            failed: 0,
            outcome: None,
        }
    }

    fn summary(&self, machine: Snapshot<WorkflowState>) -> WorkflowSummary {
        let facts = self.clone();
        WorkflowSummary {
            conflict: facts.conflict,
            aggregate: facts.aggregate,
            state: machine.state(),
            run: facts.run,
            started_at: facts.started_at,
            updated_at: Timestamp::from_micros(machine.entered_at()),
            path: machine.history().to_vec(),
            evaluations: facts.evaluations.into(),
            evaluated: facts.evaluated,
            matched: facts.matched,
            failed: facts.failed,
            outcome: facts.outcome,
        }
    }
}

/// A workflow as it is put on record, for serde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRecord {
    version: u32,
    facts: Facts,
    machine: Snapshot<WorkflowState>,
}

impl WorkflowRecord {
    /// The conflict that it is about.
    #[must_use]
    pub const fn conflict(&self) -> &ConflictId {
        &self.facts.conflict
    }

    /// What it says.
    #[must_use]
    pub fn summary(&self) -> WorkflowSummary {
        self.facts.summary(self.machine.clone())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.version == VERSION {
            Ok(())
        } else {
            Err(format!("it has version {}; version {VERSION} is known", self.version))
        }
    }
}

#[derive(Debug)]
pub(super) struct Flow {
    facts: Facts,
    machine: Machine<WorkflowState>,
    /// The transitions that were not asked for yet.
    moved: Vec<Transition<WorkflowState>>,
}

impl Flow {
    pub(super) fn new(conflict: &ConflictId, aggregate: &AggregateId, now: Timestamp) -> Self {
        let facts = Facts::new(conflict.clone(), aggregate.clone(), 0, now);
        let machine = Machine::new(WorkflowState::rules(), conflict.as_str(), now.as_micros());
        Self { facts, machine, moved: Vec::new() }
    }

    pub(super) fn restore(record: WorkflowRecord) -> Result<Self, String> {
        record.check()?;
        let mut facts = record.facts;
        facts.evaluations.drain(..facts.evaluations.len().saturating_sub(MOST_EVALUATIONS));
        let machine = Machine::restore(WorkflowState::rules(), record.machine).map_err(|e| e.to_string())?;
        Ok(Self { facts, machine, moved: Vec::new() })
    }

    pub(super) fn record(&self) -> WorkflowRecord {
        WorkflowRecord { version: VERSION, facts: self.facts.clone(), machine: self.machine.snapshot() }
    }

    pub(super) fn summary(&self) -> WorkflowSummary {
        self.facts.summary(self.machine.snapshot())
    }

    pub(super) const fn run(&self) -> u64 {
        self.facts.run
    }

    pub(super) const fn aggregate(&self) -> &AggregateId {
        &self.facts.aggregate
    }

    pub(super) fn state(&self) -> WorkflowState {
        self.machine.current()
    }

    pub(super) fn entered_at(&self) -> Timestamp {
        Timestamp::from_micros(self.machine.entered_at())
    }

    pub(super) fn to_dot(&self) -> String {
        self.machine.to_dot()
    }

    /// Begins anew, from whichever state; a run that is under way fails first.
    pub(super) fn begin(&mut self, aggregate: &AggregateId, now: Timestamp) -> Result<(), Refused> {
        if matches!(self.state(), WorkflowState::Analyzing | WorkflowState::ApplyingRules) {
            self.enter(WorkflowState::Failed, now, note("reason", "the conflict was taken up anew"))?;
        }
        if self.state() != WorkflowState::Idle {
            self.enter(WorkflowState::Idle, now, Note::new())?;
        }
        let run = self.facts.run.saturating_add(1);
        self.enter(WorkflowState::Analyzing, now, note("run", &run.to_string()))?;
        self.facts = Facts::new(self.facts.conflict.clone(), aggregate.clone(), run, now);
        Ok(())
    }

    /// The transitions since the last call.
    pub(super) fn moved(&mut self) -> Vec<Transition<WorkflowState>> {
        std::mem::take(&mut self.moved)
    }

    pub(super) fn apply(&mut self, now: Timestamp, found: Note) -> Result<(), Refused> {
        self.enter(WorkflowState::ApplyingRules, now, found)
    }

    pub(super) fn evaluated(&mut self, evaluation: RuleEvaluation) {
        let facts = &mut self.facts;
        facts.evaluated = facts.evaluated.saturating_add(1);
        match evaluation.verdict {
            RuleVerdict::Matched => facts.matched = facts.matched.saturating_add(1),
            RuleVerdict::Failed => facts.failed = facts.failed.saturating_add(1),
            RuleVerdict::NotMatched => {}
        }
        if facts.evaluations.len() >= MOST_EVALUATIONS {
            facts.evaluations.pop_front();
        }
        facts.evaluations.push_back(evaluation);
    }

    pub(super) fn has_match(&self, rule: &str, group: Option<&str>) -> bool {
        self.facts
            .evaluations
            .iter()
            .any(|e| e.verdict == RuleVerdict::Matched && e.rule == rule && e.group.as_deref() == group)
    }

    pub(super) fn end(&mut self, outcome: WorkflowOutcome, now: Timestamp) -> Result<(), Refused> {
        let why: String = outcome.reasons().join("; ").chars().take(MOST_NOTED).collect();
        self.enter(outcome.state(), now, if why.is_empty() { Note::new() } else { note("reason", &why) })?;
        self.facts.outcome = Some(outcome);
        Ok(())
    }

    /// Ends as this says, from whichever state; what has ended begins anew.
    pub(super) fn settle(
        &mut self,
        aggregate: &AggregateId,
        outcome: WorkflowOutcome,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if !self.machine.can(outcome.state()) {
            self.begin(aggregate, now)?;
            self.apply(now, Note::new())?;
        }
        self.end(outcome, now)
    }

    fn enter(&mut self, to: WorkflowState, now: Timestamp, note: Note) -> Result<(), Refused> {
        let moved = self.machine.transition(to, now.as_micros(), note)?;
        let (from, to) = (moved.from.name(), moved.to.name());
        tracing::debug!(conflict = %self.facts.conflict, from, to, "a workflow went on");
        self.moved.push(moved);
        Ok(())
    }
}

fn note(name: &str, text: &str) -> Note {
    Note::from([(name.to_owned(), text.to_owned())])
}
