//! The engine with the store's tables.

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};
use synckit_core::{Error, ErrorKind, Mark, Result, plan::NodeState};

use crate::{
    batch::Batch,
    config::{Durability, FjallConfig},
    error::{damaged, from_fjall, from_io},
    folder::{Folder, Found},
    journal, keys,
    schema::{self, About, Node},
    view::View,
};

const MIB: u64 = 1024 * 1024;
/// What is written to a table is sorted in memory up to this size. With entries, an entry's data; elsewhere, names.
const ENTRIES_IN_MEMORY: u64 = 32 * MIB;
const NAMES_IN_MEMORY: u64 = 16 * MIB;
/// Journals are kept until what they hold is in the tables' own files, and read whenever the store is opened.
const JOURNALS: u64 = 128 * MIB;
const OPEN_FILES: usize = 256;
/// Entries are mostly read one after the other: fewer blocks are faster then, and take less of an index.
const ENTRIES_BLOCK: u32 = 16 * 1024;
/// What the engine's file version says.
const FORMAT_MAGIC: &[u8] = b"FJL";
const FORMAT: u8 = 3;
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
        Reads::Held => {
            options.expect_point_read_hits(true).data_block_size_policy(BlockSizePolicy::all(ENTRIES_BLOCK))
        }
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
    /// What became of that write.
    failure: OnceLock<Error>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store of a folder. If there is none, it is made with a new node, if one is given.
    pub(crate) fn open(
        config: &FjallConfig,
        new: impl FnOnce() -> Option<(NodeState, About)>,
    ) -> Result<Self> {
        let (folder, nothing) = match Folder::find(&config.path)? {
            Found::Store(folder) => return Self::existing(config, folder),
            Found::Nothing => (None, "there is no store at"),
            Found::HalfMade(folder) => (Some(folder), "only half a store was made at"),
        };
        let Some((state, about)) = new() else {
            let what = format!("{nothing} {}", config.path.display());
            return Err(Error::new(ErrorKind::NotFound, "open store", what));
        };
        let folder = folder.map_or_else(|| Folder::create(&config.path), Ok)?;
        folder.clear()?;
        let engine = Self::start(config, folder)?;
        let mut batch = engine.batch();
        schema::put_node(&mut batch, &Node { state, conflicts: 0 });
        schema::put_about(&mut batch, &about);
        engine.commit(batch, Mark::START)?;
        engine.db.persist(PersistMode::SyncAll).map_err(from_fjall("create store"))?;
        engine.folder.complete()?;
        Ok(engine)
    }

    fn existing(config: &FjallConfig, folder: Folder) -> Result<Self> {
        let files = folder.engine();
        look_over(&files)?;
        journal::mend(&files)?;
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
        Ok(Self { tables, db, folder, durability, broken: AtomicBool::new(false), failure: OnceLock::new() })
    }

    /// Whether the log ends where the node's row says, and not before it was seen to end.
    fn check_end(&self) -> Result<()> {
        let view = self.view("open store");
        let end = schema::node(&view)?.state.head;
        let last = view.last_key(&self.tables.entries)?.map_or(Ok(0), |key| keys::number(&key))?;
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

    /// Where the store is now.
    pub(crate) fn home(&self) -> Option<String> {
        crate::home::of(&self.folder.mark())
    }

    /// The state of the store now, for `operation`.
    pub(crate) fn view(&self, operation: &'static str) -> View<'_> {
        View::new(&self.tables, self.db.snapshot(), operation)
    }

    /// An empty batch with room for about so many changes.
    pub(crate) fn batch(&self) -> Batch {
        Batch::new(&self.tables.small)
    }

    /// Stores a batch, all or nothing and as durably as was asked for, and notes where the log ends then.
    pub(crate) fn commit(&self, batch: Batch, head: Mark) -> Result<()> {
        if self.broken.swap(true, Ordering::AcqRel) {
            return Err(self.failed_earlier());
        }
        self.try_commit(batch, head).inspect_err(|error| {
            let _ = self.failure.set(error.clone());
        })?;
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    fn failed_earlier(&self) -> Error {
        let Some(failure) = self.failure.get() else {
            return from_fjall("write")(fjall::Error::Poisoned);
        };
        let message = format!(
            "an earlier write failed, and the engine takes no more; close the store and open it again: {}",
            failure.message()
        );
        Error::new(failure.kind(), "write", message)
    }

    fn try_commit(&self, batch: Batch, head: Mark) -> Result<()> {
        let persist = match self.durability {
            Durability::Full => PersistMode::SyncAll,
            Durability::Normal => PersistMode::Buffer,
        };
        batch.whole(&self.db).durability(Some(persist)).commit().map_err(from_fjall("write"))?;
        if self.durability == Durability::Full {
            self.folder.witness(head)?;
        }
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

/// Whether the engine's files have the format that is read here.
fn check_format(version: &Path) -> Result<()> {
    let found = match std::fs::read(version) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged("the engine's file version is missing"));
        }
        Err(e) => return Err(from_io("open store", version)(e)),
    };
    match found.strip_prefix(FORMAT_MAGIC) {
        Some([FORMAT]) => Ok(()),
        Some([newer]) if *newer > FORMAT => Err(Error::new(
            ErrorKind::SchemaTooNew,
            "open store",
            format!(
                "the engine's files have format {newer}, and this version knows {FORMAT}; use a newer synckit"
            ),
        )),
        Some([older]) => Err(Error::new(
            ErrorKind::Unsupported,
            "open store",
            format!("the engine's files have format {older}, which this version does not read"),
        )),
        _ => Err(damaged("the engine's file version is damaged")),
    }
}

/// Whether the files are there without which the engine would begin anew.
fn look_over(engine: &Path) -> Result<()> {
    check_format(&engine.join("version"))?;
    let tables = engine.join("keyspaces");
    let failed = |_| damaged("the engine's folder of tables cannot be read");
    for folder in std::fs::read_dir(&tables).map_err(&failed)? {
        let folder = folder.map_err(&failed)?.path();
        let number = folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
        if folder.is_dir() && (number.is_none() || !folder.join("current").is_file()) {
            return Err(damaged(format!("{} is not a table of the engine", folder.display())));
        }
    }
    Ok(())
}
