//! Changes to several tables at once.

use std::collections::BTreeMap;

use fjall::{Database, Keyspace, OwnedWriteBatch, Slice};

/// Changes that are stored together. The engine gives a batch no order within itself: a key may be in it once.
pub(crate) struct Batch {
    inner: OwnedWriteBatch,
    small: Keyspace,
    /// Here, what comes last for a key counts.
    of_small: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// An empty batch with room for about so many changes.
    pub(crate) fn new(db: &Database, small: &Keyspace, changes: usize) -> Self {
        Self {
            inner: OwnedWriteBatch::with_capacity(db.clone(), changes),
            small: small.clone(),
            of_small: BTreeMap::new(),
        }
    }

    /// A key of a table other than the small one, once.
    pub(crate) fn put(&mut self, table: &Keyspace, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.inner.insert(table, key, value);
    }

    /// As [`put`](Self::put).
    pub(crate) fn remove(&mut self, table: &Keyspace, key: &str) {
        self.inner.remove(table, key);
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

    /// All of it, for the engine.
    pub(crate) fn whole(mut self) -> OwnedWriteBatch {
        for (key, value) in self.of_small {
            match value {
                Some(value) => self.inner.insert(&self.small, key, value),
                None => self.inner.remove(&self.small, key),
            }
        }
        self.inner
    }
}
