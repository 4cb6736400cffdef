//! Making nodes.

use std::{sync::Arc, time::Duration};

use synckit_core::{CursorMode, Environment, Error, EventStore, Filter, Result, Transport};
use synckit_resolve::{
    AdditiveMerge, ConflictResolver, FirstWriteWins, LastWriteWins, ManualReview, workflow::Workflows,
};

use crate::{
    config::{Config, DecideScope, ResolverKind},
    node::SyncNode,
    retry::RetryPolicy,
};

/// Makes a [`SyncNode`]; see [`SyncNode::builder`].
#[derive(Debug)]
#[must_use]
pub struct SyncNodeBuilder {
    store: Arc<dyn EventStore>,
    transport: Option<Arc<dyn Transport>>,
    resolver: Option<Arc<dyn ConflictResolver>>,
    environment: Environment,
    config: Config,
    workflows: Option<Workflows>,
}

impl SyncNodeBuilder {
    pub(crate) fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            transport: None,
            resolver: None,
            environment: Environment::default(),
            config: Config::default(),
            workflows: None,
        }
    }

    /// The way to the peer. A node without one is local.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Who decides conflicts: a resolver of your own. Last write wins by default.
    pub fn resolver(mut self, resolver: Arc<dyn ConflictResolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Keeps a workflow for each conflict that the node decides or finds in review: how it came to be decided, or for whom it
    /// waits.
    ///
    /// It is resolved once its decision is durable; a resolver that fails sends it to `manual_review`; a review that is
    /// answered, here or on another node, resolves it; one that nobody answered within the resolver's
    /// [limit](synckit_resolve::Limits::review) is `escalated`. Answers of other nodes are noticed by the sync that brings
    /// them. The resolver itself needs no [`StatefulResolver`](synckit_resolve::workflow::StatefulResolver) then.
    pub fn workflows(mut self, workflows: Workflows) -> Self {
        self.workflows = Some(workflows);
        self
    }

    /// Who decides conflicts: a built-in resolver.
    pub fn resolver_kind(mut self, kind: ResolverKind) -> Self {
        self.config.resolver = kind;
        self
    }

    /// Which conflicts the node decides: those that it is part of, by default.
    pub const fn decide(mut self, scope: DecideScope) -> Self {
        self.config.decide = scope;
        self
    }

    /// The mode that the store must have.
    pub const fn mode(mut self, mode: CursorMode) -> Self {
        self.config.mode = Some(mode);
        self
    }

    /// Which events are pulled and pushed; all by default.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.config.filter = filter;
        self
    }

    /// Events in a page; 1,000 by default.
    pub const fn batch_size(mut self, events: usize) -> Self {
        self.config.batch_size = events;
        self
    }

    /// The longest that one sync may take; no limit by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The longest that the resolver may take for one conflict; 30 seconds by default.
    pub fn resolver_timeout(mut self, timeout: Duration) -> Self {
        self.config.resolver_timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// When requests are repeated.
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.config.retry = policy;
        self
    }

    /// Only push.
    pub const fn push_only(mut self) -> Self {
        self.config.push_only = true;
        self
    }

    /// Only pull.
    pub const fn pull_only(mut self) -> Self {
        self.config.pull_only = true;
        self
    }

    /// Where time and randomness come from; the machine by default.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Takes every setting from a config. Its URLs are not opened here: a config that names a transport needs one given.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The node.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid), with a message of its own for each combination that makes no
    /// sense.
    pub fn build(self) -> Result<SyncNode> {
        self.config.check()?;
        let invalid = |what: String| Err(Error::invalid("build node", what));
        if self.transport.is_none() && (self.config.push_only || self.config.pull_only) {
            return invalid("push_only and pull_only need a transport".into());
        }
        if self.resolver.is_some() && self.config.resolver != ResolverKind::default() {
            return invalid("a resolver of your own and a built-in resolver exclude each other".into());
        }
        if self.transport.is_none() && self.config.transport.is_some() {
            return invalid("the config names a transport by URL, and none was given".into());
        }
        let mode = self.store.identity().mode;
        if let Some(wanted) = self.config.mode.filter(|wanted| *wanted != mode) {
            return invalid(format!(
                "the store was made in {mode} mode, and the node is to be in {wanted} mode"
            ));
        }
        let resolver = self.resolver.unwrap_or_else(|| match self.config.resolver {
            ResolverKind::LastWriteWins => Arc::new(LastWriteWins::default()),
            ResolverKind::FirstWriteWins => Arc::new(FirstWriteWins::default()),
            ResolverKind::AdditiveMerge => Arc::new(AdditiveMerge::new()),
            ResolverKind::ManualReview => Arc::new(ManualReview::default()),
        });
        Ok(SyncNode::assemble(
            self.store,
            self.transport,
            resolver,
            self.environment,
            self.config,
            self.workflows,
        ))
    }
}
