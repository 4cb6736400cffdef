//! Rows as SQLite hands them over: a whole batch in one value. A value has a cost of its own on its way out of SQLite, far
//! above that of its bytes.
//!
//! A packed row is some numbers with commas between them, a semicolon, texts that end with line feeds, and byte strings whose
//! lengths are among the numbers or always the same.

use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use synckit_core::{
    AggregateId, Error, ErrorKind, Event, EventId, EventType, Hash, LogId, Metadata, NodeId, Payload, Result,
    Stamp, Timestamp, decode_parents,
    graph::{Head, Vertex, decode_heads},
    plan::{KnownEntry, vertex_of},
    store::LogEntry,
};

use crate::error::from_sqlx;

/// What a packed entry takes, roughly: makes room for about as many as there are.
const USUAL_BYTES: usize = 512;

/// An entry `e`. Names and canonical JSON have no control characters, so that a line feed ends each.
const ENTRY: &str = "format('%d,%d,%d,%d,%d,%d;%s\n%s\n%s\n%s\n%s\n', e.position, e.counter, e.timestamp, \
    e.stub + 2 * e.superseded + 4 * (e.received_from IS NOT NULL), octet_length(e.data), octet_length(e.parents), \
    e.id, e.event_type, e.aggregate_id, e.codec, e.metadata) \
    || e.data || e.parents || e.origin || e.content || e.hash || ifnull(e.received_from, '')";

/// An entry `e` as a vertex.
const VERTEX: &str = "format('%d,%d,%d,%d,%d,%d;%s\n%s\n%s\n', e.position, e.counter, e.timestamp, e.stub, \
    octet_length(e.parents), iif(e.event_type = 'synckit.resolution', octet_length(e.data), 0), \
    e.id, e.event_type, e.aggregate_id) \
    || e.parents || iif(e.event_type = 'synckit.resolution', e.data, '') || e.origin";

/// What is known of an entry `e` before a write.
const KNOWN: &str = "format('%d,%d,%d,%d,%d;%s\n%s\n%s\n', e.position, e.counter, e.timestamp, e.stub, \
    octet_length(e.parents), e.id, e.event_type, e.aggregate_id) || e.parents || e.origin || e.content";

/// The heads of an aggregate `a`.
const HEADS: &str = "format('%d;%s\n', octet_length(a.heads), a.aggregate_id) || a.heads";

