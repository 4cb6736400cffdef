#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod audit;
mod builder;
mod config;
mod digest;
mod history;
mod node;
mod quarantine;
mod report;
mod retry;
mod review;
mod state;
mod status;
mod sync;
mod workflow;

pub use crate::{
    audit::{Complexity, UndoAnalysis},
    builder::SyncNodeBuilder,
    config::{Config, DecideScope, ResolverKind},
    digest::Digest,
    history::{HistoryEntry, Superseded},
    node::{Subscription, SyncNode},
    report::{ConflictCounts, RefusedEvent, SyncReport},
    retry::RetryPolicy,
    review::{ConflictView, SideView},
    state::SyncState,
    status::{PeerStatus, Status},
};
pub use synckit_core::audit::{AuditEntry, AuditFilter};
