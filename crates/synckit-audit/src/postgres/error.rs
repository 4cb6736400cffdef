//! PostgreSQL's errors in the kit's terms.

use synckit_core::{Error, ErrorKind};

/// The kit's error for one of sqlx during `operation`.
pub(super) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| {
        let (kind, message) = kind_and_message(&error);
        told(kind, operation, message.to_owned(), error)
    }
}

/// The kit's error for one of sqlx while it connects to a place.
pub(super) fn at_place(place: &str, error: sqlx::Error) -> Error {
    let (kind, message) = kind_and_message(&error);
    told(kind, "open audit index", format!("{place}: {message}"), error)
}

fn told(kind: ErrorKind, operation: &'static str, message: String, error: sqlx::Error) -> Error {
    let told = Error::new(kind, operation, message);
    // What the server says then has the user's name in it.
    if kind == ErrorKind::Unauthorized { told } else { told.with_source(error) }
}

fn kind_and_message(error: &sqlx::Error) -> (ErrorKind, &'static str) {
    let code = error.as_database_error().and_then(|e| e.code());
    match (error, code.as_deref()) {
        (_, Some(code)) => of_code(code),
        (sqlx::Error::PoolClosed, _) => (ErrorKind::Closed, "the index is closed"),
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
        ) => (ErrorKind::Corrupt, "a row is damaged; the index can be made anew from the log"),
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    }
}

/// Kinds for the codes of PostgreSQL's manual, appendix A.
fn of_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "28P01" | "28000" => {
            (ErrorKind::Unauthorized, "the server does not let this user with this password in")
        }
        "3D000" => (ErrorKind::NotFound, "there is no such database"),
        "42501" => (ErrorKind::Forbidden, "the user may not do that in this database"),
        "25006" => (ErrorKind::Forbidden, "the database takes no writes; it is read only, or a standby"),
        "25P03" => {
            (ErrorKind::Unavailable, "the server gave up on a transaction that did nothing for too long")
        }
        "40001" | "40P01" => (ErrorKind::Busy, "another transaction came between"),
        "55P03" => (ErrorKind::Busy, "another process writes, and did not end in time"),
        "53300" => (ErrorKind::Busy, "the server has no connection left"),
        "53100" => (ErrorKind::Storage, "the server's disk is full; nothing was recorded"),
        "53200" => (ErrorKind::Busy, "the server is out of memory"),
        "57014" => (ErrorKind::Timeout, "the server cancelled the statement"),
        "23502" | "23505" => {
            (ErrorKind::Corrupt, "the tables do not fit together; the index can be made anew from the log")
        }
        "42P01" | "42703" | "3F000" => (
            ErrorKind::Corrupt,
            "a table or column of the index is missing; drop its schema, and it is made anew from the log",
        ),
        "58P01" | "XX001" | "XX002" => {
            (ErrorKind::Corrupt, "the database is damaged; the index can be made anew from the log")
        }
        _ if code.starts_with("08") || code.starts_with("57P") => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL was lost")
        }
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    }
}
