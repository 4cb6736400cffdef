//! SQLite's errors in the kit's terms.

use rusqlite::ErrorCode;
use synckit_core::{Error, ErrorKind};

use crate::row::ANEW;

/// The kit's error for one of SQLite during `operation`.
pub(super) fn failed(operation: &'static str) -> impl Fn(rusqlite::Error) -> Error + Copy {
    move |error| {
        let (kind, message) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (ErrorKind::Busy, "another process holds the index's write lock")
            }
            Some(ErrorCode::ReadOnly) => (ErrorKind::Forbidden, "the index's file cannot be written"),
            Some(ErrorCode::DiskFull) => (ErrorKind::Storage, "the disk is full; nothing was recorded"),
            Some(ErrorCode::SystemIoFailure) => {
                (ErrorKind::Storage, "the system does not read or write one of the index's files")
            }
            Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Corrupt, "the index's file is damaged"),
            Some(ErrorCode::NotADatabase) => {
                (ErrorKind::Corrupt, "the index's file is not a SQLite database, or damaged")
            }
            Some(ErrorCode::ConstraintViolation) => {
                (ErrorKind::Corrupt, "the index's tables do not fit together")
            }
            // So SQLite says that it does not understand a statement: all of them are written here.
            Some(ErrorCode::Unknown) => (ErrorKind::Corrupt, "the tables are not those of an index"),
            Some(ErrorCode::CannotOpen) => (ErrorKind::NotFound, "the index's file cannot be opened or made"),
            Some(_) => (ErrorKind::Storage, "SQLite failed"),
            None => (ErrorKind::Corrupt, "a row of the index is damaged"),
        };
        let message =
            if kind == ErrorKind::Corrupt { format!("{message}; {ANEW}") } else { message.to_owned() };
        Error::new(kind, operation, message).with_source(error)
    }
}

pub(super) fn damaged_progress(cause: Error) -> Error {
    let what = format!("the progress of the index is damaged; {ANEW}");
    Error::new(ErrorKind::Corrupt, "read audit index", what).with_source(cause)
}
