#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod copy;
mod examine;
mod findings;
mod walk;

pub use crate::{
    copy::{Arrival, Copied, copy},
    examine::examine,
    findings::{Examined, Finding},
};

/// Called now and then with how many entries have been gone through, and how many there are.
pub trait Progress: FnMut(u64, u64) + Send {}

impl<F: FnMut(u64, u64) + Send> Progress for F {}
