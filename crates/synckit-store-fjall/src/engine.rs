//! The engine with the store's tables.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable as _, Slice, Snapshot,
    config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};
use synckit_core::{Error, ErrorKind, Mark, Result};

use crate::{
    config::{Durability, FjallConfig},
    entry::Stored,
    error::{damaged, from_fjall, from_io},
    folder::{Folder, Found},
    journal, keys, schema,
};

const MIB: u64 = 1024 * 1024;
/// What is written to a table is sorted in memory up to this size. With entries, an entry's data; elsewhere, names.
const ENTRIES_IN_MEMORY: u64 = 32 * MIB;
const NAMES_IN_MEMORY: u64 = 16 * MIB;
/// Journals are kept until what they hold is in the tables' own files.
const JOURNALS: u64 = 512 * MIB;
const OPEN_FILES: usize = 256;
/// One writes out what is in memory while the other merges files.
const WORKERS: usize = 2;

/// The tables. What is small shares one.
pub(crate) struct Tables {
    /// Position → entry.
    pub(crate) entries: Keyspace,
    /// Event id → position of the entry that counts.
    pub(crate) ids: Keyspace,
    /// Aggregate and position → nothing.
    pub(crate) positions: Keyspace,
    /// Origin, counter and event id → position, or 0.
    pub(crate) stamps: Keyspace,
    /// Aggregate → heads.
    pub(crate) heads: Keyspace,
    /// Everything else; see [`keys::Kind`].
    pub(crate) small: Keyspace,
}

/// What a table is read for.
#[derive(Clone, Copy)]
enum Reads {
    /// Keys that are there.
    Held,
    /// Keys that are mostly not there.
    Unheld,
    /// Ranges.
    Ranges,
}

impl Tables {
    const ALL: [(&'static str, Reads, u64); 6] = [
        ("entries", Reads::Held, ENTRIES_IN_MEMORY),
        ("ids", Reads::Unheld, NAMES_IN_MEMORY),
        ("positions", Reads::Ranges, NAMES_IN_MEMORY),
        ("stamps", Reads::Ranges, NAMES_IN_MEMORY),
        ("heads", Reads::Unheld, NAMES_IN_MEMORY),
        ("small", Reads::Unheld, NAMES_IN_MEMORY),
    ];

    fn open(db: &Database) -> fjall::Result<Self> {
        let [entries, ids, positions, stamps, heads, small] =
            Self::ALL.map(|(name, reads, memory)| db.keyspace(name, || options(reads, memory)));
        Ok(Self {
            entries: entries?,
            ids: ids?,
            positions: positions?,
            stamps: stamps?,
            heads: heads?,
            small: small?,
        })
    }
}

fn options(reads: Reads, memory: u64) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(memory);
    let bloom = |bits| FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(bits));
    match reads {
        Reads::Held => options.expect_point_read_hits(true),
        Reads::Unheld => options.filter_policy(FilterPolicy::all(bloom(10.0))),
        Reads::Ranges => options.filter_policy(FilterPolicy::disabled()),
    }
}

/// An open store. Its folder stays locked until this is dropped.
pub(crate) struct Engine {
    pub(crate) tables: Tables,
    db: Database,
    folder: Folder,
    durability: Durability,
    /// Whether a write ended in a way that leaves open what it did.
    broken: AtomicBool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store of a folder, and makes it first if that is wanted and there is none.
    pub(crate) fn open(config: &FjallConfig, create: bool) -> Result<Self> {
        let nothing = |what: &str| {
            Err(Error::new(ErrorKind::NotFound, "open store", format!("{what} {}", config.path.display())))
        };
        let folder = match Folder::find(&config.path)? {
            Found::Store(folder) => return Self::existing(config, folder),
            Found::Nothing if create => Folder::create(&config.path)?,
            Found::Nothing => return nothing("there is no store at"),
            Found::HalfMade(folder) if create => folder,
            Found::HalfMade(_) => return nothing("only half a store was made at"),
        };
        folder.clear()?;
        let engine = Self::start(config, folder)?;
        schema::create(&engine, config)?;
        engine.db.persist(PersistMode::SyncAll).map_err(from_fjall("create store"))?;
        engine.folder.complete()?;
        Ok(engine)
    }

