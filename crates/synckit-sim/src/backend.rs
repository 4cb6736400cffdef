//! What the simulated nodes keep their events in.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use synckit_core::{CursorMode, Environment, Error, EventStore, Result};
use synckit_store_fjall::{FjallConfig, FjallStore};
use synckit_store_mem::MemStore;
use synckit_store_sqlite::{SqliteConfig, SqliteStore};

use crate::store::at_once;

/// Which store a history runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Memory,
    /// A SQLite file a node.
    Sqlite,
    /// A folder of fjall's a node.
    Fjall,
}

/// Where the stores' own threads and timers run, and where their files are.
#[derive(Debug)]
pub struct Host {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    files: AtomicU64,
}

impl Host {
    /// A place for stores in files, in memory where the system has such a folder.
    ///
    /// # Errors
    /// Any error of making threads or folders.
    pub fn new() -> std::io::Result<Self> {
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
            folder: tempfile::Builder::new().prefix("synckit-sim-").tempdir_in(base)?,
            files: AtomicU64::new(0),
        })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.files.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Where the stores of a history are made.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Memory,
    Sqlite(Arc<Host>),
    Fjall(Arc<Host>),
}

/// What a node keeps, whether it runs or not.
#[derive(Debug)]
pub(crate) enum Disk {
    Memory {
        store: MemStore,
        /// What is really stored, if a planted bug has writes acknowledged before they are.
        durable: Arc<Mutex<Option<MemStore>>>,
    },
    Sqlite {
        host: Arc<Host>,
        config: SqliteConfig,
        path: PathBuf,
        open: SqliteStore,
    },
    Fjall {
        host: Arc<Host>,
        config: FjallConfig,
        open: FjallStore,
    },
}

/// A copy of a disk, taken at some time.
#[derive(Debug)]
pub(crate) enum Copy {
    Memory(MemStore),
    Sqlite(PathBuf),
    Fjall(PathBuf),
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |e| Error::new(synckit_core::ErrorKind::Storage, "simulate", what).with_source(e)
}

fn sql(e: rusqlite::Error) -> Error {
    Error::new(synckit_core::ErrorKind::Storage, "simulate", "SQLite").with_source(e)
}

impl Backend {
    /// An empty disk.
    pub(crate) fn create(&self, mode: CursorMode, environment: &Environment) -> Result<Disk> {
        match self {
            Self::Memory => {
                Ok(Disk::memory(MemStore::builder().mode(mode).environment(environment.clone()).build()))
            }
            Self::Sqlite(host) => {
                let path = host.file();
                let config = SqliteConfig::at(&path)
                    .mode(mode)
                    .environment(environment.clone())
                    .durability(synckit_store_sqlite::Durability::Normal);
                let open = at_once(Some(host.runtime.handle()), SqliteStore::create(config.clone()))?;
                Ok(Disk::Sqlite { host: Arc::clone(host), config, path, open })
            }
            Self::Fjall(host) => {
                let config = fjall(&host.file(), mode, environment);
                let open = at_once(Some(host.runtime.handle()), FjallStore::create(config.clone()))?;
                Ok(Disk::Fjall { host: Arc::clone(host), config, open })
            }
        }
    }

    /// A disk with the content of a copy, for a node that does not know it is one.
    pub(crate) fn live_copy(&self, copy: &Copy, mode: CursorMode, environment: &Environment) -> Result<Disk> {
        match (self, copy) {
            (Self::Sqlite(host), Copy::Sqlite(from)) => {
                let path = host.file();
                std::fs::copy(from, &path).map_err(failed("a copy cannot be made"))?;
                let config = SqliteConfig::at(&path)
                    .mode(mode)
                    .environment(environment.clone())
                    .durability(synckit_store_sqlite::Durability::Normal);
                let open = at_once(Some(host.runtime.handle()), async {
                    forget_home(&path)?;
                    SqliteStore::open(config.clone()).await
                })?;
                Ok(Disk::Sqlite { host: Arc::clone(host), config, path, open })
            }
            (Self::Fjall(host), Copy::Fjall(from)) => {
                let config = fjall(&host.file(), mode, environment);
                copy_folder(from, config.path()).map_err(failed("a copy cannot be made"))?;
                let open = at_once(Some(host.runtime.handle()), FjallStore::open(config.clone()))?;
                Ok(Disk::Fjall { host: Arc::clone(host), config, open })
            }
            (_, Copy::Memory(store)) => Ok(Disk::memory(store.duplicate())),
            _ => Err(Error::invalid("simulate", "a copy of another kind")),
        }
    }
}

/// A copy that is moved with its file system looks just like the original.
fn fjall(path: &Path, mode: CursorMode, environment: &Environment) -> FjallConfig {
    FjallConfig::at(path)
        .mode(mode)
        .environment(environment.clone())
        .durability(synckit_store_fjall::Durability::Normal)
        .taken_for_the_original()
}

