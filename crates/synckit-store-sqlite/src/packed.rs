//! Rows as SQLite hands them over: a whole batch in one value. A value has a cost of its own on its way out of SQLite, far
//! above that of its bytes.
//!
//! A packed row is some numbers with commas between them, a semicolon, and byte strings whose lengths are among the numbers.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use synckit_core::{
    AggregateId, Error, ErrorKind, Event, EventId, EventType, Hash, LogId, Metadata, NodeId, Payload, Result,
    Stamp, Timestamp, decode_parents, graph::Vertex, plan::vertex_of, store::LogEntry,
};

use crate::error::from_sqlx;

/// An entry `e`.
const ENTRY: &str = "format('%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d;', \
    e.position, e.counter, e.timestamp, e.stub + 2 * e.superseded, \
    octet_length(e.id), octet_length(e.event_type), octet_length(e.aggregate_id), \
    ifnull(octet_length(e.codec), -1), octet_length(e.data), ifnull(octet_length(e.metadata), -1), \
    octet_length(e.parents), ifnull(octet_length(e.received_from), -1)) \
    || e.id || e.event_type || e.aggregate_id || ifnull(e.codec, '') || e.data || ifnull(e.metadata, '') \
    || e.parents || ifnull(e.received_from, '') || e.origin || e.content || e.hash";

/// An entry `e` as a vertex.
const VERTEX: &str = "format('%d,%d,%d,%d,%d,%d,%d,%d,%d;', \
    e.position, e.counter, e.timestamp, e.stub, \
    octet_length(e.id), octet_length(e.event_type), octet_length(e.aggregate_id), octet_length(e.parents), \
    CASE WHEN e.event_type = 'synckit.resolution' THEN octet_length(e.data) ELSE -1 END) \
    || e.id || e.event_type || e.aggregate_id || e.parents \
    || CASE WHEN e.event_type = 'synckit.resolution' THEN e.data ELSE '' END || e.origin";

fn select(row: &str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "SELECT CAST(group_concat(packed, '' ORDER BY position) AS BLOB) FROM (SELECT e.position, ",
    );
    query.push(row).push(" AS packed");
    query
}

/// The start of a query for entries; what follows is `FROM …` and conditions, with the entries under the name `e`.
pub(crate) fn select_entries() -> QueryBuilder<Sqlite> {
    select(ENTRY)
}

/// The start of a query for vertices; what follows is `FROM …` and conditions, with the entries under the name `e`.
pub(crate) fn select_vertices() -> QueryBuilder<Sqlite> {
    select(VERTEX)
}

/// The entries of a query that began with [`select_entries`].
pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<LogEntry>> {
    rows(connection, query, operation, entry).await
}

/// A vertex, its aggregate and its position; nothing for an entry that is no vertex.
pub(crate) type PlacedVertex = (u64, Option<(AggregateId, Vertex)>);

/// The vertices of a query that began with [`select_vertices`].
pub(crate) async fn vertices(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<PlacedVertex>> {
    rows(connection, query, operation, vertex).await
}

async fn rows<T>(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
    operation: &'static str,
    read: impl Fn(&mut Packed<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    query.push(")");
    let packed: Option<Vec<u8>> =
        query.build_query_scalar().fetch_one(connection).await.map_err(from_sqlx(operation))?;
    let packed = packed.unwrap_or_default();
    let mut rest = Packed(&packed);
    let mut found = Vec::new();
    while !rest.0.is_empty() {
        found.push(read(&mut rest)?);
    }
    Ok(found)
}

struct Packed<'a>(&'a [u8]);

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "read", format!("a stored entry is damaged: {what}"))
}

impl<'a> Packed<'a> {
    fn numbers<const N: usize>(&mut self) -> Result<[i64; N]> {
        let end = self.0.iter().position(|b| *b == b';').ok_or_else(|| damaged("no header"))?;
        let header = std::str::from_utf8(&self.0[..end]).map_err(|_| damaged("its header is no text"))?;
        let mut numbers = [0; N];
        let mut given = header.split(',');
        for number in &mut numbers {
            *number = given.next().and_then(|n| n.parse().ok()).ok_or_else(|| damaged("its header"))?;
        }
        self.0 = &self.0[end + 1..];
        Ok(numbers)
    }

    /// A byte string, or none if its length is negative.
    fn optional(&mut self, length: i64) -> Result<Option<&'a [u8]>> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(Some(field))
    }

    fn bytes(&mut self, length: i64) -> Result<&'a [u8]> {
        self.optional(length)?.ok_or_else(|| damaged("a field is missing"))
    }

    fn text(&mut self, length: i64) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(length)?).map_err(|_| damaged("a text is not UTF-8"))
    }

    fn optional_text(&mut self, length: i64) -> Result<Option<&'a str>> {
        if length < 0 { Ok(None) } else { self.text(length).map(Some) }
    }
}

fn stamp(origin: &[u8], counter: i64, timestamp: i64, parents: &[u8]) -> Result<Stamp> {
    Ok(Stamp {
        origin: NodeId::from_slice(origin)?,
        counter: counter.cast_unsigned(),
        timestamp: Timestamp::from_micros(timestamp.cast_unsigned()),
        parents: decode_parents(parents)?,
    })
}

fn entry(row: &mut Packed<'_>) -> Result<LogEntry> {
    let [
        position,
        counter,
        timestamp,
        flags,
        id,
        event_type,
        aggregate,
        codec,
        data,
        metadata,
        parents,
        from,
    ] = row.numbers()?;
    let (id, event_type, aggregate) = (row.text(id)?, row.text(event_type)?, row.text(aggregate)?);
    let codec = row.optional_text(codec)?;
    let data = row.bytes(data)?.to_vec();
    let metadata = row.optional_text(metadata)?;
    let parents = row.bytes(parents)?;
    let from = row.optional(from)?.map(LogId::from_slice).transpose()?;
    let stamp = stamp(row.bytes(16)?, counter, timestamp, parents)?;
    Ok(LogEntry {
        position: position.cast_unsigned(),
        event: Event {
            id: EventId::new(id)?,
            event_type: EventType::new(event_type)?,
            aggregate_id: AggregateId::new(aggregate)?,
            data: Payload::stored(codec, data),
            metadata: metadata.map_or_else(Metadata::default, Metadata::stored),
        },
        stamp,
        content: Hash::from_slice(row.bytes(32)?)?,
        hash: Hash::from_slice(row.bytes(32)?)?,
        from,
        stub: flags & 1 != 0,
        superseded: flags & 2 != 0,
    })
}

fn vertex(row: &mut Packed<'_>) -> Result<PlacedVertex> {
    let [position, counter, timestamp, stub, id, event_type, aggregate, parents, data] = row.numbers()?;
    let (id, event_type, aggregate) = (row.text(id)?, row.text(event_type)?, row.text(aggregate)?);
    let parents = row.bytes(parents)?;
    let data = row.optional(data)?.unwrap_or_default().to_vec();
    let stamp = stamp(row.bytes(16)?, counter, timestamp, parents)?;
    let event = Event {
        id: EventId::new(id)?,
        event_type: EventType::new(event_type)?,
        aggregate_id: AggregateId::new(aggregate)?,
        data: Payload::stored(None, data),
        metadata: Metadata::default(),
    };
    let vertex = vertex_of(&event, &stamp, stub != 0);
    Ok((position.cast_unsigned(), vertex.map(|v| (event.aggregate_id, v))))
}
