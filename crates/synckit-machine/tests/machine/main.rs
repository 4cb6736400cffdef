//! Machines from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod moves;
mod observers;
mod support;
