//! Rows as PostgreSQL hands them over, in its binary format: by `COPY … TO STDOUT`, or as the answer to a query.

use futures_util::TryStreamExt as _;
use sqlx::{PgConnection, Row as _, ValueRef as _, postgres::PgRow};
use synckit_core::{
    AggregateId, Error, Event, EventId, EventType, Hash, LogId, Metadata, NodeId, Payload, Result, Stamp,
    Timestamp, decode_parents,
    graph::Vertex,
    plan::{Claim, KnownEntry, vertex_of},
    store::LogEntry,
};

use crate::error::from_sqlx;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, four bytes of flags, and the length of an extension, which is empty.
const HEADER_BYTES: usize = 19;
const MOST_FIELDS: usize = 16;

/// The columns of an entry `e`, in the order in which [`entry`] reads them.
pub(crate) const ENTRY: &str = "e.position, e.counter, e.timestamp, e.stub, e.superseded, e.id, e.event_type, \
    e.aggregate_id, e.codec, e.data, e.metadata, e.origin, e.parents, e.content, e.hash, e.received_from";

/// The columns of an entry `e` as a vertex, in the order in which [`vertex`] reads them.
pub(crate) const VERTEX: &str = "e.position, e.counter, e.timestamp, e.stub, e.id, e.event_type, e.aggregate_id, \
    e.parents, CASE WHEN e.event_type = 'synckit.resolution' THEN e.data ELSE '' END, e.origin";

/// The fields of one row.
pub(crate) struct Fields<'a>([Option<&'a [u8]>; MOST_FIELDS]);

