//! PostgreSQL's errors in the kit's terms.

use synckit_core::{Error, ErrorKind};

/// The kit's error for one of sqlx during `operation`.
pub(crate) fn from_sqlx(operation: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| {
        let code = error.as_database_error().and_then(|e| e.code()).map(std::borrow::Cow::into_owned);
        let (kind, message) = match (&error, code.as_deref()) {
            (_, Some(code)) => of_code(code),
            (sqlx::Error::PoolClosed, _) => (ErrorKind::Closed, "the store is closed"),
            (sqlx::Error::PoolTimedOut, _) => {
                (ErrorKind::Busy, "no connection became free, or could be made, in time")
            }
            (sqlx::Error::Io(_), _) => (ErrorKind::Unavailable, "the PostgreSQL server cannot be reached"),
            (sqlx::Error::Tls(_), _) => {
                (ErrorKind::Unavailable, "there is no TLS with the PostgreSQL server")
            }
            (sqlx::Error::Protocol(_), _) => {
                (ErrorKind::Unavailable, "the connection to PostgreSQL is broken")
            }
            (sqlx::Error::Configuration(_), _) => (ErrorKind::Invalid, "the connection is not set up right"),
            _ => (ErrorKind::Storage, "PostgreSQL failed"),
        };
        let told = Error::new(kind, operation, message);
        // What the server says then has the user's name in it.
        if kind == ErrorKind::Unauthorized { told } else { told.with_source(error) }
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
        "25006" => (ErrorKind::Unavailable, "the server takes no writes; it is a standby"),
        "25P03" => {
            (ErrorKind::Unavailable, "the server gave up on a transaction that did nothing for too long")
        }
        "40001" | "40P01" => (ErrorKind::Busy, "another transaction came between"),
        "55P03" => (ErrorKind::Busy, "another process writes, and did not end in time"),
        "53300" => (ErrorKind::Busy, "the server has no connection left"),
        "53100" => (ErrorKind::Storage, "the server's disk is full"),
        "57014" => (ErrorKind::Timeout, "the server cancelled the statement"),
        "XX001" | "XX002" => (ErrorKind::Corrupt, "the database is damaged"),
        _ if code.starts_with("08") || code.starts_with("57P") => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL was lost")
        }
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    }
}
