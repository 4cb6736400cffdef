//! Opening a database, or making one.

use std::path::Path;

use sqlx::{
    Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use synckit_core::{Error, ErrorKind, NodeId, Result, store::Identity};

use crate::{
    config::{Durability, SqliteConfig},
    error::from_sqlx,
    lookup, maintain,
    schema::{self, Found},
};

const READERS: u32 = 4;
/// The size of a page, in bytes: SQLite's own choice, made here so that limits can be counted in pages.
const PAGE_SIZE: u32 = 4096;
/// What a writer touches it often touches again: the inner pages of its indexes, and the pages of a transaction. In KiB.
const WRITER_CACHE: &str = "-32768";
/// A reader mostly goes along the log, and what it comes back to is in the system's cache. In KiB.
const READER_CACHE: &str = "-4096";

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
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) anchor: Option<SqliteConnection>,
    pub(crate) identity: Identity,
    pub(crate) copied: Option<(NodeId, NodeId)>,
    pub(crate) head: u64,
}

pub(crate) async fn open(config: &SqliteConfig, how: How) -> Result<Opened> {
    let make = !matches!(how, How::Open);
    if let Some(path) = config.path.as_deref().filter(|p| !make && !p.is_file()) {
        let what = format!("there is no store at {}", path.display());
        return Err(Error::new(ErrorKind::NotFound, "open store", what));
    }
    let options = options(config, make)?;
    let failed = from_sqlx("open store");
    let mut anchor = None;
    let (writer, readers) = match &config.path {
        None => {
            anchor = Some(SqliteConnection::connect_with(&options).await.map_err(&failed)?);
            let only = SqlitePoolOptions::new()
                .max_connections(1)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(options)
                .await
                .map_err(&failed)?;
            (only.clone(), only)
        }
        Some(_) => {
            let mut connection = SqliteConnection::connect_with(&options).await.map_err(&failed)?;
            let prepared = prepare(&mut connection, config, &how).await;
            connection.close().await.map_err(&failed)?;
            prepared?;
            // A connection to a file does not break while nobody looks.
            let pool = |n| SqlitePoolOptions::new().max_connections(n).test_before_acquire(false);
            let reading = options.clone().pragma("cache_size", READER_CACHE);
            (pool(1).connect_lazy_with(options), pool(READERS).connect_lazy_with(reading))
        }
    };
    let mut connection = writer.acquire().await.map_err(&failed)?;
    if config.path.is_none() {
        prepare(&mut connection, config, &how).await?;
    }
    check_standing(&mut connection, &how).await?;
    let copied = match how {
        How::Receive(_) => None,
        _ => schema::settle(&mut connection, config).await?,
    };
    if let Some((former, now)) = copied {
        tracing::warn!(%former, %now, "this store is a copy; it goes on as a new node");
    }
    let (label, mode) = schema::label_and_mode(&mut connection).await?;
    let node = lookup::node(&mut connection).await?;
    drop(connection);
    let mut identity = Identity::new(node.log, node.node, label, mode);
    identity.former = node.former;
    Ok(Opened { writer, readers, anchor, identity, copied, head: node.head.position })
}

/// Looks at the database before anything is changed, makes the tables in one transaction if that is wanted, and brings old
/// ones up to date.
async fn prepare(connection: &mut SqliteConnection, config: &SqliteConfig, how: &How) -> Result<()> {
    match (schema::look(connection).await?, how) {
        (Found::Store, _) => Ok(()),
        (Found::Older(_), _) => schema::migrate(connection).await,
        (Found::Empty, How::Create) => schema::create(connection, &config.settings, None).await,
        (Found::Empty, How::Receive(from)) => schema::create(connection, &config.settings, Some(from)).await,
        (Found::Empty, How::Open) if config.path.is_none() => {
            schema::create(connection, &config.settings, None).await
        }
        (Found::Empty, How::Open) => {
            let path = config.path.as_deref().unwrap_or(Path::new(":memory:"));
            let what = format!("{} is an empty database, and not a store", path.display());
            Err(Error::new(ErrorKind::NotFound, "open store", what))
        }
    }
}

/// Whether the store may be opened so.
async fn check_standing(connection: &mut SqliteConnection, how: &How) -> Result<()> {
    let standing = maintain::standing(connection).await?;
    let How::Receive(from) = how else { return standing.may_open() };
    let refused = |what: &str| Err(Error::invalid("fill store", what.to_owned()));
    if standing.may_fill().is_err() {
        return refused("there is a store already; a copy needs a place where there is none");
    }
    let node = lookup::node(connection).await?;
    if (node.log, node.node) != (from.log, from.node) {
        return refused("a copy of another log was begun there; finish that one, or remove it");
    }
    Ok(())
}

fn options(config: &SqliteConfig, create: bool) -> Result<SqliteConnectOptions> {
    let options = match &config.path {
        // Each parse gives the database a name of its own, under which several connections reach it.
        None => "sqlite::memory:".parse().map_err(from_sqlx("open store"))?,
        Some(path) => SqliteConnectOptions::new().filename(path).create_if_missing(create),
    };
    let options = match config.max_bytes {
        Some(bytes) => options.pragma("max_page_count", (bytes / u64::from(PAGE_SIZE)).max(1).to_string()),
        None => options,
    };
    Ok(options
        .page_size(PAGE_SIZE)
        .busy_timeout(config.busy_timeout)
        .journal_mode(if config.path.is_none() { SqliteJournalMode::Memory } else { SqliteJournalMode::Wal })
        .synchronous(match config.durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        })
        .foreign_keys(false)
        .pragma("cache_size", WRITER_CACHE)
        .pragma("temp_store", "memory")
        // Writes touch many pages more than once; a small interval would copy them again and again.
        .pragma("wal_autocheckpoint", "8192")
        .statement_cache_capacity(128))
}
