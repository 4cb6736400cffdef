//! Events as CloudEvents 1.0 in JSON, and back.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use synckit::{
    AggregateId, Event, EventId, EventType, Metadata, Payload,
    core::{
        Stamp,
        limits::{MAX_DATA_BYTES, MAX_METADATA_BYTES},
    },
};

use crate::output::time;

/// The longest line that may hold an event: the most data and metadata that an event may have, and room for the rest.
pub(crate) const MAX_LINE_BYTES: usize = MAX_DATA_BYTES + MAX_METADATA_BYTES + 64 * 1024;

/// The codec of an event that has no data, which is something else than `null`.
const NO_DATA: &str = "none";
const SPEC_VERSION: &str = "1.0";
/// Attributes that an event has a place of its own for.
const OWN: [&str; 5] = ["id", "type", "subject", "data", "data_base64"];

/// The attributes of a CloudEvent.
struct Attributes<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de> Deserialize<'de> for Attributes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Attributes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut attributes = BTreeMap::new();
                while let Some(Name(name)) = map.next_key()? {
                    if attributes.contains_key(&name) {
                        return Err(A::Error::custom(format!("the attribute {name:?} is given twice")));
                    }
                    attributes.insert(name, map.next_value()?);
                }
                Ok(Attributes(attributes))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a line. None if it does not meet the conditions.
///
/// # Errors
/// Why it cannot be taken, for people.
pub(crate) fn read(line: &[u8], conditions: &[(String, String)]) -> Result<Option<Event>, String> {
    let line = std::str::from_utf8(line).map_err(|e| format!("not UTF-8 after {} bytes", e.valid_up_to()))?;
    let Attributes(mut attributes) = serde_json::from_str(line).map_err(|e| {
        format!("not a CloudEvent: {}", e.to_string().replace(" at line 1 column ", " at column "))
    })?;
    let meets = |(name, wanted): &(String, String)| {
        attributes.get(name.as_str()).is_some_and(|raw| text_of(raw).is_ok_and(|text| text == *wanted))
    };
    if !conditions.iter().all(meets) {
        return Ok(None);
    }
    if attributes.contains_key("data_base64") {
        return Err("data_base64 cannot be taken; only JSON data can".into());
    }
    if let Some(version) = attributes.get("specversion").map(|raw| raw.get())
        && serde_json::from_str::<&str>(version).ok() != Some(SPEC_VERSION)
    {
        return Err(format!("the specversion is {version}; only \"{SPEC_VERSION}\" can be taken"));
    }
    let mut take = |name: &str| match attributes.remove(name).map(RawValue::get) {
        None | Some("null") => Err(format!("no {name}")),
        Some(raw) => serde_json::from_str::<String>(raw).map_err(|_| format!("the {name} is not a text")),
    };
    let (id, event_type, subject) = (take("id")?, take("type")?, take("subject")?);
    let data = match attributes.remove("data") {
        Some(raw) => Payload::from_raw(raw),
        None => Payload::encoded(NO_DATA, Vec::new()).map_err(|e| e.message().to_owned())?,
    };
    let kept: BTreeMap<String, &RawValue> =
        attributes.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    let event = || {
        Ok(Event {
            id: EventId::new(id)?,
            event_type: EventType::new(event_type)?,
            aggregate_id: AggregateId::new(subject)?,
            data,
            metadata: Metadata::from_map(&kept)?,
        })
    };
    event().map(Some).map_err(|e: synckit::Error| e.message().to_owned())
}

/// An attribute's value as conditions see it: a text without its quotes, everything else as its JSON.
fn text_of(raw: &RawValue) -> serde_json::Result<Cow<'_, str>> {
    if raw.get().starts_with('"') {
        return serde_json::from_str::<Name<'_>>(raw.get()).map(|Name(text)| text);
    }
    Ok(Cow::Borrowed(raw.get()))
}

/// Writes an event as one line. One that did not come as a CloudEvent gets the attributes that make it one, as far as its
/// metadata does not have them.
///
/// # Errors
/// The error of the writer.
pub(crate) fn write(out: &mut impl Write, event: &Event, stamp: &Stamp) -> io::Result<()> {
    let metadata = event.metadata.to_map();
    let mut added: Vec<(&str, String)> = Vec::new();
    if !metadata.contains_key("specversion") {
        added.push(("specversion", SPEC_VERSION.into()));
        added.push(("source", format!("synckit:{}", stamp.origin)));
        added.push(("time", time(stamp.timestamp)));
        added.extend(content_type(&event.data).map(|t| ("datacontenttype", t.to_owned())));
        added.retain(|(name, _)| !metadata.contains_key(*name));
    }
    let mut line = Vec::with_capacity(event.data.bytes().len() + event.metadata.as_json().len() + 256);
    let mut separator = b'{';
    let mut attribute = |name: &str, value: &[u8]| -> io::Result<()> {
        line.push(separator);
        separator = b',';
        serde_json::to_writer(&mut line, name)?;
        line.push(b':');
        line.extend_from_slice(value);
        Ok(())
    };
    for (name, value) in &added {
        attribute(name, &serde_json::to_vec(value)?)?;
    }
    attribute("id", &serde_json::to_vec(&event.id)?)?;
    attribute("type", &serde_json::to_vec(&event.event_type)?)?;
    attribute("subject", &serde_json::to_vec(&event.aggregate_id)?)?;
    for (name, value) in metadata.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        attribute(name, value.get().as_bytes())?;
    }
    if event.data.is_json() {
        attribute("data", event.data.bytes())?;
    } else if event.data.codec() != NO_DATA {
        attribute("data_base64", format!("\"{}\"", BASE64.encode(event.data.bytes())).as_bytes())?;
    }
    line.extend_from_slice(b"}\n");
    out.write_all(&line)
}

