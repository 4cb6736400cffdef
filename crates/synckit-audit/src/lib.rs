#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod index;
mod memory;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trail;
mod verify;

#[cfg(feature = "postgres")]
pub use crate::postgres::PostgresAuditIndex;
#[cfg(feature = "sqlite")]
pub use crate::sqlite::SqliteAuditIndex;
pub use crate::{
    index::{AuditIndex, AuditProgress, Kept},
    memory::MemoryAuditIndex,
    open::{index_schemes, open_index},
    trail::{Updated, rebuild, update},
    verify::{Difference, DifferenceKind, Verified, verify},
};
pub use synckit_core::audit::{AuditEntry, AuditFilter};
