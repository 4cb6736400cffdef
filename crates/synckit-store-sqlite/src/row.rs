//! Columns in the kit's terms, and back.

use rusqlite::{Row, types::ValueRef};
use synckit_core::{
    AggregateId, Error, Event, EventId, EventType, Hash, LogId, Metadata, NodeId, Payload, Result, Stamp,
    Timestamp, decode_parents, store::LogEntry,
};

use crate::error::failed;

/// The columns of an entry, in the order in which [`entry`] reads them.
macro_rules! entry_columns {
    () => {
        "position, id, event_type, aggregate_id, codec, data, metadata, origin, counter, timestamp, parents, \
         content, hash, received_from, stub, superseded"
    };
}

/// A row's columns, borrowed.
pub(crate) trait Columns {
    fn value(&self, i: usize) -> Result<ValueRef<'_>>;

    fn text(&self, i: usize) -> Result<&str> {
        self.value(i)?.as_str().map_err(|e| unlike(i, e))
    }

    fn blob(&self, i: usize) -> Result<&[u8]> {
        self.value(i)?.as_bytes().map_err(|e| unlike(i, e))
    }

    fn number(&self, i: usize) -> Result<u64> {
        self.value(i)?.as_i64().map(i64::cast_unsigned).map_err(|e| unlike(i, e))
    }

    fn optional_text(&self, i: usize) -> Result<Option<&str>> {
        self.value(i)?.as_str_or_null().map_err(|e| unlike(i, e))
    }

    fn optional_blob(&self, i: usize) -> Result<Option<&[u8]>> {
        self.value(i)?.as_bytes_or_null().map_err(|e| unlike(i, e))
    }

    /// Origin, counter, timestamp and parents, in four columns.
    fn stamp(&self, from: usize) -> Result<Stamp> {
        Ok(Stamp {
            origin: NodeId::from_slice(self.blob(from)?)?,
            counter: self.number(from + 1)?,
            timestamp: Timestamp::from_micros(self.number(from + 2)?),
            parents: decode_parents(self.blob(from + 3)?)?,
        })
    }
}

fn unlike(column: usize, error: rusqlite::types::FromSqlError) -> Error {
    Error::damaged_row(format_args!("its column {column} is not what it should be")).with_source(error)
}

impl Columns for Row<'_> {
    fn value(&self, i: usize) -> Result<ValueRef<'_>> {
        self.get_ref(i).map_err(failed("read"))
    }
}

/// An entry in those columns. Its content is not verified.
pub(crate) fn entry(row: &Row<'_>) -> Result<LogEntry> {
    Ok(LogEntry {
        position: row.number(0)?,
        event: Event {
            id: EventId::new(row.text(1)?)?,
            event_type: EventType::new(row.text(2)?)?,
            aggregate_id: AggregateId::new(row.text(3)?)?,
            data: Payload::stored(row.optional_text(4)?, row.blob(5)?.to_vec()),
            metadata: row.optional_text(6)?.map_or_else(Metadata::default, Metadata::stored),
        },
        stamp: row.stamp(7)?,
        content: Hash::from_slice(row.blob(11)?)?,
        hash: Hash::from_slice(row.blob(12)?)?,
        from: row.optional_blob(13)?.map(LogId::from_slice).transpose()?,
        stub: row.number(14)? != 0,
        superseded: row.number(15)? != 0,
    })
}

/// Numbers beyond SQLite's range are beyond every position, too.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit of rows.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
