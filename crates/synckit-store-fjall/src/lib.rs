#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod engine;
mod entry;
mod error;
mod folder;
mod home;
mod journal;
mod keys;
mod lookup;
mod page;
mod progress;
mod read;
mod row;
mod rows;
mod schema;
mod store;
mod write;

pub use crate::{
    config::{Durability, FjallConfig},
    store::FjallStore,
};
