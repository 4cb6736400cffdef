//! What the simulated nodes keep their events in.

mod fjall;
mod host;
mod postgres;
mod sqlite;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use synckit_core::{CursorMode, Environment, Error, ErrorKind, EventStore, Result};
use synckit_store_mem::MemStore;

pub use self::{host::Host, postgres::POSTGRES_URL};

/// Which store a history runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory.
    Memory,
    /// A SQLite file a node.
    Sqlite,
    /// A folder of fjall's a node.
    Fjall,
    /// A tenant of a PostgreSQL database a node.
    Postgres,
}

/// Where the stores of a history are made.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    kind: Kind,
    host: Arc<Host>,
}

/// What a node keeps, whether it runs or not.
#[derive(Debug)]
pub(crate) enum Disk {
    Memory {
        store: MemStore,
        /// What is really stored, if a planted bug has writes acknowledged before they are.
        durable: Arc<Mutex<Option<MemStore>>>,
    },
    Sqlite(sqlite::Disk),
    Fjall(fjall::Disk),
    Postgres(Box<postgres::Disk>),
}

/// A copy of a disk, taken at some time.
#[derive(Debug)]
pub(crate) enum Copy {
    Memory(MemStore),
    Sqlite(PathBuf),
    Fjall(PathBuf),
    Postgres(postgres::Rows),
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |e| Error::new(ErrorKind::Storage, "simulate", what).with_source(e)
}

impl Backend {
    pub(crate) fn new(kind: Kind, host: &Arc<Host>) -> Self {
        Self { kind, host: Arc::clone(host) }
    }

    /// An empty disk.
    pub(crate) fn create(&self, mode: CursorMode, environment: &Environment) -> Result<Disk> {
        let host = &self.host;
        match self.kind {
            Kind::Memory => {
                let store = MemStore::builder().mode(mode).environment(environment.clone()).build();
                Ok(Disk::memory(store))
            }
            Kind::Sqlite => sqlite::Disk::create(host, mode, environment).map(Disk::Sqlite),
            Kind::Fjall => fjall::Disk::create(host, mode, environment).map(Disk::Fjall),
            Kind::Postgres => postgres::Disk::create(host, mode, environment).map(Disk::postgres),
        }
    }

    /// A disk with the content of a copy, for a node that does not know it is one.
    pub(crate) fn live_copy(&self, copy: &Copy, mode: CursorMode, environment: &Environment) -> Result<Disk> {
        let host = &self.host;
        match copy {
            Copy::Memory(store) => Ok(Disk::memory(store.duplicate())),
            Copy::Sqlite(from) => sqlite::Disk::of_copy(host, from, mode, environment).map(Disk::Sqlite),
            Copy::Fjall(from) => fjall::Disk::of_copy(host, from, mode, environment).map(Disk::Fjall),
            Copy::Postgres(from) => {
                postgres::Disk::of_copy(host, from, mode, environment).map(Disk::postgres)
            }
        }
    }
}

impl Disk {
    fn memory(store: MemStore) -> Self {
        Self::Memory { store, durable: Arc::default() }
    }

    fn postgres(disk: postgres::Disk) -> Self {
        Self::Postgres(Box::new(disk))
    }

    /// For a planted bug: what is stored before the next write is all that a crash leaves.
    pub(crate) fn durable(&self) -> Option<(MemStore, Arc<Mutex<Option<MemStore>>>)> {
        match self {
            Self::Memory { store, durable } => Some((store.clone(), Arc::clone(durable))),
            Self::Sqlite(_) | Self::Fjall(_) | Self::Postgres(_) => None,
        }
    }

    /// The store that is open on it.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Memory { store, .. } => Arc::new(store.clone()),
            Self::Sqlite(disk) => Arc::new(disk.open.clone()),
            Self::Fjall(disk) => Arc::new(disk.open.clone()),
            Self::Postgres(disk) => Arc::new(disk.open.clone()),
        }
    }

    pub(crate) fn host(&self) -> Option<tokio::runtime::Handle> {
        let host = match self {
            Self::Memory { .. } => return None,
            Self::Sqlite(disk) => &disk.host,
            Self::Fjall(disk) => &disk.host,
            Self::Postgres(disk) => &disk.host,
        };
        Some(host.handle().clone())
    }

    /// What is left after the node ended, opened again.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        match self {
            Self::Memory { store, durable } => {
                let kept = durable.lock().unwrap_or_else(PoisonError::into_inner).take();
                *store = kept.unwrap_or_else(|| store.duplicate());
                Ok(())
            }
            Self::Sqlite(disk) => disk.reopen(),
            Self::Fjall(disk) => disk.reopen(),
            Self::Postgres(disk) => disk.reopen(),
        }
    }

    /// A copy of what is there now.
    pub(crate) fn copy(&self) -> Result<Copy> {
        match self {
            Self::Memory { store, .. } => Ok(Copy::Memory(store.duplicate())),
            Self::Sqlite(disk) => disk.copy().map(Copy::Sqlite),
            Self::Fjall(disk) => disk.copy().map(Copy::Fjall),
            Self::Postgres(disk) => disk.copy().map(Copy::Postgres),
        }
    }

    /// Puts a copy in the place of what is there, behind the kit's back.
    pub(crate) fn restore(&mut self, copy: &Copy) -> Result<()> {
        match (self, copy) {
            (Self::Memory { store, .. }, Copy::Memory(from)) => {
                *store = from.duplicate();
                Ok(())
            }
            (Self::Sqlite(disk), Copy::Sqlite(from)) => disk.restore(from),
            (Self::Fjall(disk), Copy::Fjall(from)) => disk.restore(from),
            (Self::Postgres(disk), Copy::Postgres(from)) => disk.restore(from),
            _ => Err(Error::invalid("simulate", "a copy of another kind")),
        }
    }
}
