//! The command line as people and programs use it: the built binary, in folders of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod audit;
mod bad_input;
mod basics;
mod cloudevents;
mod disasters;
mod hubs;
mod killed;
mod moving;
mod postgres;
mod review;
mod rules;
mod serving;
mod support;
mod syncing;
