//! Deciding by rules.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use async_trait::async_trait;
use synckit_core::EventType;

use super::{
    DynamicResolverBuilder, GroupStats, RuleInfo, Switch,
    build::infos,
    observe::Observers,
    rule::{Placed, PlacedGroup},
};
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Limits, Reads, Resolution, ResolveError},
};

/// Decides each conflict as the first rule says that is for it.
///
/// Rules are asked in the order of their priorities, those outside of groups first, then group by group, a group's own
/// rules before those of the groups within it. If none is for a conflict, the first fallback of a group decides, else the
/// last fallback, else a person. A group with a [final fallback](crate::RuleGroup::final_fallback) ends the search.
///
/// What a rule decides is recorded with its name, its group and its resolver.
///
/// ```
/// use synckit_resolve::{DynamicResolver, FirstWriteWins, LastWriteWins, ManualReview, Rule, RuleGroup, Spec};
///
/// let resolver = DynamicResolver::builder()
///     .event_type_rule("flight.diverted".parse()?, ManualReview::because("a captain decides"))
///     .group(RuleGroup::new("gates").rule(Rule::new("all", Spec::field_changed("gate"), LastWriteWins::default())))
///     .fallback(FirstWriteWins::default())
///     .build()?;
/// assert_eq!(resolver.rules().map(|r| r.path.to_owned()).collect::<Vec<_>>(), ["flight-diverted", "gates.all"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DynamicResolver {
    pub(super) name: String,
    pub(super) rules: Vec<Placed>,
    pub(super) groups: Vec<PlacedGroup>,
    pub(super) fallback: Option<Arc<dyn ConflictResolver>>,
    pub(super) index: Index,
    pub(super) observers: Observers,
    pub(super) limits: Limits,
    pub(super) reads: Reads,
}

/// Who decides a conflict, and by what.
pub(super) enum Decider<'a> {
    Rule(usize, &'a Placed),
    GroupFallback(&'a PlacedGroup, &'a Arc<dyn ConflictResolver>),
    Fallback(&'a Arc<dyn ConflictResolver>),
    Nobody,
}

/// The rules that can be for conflicts with events of a type, so that the others need not be asked.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_type: HashMap<EventType, Vec<usize>>,
    of_any_type: Vec<usize>,
}

impl Index {
    pub(super) fn of(rules: &[Placed]) -> Self {
        let mut index = Self::default();
        for (i, placed) in rules.iter().enumerate() {
            match placed.rule.spec().event_types_needed() {
                None => index.of_any_type.push(i),
                Some(types) => {
                    for event_type in types {
                        index.by_type.entry(event_type).or_default().push(i);
                    }
                }
            }
        }
        index
    }

    /// The rules that can be for the conflict, each once, in their order.
    fn candidates<'a>(&'a self, conflict: &Conflict) -> impl Iterator<Item = usize> + 'a {
        let by_type = |t| self.by_type.get(t).map(Vec::as_slice);
        let types = if self.by_type.is_empty() { None } else { Some(conflict.event_types()) };
        let mut lists: Vec<&[usize]> =
            types.into_iter().flatten().filter_map(by_type).chain([self.of_any_type.as_slice()]).collect();
        std::iter::from_fn(move || {
            let next = lists.iter().filter_map(|l| l.first()).min().copied()?;
            for list in &mut lists {
                if list.first() == Some(&next) {
                    *list = &list[1..];
                }
            }
            Some(next)
        })
    }
}

impl DynamicResolver {
    /// Puts a resolver together.
    pub fn builder() -> DynamicResolverBuilder {
        DynamicResolverBuilder::default()
    }

    /// All rules, in the order in which they are asked.
    pub fn rules(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        infos(&self.rules, &self.groups)
    }

    /// What switches the group with this name, which has those of the groups around it before it: `flights.gates`.
    #[must_use]
    pub fn switch(&self, group: &str) -> Option<Switch> {
        self.groups.iter().find(|g| g.path == group).map(|g| g.switch.clone())
    }

