//! What can be learnt of a workflow.

use serde::{Deserialize, Serialize};
use synckit_core::{AggregateId, ConflictId, Timestamp};
use synckit_machine::Transition;

use crate::{resolver::Resolution, workflow::state::WorkflowState};

/// What a rule said of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuleVerdict {
    /// It applies.
    Matched,
    /// It does not apply.
    NotMatched,
    /// It could not be evaluated.
    Failed,
}

/// One rule that was tried on a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEvaluation {
    /// The rule.
    pub rule: String,
    /// The group that the rule is in.
    pub group: Option<String>,
    /// What it said.
    pub verdict: RuleVerdict,
    /// Why.
    pub why: Option<String>,
}

/// How a run of a workflow ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkflowOutcome {
    /// There is a decision.
    Resolved {
        /// What was done, in a word.
        outcome: String,
        /// Who decided.
        resolver: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// A person has to decide.
    ManualReview {
        /// Why.
        reason: String,
    },
    /// It goes to someone with more say.
    Escalated {
        /// Why.
        reason: String,
    },
    /// There is no decision.
    Failed {
        /// Why.
        reason: String,
    },
}

impl WorkflowOutcome {
    /// The state to which it leads.
    #[must_use]
    pub const fn state(&self) -> WorkflowState {
        match self {
            Self::Resolved { .. } => WorkflowState::Resolved,
            Self::ManualReview { .. } => WorkflowState::ManualReview,
            Self::Escalated { .. } => WorkflowState::Escalated,
            Self::Failed { .. } => WorkflowState::Failed,
        }
    }

    /// Why.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Resolved { reasons, .. } => reasons,
            Self::ManualReview { reason } | Self::Escalated { reason } | Self::Failed { reason } => {
                std::slice::from_ref(reason)
            }
        }
    }

    /// What a resolver's answer comes to; `asked` is who was asked.
    #[must_use]
    pub fn of(resolution: &Resolution, asked: &str) -> Self {
        match resolution {
            Resolution::Adopt { outcome, resolver, reasons, .. } => Self::Resolved {
                outcome: outcome.clone(),
                resolver: resolver.as_deref().unwrap_or(asked).to_owned(),
                reasons: reasons.clone(),
            },
            Resolution::Review { reason, escalated: true, .. } => Self::Escalated { reason: reason.clone() },
            Resolution::Review { reason, .. } => Self::ManualReview { reason: reason.clone() },
        }
    }
}

/// A workflow at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkflowSummary {
    /// The conflict.
    pub conflict: ConflictId,
    /// Its aggregate.
    pub aggregate: AggregateId,
    /// Where it is.
    pub state: WorkflowState,
    /// How many times it was begun.
    pub run: u64,
    /// When the latest run began.
    pub started_at: Timestamp,
    /// When the latest run entered its state.
    pub updated_at: Timestamp,
    /// The way so far, former runs included, oldest first: the last 50 transitions.
    pub path: Vec<Transition<WorkflowState>>,
    /// The rules that the latest run tried, in their order: the last 200.
    pub evaluations: Vec<RuleEvaluation>,
    /// How many rules the latest run tried.
    pub evaluated: u64,
    /// How many of them matched.
    pub matched: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How the latest run ended, unless it is active.
    pub outcome: Option<WorkflowOutcome>,
}

impl WorkflowSummary {
    /// How many microseconds the latest run took until it entered its state.
    #[must_use]
    pub const fn duration(&self) -> u64 {
        self.updated_at.since(self.started_at)
    }

    /// Why the latest run ended as it did; nothing while it is active.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        self.outcome.as_ref().map_or(&[], WorkflowOutcome::reasons)
    }
}
