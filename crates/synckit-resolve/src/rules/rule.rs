//! A rule: which conflicts it is for, and who decides them.

use std::{fmt, sync::Arc};

use super::observe::guarded;
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, ResolveError},
    spec::{Explanation, Spec},
};

/// Which conflicts, and who decides them.
///
/// ```
/// use synckit_resolve::{LastWriteWins, Rule, Spec};
///
/// let rule = Rule::new("gates", Spec::field_changed("gate"), LastWriteWins::default()).priority(10);
/// assert_eq!(rule.name(), "gates");
/// ```
#[derive(Debug, Clone)]
pub struct Rule {
    name: String,
    spec: Spec,
    resolver: Arc<dyn ConflictResolver>,
    priority: i32,
    enabled: bool,
}

impl Rule {
    /// A rule for the conflicts that match `spec`, which `resolver` decides.
    pub fn new(name: impl Into<String>, spec: Spec, resolver: impl ConflictResolver) -> Self {
        Self::shared(name, spec, Arc::new(resolver))
    }

    /// As [`new`](Self::new), with a resolver that others use, too.
    pub fn shared(name: impl Into<String>, spec: Spec, resolver: Arc<dyn ConflictResolver>) -> Self {
        Self { name: name.into(), spec, resolver, priority: 0, enabled: true }
    }

    /// Among the rules of a group, those of a higher priority are asked first, those of the same in the order in which they
    /// were added. 0 unless given.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Whether the rule takes part; it does unless told otherwise.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Its name, without that of its group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which conflicts it is for.
    #[must_use]
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Who decides them.
    #[must_use]
    pub fn resolver(&self) -> &dyn ConflictResolver {
        &*self.resolver
    }

    /// Its priority.
    #[must_use]
    pub const fn rank(&self) -> i32 {
        self.priority
    }

    /// Whether it takes part.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }
}

/// A rule in its place: all rules of a resolver in the order in which they are asked.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) rule: Rule,
    /// Its name with those of its groups before it.
    pub(super) path: String,
    /// The group that it is in.
    pub(super) group: Option<usize>,
}

impl Placed {
    /// Whether the rule is for this conflict. A condition of the user's own that panics is an error.
    pub(super) fn matches(&self, conflict: &Conflict) -> Result<bool, ResolveError> {
        guarded(|| self.rule.spec.matches(conflict)).ok_or_else(|| self.panicked())
    }

    pub(super) fn explain(&self, conflict: &Conflict) -> Result<Explanation, ResolveError> {
        guarded(|| self.rule.spec.explain(conflict)).ok_or_else(|| self.panicked())
    }

    fn panicked(&self) -> ResolveError {
        ResolveError::new(format!("the condition of the rule {} panicked", self.path))
    }
}

/// A group in its place.
#[derive(Debug)]
pub(super) struct PlacedGroup {
    pub(super) path: String,
    pub(super) parent: Option<usize>,
    pub(super) switch: super::group::Switch,
    pub(super) fallback: Option<super::group::Fallback>,
    /// Its rules and those of its subgroups are those from here…
    pub(super) from: usize,
    /// …to here.
    pub(super) to: usize,
    pub(super) own_rules: usize,
    pub(super) subgroups: usize,
    pub(super) counts: Counts,
}

/// How often something decided.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) matched: std::sync::atomic::AtomicU64,
    pub(super) fell_back: std::sync::atomic::AtomicU64,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: if {}, {}", self.name, self.spec, self.resolver.name())
    }
}
