//! The states of a workflow.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use synckit_machine::{Rules, State};

/// Where a conflict is on its way to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkflowState {
    /// Nothing has been done.
    Idle,
    /// The conflict is being looked at.
    Analyzing,
    /// The resolver decides.
    ApplyingRules,
    /// There is a decision.
    Resolved,
    /// A person has to decide.
    ManualReview,
    /// It went to someone with more say.
    Escalated,
    /// The resolver failed, or was not let finish.
    Failed,
}

static RULES: LazyLock<Rules<WorkflowState>> = LazyLock::new(|| {
    use WorkflowState::{Analyzing, ApplyingRules, Escalated, Failed, Idle, ManualReview, Resolved};
    Rules::builder("synckit.conflict", Idle)
        .allow(Idle, [Analyzing])
        .allow(Analyzing, [ApplyingRules, Failed])
        .allow(ApplyingRules, [Resolved, ManualReview, Escalated, Failed])
        .allow(ManualReview, [Resolved, Escalated, Failed, Idle])
        .allow(Escalated, [Resolved, Failed, Idle])
        .allow(Failed, [Idle])
        .allow(Resolved, [Idle])
        .build()
        .expect("the rules are constant")
});

impl WorkflowState {
    /// The transitions of every workflow.
    #[must_use]
    pub fn rules() -> &'static Rules<Self> {
        &RULES
    }

    /// Whether the conflict is being worked on at this moment.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Idle | Self::Analyzing | Self::ApplyingRules)
    }

    /// Whether a person has to act.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::ManualReview | Self::Escalated)
    }
}

impl State for WorkflowState {
    fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Analyzing => "analyzing",
            Self::ApplyingRules => "applying_rules",
            Self::Resolved => "resolved",
            Self::ManualReview => "manual_review",
            Self::Escalated => "escalated",
            Self::Failed => "failed",
        }
    }
}
