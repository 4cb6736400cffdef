//! The event object, and arrays of it.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess},
};
use serde_json::value::RawValue;
use synckit_core::{
    AggregateId, Error, ErrorKind, Event, EventId, EventType, JSON, Metadata, NodeId, Payload, Result, Stamp,
    Timestamp, VertexId,
    limits::MAX_COUNTER,
    store::{Offered, Refusal, RefusalCode},
};

use crate::{
    text::{append, key, string},
    tolerant::{Fields, Object, raw, skip},
};

/// One element of an array of events: what it offers, or why it cannot be an event.
pub type Element = Result<Offered, Unfit>;

/// An element that cannot be an event, for all that its JSON is right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfit {
    /// Its id as it was given: perhaps empty, perhaps with characters that no id may have, cut to 255 bytes.
    pub id: String,
    /// Its place in the array, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Appends one event object.
///
/// JSON data goes in byte for byte. A position of 0, which means "unknown", becomes an empty version.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if data that is said to be JSON is not UTF-8.
pub fn write_event(out: &mut String, offered: &Offered) -> Result<()> {
    let event = &offered.event;
    out.push_str("{\"event\":{\"id\":");
    string(out, event.id.as_str());
    out.push_str(",\"type\":");
    string(out, event.event_type.as_str());
    out.push_str(",\"aggregate_id\":");
    string(out, event.aggregate_id.as_str());
    match (&offered.stub, event.data.is_json()) {
        (Some(_), _) => {}
        (None, true) => {
            let text = event.data.as_json().ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    "write event",
                    format!("the data of {} is not UTF-8", event.id),
                )
            })?;
            out.push_str(",\"data\":");
            out.push_str(text);
        }
        (None, false) => {
            out.push_str(",\"codec\":");
            string(out, event.data.codec());
            out.push_str(",\"data\":\"");
            BASE64.encode_string(event.data.bytes(), out);
            out.push('"');
        }
    }
    out.push_str(",\"metadata\":");
    out.push_str(event.metadata.as_json());
    match offered.position {
        0 => out.push_str("},\"version\":\"\""),
        position => append(out, format_args!("}},\"version\":\"{position}\"")),
    }
    if let Some(stamp) = &offered.stamp {
        write_stamp(out, stamp);
    }
    if let Some(content) = &offered.stub {
        append(out, format_args!(",\"stub\":\"{content}\""));
    }
    out.push('}');
    Ok(())
}

fn write_stamp(out: &mut String, stamp: &Stamp) {
    key(out, "stamp");
    append(
        out,
        format_args!(
            "{{\"origin\":\"{}\",\"counter\":{},\"timestamp\":{},\"parents\":[",
            stamp.origin,
            stamp.counter,
            stamp.timestamp.as_micros()
        ),
    );
    for (i, parent) in stamp.parents.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, parent.as_str());
    }
    out.push_str("]}");
}

/// Appends an array of the first of these events, as many as fit into `max_bytes` of JSON text, but at least one if there
/// is one. Returns how many it wrote.
///
/// # Errors
/// As [`write_event`].
pub fn write_events(out: &mut String, entries: &[Offered], max_bytes: usize) -> Result<usize> {
    let start = out.len();
    out.push('[');
    let mut written = 0;
    for offered in entries {
        let before = out.len();
        if written > 0 {
            out.push(',');
        }
        write_event(out, offered)?;
        if written > 0 && out.len() - start >= max_bytes {
            out.truncate(before);
            break;
        }
        written += 1;
    }
    out.push(']');
    Ok(written)
}

/// What an event object takes, roughly.
const USUAL_BYTES: usize = 384;

/// The elements of an array, with the most that it may have.
pub(crate) struct Elements {
    pub(crate) read: Vec<Element>,
    pub(crate) max: usize,
    /// Whether there were more.
    pub(crate) overflow: bool,
}

impl Elements {
    pub(crate) fn new(max: usize, body: &[u8]) -> Self {
        // A body of many tiny elements is no reason to set much aside.
        let likely = (body.len() / USUAL_BYTES).min(max);
        Self { read: Vec::with_capacity(likely), max, overflow: false }
    }

    /// Reads elements until the array ends, or there are too many.
    pub(crate) fn fill<'de, A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        self.read.clear();
        loop {
            let mut draft = Draft::default();
            if seq.next_element_seed(Object(&mut draft))?.is_none() {
                return Ok(());
            }
            if self.read.len() == self.max {
                self.overflow = true;
                return Err(A::Error::custom("too many events"));
            }
            self.read.push(draft.finish(self.read.len()));
        }
    }
}

/// Reads an array of events from the value of a key; null leaves things as they are.
pub(crate) struct ElementsOf<'a>(pub(crate) &'a mut Elements);

impl<'de> DeserializeSeed<'de> for ElementsOf<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        struct Only<'a>(&'a mut Elements, Option<&'static str>);
        impl<'de> Fields<'de> for Only<'_> {
            fn begin(&mut self) {
                self.misplaced("an object");
            }

            fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
                skip(map)
            }

            fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
                self.0.fill(seq)
            }

            fn misplaced(&mut self, found: &'static str) {
                self.1 = Some(found);
            }
        }
        let mut only = Only(self.0, None);
        Object(&mut only).deserialize(deserializer)?;
        match only.1 {
            Some(found) => Err(D::Error::custom(format_args!("expected an array of events, found {found}"))),
            None => Ok(()),
        }
    }
}

