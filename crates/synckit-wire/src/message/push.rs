//! Events for a peer: `POST /push`.

use std::borrow::Cow;

use serde::{
    Deserialize,
    de::{MapAccess, SeqAccess},
};
use serde_json::value::RawValue;
use synckit_core::{
    Error, ErrorKind, LogId, Mark, NodeId, Result,
    limits::MAX_PAGE_EVENTS,
    store::{Offered, Outcome, Refusal, RefusalCode},
    transport::PushRequest,
};

use crate::{
    PROTOCOL,
    event::{Element, Elements, ElementsOf, write_events},
    message::unreadable,
    text::{append, key, mark, string},
    tolerant::{Fields, fill, raw, skip},
};

/// Writes the body of a push between nodes of this kit: `{"synckit":1,"node","log"?,"from"?,"events":[…]}`.
///
/// It begins with the entry at `skip` and takes as many as fit into `max_bytes` of JSON text, but at least one if there is
/// one, and at most 10,000. Returns the body and how many entries are in it.
///
/// # Errors
/// As [`write_event`](crate::write_event).
pub fn write_push(request: &PushRequest, skip: usize, max_bytes: usize) -> Result<(String, usize)> {
    let mut out = begin_push(request);
    key(&mut out, "events");
    let rest = request.entries.get(skip..).unwrap_or_default();
    let written = write_events(&mut out, &rest[..rest.len().min(MAX_PAGE_EVENTS)], max_bytes)?;
    out.push('}');
    Ok((out, written))
}

fn begin_push(request: &PushRequest) -> String {
    let mut out = format!("{{\"synckit\":{PROTOCOL},\"node\":\"{}\"", request.node);
    if let Some(log) = request.log {
        append(&mut out, format_args!(",\"log\":\"{log}\""));
    }
    if let Some(from) = request.from {
        append(&mut out, format_args!(",\"from\":\"{from}\""));
    }
    out
}

/// Writes the body of a push that was staged under a name: `{"synckit":1,"node","log"?,"from"?,"staged"}`.
#[must_use]
pub fn write_staged_push(request: &PushRequest, name: &str) -> String {
    let mut out = begin_push(request);
    key(&mut out, "staged");
    string(&mut out, name);
    out.push('}');
    out
}

/// Writes the answer to what is staged: `{"staged"}`, the name by which a push may be made of it.
#[must_use]
pub fn write_staged(name: &str) -> String {
    let mut out = String::from("{\"staged\":");
    string(&mut out, name);
    out.push('}');
    out
}

/// Reads the answer to what was staged.
///
/// # Errors
/// [`ErrorKind::Protocol`] if it is another answer.
pub fn read_staged(body: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct Shape {
        staged: String,
    }
    let wrong = |e| Error::new(ErrorKind::Protocol, "push", "the peer did not stage a push").with_source(e);
    serde_json::from_slice(body).map(|Shape { staged }| staged).map_err(wrong)
}

/// Writes the body of a push to a stock hub: a bare array. Otherwise as [`write_push`].
///
/// # Errors
/// As [`write_event`](crate::write_event).
pub fn write_stock_push(entries: &[Offered], max_bytes: usize) -> Result<(String, usize)> {
    let mut out = String::new();
    let written = write_events(&mut out, &entries[..entries.len().min(MAX_PAGE_EVENTS)], max_bytes)?;
    Ok((out, written))
}

/// Who pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The node that pushes.
    pub node: NodeId,
    /// The log that the entries are meant for.
    pub log: Option<LogId>,
    /// The log that they come from.
    pub from: Option<LogId>,
}

/// A push.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PushBody {
    /// The node of this kit that pushes; none for a stock client.
    pub caller: Option<Caller>,
    /// What it pushes.
    pub elements: Vec<Element>,
    /// The name of what it pushes, if that was staged before.
    pub staged: Option<String>,
}

/// Reads the body of a push with at most `max_events` events: the object of [`write_push`], or a stock client's array.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if there are more events; [`ErrorKind::Invalid`] with the place if it is not such a body.
pub fn read_push(body: &[u8], max_events: usize) -> Result<PushBody> {
    let mut draft = Draft {
        elements: Elements::new(max_events, body),
        kit: false,
        node: None,
        log: None,
        from: None,
        staged: None,
        misplaced: None,
    };
    fill(body, &mut draft).map_err(|e| unreadable(ErrorKind::Invalid, "push", &draft.elements, e))?;
    if let Some(found) = draft.misplaced {
        return Err(Error::invalid("push", format!("expected an array of events, found {found}")));
    }
    let caller = if draft.kit {
        let node = id(draft.node, "node")?.ok_or_else(|| Error::invalid("push", "the node is missing"))?;
        Some(Caller { node, log: id(draft.log, "log")?, from: id(draft.from, "from")? })
    } else {
        None
    };
    Ok(PushBody { caller, elements: draft.elements.read, staged: id(draft.staged, "staged")? })
}

fn id<T: serde::de::DeserializeOwned>(raw: Option<&RawValue>, name: &str) -> Result<Option<T>> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|e| Error::invalid("push", format!("{name} cannot be read: {e}")))
}

struct Draft<'de> {
    elements: Elements,
    kit: bool,
    node: Option<&'de RawValue>,
    log: Option<&'de RawValue>,
    from: Option<&'de RawValue>,
    staged: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for Draft<'de> {
    fn begin(&mut self) {
        self.kit = true;
    }

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "node" => raw(&mut self.node, map),
            "log" => raw(&mut self.log, map),
            "from" => raw(&mut self.from, map),
            "staged" => raw(&mut self.staged, map),
            "events" => map.next_value_seed(ElementsOf(&mut self.elements)),
            _ => skip(map),
        }
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        self.elements.fill(seq)
    }

    fn misplaced(&mut self, found: &'static str) {
        self.misplaced = Some(found);
    }
}

