//! What the examples share: reading recorded flights.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{collections::BTreeMap, error::Error, io::BufRead};

use serde_json::value::RawValue;
use synckit::prelude::*;

/// Reads CloudEvents, one JSON object a line: `id`, `type`, `subject` and `data` make the event, every other attribute
/// becomes metadata under its own name.
///
/// # Errors
/// The first line that is not such an event.
pub fn read_cloudevents(lines: impl BufRead) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    for line in lines.lines() {
        let mut attributes: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&line?)?;
        let mut take = |name: &str| attributes.remove(name).ok_or_else(|| format!("an event without {name}"));
        let text = |raw: Box<RawValue>| serde_json::from_str::<String>(raw.get());
        let (id, event_type, subject, data) =
            (text(take("id")?)?, text(take("type")?)?, text(take("subject")?)?, take("data")?);
        events.push(
            Event::new(event_type, subject, &data)?
                .with_id(id)?
                .with_metadata(Metadata::from_map(&attributes)?),
        );
    }
    Ok(events)
}