fn select(row: &str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT CAST(group_concat(packed, '') AS BLOB) FROM (SELECT ");
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

/// The start of a query for what is known of entries; what follows is `FROM …`, with the entries under the name `e`.
pub(crate) fn select_known() -> QueryBuilder<Sqlite> {
    select(KNOWN)
}

/// The start of a query for heads; what follows is `FROM …`, with the aggregates under the name `a`.
pub(crate) fn select_heads() -> QueryBuilder<Sqlite> {
    select(HEADS)
}

/// The entries of a query that began with [`select_entries`], in the order of their positions.
pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<LogEntry>> {
    let mut entries = rows(connection, query, operation, entry).await?;
    // SQLite keeps the order of the inner query, and does not promise to.
    if !entries.is_sorted_by_key(|e| e.position) {
        entries.sort_by_key(|e| e.position);
    }
    Ok(entries)
}

/// The entries of a query that began with [`select_known`], with their ids.
pub(crate) async fn known(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<(EventId, KnownEntry)>> {
    rows(connection, query, operation, known_entry).await
}

/// The heads of a query that began with [`select_heads`], with their aggregates.
pub(crate) async fn heads(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<(AggregateId, Vec<Head>)>> {
    let read = |row: &mut Packed<'_>| {
        let [heads] = row.numbers()?;
        Ok((AggregateId::new(row.line()?)?, decode_heads(row.bytes(heads)?)?))
    };
    rows(connection, query, operation, read).await
}

/// A vertex, its aggregate and its position; nothing for an entry that is no vertex.
pub(crate) type PlacedVertex = (u64, Option<(AggregateId, Vertex)>);

/// The vertices of a query that began with [`select_vertices`].
pub(crate) async fn vertices(
    connection: &mut SqliteConnection,
    query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<PlacedVertex>> {
    let mut vertices = rows(connection, query, operation, vertex).await?;
    if !vertices.is_sorted_by_key(|(position, _)| *position) {
        vertices.sort_by_key(|(position, _)| *position);
    }
    Ok(vertices)
}

async fn rows<T>(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
    operation: &'static str,
    read: impl Fn(&mut Packed<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    query.push(")");
    let row = query.build().fetch_one(connection).await.map_err(from_sqlx(operation))?;
    let packed: Option<&[u8]> = row.try_get(0).map_err(from_sqlx(operation))?;
    let packed = packed.unwrap_or_default();
    let mut rest = Packed(packed);
    let mut found = Vec::with_capacity(packed.len() / USUAL_BYTES);
    while !rest.0.is_empty() {
        found.push(read(&mut rest)?);
    }
    Ok(found)
}

struct Packed<'a>(&'a [u8]);

pub(crate) fn damaged(what: &str) -> Error {
    let what = format!("a stored entry is damaged: {what}; `synckit doctor` says more");
    Error::new(ErrorKind::Corrupt, "read", what)
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

    fn bytes(&mut self, length: i64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| damaged("a length is negative"))?;
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(field)
    }

    /// A text that ends with a line feed.
    fn line(&mut self) -> Result<&'a str> {
        let end = self.0.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("a text has no end"))?;
        let text = std::str::from_utf8(&self.0[..end]).map_err(|_| damaged("a text is not UTF-8"))?;
        self.0 = &self.0[end + 1..];
        Ok(text)
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
    let [position, counter, timestamp, flags, data, parents] = row.numbers()?;
    let (id, event_type, aggregate) = (row.line()?, row.line()?, row.line()?);
    let (codec, metadata) = (row.line()?, row.line()?);
    let data = row.bytes(data)?;
    let parents = row.bytes(parents)?;
    let stamp = stamp(row.bytes(16)?, counter, timestamp, parents)?;
    let event = Event {
        id: EventId::new(id)?,
        event_type: EventType::new(event_type)?,
        aggregate_id: AggregateId::new(aggregate)?,
        data: Payload::stored(Some(codec).filter(|c| !c.is_empty()), data.to_vec()),
        metadata: if metadata.is_empty() { Metadata::default() } else { Metadata::stored(metadata) },
    };
    let content = Hash::from_slice(row.bytes(32)?)?;
    let stub = flags & 1 != 0;
    Ok(LogEntry {
        position: position.cast_unsigned(),
        event,
        stamp,
        content,
        hash: Hash::from_slice(row.bytes(32)?)?,
        from: if flags & 4 == 0 { None } else { Some(LogId::from_slice(row.bytes(16)?)?) },
        stub,
        superseded: flags & 2 != 0,
    })
}

fn known_entry(row: &mut Packed<'_>) -> Result<(EventId, KnownEntry)> {
    let [position, counter, timestamp, stub, parents] = row.numbers()?;
    let (id, event_type, aggregate) = (row.line()?, row.line()?, row.line()?);
    let parents = row.bytes(parents)?;
    let known = KnownEntry {
        position: position.cast_unsigned(),
        event_type: EventType::new(event_type)?,
        aggregate: AggregateId::new(aggregate)?,
        stamp: stamp(row.bytes(16)?, counter, timestamp, parents)?,
        content: Hash::from_slice(row.bytes(32)?)?,
        stub: stub != 0,
    };
    Ok((EventId::new(id)?, known))
}

fn vertex(row: &mut Packed<'_>) -> Result<PlacedVertex> {
    let [position, counter, timestamp, stub, parents, data] = row.numbers()?;
    let (id, event_type, aggregate) = (row.line()?, row.line()?, row.line()?);
    let parents = row.bytes(parents)?;
    let data = row.bytes(data)?.to_vec();
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
