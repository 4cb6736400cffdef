//! Conflicts, their workflows, and what is put on record of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod records;
mod resolving;
mod runs;
mod support;
