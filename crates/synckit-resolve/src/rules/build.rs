//! Putting rules together.

use std::{collections::HashSet, sync::Arc};

use synckit_core::EventType;

use super::{
    DynamicResolver, ResolutionObserver, Rule, RuleGroup,
    dynamic::Index,
    group::Fallback,
    observe::{Observers, guarded},
    rule::{Counts, Placed, PlacedGroup},
};
use crate::{
    resolver::{ConflictResolver, Limits, Reads},
    spec::Spec,
};

/// Groups within groups, at most.
const MAX_DEPTH: usize = 32;

/// Why rules cannot be used as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// There is neither a rule nor a fallback.
    #[error("there is neither a rule nor a fallback")]
    Empty,
    /// A name is empty, or has a dot or a control character.
    #[error("{name:?} cannot be the name of a {of}: one without dots and control characters is needed")]
    BadName {
        /// The name.
        name: String,
        /// What it is of: a rule or a group.
        of: &'static str,
    },
    /// Two rules or groups in one place have one name.
    #[error("there are two {of}s with the name {name:?} in {place}")]
    DuplicateName {
        /// The name.
        name: String,
        /// What has it: a rule or a group.
        of: &'static str,
        /// The group in which they are.
        place: String,
    },
    /// A group has more rules than are allowed.
    #[error("the group {group} has {rules} rules; at most {allowed} are allowed")]
    TooManyRules {
        /// The group.
        group: String,
        /// Its own rules.
        rules: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// Groups are nested too deep.
    #[error("the group {group} is nested deeper than {MAX_DEPTH} groups")]
    TooDeep {
        /// The group.
        group: String,
    },
    /// A validator does not agree.
    #[error("{0}")]
    Rejected(String),
}

/// A rule in its place, for validators and for people.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RuleInfo<'a> {
    /// Its name, with those of its groups before it.
    pub path: &'a str,
    /// The group that it is in, with those around it before it.
    pub group: Option<&'a str>,
    /// The rule.
    pub rule: &'a Rule,
}

/// Has a say in whether rules may be used.
pub trait RulesValidator: Send + Sync {
    /// Looks at all rules, in the order in which they are asked.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    fn validate(&self, rules: &[RuleInfo<'_>]) -> Result<(), String>;
}

