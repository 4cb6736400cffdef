//! Indexes by URL.

use std::sync::Arc;

use synckit_core::{Error, LogId, Result};

use crate::{index::AuditIndex, memory::MemoryAuditIndex};

/// The schemes of the indexes that are known, which depends on the crate's features.
#[must_use]
pub fn index_schemes() -> Vec<&'static str> {
    let mut schemes = vec!["mem:"];
    if cfg!(feature = "sqlite") {
        schemes.push("sqlite:");
    }
    if cfg!(feature = "postgres") {
        schemes.push("postgres://");
        schemes.push("postgresql://");
    }
    schemes
}

/// Opens the index of a log that a URL names, and makes it first if there is none: `mem:`, `sqlite:PATH` or
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
///
/// An index in memory is new each time. One in a SQLite file takes any log, one at a time; one in a PostgreSQL database is
/// for `log` only, and has others beside it.
///
/// # Errors
/// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a URL that makes no sense, with the known schemes if its own
/// is not one; any error of opening the index.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only an index in PostgreSQL is for one log")
)]
pub async fn open_index(url: &str, log: LogId) -> Result<Arc<dyn AuditIndex>> {
    if url == "mem:" {
        return Ok(Arc::new(MemoryAuditIndex::new()));
    }
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return Ok(Arc::new(crate::sqlite::SqliteAuditIndex::from_url(url).await?));
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Ok(Arc::new(crate::postgres::PostgresAuditIndex::open(url, log).await?));
    }
    // A URL may have a password in it.
    let scheme: String = url.split(':').next().unwrap_or_default().chars().take(20).collect();
    let what = if url.contains(':') { format!("{scheme}: is no index") } else { "an index has a URL".into() };
    Err(Error::invalid("read index URL", format!("{what}; known schemes are {}", index_schemes().join(", "))))
}
