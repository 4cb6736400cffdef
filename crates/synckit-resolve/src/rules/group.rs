//! Groups of rules.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Rule;
use crate::resolver::ConflictResolver;

/// Rules that belong together, and are switched on and off together.
///
/// Its rules are asked before those of its subgroups. Its own fallback decides what no rule of any group is for; it decides
/// before later groups are asked if it is [final](Self::final_fallback).
///
/// ```
/// use synckit_resolve::{FirstWriteWins, LastWriteWins, ManualReview, Rule, RuleGroup, Spec};
///
/// let gates = Rule::new("gates", Spec::field_changed("gate"), LastWriteWins::default());
/// let crews = Rule::new("crews", Spec::field_changed("crew"), ManualReview::default());
/// let group = RuleGroup::new("flights")
///     .rule(gates)
///     .subgroup(RuleGroup::new("people").rule(crews))
///     .fallback(FirstWriteWins::default());
/// assert_eq!(group.total_rules(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct RuleGroup {
    pub(super) name: String,
    pub(super) switch: Switch,
    pub(super) rules: Vec<Rule>,
    pub(super) subgroups: Vec<Self>,
    pub(super) fallback: Option<Fallback>,
}

/// Who decides when no rule of a group is for a conflict.
#[derive(Debug, Clone)]
pub(super) struct Fallback {
    pub(super) resolver: Arc<dyn ConflictResolver>,
    pub(super) is_final: bool,
}

/// Switches a group on and off, at any time and from any thread; its clones switch the same group.
#[derive(Debug, Clone)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(super) fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }

    /// Switches the group; conflicts that are being decided go on as they began.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Release);
    }

    /// Whether the group itself is on. It takes no part while a group around it is off.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl RuleGroup {
    /// An empty group, switched on.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            switch: Switch::new(true),
            rules: Vec::new(),
            subgroups: Vec::new(),
            fallback: None,
        }
    }

    /// Adds a rule, also while the group is off.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds a group within this one. Groups are taken by value: one can never be within itself.
    #[must_use]
    pub fn subgroup(mut self, group: Self) -> Self {
        self.subgroups.push(group);
        self
    }

    /// Who decides what no rule of any group is for.
    #[must_use]
    pub fn fallback(self, resolver: impl ConflictResolver) -> Self {
        self.shared_fallback(Arc::new(resolver), false)
    }

    /// Who decides what no rule of this group is for: the groups after it are not asked.
    #[must_use]
    pub fn final_fallback(self, resolver: impl ConflictResolver) -> Self {
        self.shared_fallback(Arc::new(resolver), true)
    }

    /// The group's fallback, final or not, with a resolver that others use, too.
    #[must_use]
    pub fn shared_fallback(mut self, resolver: Arc<dyn ConflictResolver>, is_final: bool) -> Self {
        self.fallback = Some(Fallback { resolver, is_final });
        self
    }

    /// Whether the group is on from the beginning; it is unless told otherwise.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.switch = Switch::new(enabled);
        self
    }

    /// What switches the group while it is in use.
    #[must_use]
    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }

    /// How many rules are in the group and in those within it.
    #[must_use]
    pub fn total_rules(&self) -> usize {
        self.rules.len() + self.subgroups.iter().map(Self::total_rules).sum::<usize>()
    }
}

/// A group, what is in it, and how often it decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Its name, with those of the groups around it before it.
    pub name: String,
    /// Whether it takes part: it and all groups around it are on.
    pub enabled: bool,
    /// Its own rules.
    pub rules: usize,
    /// The groups directly within it.
    pub subgroups: usize,
    /// Its own rules and those of the groups within it.
    pub total_rules: usize,
    /// How many conflicts its own rules decided.
    pub matched: u64,
    /// How many conflicts its fallback decided.
    pub fell_back: u64,
}
