//! Changes to several tables at once.

use std::collections::BTreeMap;

use fjall::{Database, Keyspace, OwnedWriteBatch, Slice};

/// Changes that are stored together. The engine gives a batch no order within itself: a key may be in it once.
pub(crate) struct Batch {
    inner: OwnedWriteBatch,
    small: Keyspace,
    /// The rows of the other tables.
    of_tables: Vec<(Keyspace, Vec<Row>)>,
    /// Here, what comes last for a key counts.
    of_small: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// A key, and what is put there, if it is not removed.
type Row = (Slice, Option<Slice>);

impl Batch {
    /// An empty batch with room for about so many changes.
    pub(crate) fn new(db: &Database, small: &Keyspace, changes: usize) -> Self {
        Self {
            inner: OwnedWriteBatch::with_capacity(db.clone(), changes),
            small: small.clone(),
            of_tables: Vec::new(),
            of_small: BTreeMap::new(),
        }
    }

    /// A key of a table other than the small one, once.
    pub(crate) fn put(&mut self, table: &Keyspace, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.push(table, (key.into(), Some(value.into())));
    }

    /// As [`put`](Self::put).
    pub(crate) fn remove(&mut self, table: &Keyspace, key: &str) {
        self.push(table, (key.into(), None));
    }

    fn push(&mut self, table: &Keyspace, row: Row) {
        match self.of_tables.iter_mut().find(|(of, _)| of == table) {
            Some((_, rows)) => rows.push(row),
            None => self.of_tables.push((table.clone(), vec![row])),
        }
    }

    pub(crate) fn put_small(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.of_small.insert(key, Some(value));
    }

    /// A key without a value.
    pub(crate) fn mark_small(&mut self, key: Vec<u8>) {
        self.put_small(key, Vec::new());
    }

    pub(crate) fn remove_small(&mut self, key: Vec<u8>) {
        self.of_small.insert(key, None);
    }

    /// Whether the batch puts this key.
    pub(crate) fn puts_small(&self, key: &[u8]) -> bool {
        self.of_small.get(key).is_some_and(Option::is_some)
    }

    /// All of it, for the engine, which takes what is in the order of the keys in faster than what is not.
    pub(crate) fn whole(mut self) -> OwnedWriteBatch {
        for (table, mut rows) in self.of_tables {
            rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            for (key, value) in rows {
                match value {
                    Some(value) => self.inner.insert(&table, key, value),
                    None => self.inner.remove(&table, key),
                }
            }
        }
        for (key, value) in self.of_small {
            match value {
                Some(value) => self.inner.insert(&self.small, key, value),
                None => self.inner.remove(&self.small, key),
            }
        }
        self.inner
    }
}
