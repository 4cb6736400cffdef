#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg(unix)]

mod folder;
mod postgres;

pub use crate::postgres::{Postgres, postgres_programs};
