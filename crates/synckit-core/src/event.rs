//! Events, their data and their metadata.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde::{
    Deserializer as _, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    ids::{AggregateId, EventId, EventType},
    limits::MAX_METADATA_BYTES,
};

/// The name of the default codec: the data is one JSON value.
pub const JSON: &str = "json";

/// An immutable domain fact.
///
/// Two events with the same id must have the same content: type, aggregate, codec, data and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What identifies the event.
    pub id: EventId,
    /// What kind of fact it is.
    pub event_type: EventType,
    /// What it is about.
    pub aggregate_id: AggregateId,
    /// The fact itself.
    pub data: Payload,
    /// What else is known of it.
    pub metadata: Metadata,
}

impl Event {
    /// How many bytes it counts for in pages and limits: those of data and metadata, and 512 for all else.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data.bytes().len() + self.metadata.as_json().len() + 512
    }

    /// An event with a new id and no metadata.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a name is empty, too long, has control characters, or
    /// if the data cannot be written as JSON.
    pub fn new(
        event_type: impl AsRef<str>,
        aggregate_id: impl AsRef<str>,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Self> {
        Ok(Self {
            id: EventId::generate(),
            event_type: EventType::new(event_type.as_ref())?,
            aggregate_id: AggregateId::new(aggregate_id.as_ref())?,
            data: Payload::json(data)?,
            metadata: Metadata::default(),
        })
    }

    /// The same event under an id of the caller's choosing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the id is empty, too long or has control characters.
    pub fn with_id(mut self, id: impl AsRef<str>) -> Result<Self> {
        self.id = EventId::new(id.as_ref())?;
        Ok(self)
    }

    /// The same event with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// Opaque bytes with the name of the codec that reads them.
///
/// The kit never parses or re-encodes them. JSON text comes out byte for byte as it went in, but for the carriage returns
/// and line feeds between its tokens, which become spaces so that an event is always one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    codec: Arc<str>,
    bytes: Bytes,
}

impl Payload {
    /// Data of the default codec, written by serde.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if serde cannot write it as JSON.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|e| {
            Error::invalid("encode data", "the value cannot be written as JSON").with_source(e)
        })?;
        Ok(Self { codec: json_codec(), bytes: bytes.into() })
    }

    /// Data of the default codec from JSON text, which is checked and kept as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the place of the first mistake.
    pub fn json_text(text: impl Into<String>) -> Result<Self> {
        let raw: Box<RawValue> = serde_json::from_str(&text.into())
            .map_err(|e| Error::invalid("read data", "the data is not JSON").with_source(e))?;
        Ok(Self::from_raw(&raw))
    }

    /// Data of the default codec from JSON that serde has already checked.
    #[must_use]
    pub fn from_raw(raw: &RawValue) -> Self {
        let text = raw.get();
        let bytes = if text.bytes().any(|b| b == b'\n' || b == b'\r') {
            text.bytes().map(|b| if b == b'\n' || b == b'\r' { b' ' } else { b }).collect::<Vec<u8>>().into()
        } else {
            Bytes::copy_from_slice(text.as_bytes())
        };
        Self { codec: json_codec(), bytes }
    }

    /// Data of another codec. The kit treats it as bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the codec's name is `json` (use [`Payload::json_text`]),
    /// empty, longer than 64 bytes, or not made of ASCII letters, digits and `+-._/`.
    pub fn encoded(codec: &str, bytes: impl Into<Bytes>) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._/".contains(&b);
        if codec.is_empty() || codec.len() > 64 || !codec.bytes().all(plain) {
            return Err(Error::invalid("read data", format!("not a codec name: {codec:?}")));
        }
        if codec == JSON {
            return Err(Error::invalid(
                "read data",
                "data of the codec json goes through the JSON constructors",
            ));
        }
        Ok(Self { codec: codec.into(), bytes: bytes.into() })
    }

    /// Data as a store kept it. For stores: nothing is checked.
    #[must_use]
    pub fn stored(codec: Option<&str>, bytes: impl Into<Bytes>) -> Self {
        let codec = match codec {
            None | Some(JSON) => json_codec(),
            Some(name) => name.into(),
        };
        Self { codec, bytes: bytes.into() }
    }

    /// The name of the codec.
    #[must_use]
    pub fn codec(&self) -> &str {
        &self.codec
    }

    /// Whether the data is JSON text.
    #[must_use]
    pub fn is_json(&self) -> bool {
        &*self.codec == JSON
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The JSON text, if the data is JSON.
    #[must_use]
    pub fn as_json(&self) -> Option<&str> {
        if self.is_json() { std::str::from_utf8(&self.bytes).ok() } else { None }
    }
}

