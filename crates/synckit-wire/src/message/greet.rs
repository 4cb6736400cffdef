//! Who a peer is: `GET /latest-version`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use synckit_core::{
    CursorMode, Error, ErrorKind, LogId, Mark, NodeId, Result, VectorCursor,
    transport::{Greeting, PeerState},
};

use crate::{PROTOCOL, query::query_value, text::append};

/// Most marks in one greeting, so that it fits into a URL.
pub const MAX_GREETING_MARKS: usize = 64;

/// The query of a greeting: `synckit=1&log=…&mark=POSITION.HASH&vector=1`.
///
/// # Errors
/// [`ErrorKind::Invalid`] if there are more marks than [`MAX_GREETING_MARKS`].
pub fn greeting_query(greeting: &Greeting) -> Result<String> {
    if greeting.marks.len() > MAX_GREETING_MARKS {
        return Err(too_many_marks());
    }
    let mut query = format!("synckit={PROTOCOL}");
    if let Some(log) = greeting.log {
        append(&mut query, format_args!("&log={log}"));
    }
    for mark in &greeting.marks {
        append(&mut query, format_args!("&mark={}.{}", mark.position, mark.hash));
    }
    if greeting.wants_vector {
        query.push_str("&vector=1");
    }
    Ok(query)
}

fn too_many_marks() -> Error {
    Error::invalid("greet", format!("more than {MAX_GREETING_MARKS} marks in a greeting"))
}

/// Reads a greeting from the names and values of a query; none if the caller is not a node of this kit.
///
/// # Errors
/// [`ErrorKind::Invalid`] if a value is not what it should be.
pub fn read_greeting(pairs: &[(String, String)]) -> Result<Option<Greeting>> {
    if query_value(pairs, "synckit").is_none() {
        return Ok(None);
    }
    let log = query_value(pairs, "log").map(str::parse).transpose()?;
    let marks = pairs.iter().filter(|(name, _)| name == "mark").map(|(_, value)| read_mark(value));
    let marks: Vec<Mark> = marks.collect::<Result<_>>()?;
    if marks.len() > MAX_GREETING_MARKS {
        return Err(too_many_marks());
    }
    Ok(Some(Greeting { log, marks, wants_vector: query_value(pairs, "vector") == Some("1") }))
}

fn read_mark(text: &str) -> Result<Mark> {
    let bad = || Error::invalid("greet", "a mark is POSITION.HASH");
    let (position, hash) = text.split_once('.').ok_or_else(bad)?;
    Ok(Mark { position: position.parse().map_err(|_| bad())?, hash: hash.parse().map_err(|_| bad())? })
}

#[derive(Serialize, Deserialize)]
struct Shape<'a> {
    log: LogId,
    node: NodeId,
    mode: CursorMode,
    head: Mark,
    verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vector: Option<Cow<'a, VectorCursor>>,
}

/// Writes who a peer is: `{"log","node","mode","head":{"position","hash"},"verified","vector"?}`.
///
/// # Errors
/// [`ErrorKind::Internal`] if the vector cannot be written.
pub fn write_peer(state: &PeerState) -> Result<String> {
    let PeerState { log, node, mode, head, verified, .. } = *state;
    let vector = state.vector.as_ref().map(Cow::Borrowed);
    serde_json::to_string(&Shape { log, node, mode, head, verified, vector })
        .map_err(|e| Error::new(ErrorKind::Internal, "greet", "the answer cannot be written").with_source(e))
}

/// Who answered a greeting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PeerAnswer {
    /// A hub that knows no stamps, whose log ends at this position.
    Stock(u64),
    /// A node of this kit.
    Kit(PeerState),
}

/// Reads the answer to a greeting.
///
/// # Errors
/// [`ErrorKind::Protocol`] if it is neither of the two; [`ErrorKind::Unsupported`] if it is a version that is not a
/// position.
pub fn read_peer(body: &[u8]) -> Result<PeerAnswer> {
    let wrong = |e: serde_json::Error| {
        Error::new(ErrorKind::Protocol, "greet", "the answer says not who the peer is").with_source(e)
    };
    if body.trim_ascii_start().starts_with(b"\"") {
        let version: String = serde_json::from_slice(body).map_err(wrong)?;
        return version.parse().map(PeerAnswer::Stock).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "greet", "the peer's versions are not positions in a log")
        });
    }
    let Shape { log, node, mode, head, verified, vector } = serde_json::from_slice(body).map_err(wrong)?;
    let mut state = PeerState::new(log, node, mode, head, verified);
    state.vector = vector.map(Cow::into_owned);
    Ok(PeerAnswer::Kit(state))
}
