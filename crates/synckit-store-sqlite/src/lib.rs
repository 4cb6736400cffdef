#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[macro_use]
mod row;

mod config;
mod error;
mod home;
mod lookup;
mod maintain;
mod opening;
mod page;
mod pool;
mod progress;
mod query;
mod read;
mod schema;
mod store;
mod turn;
mod wal;
mod write;

pub use crate::{
    config::{Durability, SqliteConfig},
    store::SqliteStore,
};
