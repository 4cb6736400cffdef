#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod code;
mod event;
mod failure;
pub mod gzip;
mod message;
mod query;
mod text;
mod tolerant;

pub use crate::{
    code::{code_of, kind_of, status_of},
    event::{Element, Unfit, write_event, write_events},
    failure::{failure, write_failure},
    message::{
        greet::{MAX_GREETING_MARKS, PeerAnswer, greeting_query, read_greeting, read_peer, write_peer},
        pull::{PageAnswer, PageText, PullBody, read_page, read_pull, read_since, write_pull},
        push::{
            Caller, PushAnswer, PushBody, PushResult, read_push, read_push_reply, read_staged, write_push,
            write_push_reply, write_staged, write_staged_push, write_stock_push,
        },
    },
    query::{query_pairs, query_value},
};

/// The version of the messages that nodes of this kit add to go-sync-kit's; a caller names it in its requests.
pub const PROTOCOL: u32 = 1;
