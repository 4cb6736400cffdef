#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod client;
mod offload;
mod server;

pub use crate::{
    client::{HttpTransport, HttpTransportBuilder},
    server::{ServerOptions, ServerOptionsBuilder, router, serve},
};
