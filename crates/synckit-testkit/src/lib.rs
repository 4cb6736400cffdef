#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a conformance test that cannot go on panics")]

#[cfg(unix)]
pub mod again;
mod environment;
pub mod faults;
mod killed;
mod polls;
mod run;
mod sample;
mod setup;
pub mod store;
mod stores;
mod subject;
mod suite;
pub mod transport;

pub use crate::{
    environment::{ManualClock, SeededEntropy},
    killed::{kill_writers, write_until_killed},
    setup::{Fixture, Setup},
};
