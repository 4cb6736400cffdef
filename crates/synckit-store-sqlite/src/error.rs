//! SQLite's errors in the kit's terms.

use rusqlite::ErrorCode;
use synckit_core::{Error, ErrorKind};

/// The kit's error for one of SQLite during `operation`.
pub(crate) fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> Error + Copy {
    move |error| {
        let (kind, message) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Busy, "another process holds the database's write lock")
            }
            Some(ErrorCode::ReadOnly) => (ErrorKind::Forbidden, "the database file cannot be written"),
            Some(ErrorCode::DiskFull) => (
                ErrorKind::Storage,
                "the disk, or the room that the store may take, is full; nothing of this write was stored",
            ),
            Some(ErrorCode::DatabaseCorrupt) => {
                (ErrorKind::Corrupt, "the database file is damaged; `synckit doctor` says more")
            }
            Some(ErrorCode::NotADatabase) => (
                ErrorKind::Corrupt,
                "the file is not a SQLite database, or damaged; `synckit doctor` says more",
            ),
            Some(ErrorCode::CannotOpen) => (ErrorKind::NotFound, "the database file cannot be opened"),
            Some(_) => (ErrorKind::Storage, "SQLite failed"),
            None => (ErrorKind::Corrupt, "a stored row is damaged; `synckit doctor` says more"),
        };
        Error::new(kind, operation, message).with_source(error)
    }
}

pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    let what = format!("a stored row is damaged: {what}; `synckit doctor` says more");
    Error::new(ErrorKind::Corrupt, "read", what)
}
