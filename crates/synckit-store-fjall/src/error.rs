//! The engine's errors in the kit's terms.

use std::io;

use synckit_core::{Error, ErrorKind};

/// The kit's error for one of fjall during `operation`.
pub(crate) fn from_fjall(operation: &'static str) -> impl Fn(fjall::Error) -> Error {
    move |error| {
        let (kind, message) = match &error {
            fjall::Error::Locked => (ErrorKind::Busy, IN_USE),
            fjall::Error::Poisoned => (
                ErrorKind::Storage,
                "the engine could not write earlier, as on a full disk; close the store and open it again",
            ),
            fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => of_io(e),
            fjall::Error::KeyspaceDeleted => (ErrorKind::Internal, "a table was dropped"),
            fjall::Error::InvalidVersion(Some(_)) => {
                (ErrorKind::Unsupported, "the engine's files have a format that this version does not read")
            }
            _ => (ErrorKind::Corrupt, "the engine's files are damaged"),
        };
        Error::new(kind, operation, message).with_source(error)
    }
}

pub(crate) const IN_USE: &str =
    "the store is open already, here or in another process; one process at a time may use a fjall store";

const FULL: &str = "the disk is full";
const TOO_LARGE: &str = "a file of the store may not get any larger";

fn of_io(error: &io::Error) -> (ErrorKind, &'static str) {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorKind::Storage, FULL),
        io::ErrorKind::FileTooLarge => (ErrorKind::Storage, TOO_LARGE),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Forbidden, "the store's files cannot be written")
        }
        io::ErrorKind::NotFound => (ErrorKind::Corrupt, "one of the engine's files is missing"),
        // Damaged offsets lead to places where there can be nothing.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            (ErrorKind::Corrupt, "one of the engine's files is damaged")
        }
        _ => (ErrorKind::Storage, "the storage engine failed"),
    }
}

/// The kit's error for a file or folder of the store.
pub(crate) fn from_io(operation: &'static str, path: &std::path::Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        let (kind, what) = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (ErrorKind::Forbidden, "cannot be written, which the engine needs even to read")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorKind::Storage, FULL),
            io::ErrorKind::FileTooLarge => (ErrorKind::Storage, TOO_LARGE),
            _ => (ErrorKind::Storage, "cannot be used"),
        };
        Error::new(kind, operation, format!("{}: {what}", path.display())).with_source(error)
    }
}

/// Stored data that makes no sense.
pub(crate) fn damaged(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "read stored data", what)
}

/// What a panic of the engine becomes: it asserts that its files are as it left them.
pub(crate) fn panicked(operation: &'static str, panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Error::new(ErrorKind::Corrupt, operation, format!("the storage engine gave up: {said}"))
}

/// Adds to an error of damaged data what one may do about it.
pub(crate) fn with_advice(error: Error, url: &str) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    let message = format!("{}; see what is left with: synckit doctor --store {url}", error.message());
    let (operation, kind) = (error.operation(), error.kind());
    Error::new(kind, operation, message).with_source(error)
}
