//! Requests and answers.

pub(crate) mod greet;
pub(crate) mod pull;
pub(crate) mod push;

use synckit_core::{Error, ErrorKind};

use crate::event::Elements;

/// The error for a message that could not be read: there were too many events, or its JSON is wrong.
pub(crate) fn unreadable(
    kind: ErrorKind,
    operation: &'static str,
    elements: &Elements,
    error: serde_json::Error,
) -> Error {
    if elements.overflow {
        let text = format!("too many events: at most {} are allowed", elements.max);
        return Error::new(ErrorKind::TooLarge, operation, text);
    }
    Error::new(kind, operation, format!("the JSON cannot be read: {error}")).with_source(error)
}
