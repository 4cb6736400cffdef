#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod audit;
mod binary;
mod cursor;
pub mod decision;
mod env;
mod error;
mod event;
mod filter;
pub mod graph;
mod hash;
mod hub;
mod ids;
pub mod limits;
pub mod parallel;
pub mod plan;
#[doc(hidden)]
pub mod plant;
mod stamp;
pub mod store;
pub mod transport;
mod version;

pub use crate::{
    binary::{decode_offered, decode_parents, encode_offered, encode_parents},
    cursor::{Doubt, Lacking, LogCursor, Mark, Progress, VectorCursor},
    env::{Clock, Entropy, Environment, SystemClock, SystemEntropy},
    error::{Error, ErrorKind, Result},
    event::{Event, JSON, Metadata, Payload},
    filter::Filter,
    hash::{Hash, chain_hash, content_hash, entry_bytes},
    hub::Hub,
    ids::{AggregateId, ConflictId, EventId, EventType, LogId, NodeId, VertexId},
    stamp::{CanonicalKey, HybridClock, Stamp, Timestamp},
    store::EventStore,
    transport::Transport,
    version::{Causality, CursorMode, VectorClock, Version},
};
