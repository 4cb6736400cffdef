//! The command line as people and programs use it: the built binary, in folders of its own.

mod bad_input;
mod basics;
mod cloudevents;
mod hubs;
mod review;
mod serving;
mod support;
mod syncing;
