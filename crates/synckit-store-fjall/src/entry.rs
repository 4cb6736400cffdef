//! Entries as they are stored: lengths and numbers first, then what has a length of its own, the data last.

use synckit_core::{
    AggregateId, Event, EventId, EventType, Hash, JSON, LogId, Metadata, Payload, Result, Stamp, Timestamp,
    decode_parents, encode_parents,
    graph::Vertex,
    plan::{KnownEntry, NewEntry, vertex_of},
    store::LogEntry,
};

use crate::row::{RowReader, RowWriter, name, text};

const STUB: u8 = 1;
const SUPERSEDED: u8 = 2;
const FROM: u8 = 4;

const fn flag(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
}

/// Names are at most 255 bytes long, and so is a codec's.
const fn short(text: &str) -> u8 {
    text.len() as u8
}

/// The row of a new entry.
pub(crate) fn encode(new: &NewEntry) -> Vec<u8> {
    let from = new.from.map(LogId::to_bytes);
    encode_parts(
        &Parts {
            position: new.position,
            event: &new.event,
            stamp: &new.stamp,
            content: &new.content,
            hash: &new.hash,
        },
        from.as_ref().map_or(&[], |log| log),
        flag(STUB, new.stub) | flag(SUPERSEDED, new.superseded),
    )
}

/// The row of an entry that no longer counts for its id.
pub(crate) fn superseded(entry: &LogEntry) -> Vec<u8> {
    let from = entry.from.map(LogId::to_bytes);
    encode_parts(
        &Parts {
            position: entry.position,
            event: &entry.event,
            stamp: &entry.stamp,
            content: &entry.content,
            hash: &entry.hash,
        },
        from.as_ref().map_or(&[], |log| log),
        flag(STUB, entry.stub) | SUPERSEDED,
    )
}

struct Parts<'a> {
    position: u64,
    event: &'a Event,
    stamp: &'a Stamp,
    content: &'a Hash,
    hash: &'a Hash,
}

fn encode_parts(parts: &Parts<'_>, from: &[u8], flags: u8) -> Vec<u8> {
    let Parts { position, event, stamp, content, hash } = *parts;
    let names = [event.id.as_str(), event.event_type.as_str(), event.aggregate_id.as_str()];
    let codec = if event.data.codec() == JSON { "" } else { event.data.codec() };
    let metadata = if event.metadata.is_empty() { "" } else { event.metadata.as_json() };
    let parents = encode_parents(&stamp.parents);
    let texts = names.iter().map(|n| n.len()).sum::<usize>() + codec.len() + metadata.len();
    let mut row = RowWriter::with_room(160 + texts + parents.len() + event.data.bytes().len());
    row.u8(flags | flag(FROM, !from.is_empty()))
        .fixed(&[short(names[0]), short(names[1]), short(names[2]), short(codec)])
        .length(metadata.len())
        .length(parents.len())
        .u64(stamp.counter)
        .u64(stamp.timestamp.as_micros())
        .fixed(&stamp.origin.to_bytes())
        .fixed(content.as_bytes())
        .fixed(hash.as_bytes())
        .fixed(from);
    for text in [names[0], names[1], names[2], codec, metadata] {
        row.fixed(text.as_bytes());
    }
    row.fixed(&parents).fixed(event.data.bytes());
    row.seal(position)
}

/// A stored entry, of which only the parts that are asked for are copied.
pub(crate) struct Stored<'a> {
    position: u64,
    flags: u8,
    counter: u64,
    timestamp: u64,
    origin: synckit_core::NodeId,
    content: Hash,
    pub(crate) hash: Hash,
    from: Option<LogId>,
    id: &'a [u8],
    event_type: &'a [u8],
    aggregate: &'a [u8],
    codec: &'a [u8],
    metadata: &'a [u8],
    parents: &'a [u8],
    data: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Checks the row's checksum, which knows the position, too.
    pub(crate) fn read(position: u64, row: &'a [u8]) -> Result<Self> {
        let mut row = RowReader::open(row, position)?;
        let flags = row.u8()?;
        let [id, event_type, aggregate, codec] = row.array()?.map(usize::from);
        let (metadata, parents) = (row.length()?, row.length()?);
        Ok(Self {
            position,
            flags,
            counter: row.u64()?,
            timestamp: row.u64()?,
            origin: row.node()?,
            content: row.hash()?,
            hash: row.hash()?,
            from: if flags & FROM == 0 { None } else { Some(row.log()?) },
            id: row.fixed(id)?,
            event_type: row.fixed(event_type)?,
            aggregate: row.fixed(aggregate)?,
            codec: row.fixed(codec)?,
            metadata: row.fixed(metadata)?,
            parents: row.fixed(parents)?,
            data: row.rest(),
        })
    }

    pub(crate) const fn superseded(&self) -> bool {
        self.flags & SUPERSEDED != 0
    }

    pub(crate) const fn stub(&self) -> bool {
        self.flags & STUB != 0
    }

    pub(crate) const fn origin(&self) -> synckit_core::NodeId {
        self.origin
    }

    pub(crate) const fn counter(&self) -> u64 {
        self.counter
    }

    pub(crate) fn id(&self) -> Result<EventId> {
        name(self.id)
    }

    fn stamp(&self) -> Result<Stamp> {
        Ok(Stamp {
            origin: self.origin,
            counter: self.counter,
            timestamp: Timestamp::from_micros(self.timestamp),
            parents: decode_parents(self.parents)?,
        })
    }

    /// What is known of it before a write.
    pub(crate) fn known(&self) -> Result<KnownEntry> {
        Ok(KnownEntry {
            position: self.position,
            event_type: name(self.event_type)?,
            aggregate: name(self.aggregate)?,
            stamp: self.stamp()?,
            content: self.content,
            stub: self.stub(),
        })
    }

    /// The vertex that it is, if it is one.
    pub(crate) fn vertex(&self) -> Result<Option<Vertex>> {
        let event_type: EventType = name(self.event_type)?;
        let data = if event_type.is_reserved() { self.data } else { &[] };
        let event = Event {
            id: self.id()?,
            event_type,
            aggregate_id: name::<AggregateId>(self.aggregate)?,
            data: Payload::stored(None, data.to_vec()),
            metadata: Metadata::default(),
        };
        Ok(vertex_of(&event, &self.stamp()?, self.stub()))
    }

    /// The whole entry.
    pub(crate) fn entry(&self) -> Result<LogEntry> {
        let codec = text(self.codec)?;
        let metadata = text(self.metadata)?;
        Ok(LogEntry {
            position: self.position,
            event: Event {
                id: self.id()?,
                event_type: name(self.event_type)?,
                aggregate_id: name(self.aggregate)?,
                data: Payload::stored(Some(codec).filter(|c| !c.is_empty()), self.data.to_vec()),
                metadata: if metadata.is_empty() { Metadata::default() } else { Metadata::stored(metadata) },
            },
            stamp: self.stamp()?,
            content: self.content,
            hash: self.hash,
            from: self.from,
            stub: self.stub(),
            superseded: self.superseded(),
        })
    }
}
