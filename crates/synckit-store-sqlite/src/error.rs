//! SQLite's errors in the kit's terms.

use synckit_core::{Error, ErrorKind};

/// The kit's error for one of sqlx during `operation`.
pub(crate) fn from_sqlx(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<u32>().ok());
        let (kind, message) = match (&error, code.map(|c| c & 0xff)) {
            (sqlx::Error::PoolClosed, _) => (ErrorKind::Closed, "the store is closed"),
            (_, Some(5 | 6)) => (ErrorKind::Busy, "another process holds the database's write lock"),
            (_, Some(8)) => (ErrorKind::Forbidden, "the database file cannot be written"),
            (_, Some(13)) => (
                ErrorKind::Storage,
                "the disk, or the room that the store may take, is full; nothing of this write was stored",
            ),
            (_, Some(11)) => (ErrorKind::Corrupt, "the database file is damaged; `synckit doctor` says more"),
            (_, Some(26)) => (
                ErrorKind::Corrupt,
                "the file is not a SQLite database, or damaged; `synckit doctor` says more",
            ),
            (_, Some(14)) => (ErrorKind::NotFound, "the database file cannot be opened"),
            _ => (ErrorKind::Storage, "SQLite failed"),
        };
        Error::new(kind, operation, message).with_source(error)
    }
}
