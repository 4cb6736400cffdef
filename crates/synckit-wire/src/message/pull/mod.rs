//! Pages of a log: `POST /pull-cursor` and `GET /pull`.

mod request;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;
use synckit_core::{Error, ErrorKind, LogId, Mark, Result, store::Offered};

use self::request::CursorDraft;
pub use self::request::{PullBody, read_pull, read_since, write_pull};
use crate::{
    event::{Element, Elements, ElementsOf, write_events},
    message::unreadable,
    text::{append, key, mark},
    tolerant::{Fields, Object, fill, raw, skip},
};

/// A page as it is written: its events first, the rest when it is known how many of them fitted.
#[derive(Debug)]
pub struct PageText {
    text: String,
    written: usize,
}

impl PageText {
    /// The first of these entries, as many as fit into `max_bytes` of JSON text, but at least one if there is one.
    ///
    /// # Errors
    /// As [`write_event`](crate::write_event).
    pub fn new(entries: &[Offered], max_bytes: usize) -> Result<Self> {
        let mut text = String::from("{\"events\":");
        let written = write_events(&mut text, entries, max_bytes)?;
        Ok(Self { text, written })
    }

    /// How many entries fitted.
    #[must_use]
    pub const fn written(&self) -> usize {
        self.written
    }

    /// The whole page: `{"events","next","log","head","has_more"}`. Without `next` the caller keeps its cursor.
    #[must_use]
    pub fn finish(self, log: LogId, next: Option<Mark>, head: Mark, has_more: bool) -> String {
        let mut out = self.text;
        if let Some(next) = next {
            key(&mut out, "next");
            write_cursor(&mut out, &next);
        }
        key(&mut out, "log");
        append(&mut out, format_args!("\"{log}\""));
        key(&mut out, "head");
        mark(&mut out, &head);
        key(&mut out, "has_more");
        append(&mut out, format_args!("{has_more}}}"));
        out
    }
}

fn write_cursor(out: &mut String, mark: &Mark) {
    append(
        out,
        format_args!("{{\"kind\":\"integer\",\"data\":{},\"hash\":\"{}\"}}", mark.position, mark.hash),
    );
}

/// A page as a peer answered it. Hubs that are not of this kit leave out most of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PageAnswer {
    /// The events, in the order of the answer.
    pub elements: Vec<Element>,
    /// How far the page reaches; the hash is [`Hash::ZERO`](synckit_core::Hash::ZERO) if the peer did not say.
    pub next: Option<Mark>,
    /// The peer's log.
    pub log: Option<LogId>,
    /// Where the peer's log ended.
    pub head: Option<Mark>,
    /// Whether there is more.
    pub has_more: Option<bool>,
}

/// Reads a page with at most `max_events` events: the object of `POST /pull-cursor`, or the bare array of `GET /pull`.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if there are more events; [`ErrorKind::Protocol`] with the place if it is not such a page.
pub fn read_page(body: &[u8], max_events: usize) -> Result<PageAnswer> {
    let mut draft = PageDraft {
        elements: Elements::new(max_events, body),
        next: CursorDraft::default(),
        log: None,
        head: None,
        has_more: None,
        misplaced: None,
    };
    fill(body, &mut draft).map_err(|e| unreadable(ErrorKind::Protocol, "pull", &draft.elements, e))?;
    if let Some(found) = draft.misplaced {
        return Err(Error::new(ErrorKind::Protocol, "pull", format!("expected a page, found {found}")));
    }
    Ok(PageAnswer {
        next: draft.next.mark().map_err(|e| Error::new(ErrorKind::Protocol, "pull", e.message()))?,
        log: value(draft.log, "log")?,
        head: value(draft.head, "head")?,
        has_more: value(draft.has_more, "has_more")?,
        elements: draft.elements.read,
    })
}

fn value<T: serde::de::DeserializeOwned>(raw: Option<&RawValue>, name: &str) -> Result<Option<T>> {
    raw.map(|raw| serde_json::from_str(raw.get()))
        .transpose()
        .map_err(|e| Error::new(ErrorKind::Protocol, "pull", format!("{name} cannot be read")).with_source(e))
}

struct PageDraft<'de> {
    elements: Elements,
    next: CursorDraft<'de>,
    log: Option<&'de RawValue>,
    head: Option<&'de RawValue>,
    has_more: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for PageDraft<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "events" => map.next_value_seed(ElementsOf(&mut self.elements)),
            "next" => map.next_value_seed(Object(&mut self.next)),
            "log" => raw(&mut self.log, map),
            "head" => raw(&mut self.head, map),
            "has_more" => raw(&mut self.has_more, map),
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