/// Copies a folder, without the zeros that the engine has put behind what it wrote.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_folder(&file.path(), &target)?;
            continue;
        }
        let mut bytes = std::fs::read(file.path())?;
        if file.path().extension().is_some_and(|e| e == "jnl") {
            bytes.truncate(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
        }
        std::fs::write(target, bytes)?;
    }
    Ok(())
}

/// As [`fjall`] does.
fn forget_home(path: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(path).map_err(sql)?;
    connection.execute("UPDATE node SET home = NULL", []).map(drop).map_err(sql)
}

fn copy_into(from: &Path, to: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(from).map_err(sql)?;
    connection.execute("VACUUM INTO ?", [&*to.to_string_lossy()]).map(drop).map_err(sql)
}

impl Disk {
    fn memory(store: MemStore) -> Self {
        Self::Memory { store, durable: Arc::default() }
    }

    /// For a planted bug: what is stored before the next write is all that a crash leaves.
    pub(crate) fn durable(&self) -> Option<(MemStore, Arc<Mutex<Option<MemStore>>>)> {
        match self {
            Self::Memory { store, durable } => Some((store.clone(), Arc::clone(durable))),
            Self::Sqlite { .. } | Self::Fjall { .. } => None,
        }
    }

    /// The store that is open on it.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Memory { store, .. } => Arc::new(store.clone()),
            Self::Sqlite { open, .. } => Arc::new(open.clone()),
            Self::Fjall { open, .. } => Arc::new(open.clone()),
        }
    }

    pub(crate) fn host(&self) -> Option<tokio::runtime::Handle> {
        match self {
            Self::Memory { .. } => None,
            Self::Sqlite { host, .. } | Self::Fjall { host, .. } => Some(host.runtime.handle().clone()),
        }
    }

    /// What is left after the node ended, opened again.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        match self {
            Self::Memory { store, durable } => {
                let kept = durable.lock().unwrap_or_else(PoisonError::into_inner).take();
                *store = kept.unwrap_or_else(|| store.duplicate());
            }
            Self::Sqlite { host, config, open, .. } => {
                *open = at_once(Some(host.runtime.handle()), async {
                    open.close().await?;
                    SqliteStore::open(config.clone()).await
                })?;
            }
            Self::Fjall { host, config, open } => {
                *open = at_once(Some(host.runtime.handle()), async {
                    open.close().await?;
                    FjallStore::open(config.clone()).await
                })?;
            }
        }
        Ok(())
    }

    /// A copy of what is there now.
    pub(crate) fn copy(&self) -> Result<Copy> {
        match self {
            Self::Memory { store, .. } => Ok(Copy::Memory(store.duplicate())),
            Self::Sqlite { host, path, .. } => {
                let to = host.file();
                copy_into(path, &to)?;
                Ok(Copy::Sqlite(to))
            }
            Self::Fjall { host, config, .. } => {
                // Every call has come to its end.
                let to = host.file();
                copy_folder(config.path(), &to).map_err(failed("a copy cannot be made"))?;
                Ok(Copy::Fjall(to))
            }
        }
    }

    /// Puts a copy in the place of what is there, behind the kit's back.
    pub(crate) fn restore(&mut self, copy: &Copy) -> Result<()> {
        match (&mut *self, copy) {
            (Self::Memory { store, .. }, Copy::Memory(from)) => *store = from.duplicate(),
            (Self::Sqlite { host, config, path, open }, Copy::Sqlite(from)) => {
                *open = at_once(Some(host.runtime.handle()), async {
                    open.close().await?;
                    for beside in ["-wal", "-shm"] {
                        let mut name = path.as_os_str().to_owned();
                        name.push(beside);
                        // It may not be there.
                        let _ = std::fs::remove_file(name);
                    }
                    std::fs::copy(from, &*path).map_err(failed("a copy cannot be put back"))?;
                    forget_home(path)?;
                    SqliteStore::open(config.clone()).await
                })?;
            }
            (Self::Fjall { host, config, open }, Copy::Fjall(from)) => {
                *open = at_once(Some(host.runtime.handle()), async {
                    open.close().await?;
                    let replaced = failed("a copy cannot be put back");
                    std::fs::remove_dir_all(config.path()).map_err(&replaced)?;
                    copy_folder(from, config.path()).map_err(replaced)?;
                    FjallStore::open(config.clone()).await
                })?;
            }
            _ => return Err(Error::invalid("simulate", "a copy of another kind")),
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nobody needs it any longer.
        match self {
            Self::Memory { .. } => {}
            Self::Sqlite { host, path, open, .. } => {
                let _ = at_once(Some(host.runtime.handle()), open.close());
                let _ = std::fs::remove_file(path);
            }
            Self::Fjall { host, config, open } => {
                let _ = at_once(Some(host.runtime.handle()), open.close());
                let _ = std::fs::remove_dir_all(config.path());
            }
        }
    }
}
