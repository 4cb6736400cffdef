#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cases;
mod conditions;
mod error;
mod loader;
mod located;
pub mod model;
mod strategies;
mod watch;
#[cfg(feature = "watch")]
mod watching;

#[cfg(feature = "watch")]
pub use crate::watching::Watching;
pub use crate::{
    cases::Cases,
    error::{Problem, RuleFileError},
    loader::{Context, MAX_FILE_BYTES, RuleLoader, Rules},
    located::{Located, Place},
    watch::{ReloadableRules, RulesListener},
};

/// The JSON Schema of rule files. Editors complete and check by it.
pub const SCHEMA: &str = include_str!("../schema/rules.schema.json");
