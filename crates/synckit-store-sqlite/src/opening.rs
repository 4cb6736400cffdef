//! Opening a database, or making one.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, OpenFlags};
use synckit_core::{Error, ErrorKind, NodeId, Result, store::Identity};

use crate::{
    config::{Durability, SqliteConfig},
    error::{failed, unopened, unwritable},
    lookup, maintain,
    pool::Pool,
    row::signed,
    schema::{self, Found},
    wal,
};

const READERS: u32 = 4;
/// The size of a page, in bytes: SQLite's own choice, made here so that limits can be counted in pages.
const PAGE_SIZE: u64 = 4096;
/// What a writer touches it often touches again: the inner pages of its indexes, and the pages of a transaction. In KiB.
const WRITER_CACHE: i64 = -32_768;
/// A reader mostly goes along the log, and what it comes back to is in the system's cache. In KiB.
const READER_CACHE: i64 = -4_096;
/// Statements kept ready by each connection.
const STATEMENTS: usize = 128;

/// How a store is to be opened.
#[derive(Debug)]
pub(crate) enum How {
    /// It must exist.
    Open,
    /// It is made if there is none.
    Create,
    /// It is to be filled from the store with this identity.
    Receive(Identity),
}

/// What was opened.
pub(crate) struct Opened {
    pub(crate) writer: Arc<Pool>,
    pub(crate) readers: Arc<Pool>,
    pub(crate) identity: Identity,
    pub(crate) copied: Option<(NodeId, NodeId)>,
    pub(crate) head: u64,
}

pub(crate) fn open(config: &SqliteConfig, how: &How) -> Result<Opened> {
    open_as(config, how).map_err(|error| match &config.path {
        Some(path) => unwritable(path, error),
        None => error,
    })
}

fn open_as(config: &SqliteConfig, how: &How) -> Result<Opened> {
    let make = !matches!(how, How::Open);
    if let Some(path) = config.path.as_deref().filter(|p| !make && !p.is_file()) {
        let what = format!("there is no store at {}", path.display());
        return Err(Error::new(ErrorKind::NotFound, "open store", what));
    }
    let mut connection = connect(config, make)?;
    prepare(&mut connection, config, how)?;
    check_standing(&connection, how)?;
    let copied = match how {
        How::Receive(_) => None,
        _ => schema::settle(&mut connection, config)?,
    };
    if let Some((former, now)) = copied {
        tracing::warn!(%former, %now, "this store is a copy; it goes on as a new node");
    }
    let (label, mode) = schema::label_and_mode(&connection)?;
    let node = lookup::node(&connection)?;
    tracing::debug!(log = %node.log, node = %node.node, position = node.head.position, "store opened");
    let mut identity = Identity::new(node.log, node.node, label, mode);
    identity.former = node.former;
    wal::watch(&connection);
    let again = config.clone();
    let writer = Arc::new(Pool::new(1, move || {
        let connection = connect(&again, false)?;
        wal::watch(&connection);
        Ok(connection)
    }));
    writer.put(connection);
    let readers = match config.path {
        // A database in memory is there for its one connection only.
        None => Arc::clone(&writer),
        Some(_) => {
            let config = config.clone();
            Arc::new(Pool::new(READERS, move || {
                let connection = connect(&config, false)?;
                let small = connection.pragma_update(None, "cache_size", READER_CACHE);
                small.map(|()| connection).map_err(failed("open store"))
            }))
        }
    };
    Ok(Opened { writer, readers, identity, copied, head: node.head.position })
}

/// A connection; all of them are set up alike.
fn connect(config: &SqliteConfig, create: bool) -> Result<Connection> {
    let connected = set_up(config, create);
    connected.map_err(|error| match &config.path {
        Some(path) => unopened(path, error),
        None => error,
    })
}

fn set_up(config: &SqliteConfig, create: bool) -> Result<Connection> {
    let failed = failed("open store");
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = match &config.path {
        None => Connection::open_in_memory(),
        Some(path) => Connection::open_with_flags(path, flags),
    };
    let connection = connection.map_err(failed)?;
    connection.busy_timeout(config.busy_timeout).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).map(drop)
    };
    // Some pragmas answer, and some do not.
    let set = |name: &str, value: &dyn rusqlite::ToSql| match set(name, value) {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        done => done.map_err(failed),
    };
    set("page_size", &signed(PAGE_SIZE))?;
    if let Some(bytes) = config.max_bytes {
        set("max_page_count", &signed((bytes / PAGE_SIZE).max(1)))?;
    }
    set("journal_mode", &if config.path.is_none() { "memory" } else { "wal" })?;
    set(
        "synchronous",
        &match config.durability {
            Durability::Full => "full",
            Durability::Normal => "normal",
        },
    )?;
    set("foreign_keys", &false)?;
    set("cache_size", &WRITER_CACHE)?;
    set("temp_store", &"memory")?;
    Ok(connection)
}

/// Looks at the database before anything is changed, makes the tables in one transaction if that is wanted, and brings old
/// ones up to date.
fn prepare(connection: &mut Connection, config: &SqliteConfig, how: &How) -> Result<()> {
    match (schema::look(connection)?, how) {
        (Found::Store, _) => Ok(()),
        (Found::Older(_), _) => schema::migrate(connection),
        (Found::Empty, How::Create) => schema::create(connection, &config.settings, None),
        (Found::Empty, How::Receive(from)) => schema::create(connection, &config.settings, Some(from)),
        (Found::Empty, How::Open) if config.path.is_none() => {
            schema::create(connection, &config.settings, None)
        }
        (Found::Empty, How::Open) => {
            let path = config.path.as_deref().unwrap_or(Path::new(":memory:"));
            let what = format!("{} is an empty database, and not a store", path.display());
            Err(Error::new(ErrorKind::NotFound, "open store", what))
        }
    }
}

/// Whether the store may be opened so.
fn check_standing(connection: &Connection, how: &How) -> Result<()> {
    let standing = maintain::standing(connection)?;
    let How::Receive(from) = how else { return standing.may_open() };
    let refused = |what: &str| Err(Error::invalid("fill store", what.to_owned()));
    if standing.may_fill().is_err() {
        return refused("there is a store already; a copy needs a place where there is none");
    }
    let node = lookup::node(connection)?;
    if (node.log, node.node) != (from.log, from.node) {
        return refused("a copy of another log was begun there; finish that one, or remove it");
    }
    Ok(())
}