impl<'a> Fields<'a> {
    /// The fields of a row in `bytes`, none at the end, and what comes after it; nothing if it is not all there yet.
    fn parse(bytes: &'a [u8]) -> Result<Option<(Option<Self>, &'a [u8])>> {
        let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let Ok(count) = usize::try_from(i16::from_be_bytes(*count)) else {
            return Ok(Some((None, rest)));
        };
        let mut fields = [None; MOST_FIELDS];
        let fields_read =
            fields.get_mut(..count).ok_or_else(|| Error::damaged_row("it has too many fields"))?;
        for field in fields_read {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            rest = after;
            if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
                let Some((value, after)) = rest.split_at_checked(length) else { return Ok(None) };
                (*field, rest) = (Some(value), after);
            }
        }
        Ok(Some((Some(Self(fields)), rest)))
    }

    fn of(row: &'a PgRow) -> Result<Self> {
        let mut fields = [None; MOST_FIELDS];
        for (i, field) in fields.iter_mut().enumerate().take(row.len()) {
            let value = row.try_get_raw(i).map_err(from_sqlx("read"))?;
            if !value.is_null() {
                let bytes = value
                    .as_bytes()
                    .map_err(|e| Error::damaged_row("a field is not there").with_source(e))?;
                *field = Some(bytes);
            }
        }
        Ok(Self(fields))
    }

    pub(crate) fn optional(&self, i: usize) -> Option<&'a [u8]> {
        self.0.get(i).copied().flatten()
    }

    pub(crate) fn bytes(&self, i: usize) -> Result<&'a [u8]> {
        self.optional(i).ok_or_else(|| Error::damaged_row(format!("the column {i} is empty")))
    }

    pub(crate) fn text(&self, i: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(i)?)
            .map_err(|e| Error::damaged_row("a text is not UTF-8").with_source(e))
    }

    pub(crate) fn optional_text(&self, i: usize) -> Result<Option<&'a str>> {
        self.optional(i).map(|_| self.text(i)).transpose()
    }

    pub(crate) fn number(&self, i: usize) -> Result<u64> {
        let bytes =
            self.bytes(i)?.try_into().map_err(|_| Error::damaged_row("a number does not have 8 bytes"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn integer(&self, i: usize) -> Result<i32> {
        let bytes =
            self.bytes(i)?.try_into().map_err(|_| Error::damaged_row("a number does not have 4 bytes"))?;
        Ok(i32::from_be_bytes(bytes))
    }

    pub(crate) fn flag(&self, i: usize) -> Result<bool> {
        Ok(self.bytes(i)? == [1])
    }

    pub(crate) fn hash(&self, i: usize) -> Result<Hash> {
        Hash::from_slice(self.bytes(i)?)
    }

    pub(crate) fn timestamp(&self, i: usize) -> Result<Timestamp> {
        self.number(i).map(Timestamp::from_micros)
    }

    /// A stamp, by the places of its origin, counter, timestamp and parents.
    pub(crate) fn stamp(&self, [origin, counter, timestamp, parents]: [usize; 4]) -> Result<Stamp> {
        Ok(Stamp {
            origin: NodeId::from_slice(self.bytes(origin)?)?,
            counter: self.number(counter)?,
            timestamp: self.timestamp(timestamp)?,
            parents: decode_parents(self.bytes(parents)?)?,
        })
    }
}

/// The rows that `COPY … TO STDOUT (FORMAT binary)` gives.
pub(crate) async fn copied<T>(
    connection: &mut PgConnection,
    statement: &str,
    operation: &'static str,
    read: impl Fn(&Fields<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each_copied(connection, statement, operation, |row| read(row).map(|row| found.push(row))).await?;
    Ok(found)
}

/// The rows that `COPY … TO STDOUT (FORMAT binary)` gives, one by one as they come.
///
/// A connection whose answer was not read to the end is of no further use.
pub(crate) async fn each_copied(
    connection: &mut PgConnection,
    statement: &str,
    operation: &'static str,
    mut take: impl FnMut(&Fields<'_>) -> Result<()>,
) -> Result<()> {
    let failed = from_sqlx(operation);
    let mut chunks = connection.copy_out_raw(statement).await.map_err(failed)?;
    let (mut begun, mut left) = (false, Vec::new());
    while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
        // PostgreSQL sends a row at a time, and does not promise to.
        let mut rest: &[u8] = if left.is_empty() {
            &chunk
        } else {
            left.extend_from_slice(&chunk);
            &left
        };
        if !begun {
            let Some((header, rows)) = rest.split_at_checked(HEADER_BYTES) else {
                left = rest.to_vec();
                continue;
            };
            if !header.starts_with(SIGNATURE) {
                return Err(Error::damaged_row("it does not begin as COPY does"));
            }
            (begun, rest) = (true, rows);
        }
        while let Some((parsed, after)) = Fields::parse(rest)? {
            rest = after;
            if let Some(fields) = parsed {
                take(&fields).map_err(Error::of_stored_row)?;
            }
        }
        left = rest.to_vec();
    }
    Ok(())
}

/// One row of an answer, read as `read` says.
pub(crate) fn row<T>(row: &PgRow, read: impl FnOnce(&Fields<'_>) -> Result<T>) -> Result<T> {
    Fields::of(row).and_then(|fields| read(&fields)).map_err(Error::of_stored_row)
}

/// The rows of an answer, each read as `read` says.
pub(crate) fn rows<T>(found: &[PgRow], read: impl Fn(&Fields<'_>) -> Result<T>) -> Result<Vec<T>> {
    found.iter().map(|found| row(found, &read)).collect()
}

/// An entry whose columns are those of [`ENTRY`].
pub(crate) fn entry(row: &Fields<'_>) -> Result<LogEntry> {
    Ok(LogEntry {
        position: row.number(0)?,
        event: Event {
            id: EventId::new(row.text(5)?)?,
            event_type: EventType::new(row.text(6)?)?,
            aggregate_id: AggregateId::new(row.text(7)?)?,
            data: Payload::stored(row.optional_text(8)?, row.bytes(9)?.to_vec()),
            metadata: row.optional_text(10)?.map(Metadata::stored).unwrap_or_default(),
        },
        stamp: row.stamp([11, 1, 2, 12])?,
        content: row.hash(13)?,
        hash: row.hash(14)?,
        from: row.optional(15).map(LogId::from_slice).transpose()?,
        stub: row.flag(3)?,
        superseded: row.flag(4)?,
    })
}

/// A vertex, its aggregate and its position; nothing for an entry that is no vertex.
pub(crate) type PlacedVertex = (u64, Option<(AggregateId, Vertex)>);

/// A vertex whose columns are those of [`VERTEX`].
pub(crate) fn vertex(row: &Fields<'_>) -> Result<PlacedVertex> {
    let event = Event {
        id: EventId::new(row.text(4)?)?,
        event_type: EventType::new(row.text(5)?)?,
        aggregate_id: AggregateId::new(row.text(6)?)?,
        data: Payload::stored(None, row.bytes(8)?.to_vec()),
        metadata: Metadata::default(),
    };
    let vertex = vertex_of(&event, &row.stamp([9, 1, 2, 7])?, row.flag(3)?);
    Ok((row.number(0)?, vertex.map(|v| (event.aggregate_id, v))))
}

/// An entry as planning needs it: id, type and aggregate from column 1 on, then position, counter, timestamp, stub, origin,
/// parents and content.
pub(crate) fn known_entry(row: &Fields<'_>) -> Result<(EventId, KnownEntry)> {
    let known = KnownEntry {
        position: row.number(4)?,
        event_type: EventType::new(row.text(2)?)?,
        aggregate: AggregateId::new(row.text(3)?)?,
        stamp: row.stamp([8, 5, 6, 9])?,
        content: row.hash(10)?,
        stub: row.flag(7)?,
    };
    Ok((EventId::new(row.text(1)?)?, known))
}

/// A claim, its columns placed as those of [`known_entry`], and without those that it lacks.
pub(crate) fn claim(row: &Fields<'_>) -> Result<(EventId, Claim)> {
    let aggregate = AggregateId::new(row.text(3)?)?;
    let claim = Claim { aggregate, stamp: row.stamp([8, 5, 6, 9])?, content: row.hash(10)? };
    Ok((EventId::new(row.text(1)?)?, claim))
}
