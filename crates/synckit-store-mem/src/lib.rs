#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod maintain;
mod state;
mod store;

pub use crate::store::{MemStore, MemStoreBuilder};
