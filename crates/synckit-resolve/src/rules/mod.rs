//! Rules: which resolver decides which conflict.

mod auditable;
mod build;
mod dynamic;
mod explain;
mod group;
mod observe;
mod rule;

pub use self::{
    auditable::{AuditableResolver, DecisionContext},
    build::{DynamicResolverBuilder, RuleInfo, RulesError, RulesValidator},
    dynamic::DynamicResolver,
    explain::{Asked, Choice, RulesExplanation},
    group::{GroupStats, RuleGroup, Switch},
    observe::{MetricsSnapshot, ObservableResolver, ResolutionMetrics, ResolutionObserver},
    rule::Rule,
};
