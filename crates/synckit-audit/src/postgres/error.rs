//! PostgreSQL's errors in the kit's terms.

use synckit_core::{Error, ErrorKind};

use crate::row::ANEW;

pub(super) fn failed(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned());
    let (kind, what) = match (&error, code.as_deref()) {
        (_, Some(code)) => of_code(code),
        (sqlx::Error::PoolTimedOut, _) => {
            (ErrorKind::Busy, "no connection became free, or could be made, in time".to_owned())
        }
        (sqlx::Error::Io(_), _) => {
            (ErrorKind::Unavailable, "the PostgreSQL server cannot be reached".to_owned())
        }
        (sqlx::Error::Tls(_), _) => {
            (ErrorKind::Unavailable, "there is no TLS with the PostgreSQL server".to_owned())
        }
        (sqlx::Error::Protocol(_), _) => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL is broken".to_owned())
        }
        (
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. },
            _,
        ) => damage(),
        _ => (ErrorKind::Storage, "PostgreSQL failed".to_owned()),
    };
    let told = Error::new(kind, "use audit index", what);
    // What the server says then has the user's name in it.
    if kind == ErrorKind::Unauthorized { told } else { told.with_source(error) }
}

fn damage() -> (ErrorKind, String) {
    (ErrorKind::Corrupt, format!("the tables are damaged, or not those of an index; {ANEW}"))
}

/// Kinds for the codes of PostgreSQL's manual, appendix A.
fn of_code(code: &str) -> (ErrorKind, String) {
    let (kind, what) = match code {
        "28P01" | "28000" => {
            (ErrorKind::Unauthorized, "the server does not let this user with this password in")
        }
        "3D000" => (ErrorKind::NotFound, "there is no such database"),
        "42501" => (ErrorKind::Forbidden, "the user may not do that in this database"),
        "25006" => (ErrorKind::Forbidden, "the database takes no writes"),
        "40001" | "40P01" | "55P03" | "53200" | "53300" => {
            (ErrorKind::Busy, "another process holds the index, or the server is too busy")
        }
        "53100" => (ErrorKind::Storage, "the server's disk is full; nothing of this was stored"),
        "57014" => (ErrorKind::Timeout, "the server cancelled the statement"),
        "23502" | "23505" | "42P01" | "42703" | "3F000" | "58P01" | "XX001" | "XX002" => return damage(),
        _ if code.starts_with("08") || code.starts_with("57P") => {
            (ErrorKind::Unavailable, "the connection to PostgreSQL was lost")
        }
        _ => (ErrorKind::Storage, "PostgreSQL failed"),
    };
    (kind, what.to_owned())
}
