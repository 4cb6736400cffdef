//! SQLite's errors in the kit's terms.

use std::{
    fs,
    io::{self, Read as _},
    ops::RangeInclusive,
    path::Path,
};

use rusqlite::ErrorCode;
use synckit_core::{Error, ErrorKind};

/// What every error of damage ends with.
const DOCTOR: &str = "`synckit doctor` says more";

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
            Some(ErrorCode::SystemIoFailure) => {
                (ErrorKind::Storage, "the system does not read or write one of the database's files")
            }
            Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Corrupt, "the database file is damaged"),
            Some(ErrorCode::NotADatabase) => {
                (ErrorKind::Corrupt, "the file is not a SQLite database, or damaged")
            }
            // Everything that a write depends on is looked up before.
            Some(ErrorCode::ConstraintViolation) => (ErrorKind::Corrupt, "the tables do not fit together"),
            // So SQLite says that it does not understand a statement: all of them are written here.
            Some(ErrorCode::Unknown) => (ErrorKind::Corrupt, "the tables are not those of a store"),
            Some(ErrorCode::CannotOpen) => (ErrorKind::NotFound, "the database file cannot be opened"),
            Some(_) => (ErrorKind::Storage, "SQLite failed"),
            None => (ErrorKind::Corrupt, "a stored row is damaged"),
        };
        let message =
            if kind == ErrorKind::Corrupt { format!("{message}; {DOCTOR}") } else { message.to_owned() };
        Error::new(kind, operation, message).with_source(error)
    }
}

/// What keeps SQLite from opening a file: it says no more than that it cannot.
pub(crate) fn unopened(path: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let place = path.display();
    let (kind, what) = match fs::metadata(path) {
        Ok(there) if there.is_dir() => (ErrorKind::Invalid, format!("{place} is a folder")),
        Ok(_) if fs::File::open(path).is_ok() => {
            (ErrorKind::Forbidden, format!("the folder of {place} cannot be written"))
        }
        Ok(_) => (ErrorKind::Forbidden, format!("{place} cannot be read")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                (ErrorKind::NotFound, format!("there is no folder {}", folder.display()))
            }
            _ => (ErrorKind::Forbidden, format!("{place} cannot be made; its folder cannot be written")),
        },
        Err(_) => (ErrorKind::Forbidden, format!("{place} cannot be reached")),
    };
    Error::new(kind, error.operation(), what).with_source(error)
}

/// What keeps SQLite from writing to a file that it has opened: the system, or what the file's header says of its format.
pub(crate) fn unwritable(path: &Path, error: Error) -> Error {
    const FORMATS: RangeInclusive<u8> = 1..=2;
    let mut header = [0; 19];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let usual = read.is_err() || header.last().is_none_or(|format| FORMATS.contains(format));
    if error.kind() != ErrorKind::Forbidden || usual {
        return error;
    }
    let what = format!("the header of {} says that nobody may write to it; {DOCTOR}", path.display());
    Error::new(ErrorKind::Corrupt, error.operation(), what).with_source(error)
}
