//! What a node does, as a value that can be written down.

use serde::{Deserialize, Serialize};
use synckit_core::{CursorMode, Error, Filter, Result, limits::MAX_PAGE_EVENTS};

use crate::retry::RetryPolicy;

/// The settings of a node. A builder and a config file say the same things.
///
/// Unknown keys are refused. Store and transport are named by URLs, which the facade crate opens; a node that is built by
/// hand is given them as values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The URL of the store, such as `sqlite:events.db`.
    pub store: String,
    /// The URL of the peer, such as `https://hub.example/sync`. A node without one is local.
    pub transport: Option<String>,
    /// The node's mode. It must be the store's; if it is left out, the store's is taken.
    pub mode: Option<CursorMode>,
    /// Who decides conflicts.
    pub resolver: ResolverKind,
    /// Which conflicts this node decides.
    pub decide: DecideScope,
    /// Which events are pulled and pushed.
    pub filter: Filter,
    /// Events in a page, pulled or pushed: 1 to 10,000.
    pub batch_size: usize,
    /// The longest that one sync may take, in milliseconds; no limit if it is left out.
    pub timeout_ms: Option<u64>,
    /// The longest that a resolver may take for one conflict, in milliseconds.
    pub resolver_timeout_ms: u64,
    /// When requests are repeated.
    pub retry: RetryPolicy,
    /// Only push.
    pub push_only: bool,
    /// Only pull.
    pub pull_only: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: String::new(),
            transport: None,
            mode: None,
            resolver: ResolverKind::default(),
            decide: DecideScope::default(),
            filter: Filter::default(),
            batch_size: 1_000,
            timeout_ms: None,
            resolver_timeout_ms: 30_000,
            retry: RetryPolicy::default(),
            push_only: false,
            pull_only: false,
        }
    }
}

impl Config {
    /// Checks everything that can be checked without opening anything.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid), with a message of its own for each mistake.
    pub fn check(&self) -> Result<()> {
        let invalid = |what: String| Err(Error::invalid("configure node", what));
        if self.push_only && self.pull_only {
            return invalid("push_only and pull_only exclude each other".into());
        }
        if self.batch_size == 0 || self.batch_size > MAX_PAGE_EVENTS {
            return invalid(format!("batch_size is {}; it is 1 to {MAX_PAGE_EVENTS}", self.batch_size));
        }
        if self.timeout_ms == Some(0) {
            return invalid("timeout_ms is 0; leave it out for no limit".into());
        }
        if self.resolver_timeout_ms == 0 {
            return invalid("resolver_timeout_ms is 0; a resolver needs some time".into());
        }
        self.retry.check()
    }
}

/// The built-in resolvers, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResolverKind {
    /// The side with the newest event wins.
    #[default]
    #[serde(alias = "lww")]
    LastWriteWins,
    /// The side with the oldest event wins.
    #[serde(alias = "fww")]
    FirstWriteWins,
    /// All sides count, and their fields are merged by last write; data that is not JSON objects goes to a person.
    #[serde(alias = "merge")]
    AdditiveMerge,
    /// A person decides.
    #[serde(alias = "manual")]
    ManualReview,
}

/// Which conflicts a node decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DecideScope {
    /// Conflicts that events of its own are part of; after 24 hours, every conflict.
    #[default]
    Own,
    /// Every conflict at once: for a hub, or a node that decides for others.
    Every,
    /// None.
    Nothing,
}
