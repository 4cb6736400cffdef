//! Entries as SQLite hands them over: a whole batch in one value. A value has a cost of its own on its way out of SQLite, far
//! above that of its bytes.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use synckit_core::{
    AggregateId, Error, ErrorKind, Event, EventId, EventType, Hash, LogId, Metadata, NodeId, Payload, Result,
    Stamp, Timestamp, decode_parents, store::LogEntry,
};

use crate::error::from_sqlx;

/// An entry `e` as one text: twelve numbers, the last eight of them lengths, a semicolon, and the fields one after the other.
const PACKED: &str = "format('%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d;', \
    e.position, e.counter, e.timestamp, e.stub + 2 * e.superseded, \
    octet_length(e.id), octet_length(e.event_type), octet_length(e.aggregate_id), \
    ifnull(octet_length(e.codec), -1), octet_length(e.data), ifnull(octet_length(e.metadata), -1), \
    octet_length(e.parents), ifnull(octet_length(e.received_from), -1)) \
    || e.id || e.event_type || e.aggregate_id || ifnull(e.codec, '') || e.data || ifnull(e.metadata, '') \
    || e.parents || ifnull(e.received_from, '') || e.origin || e.content || e.hash";

/// The start of a query for packed entries; what follows is `FROM …` and conditions, with the entries under the name `e`.
pub(crate) fn select() -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "SELECT CAST(group_concat(packed, '' ORDER BY position) AS BLOB) FROM (SELECT e.position, ",
    );
    query.push(PACKED).push(" AS packed");
    query
}

/// The entries of such a query.
pub(crate) async fn fetch(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<LogEntry>> {
    query.push(")");
    let packed: Option<Vec<u8>> =
        query.build_query_scalar().fetch_one(connection).await.map_err(from_sqlx(operation))?;
    let packed = packed.unwrap_or_default();
    let mut rest = packed.as_slice();
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(entry(&mut rest)?);
    }
    Ok(entries)
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "read", format!("a stored entry is damaged: {what}"))
}

fn entry(rest: &mut &[u8]) -> Result<LogEntry> {
    let end = rest.iter().position(|b| *b == b';').ok_or_else(|| damaged("no header"))?;
    let header = std::str::from_utf8(&rest[..end]).map_err(|_| damaged("its header is no text"))?;
    let mut numbers = [0_i64; 12];
    let mut given = header.split(',');
    for number in &mut numbers {
        *number = given.next().and_then(|n| n.parse().ok()).ok_or_else(|| damaged("its header"))?;
    }
    *rest = &rest[end + 1..];
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
    ] = numbers;
    let mut take = |length: i64| -> Result<Option<&[u8]>> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let (field, after) = rest.split_at_checked(length).ok_or_else(|| damaged("it ends too early"))?;
        *rest = after;
        Ok(Some(field))
    };
    let text = |field: Option<&[u8]>| -> Result<String> {
        String::from_utf8(field.unwrap_or_default().to_vec()).map_err(|_| damaged("a text is not UTF-8"))
    };
    let (id, event_type, aggregate) = (text(take(id)?)?, text(take(event_type)?)?, text(take(aggregate)?)?);
    let codec = take(codec)?.map(|c| text(Some(c))).transpose()?;
    let data = take(data)?.unwrap_or_default().to_vec();
    let metadata = take(metadata)?.map(|m| text(Some(m))).transpose()?;
    let parents = decode_parents(take(parents)?.unwrap_or_default())?;
    let from = take(from)?.map(LogId::from_slice).transpose()?;
    let origin = NodeId::from_slice(take(16)?.unwrap_or_default())?;
    let content = Hash::from_slice(take(32)?.unwrap_or_default())?;
    let hash = Hash::from_slice(take(32)?.unwrap_or_default())?;
    Ok(LogEntry {
        position: position.cast_unsigned(),
        event: Event {
            id: EventId::new(id)?,
            event_type: EventType::new(event_type)?,
            aggregate_id: AggregateId::new(aggregate)?,
            data: Payload::stored(codec.as_deref(), data),
            metadata: metadata.map_or_else(Metadata::default, Metadata::stored),
        },
        stamp: Stamp {
            origin,
            counter: counter.cast_unsigned(),
            timestamp: Timestamp::from_micros(timestamp.cast_unsigned()),
            parents,
        },
        content,
        hash,
        from,
        stub: flags & 1 != 0,
        superseded: flags & 2 != 0,
    })
}