fn json_codec() -> Arc<str> {
    static JSON_CODEC: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    Arc::clone(JSON_CODEC.get_or_init(|| JSON.into()))
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{} bytes]", self.codec, self.bytes.len())
    }
}

/// What is known of an event beside its data: an object of JSON values, kept as canonical text (keys sorted bytewise, no
/// space between tokens, values byte for byte as given).
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata(Arc<str>);

impl Default for Metadata {
    fn default() -> Self {
        static EMPTY: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
        Self(Arc::clone(EMPTY.get_or_init(|| "{}".into())))
    }
}

impl Metadata {
    /// Metadata from names and values.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a value cannot be written as JSON or the whole is over 64 KiB.
    pub fn from_pairs<K: Into<String>, V: Serialize>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            let raw = serde_json::value::to_raw_value(&value).map_err(|e| {
                Error::invalid("encode metadata", "a value cannot be written as JSON").with_source(e)
            })?;
            map.insert(key.into(), raw);
        }
        Self::from_map(&map)
    }

    /// Metadata from JSON values that serde has already checked.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the whole is over 64 KiB.
    pub fn from_map<V: std::ops::Deref<Target = RawValue>>(map: &BTreeMap<String, V>) -> Result<Self> {
        if map.is_empty() {
            return Ok(Self::default());
        }
        let mut text = String::from("{");
        for (i, (key, value)) in map.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            let key = serde_json::to_string(key).map_err(|e| {
                Error::invalid("encode metadata", "a name cannot be written as JSON").with_source(e)
            })?;
            text.push_str(&key);
            text.push(':');
            let value = value.get();
            if value.contains(['\n', '\r']) {
                text.extend(value.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
            } else {
                text.push_str(value);
            }
        }
        text.push('}');
        if text.len() > MAX_METADATA_BYTES {
            return Err(Error::invalid(
                "encode metadata",
                format!("the metadata has {} bytes; at most {MAX_METADATA_BYTES} are allowed", text.len()),
            ));
        }
        Ok(Self(text.into()))
    }

    /// Metadata from the text of a JSON object, put into canonical form.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not a JSON object or over 64 KiB.
    pub fn from_json(text: &str) -> Result<Self> {
        if text == "{}" || (text.len() <= MAX_METADATA_BYTES && is_canonical(text)) {
            return Ok(Self::stored(text));
        }
        let map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(|e| {
            Error::invalid("read metadata", format!("the metadata is not a JSON object: {e}")).with_source(e)
        })?;
        Self::from_map(&map)
    }

    /// Metadata as a store kept it. For stores: nothing is checked.
    #[must_use]
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        if &*text == "{}" { Self::default() } else { Self(text) }
    }

    /// The canonical JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// The names and values.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, Box<RawValue>> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// The value under `name`, as JSON text without surrounding space.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.to_map().get(name).map(|raw| raw.get().to_owned())
    }

    /// The value under `name`, if it is a JSON string.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<String> {
        self.to_map().get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }
}

/// Whether a text is that of a JSON object in canonical form. It may say no of one that is.
fn is_canonical(text: &str) -> bool {
    struct Length<'a>(&'a mut usize);

    impl<'de> Visitor<'de> for Length<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        /// Names without escapes, each greater than the one before.
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut last: Option<&str> = None;
            while let Some(name) = map.next_key::<&str>()? {
                let value: &RawValue = map.next_value()?;
                if last.is_some_and(|last| last >= name) {
                    return Ok(false);
                }
                *self.0 += name.len() + value.get().len() + r#""":,"#.len();
                last = Some(name);
            }
            Ok(true)
        }
    }

    // The braces, of which one makes up for the comma that the last value does not have.
    let mut length = 1;
    let mut json = serde_json::Deserializer::from_str(text);
    let sorted = json.deserialize_map(Length(&mut length)).unwrap_or(false) && json.end().is_ok();
    // Space between the tokens would make it longer, and within a value there is none that counts but line ends.
    sorted && length == text.len() && !text.contains(['\n', '\r'])
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