fn content_type(data: &Payload) -> Option<&str> {
    match data.codec() {
        _ if data.is_json() => Some("application/json"),
        NO_DATA => None,
        codec if codec.contains('/') => Some(codec),
        _ => Some("application/octet-stream"),
    }
}

/// Whether metadata under this name would have no place in a CloudEvent.
pub(crate) fn has_own_place(name: &str) -> bool {
    OWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use synckit::{NodeId, Timestamp};

    use super::*;

    fn stamp() -> Stamp {
        Stamp::checked(NodeId::from_u128(7), 1, Timestamp::from_micros(1), Vec::new()).unwrap()
    }

    fn round_trip(line: &str) -> String {
        let event = read(line.as_bytes(), &[]).unwrap().unwrap();
        let mut out = Vec::new();
        write(&mut out, &event, &stamp()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_comes_in_goes_out() {
        let line = r#"{"id":"1","type":"t","subject":"s","ext":1.10,"no":null,"source":"\u00e9","specversion":"1.0","data":{"n": 9007199254740993.10e2,"a":"\u0041"}}"#;
        assert_eq!(round_trip(line), format!("{line}\n"));
        let line = r#"{"id":"1","type":"t","subject":"s","source":"x","specversion":"1.0"}"#;
        assert_eq!(round_trip(line), format!("{line}\n"));
        let line = r#"{"id":"1","type":"t","subject":"s","source":"x","specversion":"1.0","data":null}"#;
        assert_eq!(round_trip(line), format!("{line}\n"));
    }

    #[test]
    fn what_is_not_json_is_encoded() {
        let mut event = Event::new("t", "s", &1).unwrap().with_id("1").unwrap();
        event.data = Payload::encoded("image/png", vec![1, 2, 255]).unwrap();
        let mut out = Vec::new();
        write(&mut out, &event, &stamp()).unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","source":"synckit:00000000000000000000000000000007","#,
            r#""time":"1970-01-01T00:00:00.000001Z","datacontenttype":"image/png","#,
            r#""id":"1","type":"t","subject":"s","data_base64":"AQL/"}"#
        );
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), expected);
    }

    #[test]
    fn conditions_compare_texts() {
        let line =
            r#"{"id":"1","type":"t","subject":"s","source":"\u002fa","specversion":"1.0","n":1.0,"b":true}"#;
        let meets = |conditions: &[(&str, &str)]| {
            let owned: Vec<_> = conditions.iter().map(|(a, v)| ((*a).to_owned(), (*v).to_owned())).collect();
            read(line.as_bytes(), &owned).unwrap().is_some()
        };
        assert!(meets(&[("source", "/a"), ("n", "1.0"), ("b", "true")]));
        assert!(!meets(&[("source", "/a"), ("n", "1")]));
        assert!(!meets(&[("missing", "")]));
    }

    #[test]
    fn refusals_say_why() {
        let why = |line: &str| read(line.as_bytes(), &[]).unwrap_err();
        assert_eq!(why(r#"{"id":"1","type":"t","source":"x","specversion":"1.0"}"#), "no subject");
        assert_eq!(why(r#"{"id":1,"type":"t","subject":"s"}"#), "the id is not a text");
        assert_eq!(why(r#"{"id":"1","type":"","subject":"s"}"#), "event type is empty");
        assert!(why(r#"{"id":"1","id":"2","type":"t","subject":"s"}"#).contains("\"id\" is given twice"));
        assert!(why(r#"{"id":"1""#).starts_with("not a CloudEvent: EOF"), "{}", why(r#"{"id":"1""#));
        assert!(why("[]").contains("expected a JSON object at column"));
        assert!(why(r#"{"id":"1","type":"t","subject":"s","data_base64":""}"#).contains("data_base64"));
        assert!(why(r#"{"id":"1","type":"t","subject":"s","specversion":"0.3"}"#).contains("\"0.3\""));
        assert_eq!(read(b"{\"id\":\"\xff\"}", &[]).unwrap_err(), "not UTF-8 after 7 bytes");
    }
}
