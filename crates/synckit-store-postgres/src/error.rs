//! PostgreSQL's errors in the kit's terms.

use sqlx::PgConnection;
use synckit_core::{Error, ErrorKind};

/// What every error of damage ends with.
pub(crate) const DOCTOR: &str = "`synckit doctor` says more";

/// The kit's error for one of sqlx during `operation`.
pub(crate) fn from_sqlx(operation: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| {
        let (kind, message) = kind_and_message(&error);
        told(kind, operation, message, error)
    }
}

/// The kit's error for one of sqlx while it connects to a place.
pub(crate) fn at_place(place: &str, error: sqlx::Error) -> Error {
    let (kind, message) = kind_and_message(&error);
    told(kind, "open store", &format!("{place}: {message}"), error)
}

fn told(kind: ErrorKind, operation: &'static str, message: &str, error: sqlx::Error) -> Error {
    let told = Error::new(kind, operation, message);
    // What the server says then has the user's name in it.
    if kind == ErrorKind::Unauthorized { told } else { told.with_source(error) }
}

fn kind_and_message(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    let code = error.as_database_error().and_then(|e| e.code());
    match (error, code.as_deref()) {
        (_, Some(code)) => of_code(code),
        (sqlx::Error::PoolClosed, _) => (ErrorKind::Closed, "the store is closed"),
        (sqlx::Error::PoolTimedOut, _) => {
            (ErrorKind::Busy, "no connection became free, or could be made, in time")
        }
        // So rustls says that a certificate is not what it should be.
        (sqlx::Error::Io(e), _) if e.kind() == std::io::ErrorKind::InvalidData => {
            (ErrorKind::Unavailable, "the PostgreSQL server's certificate is not trusted")
        }
        (sqlx::Error::Io(_), _) => (ErrorKind::Unavailable, "the PostgreSQL server cannot be reached"),
        (sqlx::Error::Tls(_), _) => (ErrorKind::Unavailable, "there is no TLS with the PostgreSQL server"),
        (sqlx::Error::Protocol(_), _) => (ErrorKind::Unavailable, "the connection to PostgreSQL is broken"),
        (sqlx::Error::Configuration(_), _) => (ErrorKind::Invalid, "the connection is not set up right"),
        (
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound
            | sqlx::Error::ColumnIndexOutOfBounds { .. },
            _,
        ) => (ErrorKind::Corrupt, "a stored row is damaged; `synckit doctor` says more"),
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    }
}

const READ_ONLY: &str = "25006";

/// What an error that has to do with a write means, seen from the connection that it came from: a standby may become the
/// server that takes writes.
pub(crate) async fn seen_from(connection: &mut PgConnection, error: Error) -> Error {
    let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<sqlx::Error>());
    let code = source.and_then(sqlx::Error::as_database_error).and_then(|e| e.code());
    if code.as_deref() != Some(READ_ONLY) {
        return error;
    }
    let standby = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await;
    if standby.unwrap_or(false) {
        let what = "the server takes no writes; it is a standby";
        return Error::new(ErrorKind::Unavailable, error.operation(), what).with_source(error);
    }
    error
}

/// Kinds for the codes of PostgreSQL's manual, appendix A.
fn of_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "28P01" | "28000" => {
            (ErrorKind::Unauthorized, "the server does not let this user with this password in")
        }
        "3D000" => (ErrorKind::NotFound, "there is no such database"),
        "42501" => (ErrorKind::Forbidden, "the user may not do that in this database"),
        READ_ONLY => (ErrorKind::Forbidden, "the database takes no writes; it is set to be read only"),
        "25P03" => {
            (ErrorKind::Unavailable, "the server gave up on a transaction that did nothing for too long")
        }
        "40001" | "40P01" => (ErrorKind::Busy, "another transaction came between"),
        "55P03" => (ErrorKind::Busy, "another process writes, and did not end in time"),
        "53300" => (ErrorKind::Busy, "the server has no connection left"),
        "53100" => (ErrorKind::Storage, "the server's disk is full; nothing of this write was stored"),
        "53200" => (ErrorKind::Busy, "the server is out of memory"),
        "57014" => (ErrorKind::Timeout, "the server cancelled the statement"),
        // Everything that a write depends on is locked or looked up before.
        "23502" | "23505" => {
            (ErrorKind::Corrupt, "the tables do not fit together; `synckit doctor` says more")
        }
        "42P01" | "42703" | "3F000" => {
            (ErrorKind::Corrupt, "a table or column of the store is missing; `synckit doctor` says more")
        }
        "58P01" | "XX001" | "XX002" => {
            (ErrorKind::Corrupt, "the database is damaged; `synckit doctor` says more")
        }
        _ if code.starts_with("08") || code.starts_with("57P") => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL was lost")
        }
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    }
}
