//! The contract of resolvers.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use synckit_core::{EventId, VertexId, decision::MergedEvent};

use crate::conflict::Conflict;

/// How much of a conflict a resolver wants to read. The less, the cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reads {
    /// Ids, times and order only.
    Outline,
    /// The events that the sides do not share, too.
    Sides,
    /// The events that they share, too.
    Everything,
}

/// What a resolver allows whoever asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// The longest that an answer may take, if that is shorter than what the node allows.
    pub answer: Option<Duration>,
    /// After so long, a review that nobody answered is overdue.
    pub review: Option<Duration>,
    /// The most conflicts that are read and decided together, if that is less than what the node would take.
    pub batch: Option<usize>,
}

impl Limits {
    /// The longest that an answer may take.
    #[must_use]
    pub const fn answer(mut self, limit: Duration) -> Self {
        self.answer = Some(limit);
        self
    }

    /// After so long, a review that nobody answered is overdue.
    #[must_use]
    pub const fn review(mut self, limit: Duration) -> Self {
        self.review = Some(limit);
        self
    }

    /// The most conflicts that are decided together.
    #[must_use]
    pub const fn batch(mut self, conflicts: usize) -> Self {
        self.batch = Some(conflicts);
        self
    }
}

/// Decides conflicts.
///
/// A resolver that fails, panics or takes too long blocks only its own conflict, which goes to review with the reason.
#[async_trait]
pub trait ConflictResolver: fmt::Debug + Send + Sync + 'static {
    /// The name under which its decisions are recorded.
    fn name(&self) -> &str;

    /// How much it reads.
    fn reads(&self) -> Reads {
        Reads::Everything
    }

    /// What it allows whoever asks it; nothing in particular unless it says so.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Decides.
    ///
    /// # Errors
    /// A [`ResolveError`] if it cannot; the conflict then goes to review with its text.
    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError>;
}

#[async_trait]
impl<R: ConflictResolver + ?Sized> ConflictResolver for Arc<R> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn reads(&self) -> Reads {
        (**self).reads()
    }

    fn limits(&self) -> Limits {
        (**self).limits()
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        (**self).resolve(conflict).await
    }
}

/// What a resolver says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Resolution {
    /// The views of these heads count, with exceptions.
    Adopt {
        /// The heads: one wins, or several are united.
        heads: Vec<VertexId>,
        /// Events of their views that do not count.
        hidden: Vec<EventId>,
        /// Events outside their views that count.
        restored: Vec<EventId>,
        /// New events that the decision brings along.
        merged: Vec<MergedEvent>,
        /// What was done, in a word.
        outcome: String,
        /// The resolver that a rule had decide; none if it is the one that was asked.
        resolver: Option<String>,
        /// The rule that matched, if rules decided.
        rule: Option<String>,
        /// The group that the rule is in.
        group: Option<String>,
        /// Why.
        reasons: Vec<String>,
        /// The person on whose behalf the machine decided.
        user: Option<String>,
        /// The session in which it did.
        session: Option<String>,
    },
    /// A person has to decide.
    Review {
        /// Why.
        reason: String,
        /// Whether it is for someone with more say than those who answer reviews.
        escalated: bool,
        /// The rule that matched, if rules decided.
        rule: Option<String>,
        /// The group that the rule is in.
        group: Option<String>,
    },
}

impl Resolution {
    /// The views of these heads count.
    #[must_use]
    pub fn adopt(heads: impl IntoIterator<Item = VertexId>) -> Self {
        let heads: Vec<VertexId> = heads.into_iter().collect();
        let outcome = if heads.len() > 1 { "merge" } else { "keep" };
        Self::Adopt {
            heads,
            hidden: Vec::new(),
            restored: Vec::new(),
            merged: Vec::new(),
            outcome: outcome.into(),
            resolver: None,
            rule: None,
            group: None,
            reasons: Vec::new(),
            user: None,
            session: None,
        }
    }

    /// A person has to decide.
    #[must_use]
    pub fn review(reason: impl Into<String>) -> Self {
        Self::Review { reason: reason.into(), escalated: false, rule: None, group: None }
    }

    /// A person with more say than those who answer reviews has to decide. It is a review like others, and its
    /// [workflow](crate::workflow) is in the state `escalated`.
    #[must_use]
    pub fn escalate(reason: impl Into<String>) -> Self {
        Self::Review { reason: reason.into(), escalated: true, rule: None, group: None }
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        match &mut self {
            Self::Adopt { reasons, .. } => reasons.push(why.into()),
            Self::Review { reason, .. } => *reason = why.into(),
        }
        self
    }

    /// The rule that matched, and its group or the one whose fallback decided.
    #[must_use]
    pub fn rule(&self) -> (Option<&str>, Option<&str>) {
        let (Self::Adopt { rule, group, .. } | Self::Review { rule, group, .. }) = self;
        (rule.as_deref(), group.as_deref())
    }

    /// Says by which resolver and which rule it was decided, unless that was said before.
    #[must_use]
    pub(crate) fn decided_by(mut self, by: &str, by_rule: Option<&str>, in_group: Option<&str>) -> Self {
        if let Self::Adopt { resolver, .. } = &mut self {
            resolver.get_or_insert_with(|| by.to_owned());
        }
        let (Self::Adopt { rule, group, .. } | Self::Review { rule, group, .. }) = &mut self;
        if rule.is_none() && group.is_none() {
            (*rule, *group) = (by_rule.map(str::to_owned), in_group.map(str::to_owned));
        }
        self
    }

    /// Adds new events that the decision brings along; nothing for a review.
    #[must_use]
    pub fn with_merged(mut self, events: impl IntoIterator<Item = MergedEvent>) -> Self {
        if let Self::Adopt { merged, .. } = &mut self {
            merged.extend(events);
        }
        self
    }

    /// Adds events of the adopted views that do not count; nothing for a review.
    #[must_use]
    pub fn without(mut self, events: impl IntoIterator<Item = EventId>) -> Self {
        if let Self::Adopt { hidden, .. } = &mut self {
            hidden.extend(events);
        }
        self
    }
}

/// Why a resolver could not decide.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ResolveError {
    /// An error with this text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