    fn existing(config: &FjallConfig, folder: Folder) -> Result<Self> {
        let files = folder.engine();
        look_over(&files)?;
        journal::check(&files)?;
        let engine = Self::start(config, folder)?;
        if let Some((missing, ..)) = Tables::ALL.iter().find(|(name, ..)| !engine.db.keyspace_exists(name)) {
            return Err(damaged(format!("the table {missing} is missing")));
        }
        engine.check_end()?;
        Ok(engine)
    }

    fn start(config: &FjallConfig, folder: Folder) -> Result<Self> {
        let failed = from_fjall("open store");
        let db = Database::builder(folder.engine())
            .cache_size(config.cache_bytes)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNALS)
            .manual_journal_persist(true)
            .worker_threads(WORKERS)
            .open()
            .map_err(&failed)?;
        let tables = Tables::open(&db).map_err(failed)?;
        let durability = config.durability;
        Ok(Self { tables, db, folder, durability, broken: AtomicBool::new(false) })
    }

    /// Whether the log ends where the node's row says, and not before it was seen to end.
    fn check_end(&self) -> Result<()> {
        let view = self.view("open store");
        let end = schema::node(&view)?.state.head;
        let last = view.at.last_key_value(&self.tables.entries).map(|last| last.key());
        let last =
            last.transpose().map_err(from_fjall("open store"))?.map_or(Ok(0), |key| keys::number(&key))?;
        let hash_at = |position| view.entry(position, |entry| Ok(entry.hash));
        if last != end.position || (last > 0 && hash_at(last)? != end.hash) {
            return Err(damaged(format!("the log ends at {last}, and should end at {}", end.position)));
        }
        let seen = self.folder.witnessed()?;
        if seen.position > last || (seen.position > 0 && hash_at(seen.position)? != seen.hash) {
            return Err(damaged(format!("the log ends at {last}, and reached {} once", seen.position)));
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The state of the store now, for `operation`.
    pub(crate) fn view(&self, operation: &'static str) -> View<'_> {
        View { tables: &self.tables, at: self.db.snapshot(), operation }
    }

    /// An empty batch with room for about so many changes.
    pub(crate) fn batch(&self, changes: usize) -> Batch {
        Batch {
            inner: OwnedWriteBatch::with_capacity(self.db.clone(), changes),
            small: self.tables.small.clone(),
            of_small: BTreeMap::new(),
        }
    }

    /// Stores a batch, all or nothing and as durably as was asked for, and notes where the log ends then.
    pub(crate) fn commit(&self, batch: Batch, head: Mark) -> Result<()> {
        if self.broken.swap(true, Ordering::AcqRel) {
            return Err(from_fjall("write")(fjall::Error::Poisoned));
        }
        let persist = match self.durability {
            Durability::Full => PersistMode::SyncAll,
            Durability::Normal => PersistMode::Buffer,
        };
        batch.whole().durability(Some(persist)).commit().map_err(from_fjall("write"))?;
        if self.durability == Durability::Full {
            self.folder.witness(head)?;
        }
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes all that was written durable.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        self.db.persist(PersistMode::SyncAll).map_err(from_fjall("close"))?;
        self.folder.witness(schema::node(&self.view("close"))?.state.head)
    }
}

/// Whether the files are there without which the engine would begin anew.
fn look_over(engine: &Path) -> Result<()> {
    if !engine.join("version").is_file() {
        return Err(damaged("the engine's file version is missing"));
    }
    let tables = engine.join("keyspaces");
    let failed = from_io("open store", &tables);
    for folder in std::fs::read_dir(&tables).map_err(&failed)? {
        let folder = folder.map_err(&failed)?.path();
        let number = folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
        if folder.is_dir() && (number.is_none() || !folder.join("current").is_file()) {
            return Err(damaged(format!("{} is not a table of the engine", folder.display())));
        }
    }
    Ok(())
}

/// Changes that are stored together. The engine gives a batch no order within itself: a key may be in it once.
pub(crate) struct Batch {
    inner: OwnedWriteBatch,
    small: Keyspace,
    /// Here, what comes last for a key counts.
    of_small: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
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

    fn whole(mut self) -> OwnedWriteBatch {
        for (key, value) in self.of_small {
            match value {
                Some(value) => self.inner.insert(&self.small, key, value),
                None => self.inner.remove(&self.small, key),
            }
        }
        self.inner
    }
}

/// The store at one moment.
pub(crate) struct View<'a> {
    pub(crate) tables: &'a Tables,
    at: Snapshot,
    operation: &'static str,
}

impl View<'_> {
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