impl<F: Fn(&[RuleInfo<'_>]) -> Result<(), String> + Send + Sync> RulesValidator for F {
    fn validate(&self, rules: &[RuleInfo<'_>]) -> Result<(), String> {
        self(rules)
    }
}

/// Puts a [`DynamicResolver`] together.
#[derive(Default)]
#[must_use]
pub struct DynamicResolverBuilder {
    name: Option<String>,
    rules: Vec<Rule>,
    groups: Vec<RuleGroup>,
    fallback: Option<Arc<dyn ConflictResolver>>,
    observers: Observers,
    validators: Vec<Box<dyn RulesValidator>>,
    rules_per_group: Option<usize>,
    limits: Limits,
}

impl std::fmt::Debug for DynamicResolverBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamicResolverBuilder")
            .field("rules", &self.rules)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

impl DynamicResolverBuilder {
    /// The resolver's name; `rules` unless given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a rule. Rules are asked before groups.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds a rule for conflicts with events of a type; it has the type's name, with `-` for dots.
    pub fn event_type_rule(self, event_type: EventType, resolver: impl ConflictResolver) -> Self {
        let name = event_type.as_str().replace('.', "-");
        self.rule(Rule::new(name, Spec::event_type(event_type), resolver))
    }

    /// Adds a group.
    pub fn group(mut self, group: RuleGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Who decides what no rule is for, if no group has a fallback. Without one, a person does.
    pub fn fallback(self, resolver: impl ConflictResolver) -> Self {
        self.shared_fallback(Arc::new(resolver))
    }

    /// As [`fallback`](Self::fallback), with a resolver that others use, too.
    pub fn shared_fallback(mut self, resolver: Arc<dyn ConflictResolver>) -> Self {
        self.fallback = Some(resolver);
        self
    }

    /// Adds an observer; they are told one after the other.
    pub fn observer(mut self, observer: Arc<dyn ResolutionObserver>) -> Self {
        self.observers.0.push(observer);
        self
    }

    /// Adds a validator; all must agree.
    pub fn validator(mut self, validator: impl RulesValidator + 'static) -> Self {
        self.validators.push(Box::new(validator));
        self
    }

    /// The most rules that a group may have of its own; any number unless given.
    pub const fn rules_per_group(mut self, rules: usize) -> Self {
        self.rules_per_group = Some(rules);
        self
    }

    /// How long answers may take, and how many conflicts are decided together.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The resolver.
    ///
    /// # Errors
    /// A [`RulesError`] that names what is wrong.
    pub fn build(self) -> Result<DynamicResolver, RulesError> {
        let mut places = Places::default();
        places.check(&self.rules, &self.groups, "the rules")?;
        places.place(self.rules, &[], None);
        for group in self.groups {
            places.group(group, "", None, 1, self.rules_per_group)?;
        }
        if places.rules.is_empty()
            && self.fallback.is_none()
            && places.groups.iter().all(|g| g.fallback.is_none())
        {
            return Err(RulesError::Empty);
        }
        let infos: Vec<RuleInfo<'_>> = infos(&places.rules, &places.groups).collect();
        for validator in &self.validators {
            let verdict = guarded(|| validator.validate(&infos));
            verdict.unwrap_or_else(|| Err("a validator panicked".into())).map_err(RulesError::Rejected)?;
        }
        let of_rules = places.rules.iter().map(|p| p.rule.spec().reads().max(p.rule.resolver().reads()));
        let of_groups = places.groups.iter().filter_map(|g| g.fallback.as_ref()).map(|f| f.resolver.reads());
        let of_fallback = self.fallback.iter().map(|f| f.reads());
        let reads = of_rules.chain(of_groups).chain(of_fallback).max().unwrap_or(Reads::Outline);
        Ok(DynamicResolver {
            name: self.name.unwrap_or_else(|| "rules".into()),
            index: Index::of(&places.rules),
            rules: places.rules,
            groups: places.groups,
            fallback: self.fallback,
            observers: self.observers,
            limits: self.limits,
            reads,
        })
    }
}

pub(super) fn infos<'a>(
    rules: &'a [Placed],
    groups: &'a [PlacedGroup],
) -> impl Iterator<Item = RuleInfo<'a>> {
    rules.iter().map(|placed| RuleInfo {
        path: &placed.path,
        group: placed.group.map(|g| groups[g].path.as_str()),
        rule: &placed.rule,
    })
}

/// Rules and groups, one after the other in the order in which they are asked; groups come after those within them.
#[derive(Default)]
struct Places {
    rules: Vec<Placed>,
    groups: Vec<PlacedGroup>,
}

impl Places {
    fn check(&self, rules: &[Rule], groups: &[RuleGroup], place: &str) -> Result<(), RulesError> {
        let of_rules = rules.iter().map(|r| ("rule", r.name()));
        let of_groups = groups.iter().map(|g| ("group", g.name.as_str()));
        let mut seen = HashSet::new();
        for (of, name) in of_rules.chain(of_groups) {
            if name.is_empty() || name.contains(|c: char| c == '.' || c.is_control()) {
                return Err(RulesError::BadName { name: name.into(), of });
            }
            if !seen.insert((of, name)) {
                return Err(RulesError::DuplicateName { name: name.into(), of, place: place.into() });
            }
        }
        Ok(())
    }

    fn place(&mut self, mut rules: Vec<Rule>, path: &[&str], group: Option<usize>) {
        rules.sort_by_key(|r| std::cmp::Reverse(r.rank()));
        for rule in rules {
            let path = path.iter().copied().chain([rule.name()]).collect::<Vec<_>>().join(".");
            self.rules.push(Placed { rule, path, group });
        }
    }

    fn group(
        &mut self,
        group: RuleGroup,
        around: &str,
        parent: Option<usize>,
        depth: usize,
        allowed: Option<usize>,
    ) -> Result<(), RulesError> {
        let path = if around.is_empty() { group.name.clone() } else { format!("{around}.{}", group.name) };
        if depth > MAX_DEPTH {
            return Err(RulesError::TooDeep { group: path });
        }
        if let Some(allowed) = allowed.filter(|allowed| group.rules.len() > *allowed) {
            return Err(RulesError::TooManyRules { group: path, rules: group.rules.len(), allowed });
        }
        self.check(&group.rules, &group.subgroups, &format!("the group {path}"))?;
        let at = self.groups.len();
        self.groups.push(PlacedGroup {
            path: path.clone(),
            parent,
            switch: group.switch,
            fallback: group.fallback,
            from: self.rules.len(),
            to: 0,
            own_rules: group.rules.len(),
            subgroups: group.subgroups.len(),
            counts: Counts::default(),
        });
        self.place(group.rules, &[&path], Some(at));
        for within in group.subgroups {
            self.group(within, &path, Some(at), depth + 1, allowed)?;
        }
        self.groups[at].to = self.rules.len();
        Ok(())
    }
}

impl Fallback {
    pub(super) const fn is_final(&self) -> bool {
        self.is_final
    }
}