/// What became of events of a push that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushResult {
    /// The id of the first of them.
    pub id: String,
    /// What became of the first of them. If it was accepted, the others were at the positions after its own.
    pub outcome: Outcome,
    /// How many they are, at least 1.
    pub count: usize,
}

impl PushResult {
    /// What became of one event.
    #[must_use]
    pub const fn one(id: String, outcome: Outcome) -> Self {
        Self { id, outcome, count: 1 }
    }

    /// What became of each of the events, in their order.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        (0..self.count as u64).map(|i| match &self.outcome {
            Outcome::Accepted { position } => Outcome::Accepted { position: position.saturating_add(i) },
            other => other.clone(),
        })
    }

    /// Whether something that became of the event after them is said with them.
    fn goes_on_with(&self, outcome: &Outcome) -> bool {
        match (&self.outcome, outcome) {
            (Outcome::Accepted { position: first }, Outcome::Accepted { position }) => {
                first.checked_add(self.count as u64) == Some(*position)
            }
            (first, outcome) => matches!(outcome, Outcome::Duplicate) && first == outcome,
        }
    }

    /// Says what became of many events in few results: mostly all are accepted, one after the other.
    #[must_use]
    pub fn together(results: Vec<Self>) -> Vec<Self> {
        let mut together: Vec<Self> = Vec::new();
        for result in results {
            match together.last_mut() {
                Some(last) if result.count == 1 && last.goes_on_with(&result.outcome) => last.count += 1,
                _ => together.push(result),
            }
        }
        together
    }
}

/// Writes what became of a push:
/// `{"status","results":[{"id","status":"accepted|duplicate|waiting|refused|stale","position"?,"count"?,"code"?,"reason"?}],"log","head"}`,
/// the results in the order of the request. Without a `count`, a result is of one event.
#[must_use]
pub fn write_push_reply(status: &str, results: &[PushResult], log: LogId, head: Mark) -> String {
    let mut out = String::from("{\"status\":");
    string(&mut out, status);
    key(&mut out, "results");
    out.push('[');
    for (i, PushResult { id, outcome, count }) in results.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"id\":" } else { "{\"id\":" });
        string(&mut out, id);
        write_outcome(&mut out, outcome);
        if *count > 1 {
            append(&mut out, format_args!(",\"count\":{count}"));
        }
        out.push('}');
    }
    out.push(']');
    key(&mut out, "log");
    append(&mut out, format_args!("\"{log}\""));
    key(&mut out, "head");
    mark(&mut out, &head);
    out.push('}');
    out
}

fn write_outcome(out: &mut String, outcome: &Outcome) {
    let status = match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Duplicate => "duplicate",
        Outcome::Refused(refusal) if refusal.code == RefusalCode::WaitingForParent => "waiting",
        Outcome::Stale => "stale",
        _ => "refused",
    };
    append(out, format_args!(",\"status\":\"{status}\""));
    match outcome {
        Outcome::Accepted { position } => append(out, format_args!(",\"position\":{position}")),
        Outcome::Refused(refusal) => {
            append(out, format_args!(",\"code\":\"{}\",\"reason\":", refusal.code.as_str()));
            string(out, &refusal.detail);
        }
        _ => {}
    }
}

/// What a peer answered to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushAnswer {
    /// A stock hub says that it took the batch, and nothing of its events.
    Stock,
    /// A node of this kit says what became of each event.
    Kit {
        /// The peer's log.
        log: LogId,
        /// Where it ends now.
        head: Mark,
        /// What became of the events, in the order of the request.
        results: Vec<PushResult>,
    },
}

/// Reads the answer to a push.
///
/// # Errors
/// [`ErrorKind::Protocol`] if it is neither of the two.
pub fn read_push_reply(body: &[u8]) -> Result<PushAnswer> {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow)]
        results: Option<Vec<ResultShape<'a>>>,
        log: Option<LogId>,
        head: Option<Mark>,
    }
    let wrong = |why: &str| Error::new(ErrorKind::Protocol, "push", format!("the answer to a push {why}"));
    let shape: Shape<'_> =
        serde_json::from_slice(body).map_err(|e| wrong("cannot be read").with_source(e))?;
    match (shape.results, shape.log, shape.head) {
        (Some(results), Some(log), Some(head)) => {
            let results: Vec<PushResult> = results.into_iter().map(ResultShape::read).collect();
            let events = results.iter().try_fold(0_usize, |sum, r| sum.checked_add(r.count));
            if results.iter().any(|r| r.count == 0) || events.is_none_or(|events| events > MAX_PAGE_EVENTS) {
                return Err(wrong("counts its events wrong"));
            }
            Ok(PushAnswer::Kit { log, head, results })
        }
        (None, None, None) if shape.status == "ok" => Ok(PushAnswer::Stock),
        _ => Err(wrong("is incomplete")),
    }
}

#[derive(Deserialize)]
struct ResultShape<'a> {
    id: String,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default)]
    position: u64,
    #[serde(default = "one")]
    count: usize,
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(default)]
    reason: String,
}

const fn one() -> usize {
    1
}

impl ResultShape<'_> {
    fn read(self) -> PushResult {
        let outcome = match &*self.status {
            "accepted" => Outcome::Accepted { position: self.position },
            "duplicate" => Outcome::Duplicate,
            "stale" => Outcome::Stale,
            "waiting" => Outcome::Refused(Refusal::new(RefusalCode::WaitingForParent, self.reason)),
            _ => Outcome::Refused(Refusal::new(RefusalCode::parse(&self.code), self.reason)),
        };
        PushResult { id: self.id, outcome, count: self.count }
    }
}
