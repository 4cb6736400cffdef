#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod builtin;
mod changed;
mod conflict;
mod merge;
mod resolver;
mod rules;
mod spec;
mod time;
pub mod workflow;

pub use crate::{
    builtin::{FirstWriteWins, LastWriteWins, ManualReview, WriteTime},
    changed::diff,
    conflict::{Conflict, FieldDifference, Side},
    merge::{AdditiveMerge, Extreme, FieldwiseLastWrite, KeepBoth, Priority, ThreeWayMerge},
    resolver::{ConflictResolver, Limits, Reads, Resolution, ResolveError},
    rules::{
        Asked, AuditableResolver, Choice, DecisionContext, DynamicResolver, DynamicResolverBuilder,
        GroupStats, MetricsSnapshot, ObservableResolver, ResolutionMetrics, ResolutionObserver, Rule,
        RuleGroup, RuleInfo, RulesError, RulesExplanation, RulesValidator, Switch,
    },
    spec::{Comparison, Explanation, Relation, Spec, SpecError},
};
