#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod dot;
mod machine;
mod observer;
mod rules;
mod snapshot;
mod state;

pub use crate::{
    machine::{InvalidTransition, Machine},
    observer::{Observer, ObserverId},
    rules::{DEFAULT_HISTORY, Rules, RulesBuilder, RulesError, TimeoutAction},
    snapshot::{RestoreError, Snapshot},
    state::{Deadline, Note, State, Transition},
};
