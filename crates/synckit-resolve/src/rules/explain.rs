//! Why a rule decides, and why those before it do not.

use std::fmt;

use super::{DynamicResolver, dynamic::Decider};
use crate::{conflict::Conflict, resolver::ResolveError, spec::Explanation};

/// A rule that was asked about a conflict.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Asked {
    /// The rule, with its groups before it.
    pub rule: String,
    /// Whether it decides.
    pub decides: bool,
    /// Why it was not asked: it is off, or its group is.
    pub off: Option<&'static str>,
    /// What its condition says, if it was asked.
    pub explanation: Option<Explanation>,
}

/// Who decides a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// A rule.
    Rule {
        /// Its name, with its groups before it.
        rule: String,
        /// Its resolver.
        resolver: String,
    },
    /// The fallback of a group.
    GroupFallback {
        /// The group.
        group: String,
        /// Its resolver.
        resolver: String,
    },
    /// The last fallback.
    Fallback {
        /// Its resolver.
        resolver: String,
    },
    /// A person, for nothing else is left.
    Person,
}

/// How rules came to decide a conflict as they do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RulesExplanation {
    /// The rules in the order in which they were asked, up to the one that decides.
    pub asked: Vec<Asked>,
    /// Who decides.
    pub choice: Choice,
}

impl DynamicResolver {
    /// Says which rule decides a conflict, why, and why those before it do not. Nothing is decided.
    ///
    /// # Errors
    /// A [`ResolveError`] if a condition of the user's own panics.
    pub fn explain(&self, conflict: &Conflict) -> Result<RulesExplanation, ResolveError> {
        let (last, choice) = match self.decider(conflict)? {
            Decider::Rule(i, placed) => {
                let (rule, resolver) = (placed.path.clone(), placed.rule.resolver().name().to_owned());
                (i + 1, Choice::Rule { rule, resolver })
            }
            Decider::GroupFallback(group, resolver) => {
                let last = if group.fallback.as_ref().is_some_and(|f| f.is_final()) {
                    group.to
                } else {
                    self.rules.len()
                };
                let (group, resolver) = (group.path.clone(), resolver.name().to_owned());
                (last, Choice::GroupFallback { group, resolver })
            }
            Decider::Fallback(resolver) => {
                (self.rules.len(), Choice::Fallback { resolver: resolver.name().to_owned() })
            }
            Decider::Nobody => (self.rules.len(), Choice::Person),
        };
        let mut asked = Vec::with_capacity(last);
        for placed in &self.rules[..last] {
            let off = match (placed.rule.is_enabled(), self.takes_part(placed.group)) {
                (false, _) => Some("the rule is off"),
                (_, false) => Some("its group is off"),
                _ => None,
            };
            let explanation = if off.is_none() { Some(placed.explain(conflict)?) } else { None };
            let decides = matches!(&choice, Choice::Rule { rule, .. } if *rule == placed.path);
            asked.push(Asked { rule: placed.path.clone(), decides, off, explanation });
        }
        Ok(RulesExplanation { asked, choice })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule, resolver } => write!(f, "the rule {rule} decides: {resolver}"),
            Self::GroupFallback { group, resolver } => {
                write!(f, "the fallback of the group {group} decides: {resolver}")
            }
            Self::Fallback { resolver } => write!(f, "the fallback decides: {resolver}"),
            Self::Person => f.write_str("no rule is for it, and there is no fallback: a person decides"),
        }
    }
}

impl fmt::Display for RulesExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for asked in &self.asked {
            writeln!(f, "{} {}", if asked.decides { "->" } else { "  " }, asked.rule)?;
            if let Some(off) = asked.off {
                writeln!(f, "     {off}")?;
            }
            for line in asked
                .explanation
                .iter()
                .flat_map(|e| e.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
            {
                writeln!(f, "     {line}")?;
            }
        }
        write!(f, "{}", self.choice)
    }
}
