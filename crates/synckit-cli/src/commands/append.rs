//! `synckit append`

use std::{
    fs::File,
    io::{self, Read},
};

use serde_json::json;
use synckit::{
    AggregateId, Event, EventId, EventType, Metadata, Payload,
    core::{limits::MAX_DATA_BYTES, store::Outcome},
};

use crate::{
    args::Append,
    cloudevents::has_own_place,
    failure::{Done, Failure},
    output::Output,
    stores,
};

/// Space around the data does not count for its size, so a little more is read than data may have.
const MAX_READ: u64 = MAX_DATA_BYTES as u64 + 64 * 1024;

pub(super) async fn run(args: Append, out: Output) -> Result<Done, Failure> {
    let Append { at, event_type, aggregate, data, id, metadata } = args;
    stores::with_local(&at.store, async |node| {
        let data = tokio::task::spawn_blocking(move || read(&data))
            .await
            .map_err(|e| Failure::told(format!("the data cannot be read: {e}")))??;
        let event = Event {
            id: id.map_or_else(|| Ok(EventId::generate()), EventId::new)?,
            event_type: EventType::new(event_type)?,
            aggregate_id: AggregateId::new(aggregate)?,
            data: Payload::json_text(data)?,
            metadata: metadata.map_or_else(|| Ok(Metadata::default()), |text| read_metadata(&text))?,
        };
        let id = event.id.clone();
        let written = node.append(vec![event]).await?;
        match written.outcomes.first() {
            Some(Outcome::Accepted { position }) => {
                say(out, &id, *position, "accepted")?;
                Ok(Done::Clean)
            }
            Some(Outcome::Duplicate) => {
                let held = node.store().load(std::slice::from_ref(&id)).await?;
                say(out, &id, held.first().map_or(0, |e| e.position), "duplicate")?;
                Ok(Done::Clean)
            }
            Some(Outcome::Refused(refusal)) => Err(Failure::told(&refusal.detail)),
            _ => Err(Failure::told("the store did not say what became of the event")),
        }
    })
    .await
}

fn say(out: Output, id: &EventId, position: u64, status: &str) -> Result<(), Failure> {
    if out.json {
        return Output::object(&json!({"id": id, "position": position, "status": status}));
    }
    let before = if status == "duplicate" { "already there: " } else { "" };
    Output::text(format!("{before}{} {}", out.strong(id), out.faint(format!("at position {position}"))))
}

/// The JSON text that the argument stands for.
fn read(data: &str) -> Result<String, Failure> {
    let (mut source, name): (Box<dyn Read>, _) = match data.strip_prefix('@') {
        _ if data == "-" => (Box::new(io::stdin()), "standard input"),
        Some(path) => {
            let file = File::open(path).map_err(|e| Failure::told(format!("{path} cannot be read: {e}")))?;
            (Box::new(file), path)
        }
        None => return Ok(data.to_owned()),
    };
    let mut bytes = Vec::new();
    source
        .by_ref()
        .take(MAX_READ + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::told(format!("{name} cannot be read: {e}")))?;
    if bytes.len() as u64 > MAX_READ {
        return Err(Failure::told(format!(
            "{name} has more than the {MAX_DATA_BYTES} bytes that data may have"
        )));
    }
    String::from_utf8(bytes).map_err(|_| Failure::told(format!("{name} is not UTF-8")))
}

fn read_metadata(text: &str) -> Result<Metadata, Failure> {
    let metadata = Metadata::from_json(text)?;
    match metadata.to_map().keys().find(|name| has_own_place(name) || *name == "specversion") {
        Some(name) => {
            Err(Failure::told(format!("metadata cannot be named {name:?}: the event itself has that")))
        }
        None => Ok(metadata),
    }
}
