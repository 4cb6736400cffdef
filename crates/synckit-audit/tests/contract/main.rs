//! What every index does, whatever it is kept in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod files;
mod following;
mod recording;
mod servers;
mod support;