    /// All groups, and how often they decided.
    #[must_use]
    pub fn stats(&self) -> Vec<GroupStats> {
        let stats = |(i, group): (usize, &PlacedGroup)| GroupStats {
            name: group.path.clone(),
            enabled: self.takes_part(Some(i)),
            rules: group.own_rules,
            subgroups: group.subgroups,
            total_rules: group.to - group.from,
            matched: group.counts.matched.load(Ordering::Relaxed),
            fell_back: group.counts.fell_back.load(Ordering::Relaxed),
        };
        self.groups.iter().enumerate().map(stats).collect()
    }

    /// Whether a group and all groups around it are on.
    pub(super) fn takes_part(&self, mut group: Option<usize>) -> bool {
        while let Some(at) = group.map(|g| &self.groups[g]) {
            if !at.switch.is_on() {
                return false;
            }
            group = at.parent;
        }
        true
    }

    /// The groups with fallbacks that take part, in the order in which their fallbacks come: one within another first.
    fn fallbacks(&self) -> impl Iterator<Item = (&PlacedGroup, &super::group::Fallback)> {
        let mut groups: Vec<usize> = (0..self.groups.len())
            .filter(|g| self.groups[*g].fallback.is_some() && self.takes_part(Some(*g)))
            .collect();
        groups.sort_by_key(|g| (self.groups[*g].to, std::cmp::Reverse(*g)));
        groups.into_iter().filter_map(|g| Some((&self.groups[g], self.groups[g].fallback.as_ref()?)))
    }

    pub(super) fn decider(&self, conflict: &Conflict) -> Result<Decider<'_>, ResolveError> {
        let mut matched = None;
        for i in self.index.candidates(conflict) {
            let placed = &self.rules[i];
            if placed.rule.is_enabled() && self.takes_part(placed.group) && placed.matches(conflict)? {
                matched = Some((i, placed));
                break;
            }
        }
        let reached = matched.map_or(usize::MAX, |(i, _)| i);
        let mut first = None;
        for (group, fallback) in self.fallbacks() {
            if fallback.is_final() && group.to <= reached {
                let (group, fallback) = first.unwrap_or((group, fallback));
                return Ok(Decider::GroupFallback(group, &fallback.resolver));
            }
            first.get_or_insert((group, fallback));
        }
        Ok(match (matched, first, &self.fallback) {
            (Some((i, placed)), ..) => Decider::Rule(i, placed),
            (None, Some((group, fallback)), _) => Decider::GroupFallback(group, &fallback.resolver),
            (None, None, Some(fallback)) => Decider::Fallback(fallback),
            (None, None, None) => Decider::Nobody,
        })
    }

    async fn decide(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let (resolver, rule, group) = match self.decider(conflict)? {
            Decider::Rule(_, placed) => {
                let group = placed.group.map(|g| &self.groups[g]);
                if let Some(group) = group {
                    group.counts.matched.fetch_add(1, Ordering::Relaxed);
                }
                let group = group.map(|g| g.path.as_str());
                self.observers.tell("rule", |o| o.on_rule_matched(conflict, &placed.path, group));
                (placed.rule.resolver(), Some(placed.path.as_str()), group)
            }
            Decider::GroupFallback(group, resolver) => {
                group.counts.fell_back.fetch_add(1, Ordering::Relaxed);
                self.observers.tell("fallback", |o| o.on_fallback(conflict, Some(&group.path)));
                (&**resolver, None, Some(group.path.as_str()))
            }
            Decider::Fallback(resolver) => {
                self.observers.tell("fallback", |o| o.on_fallback(conflict, None));
                (&**resolver, None, None)
            }
            Decider::Nobody => return Ok(Resolution::review("no rule is for it, and there is no fallback")),
        };
        let by = |e: ResolveError| {
            let rule = rule.map(|rule| format!(" of the rule {rule}")).unwrap_or_default();
            ResolveError::new(format!("{}{rule}: {e}", resolver.name())).with_source(e)
        };
        Ok(resolver.resolve(conflict).await.map_err(by)?.decided_by(resolver.name(), rule, group))
    }
}

#[async_trait]
impl ConflictResolver for DynamicResolver {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Reads {
        self.reads
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let begun = Instant::now();
        self.observers.tell("conflict", |o| o.on_conflict(conflict));
        let result = self.decide(conflict).await;
        self.observers.ended(conflict, begun, &result);
        result
    }
}
