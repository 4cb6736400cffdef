//! The store at one moment.

use std::ops::Bound;

use fjall::{Keyspace, Readable as _, Slice, Snapshot};
use synckit_core::{Error, Result};

use crate::{
    engine::Tables,
    entry::Stored,
    error::{damaged, from_fjall},
    keys,
};

/// The store at one moment.
pub(crate) struct View<'a> {
    pub(crate) tables: &'a Tables,
    at: Snapshot,
    operation: &'static str,
}

impl<'a> View<'a> {
    pub(crate) const fn new(tables: &'a Tables, at: Snapshot, operation: &'static str) -> Self {
        Self { tables, at, operation }
    }

    /// The last key of a table.
    pub(crate) fn last_key(&self, table: &Keyspace) -> Result<Option<Slice>> {
        let last = self.at.last_key_value(table).map(|last| last.key());
        last.transpose().map_err(from_fjall(self.operation))
    }

    pub(crate) fn get(&self, table: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Slice>> {
        self.at.get(table, key).map_err(from_fjall(self.operation))
    }

    /// The entry at a position, which must be there, as `read` sees it.
    pub(crate) fn entry<T>(&self, position: u64, read: impl FnOnce(&Stored<'_>) -> Result<T>) -> Result<T> {
        let row = self.get(&self.tables.entries, keys::position(position))?;
        let row = row.ok_or_else(|| damaged(format!("the log has no entry at {position}")))?;
        Stored::read(position, &row).and_then(|entry| read(&entry)).map_err(|e| at_position(e, position))
    }

    /// What begins with a prefix, in order.
    pub(crate) fn prefix(
        &self,
        table: &Keyspace,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Slice, Slice)>> + use<> {
        let failed = from_fjall(self.operation);
        self.at.prefix(table, prefix).map(move |row| row.into_inner().map_err(&failed))
    }

    /// What comes after a key and before another, in order.
    pub(crate) fn after(
        &self,
        table: &Keyspace,
        after: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(Slice, Slice)>> + use<> {
        let failed = from_fjall(self.operation);
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        self.at
            .range::<&[u8], _>(table, (Bound::Excluded(after), end))
            .map(move |row| row.into_inner().map_err(&failed))
    }

    /// The keys from one to another, both included, in order.
    pub(crate) fn keys_between(
        &self,
        table: &Keyspace,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Result<Slice>> + use<> {
        let failed = from_fjall(self.operation);
        self.at
            .range::<&[u8], _>(table, (Bound::Included(from), Bound::Included(to)))
            .map(move |row| row.key().map_err(&failed))
    }

    /// Whether anything begins with a prefix.
    pub(crate) fn has(&self, table: &Keyspace, prefix: &[u8]) -> Result<bool> {
        self.prefix(table, prefix).next().transpose().map(|row| row.is_some())
    }
}

/// Says where damage is.
pub(crate) fn at_position(error: Error, position: u64) -> Error {
    let message = format!("the entry at {position} is damaged: {}", error.message());
    Error::new(error.kind(), error.operation(), message).with_source(error)
}
