#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod commit;
mod config;
mod error;
mod home;
mod lookup;
mod maintain;
mod notice;
mod pack;
mod packed;
mod progress;
mod queue;
mod read;
mod schema;
mod store;
mod turn;
mod write;

pub use crate::{config::PostgresConfig, store::PostgresStore};
