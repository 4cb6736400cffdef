//! Throw-away servers for tests, from the programs on this machine. Each lives in a temporary folder and goes with the
//! process that started it, however that ends.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg(unix)]

mod folder;
mod postgres;

pub use crate::postgres::{Durability, Postgres, postgres_programs};
