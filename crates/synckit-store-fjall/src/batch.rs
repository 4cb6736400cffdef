//! Changes to several tables at once.

use std::collections::BTreeMap;

use fjall::{Database, Keyspace, OwnedWriteBatch, Slice};
use synckit_core::parallel;

/// Changes that are stored together. The engine gives a batch no order within itself: a key may be in it once.
pub(crate) struct Batch {
    small: Keyspace,
    /// The rows of the other tables.
    of_tables: Vec<(Keyspace, Vec<Row>)>,
    /// Here, what comes last for a key counts.
    of_small: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// A key, and what is put there, if it is not removed.
type Row = (Slice, Option<Slice>);

impl Batch {
    /// An empty batch of a store whose table of small things is this.
    pub(crate) fn new(small: &Keyspace) -> Self {
        Self { small: small.clone(), of_tables: Vec::new(), of_small: BTreeMap::new() }
    }

    /// What two threads have prepared, for about so many entries. The two must not share a table, nor small keys.
    pub(crate) fn prepared<E: Send>(
        small: &Keyspace,
        entries: usize,
        one: impl FnOnce(&mut Self) -> Result<(), E> + Send,
        other: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (mut batch, mut rest) = (Self::new(small), Self::new(small));
        let (one, other) = parallel::both(
            entries,
            || one(&mut batch).map(|()| batch.sort()),
            || other(&mut rest).map(|()| rest.sort()),
        );
        one.and(other)?;
        batch.of_tables.extend(rest.of_tables);
        batch.of_small.extend(rest.of_small);
        Ok(batch)
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

    /// The engine takes in what is in the order of the keys faster than what is not.
    fn sort(&mut self) {
        for (_, rows) in &mut self.of_tables {
            rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        }
    }

    /// All of it, for the engine.
    pub(crate) fn whole(self, db: &Database) -> OwnedWriteBatch {
        let changes = self.of_tables.iter().map(|(_, rows)| rows.len()).sum::<usize>() + self.of_small.len();
        let mut whole = OwnedWriteBatch::with_capacity(db.clone(), changes);
        for (table, rows) in self.of_tables {
            for (key, value) in rows {
                match value {
                    Some(value) => whole.insert(&table, key, value),
                    None => whole.remove(&table, key),
                }
            }
        }
        for (key, value) in self.of_small {
            match value {
                Some(value) => whole.insert(&self.small, key, value),
                None => whole.remove(&self.small, key),
            }
        }
        whole
    }
}
