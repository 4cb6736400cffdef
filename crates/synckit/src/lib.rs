#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backends;

pub use backends::{Backends, CreateOptions, masked};
#[cfg(feature = "audit")]
pub use synckit_audit as audit;
pub use synckit_core as core;
pub use synckit_core::{
    AggregateId, ConflictId, CursorMode, Environment, Error, ErrorKind, Event, EventId, EventStore,
    EventType, Filter, Hub, LogCursor, LogId, Mark, Metadata, NodeId, Payload, Result, Timestamp, Transport,
    Version, VertexId,
};
pub use synckit_machine as machine;
#[cfg(feature = "maintenance")]
pub use synckit_maintenance as maintenance;
pub use synckit_node as node;
pub use synckit_node::{Config, SyncNode, SyncNodeBuilder, SyncReport};
pub use synckit_resolve as resolve;
#[cfg(feature = "rules")]
pub use synckit_rules as rules;
#[cfg(feature = "store-fjall")]
pub use synckit_store_fjall as store_fjall;
#[cfg(feature = "store-mem")]
pub use synckit_store_mem as store_mem;
#[cfg(feature = "store-postgres")]
pub use synckit_store_postgres as store_postgres;
#[cfg(feature = "store-sqlite")]
pub use synckit_store_sqlite as store_sqlite;
#[cfg(feature = "transport-http")]
pub use synckit_transport_http as transport_http;
#[cfg(feature = "transport-mem")]
pub use synckit_transport_mem as transport_mem;

/// What most programs need.
pub mod prelude {
    pub use synckit_core::{
        AggregateId, CursorMode, Error, ErrorKind, Event, EventId, EventStore, EventType, Filter, Metadata,
        Payload, Result, Transport,
    };
    pub use synckit_node::{Config, RetryPolicy, SyncNode, SyncReport};
    pub use synckit_resolve::{Conflict, ConflictResolver, Reads, Resolution, ResolveError};

    pub use crate::{Backends, CreateOptions};
}

#[cfg(all(doctest, feature = "store-sqlite"))]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
