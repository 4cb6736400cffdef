//! What one asks for.

use std::collections::BTreeMap;

use serde::de::MapAccess;
use serde_json::value::RawValue;
use synckit_core::{
    Error, Filter, Hash, Mark, NodeId, Progress, Result, VectorCursor,
    limits::{MAX_CURSOR_BYTES, MAX_PAGE_EVENTS},
    transport::PullRequest,
};

use super::write_cursor;
use crate::{
    PROTOCOL,
    text::{append, key, mark},
    tolerant::{Fields, Object, fill, raw, skip},
};

/// How many events a stock client gets if it does not ask for a number that it may have.
const STOCK_LIMIT: usize = 200;
/// The most that a stock client may ask for.
const STOCK_MAX: i128 = 1000;

/// Writes the body of `POST /pull-cursor`.
///
/// Without a vector: `{"synckit":1,"since":{"kind":"integer","data":N,"hash":…},"log"?,"limit","filter"?}`. With one, which
/// only nodes of this kit understand: `"since":{"kind":"vector","data":{…}},"after":{"position","hash"}`.
///
/// # Errors
/// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if the filter or the vector cannot be written.
pub fn write_pull(request: &PullRequest) -> Result<String> {
    let cannot = |e| Error::invalid("pull", "the request cannot be written").with_source(e);
    let mut out = format!("{{\"synckit\":{PROTOCOL},\"since\":");
    match &request.missing_from {
        None => write_cursor(&mut out, &request.after),
        Some(vector) => {
            out.push_str("{\"kind\":\"vector\",\"data\":");
            out.push_str(&serde_json::to_string(vector).map_err(cannot)?);
            out.push('}');
            key(&mut out, "after");
            mark(&mut out, &request.after);
        }
    }
    if let Some(log) = request.log {
        key(&mut out, "log");
        append(&mut out, format_args!("\"{log}\""));
    }
    key(&mut out, "limit");
    append(&mut out, format_args!("{}", request.limit));
    if request.filter != Filter::everything() {
        key(&mut out, "filter");
        out.push_str(&serde_json::to_string(&request.filter).map_err(cannot)?);
    }
    out.push('}');
    Ok(out)
}

/// A request for a page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PullBody {
    /// Whether a node of this kit asks: its cursor is verified.
    pub kit: bool,
    /// What it asks for.
    pub request: PullRequest,
}

/// Reads the body of `POST /pull-cursor`, from nodes of this kit and stock clients alike.
///
/// The limit is at most 10,000 for a node of this kit. A stock client gets 200 unless it asks for 1 to 1000.
///
/// # Errors
/// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) with what is wrong; it begins with `bad cursor` if that is it.
pub fn read_pull(body: &[u8]) -> Result<PullBody> {
    let mut draft = Draft::default();
    fill(body, &mut draft)
        .map_err(|e| Error::invalid("pull", format!("the JSON cannot be read: {e}")).with_source(e))?;
    if let Some(found) = draft.misplaced {
        return Err(Error::invalid("pull", format!("expected a request, found {found}")));
    }
    let kit = draft.kit || draft.log.is_some() || draft.since.hash.is_some();
    let asked: i128 = value(draft.limit, "limit")?.unwrap_or(0);
    let limit = match usize::try_from(asked) {
        Ok(limit) if kit => limit.min(MAX_PAGE_EVENTS),
        Ok(limit) if limit > 0 && asked <= STOCK_MAX => limit,
        _ if kit => 0,
        _ => STOCK_LIMIT,
    };
    let missing_from = draft.since.vector(kit)?;
    let after = match &missing_from {
        Some(_) => value(draft.after, "after")?,
        None => draft.since.mark()?,
    };
    let request = PullRequest {
        log: value(draft.log, "log")?,
        after: after.unwrap_or(Mark::START),
        missing_from,
        limit,
        filter: value(draft.filter, "filter")?.unwrap_or_default(),
    };
    Ok(PullBody { kit, request })
}

/// Reads the `since` of `GET /pull`: a position, or a vector of counters; nothing is the beginning.
///
/// # Errors
/// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if it is neither.
pub fn read_since(text: &str) -> Result<(u64, Option<VectorCursor>)> {
    if text.is_empty() {
        return Ok((0, None));
    }
    match text.parse() {
        Ok(position) => Ok((position, None)),
        Err(_) if text.starts_with('{') && text.len() <= MAX_CURSOR_BYTES => {
            Ok((0, Some(read_vector(text)?)))
        }
        Err(_) => {
            Err(Error::invalid("pull", "invalid since cursor: it is a position or an object of counters"))
        }
    }
}