/// An element as it is read.
#[derive(Default)]
struct Draft<'de> {
    event: EventDraft<'de>,
    version: Option<&'de RawValue>,
    stamp: Option<&'de RawValue>,
    stub: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for Draft<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "event" => map.next_value_seed(Object(&mut self.event)),
            "version" => raw(&mut self.version, map),
            "stamp" => raw(&mut self.stamp, map),
            "stub" => raw(&mut self.stub, map),
            _ => skip(map),
        }
    }

    fn misplaced(&mut self, found: &'static str) {
        self.misplaced = Some(found);
    }
}

#[derive(Default)]
struct EventDraft<'de> {
    id: Option<&'de RawValue>,
    event_type: Option<&'de RawValue>,
    aggregate_id: Option<&'de RawValue>,
    codec: Option<&'de RawValue>,
    data: Option<&'de RawValue>,
    metadata: Option<&'de RawValue>,
    misplaced: Option<&'static str>,
}

impl<'de> Fields<'de> for EventDraft<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => raw(&mut self.id, map),
            "type" => raw(&mut self.event_type, map),
            "aggregate_id" => raw(&mut self.aggregate_id, map),
            "codec" => raw(&mut self.codec, map),
            "data" => map.next_value::<&'de RawValue>().map(|data| self.data = Some(data)),
            "metadata" => raw(&mut self.metadata, map),
            _ => skip(map),
        }
    }

    fn misplaced(&mut self, found: &'static str) {
        self.misplaced = Some(found);
    }
}

impl Draft<'_> {
    fn finish(self, index: usize) -> Element {
        let id = text(self.event.id, "id").unwrap_or_default();
        self.offered(&id).map_err(|refusal| {
            let end = (0..=id.len().min(255)).rev().find(|i| id.is_char_boundary(*i)).unwrap_or(0);
            Unfit { id: id[..end].to_owned(), index, refusal }
        })
    }

    fn offered(&self, id: &str) -> Result<Offered, Refusal> {
        if let Some(found) = self.misplaced.or(self.event.misplaced) {
            return Err(invalid(format!("an event is an object, not {found}")));
        }
        text(self.event.id, "id")?;
        let id = EventId::new(id).map_err(unfit)?;
        let event_type = EventType::new(&*text(self.event.event_type, "type")?).map_err(unfit)?;
        let aggregate_id =
            AggregateId::new(&*text(self.event.aggregate_id, "aggregate_id")?).map_err(unfit)?;
        let stamp = self.stamp.map(read_stamp).transpose()?;
        let stub = match self.stub {
            Some(raw) => Some(text(Some(raw), "stub")?.parse().map_err(unfit)?),
            None => None,
        };
        if stub.is_some() && stamp.is_none() {
            return Err(invalid("a stub without a stamp".into()));
        }
        let (data, metadata) = match stub {
            Some(_) => (Payload::stored(None, Vec::new()), Metadata::default()),
            None => (self.event.payload()?, self.event.metadata()?),
        };
        let event = Event { id, event_type, aggregate_id, data, metadata };
        Ok(Offered { event, stamp, stub, position: self.position() })
    }

    /// The version, if it is a position. Peers number their logs themselves, so that anything else says nothing.
    fn position(&self) -> u64 {
        let digits = self.version.map_or("", |raw| raw.get().trim_matches('"'));
        digits.parse().ok().filter(|p| *p <= MAX_COUNTER).unwrap_or(0)
    }
}

impl EventDraft<'_> {
    fn payload(&self) -> Result<Payload, Refusal> {
        let codec = text(self.codec, "codec")?;
        if codec.is_empty() || codec == JSON {
            return Ok(self.data.map_or_else(|| Payload::stored(None, &b"null"[..]), Payload::from_raw));
        }
        let data = text(self.data, "data")?;
        let bytes = BASE64
            .decode(&*data)
            .map_err(|e| invalid(format!("data of the codec {codec} is not base64: {e}")))?;
        Payload::encoded(&codec, bytes).map_err(unfit)
    }

    fn metadata(&self) -> Result<Metadata, Refusal> {
        let Some(raw) = self.metadata else { return Ok(Metadata::default()) };
        Metadata::from_json(raw.get()).map_err(unfit)
    }
}

fn read_stamp(raw: &RawValue) -> Result<Stamp, Refusal> {
    #[derive(Deserialize)]
    struct Shape {
        origin: NodeId,
        counter: u64,
        timestamp: u64,
        #[serde(default)]
        parents: Vec<VertexId>,
    }
    let Shape { origin, counter, timestamp, parents } =
        serde_json::from_str(raw.get()).map_err(|e| invalid(format!("the stamp cannot be read: {e}")))?;
    Stamp::checked(origin, counter, Timestamp::from_micros(timestamp), parents).map_err(unfit)
}

/// The text of a value that has to be a string; empty if there is none.
fn text<'de>(raw: Option<&'de RawValue>, name: &str) -> Result<Cow<'de, str>, Refusal> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok(Cow::default()) };
    // Strings without escapes are the rule.
    let inner = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(plain) = inner.filter(|text| !text.contains('\\')) {
        return Ok(plain.into());
    }
    serde_json::from_str::<String>(raw)
        .map(Cow::Owned)
        .map_err(|e| invalid(format!("{name} is not a string: {e}")))
}

fn invalid(detail: String) -> Refusal {
    Refusal::new(RefusalCode::Invalid, detail)
}

fn unfit(error: Error) -> Refusal {
    invalid(error.message().to_owned())
}
