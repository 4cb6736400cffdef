//! The bodies of answers that say that something failed.

use std::time::Duration;

use serde_json::value::RawValue;
use synckit_core::Error;

use crate::{
    code::kind_of,
    text::string,
    tolerant::{Fields, fill, raw, skip},
};

/// How much of a peer's explanation is repeated, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// Writes the body of an answer that says what failed: `{"error":{"code","message","op"}}`.
#[must_use]
pub fn write_failure(code: &str, message: &str, operation: &str) -> String {
    let mut out = String::from("{\"error\":{\"code\":");
    string(&mut out, code);
    out.push_str(",\"message\":");
    string(&mut out, message);
    out.push_str(",\"op\":");
    string(&mut out, operation);
    out.push_str("}}");
    out
}

/// The error that an answer of this status with this body stands for. The body may be what [`write_failure`] writes,
/// `{"error":"text"}`, plain text, or anything else; `retry_after` is how long the peer asked to be left alone.
#[must_use]
pub fn failure(operation: &'static str, status: u16, body: &[u8], retry_after: Option<Duration>) -> Error {
    let mut shape = Outer::default();
    let (code, message) = match fill(body, &mut shape) {
        Ok(()) => shape.read(),
        Err(_) => (String::new(), String::from_utf8_lossy(body).into_owned()),
    };
    let said: String = message
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .flat_map(|word| word.chars().chain(std::iter::once(' ')))
        .take(MAX_MESSAGE_CHARS)
        .collect();
    let text = match said.trim_end() {
        "" => format!("the peer answered with status {status}"),
        said => format!("the peer answered with status {status}: {said}"),
    };
    let error = Error::new(kind_of(status, &code), operation, text);
    match retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

#[derive(Default)]
struct Outer<'de> {
    error: Option<&'de RawValue>,
}

impl<'de> Fields<'de> for Outer<'de> {
    fn field<A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "error" { raw(&mut self.error, map) } else { skip(map) }
    }

    fn misplaced(&mut self, _: &'static str) {}
}

impl Outer<'_> {
    fn read(&self) -> (String, String) {
        let Some(error) = self.error else { return Default::default() };
        if let Ok(text) = serde_json::from_str::<String>(error.get()) {
            return (String::new(), text);
        }
        let mut inner = Inner::default();
        // What cannot be read is left empty.
        let _ = fill(error.get().as_bytes(), &mut inner);
        let text =
            |raw: Option<&RawValue>| raw.and_then(|r| serde_json::from_str(r.get()).ok()).unwrap_or_default();
        (text(inner.code), text(inner.message))
    }
}

#[derive(Default)]
struct Inner<'de> {
    code: Option<&'de RawValue>,
    message: Option<&'de RawValue>,
}

impl<'de> Fields<'de> for Inner<'de> {
    fn field<A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "code" => raw(&mut self.code, map),
            "message" => raw(&mut self.message, map),
            _ => skip(map),
        }
    }

    fn misplaced(&mut self, _: &'static str) {}
}
