#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod config;
mod engine;
mod entry;
mod error;
mod folder;
mod home;
mod integrity;
mod journal;
mod keys;
mod lookup;
mod maintain;
mod opening;
mod page;
mod progress;
mod read;
mod row;
mod rows;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod view;
mod write;

pub use crate::{
    config::{Durability, FjallConfig},
    store::FjallStore,
};
