#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod builtin;
mod changed;
mod conflict;
mod resolver;

pub use crate::{
    builtin::{AdditiveMerge, FirstWriteWins, LastWriteWins, ManualReview, WriteTime},
    conflict::{Conflict, Side},
    resolver::{ConflictResolver, Reads, Resolution, ResolveError},
};
