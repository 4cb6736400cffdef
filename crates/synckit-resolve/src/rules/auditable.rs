//! Decisions that say on whose behalf they were taken.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::observe::guarded;
use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Limits, Reads, Resolution, ResolveError},
};

/// On whose behalf a machine decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DecisionContext {
    /// The person.
    pub user: Option<String>,
    /// The person's session.
    pub session: Option<String>,
    /// Further reasons, which are recorded after the resolver's own.
    pub reasons: Vec<String>,
}

impl DecisionContext {
    /// Nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// On behalf of this person.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// In this session.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.reasons.push(why.into());
        self
    }
}

type Extract = dyn Fn(&Conflict) -> DecisionContext + Send + Sync;

/// Any resolver, whose decisions are recorded with the person and the session on whose behalf they were taken.
///
/// Every decision is in the log with its resolver, rule, group and reasons anyway, and so is the reason why a resolver
/// failed; this adds what only the program knows. A decision stays a machine's: it goes behind what people decide.
///
/// ```
/// use synckit_resolve::{AuditableResolver, ConflictResolver as _, DecisionContext, LastWriteWins};
///
/// let resolver = AuditableResolver::new(LastWriteWins::default(), |_| {
///     DecisionContext::new().user("ann").session("till 7")
/// });
/// assert_eq!(resolver.name(), "last_write_wins");
/// ```
pub struct AuditableResolver<R> {
    inner: R,
    context: Arc<Extract>,
}

impl<R: ConflictResolver> AuditableResolver<R> {
    /// The resolver, and who says on whose behalf it decides a conflict. If that panics, nobody is recorded.
    pub fn new(inner: R, context: impl Fn(&Conflict) -> DecisionContext + Send + Sync + 'static) -> Self {
        Self { inner, context: Arc::new(context) }
    }
}

impl<R: fmt::Debug> fmt::Debug for AuditableResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditableResolver").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<R: ConflictResolver> ConflictResolver for AuditableResolver<R> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn reads(&self) -> Reads {
        self.inner.reads()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let mut answer = self.inner.resolve(conflict).await?;
        if let Resolution::Adopt { user, session, reasons, .. } = &mut answer {
            let Some(context) = guarded(|| (self.context)(conflict)) else {
                tracing::error!(conflict = %conflict.id(), "who says on whose behalf a conflict is decided panicked");
                return Ok(answer);
            };
            *user = context.user.or_else(|| user.take());
            *session = context.session.or_else(|| session.take());
            reasons.extend(context.reasons);
        }
        Ok(answer)
    }
}