#[derive(Default)]
struct Draft<'de> {
    kit: bool,
    since: CursorDraft<'de>,
    after: Option<&'de RawValue>,
    log: Option<&'de RawValue>,
    limit: Option<&'de RawValue>,
    filter: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for Draft<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "synckit" => {
                self.kit = true;
                skip(map)
            }
            "since" => map.next_value_seed(Object(&mut self.since)),
            "after" => raw(&mut self.after, map),
            "log" => raw(&mut self.log, map),
            "limit" => raw(&mut self.limit, map),
            "filter" => raw(&mut self.filter, map),
            _ => skip(map),
        }
    }

    fn misplaced(&mut self, found: &'static str) {
        self.misplaced = Some(found);
    }
}

/// `{"kind","data","hash"?}`.
#[derive(Default)]
pub(super) struct CursorDraft<'de> {
    kind: Option<&'de RawValue>,
    data: Option<&'de RawValue>,
    hash: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for CursorDraft<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "kind" => raw(&mut self.kind, map),
            "data" => raw(&mut self.data, map),
            "hash" => raw(&mut self.hash, map),
            _ => skip(map),
        }
    }

    fn misplaced(&mut self, found: &'static str) {
        self.misplaced = Some(found);
    }
}

impl CursorDraft<'_> {
    /// The mark of an integer cursor; none if there is no cursor.
    pub(super) fn mark(&self) -> Result<Option<Mark>> {
        if let Some(found) = self.misplaced {
            return Err(bad_cursor(format_args!("expected an object, found {found}")));
        }
        let Some(data) = self.data else {
            return match self.kind {
                Some(_) => Err(bad_cursor(format_args!("it has no data"))),
                None => Ok(None),
            };
        };
        if self.kind()? != "integer" {
            return Err(bad_cursor(format_args!("cursor kind not supported by this store")));
        }
        let position = serde_json::from_str(data.get())
            .map_err(|e| bad_cursor(format_args!("its data is not an unsigned integer: {e}")))?;
        let hash = match self.hash {
            Some(raw) => {
                serde_json::from_str(raw.get()).map_err(|e| bad_cursor(format_args!("its hash: {e}")))?
            }
            None => Hash::ZERO,
        };
        Ok(Some(Mark { position, hash }))
    }

    /// The vector of a vector cursor; none if it is of another kind. Cursors of stock clients are small.
    fn vector(&self, kit: bool) -> Result<Option<VectorCursor>> {
        match self.data {
            Some(data) if self.kind()? == "vector" => {
                if !kit && data.get().len() > MAX_CURSOR_BYTES {
                    return Err(bad_cursor(format_args!("more than {MAX_CURSOR_BYTES} bytes")));
                }
                read_vector(data.get()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn kind(&self) -> Result<String> {
        let kind = self.kind.map(|raw| serde_json::from_str(raw.get())).transpose();
        kind.map(Option::unwrap_or_default)
            .map_err(|e| bad_cursor(format_args!("its kind is not a string: {e}")))
    }
}

/// Reads an object from node ids to progress, or to plain counters. Other names cannot have written anything here, and
/// cover nothing.
fn read_vector(text: &str) -> Result<VectorCursor> {
    let entries: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|e| bad_cursor(format_args!("not an object of counters: {e}")))?;
    let mut origins = BTreeMap::new();
    for (name, raw) in entries {
        let progress = match serde_json::from_str::<u64>(raw.get()) {
            Ok(counter) => Progress { counter, ..Progress::default() },
            Err(_) => serde_json::from_str(raw.get())
                .map_err(|e| bad_cursor(format_args!("the progress of {name:?} cannot be read: {e}")))?,
        };
        if let Ok(node) = name.parse::<NodeId>() {
            origins.insert(node, progress);
        }
    }
    VectorCursor::from_progress(origins).map_err(|e| bad_cursor(format_args!("{}", e.message())))
}

fn bad_cursor(what: std::fmt::Arguments<'_>) -> Error {
    Error::invalid("pull", format!("bad cursor: {what}"))
}

fn value<T: serde::de::DeserializeOwned>(raw: Option<&RawValue>, name: &str) -> Result<Option<T>> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|e| Error::invalid("pull", format!("{name} cannot be read: {e}")))
}
