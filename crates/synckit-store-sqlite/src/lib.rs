#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod error;
mod home;
mod lookup;
mod maintain;
mod opening;
mod pack;
mod packed;
mod progress;
mod read;
mod schema;
mod store;
mod turn;
mod write;

pub use crate::{
    config::{Durability, SqliteConfig},
    store::SqliteStore,
};
