//! Where the database is, and how it is used.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use synckit_core::{Error, Result};
use url::Url;

const DEFAULT_SCHEMA: &str = "synckit_audit";
const APPLICATION_NAME: &str = "synckit-audit";
/// PostgreSQL cuts longer identifiers off.
const MAX_SCHEMA_BYTES: usize = 63;

/// Parameters of the URL that are passed on to the driver.
const OF_THE_DRIVER: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "host"];
const OF_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What a URL says.
pub(super) struct Config {
    pub(super) connect: PgConnectOptions,
    pub(super) schema: String,
    pub(super) max_connections: u32,
    pub(super) acquire_timeout: Duration,
}

impl Config {
    pub(super) fn from_url(url: &str) -> Result<Self> {
        let mut url = parse(url)?;
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        let (mut schema, mut max_connections) = (DEFAULT_SCHEMA.to_owned(), 4);
        let mut acquire_timeout = Duration::from_secs(10);
        for (i, (name, value)) in parameters.iter().enumerate() {
            if parameters[..i].iter().any(|(before, _)| before == name) {
                return Err(invalid(format!("the parameter {name:?} is given twice")));
            }
            match name.as_str() {
                "schema" => schema = checked_schema(value)?,
                "max_connections" => max_connections = number(name, value, 1)?,
                "acquire_timeout_ms" => {
                    acquire_timeout = Duration::from_millis(number(name, value, 0)?.into())
                }
                "sslmode" if !SSL_MODES.contains(&value.as_str()) => {
                    return Err(invalid(format!(
                        "sslmode is one of {}, not {value:?}",
                        SSL_MODES.join(", ")
                    )));
                }
                of_driver if OF_THE_DRIVER.contains(&of_driver) => {
                    if OF_FILES.contains(&of_driver) {
                        readable(name, value)?;
                    }
                    url.query_pairs_mut().append_pair(name, value);
                }
                other => {
                    return Err(invalid(format!(
                        "unknown parameter {other:?} in the PostgreSQL URL; known are schema, max_connections, \
                         acquire_timeout_ms, {}",
                        OF_THE_DRIVER.join(", ")
                    )));
                }
            }
        }
        // Its errors may show parts of the URL.
        let mut connect: PgConnectOptions =
            url.as_str().parse().map_err(|_| invalid("the PostgreSQL URL makes no sense to the driver"))?;
        if connect.get_application_name().is_none() {
            connect = connect.application_name(APPLICATION_NAME);
        }
        connect = connect.disable_statement_logging().options([
            ("search_path", schema.as_str()),
            ("lock_timeout", "10s"),
            // What holds the lock and does nothing makes all others wait.
            ("idle_in_transaction_session_timeout", "30s"),
            ("standard_conforming_strings", "on"),
        ]);
        Ok(Self { connect, schema, max_connections, acquire_timeout })
    }

    pub(super) fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.acquire_timeout)
            .connect_lazy_with(self.connect.clone())
    }

    /// The server and the database as messages show them.
    pub(super) fn place(&self) -> String {
        let database = self.connect.get_database().unwrap_or_default();
        match self.connect.get_socket() {
            Some(socket) => format!("the database {database:?} at {}", socket.display()),
            None => {
                let (host, port) = (self.connect.get_host(), self.connect.get_port());
                format!("the database {database:?} at {host}:{port}")
            }
        }
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::invalid("read index URL", what)
}

fn number(name: &str, value: &str, least: u32) -> Result<u32> {
    let number = value.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| invalid(format!("{name} is a number, at least {least}, not {value:?}")))
}

/// The driver's word for a file that is not there would be that the server is not there.
fn readable(parameter: &str, path: &str) -> Result<()> {
    std::fs::File::open(path).map(drop).map_err(|e| {
        invalid(format!("the file {path:?} that {parameter} names cannot be read")).with_source(e)
    })
}

fn checked_schema(name: &str) -> Result<String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !begins || name.starts_with("pg_") || name.len() > MAX_SCHEMA_BYTES || !name.bytes().all(fits) {
        return Err(invalid(format!(
            "a schema's name is 1 to {MAX_SCHEMA_BYTES} of ASCII lower-case letters, digits and '_', and begins neither \
             with a digit nor with pg_; not {:?}",
            name.chars().take(MAX_SCHEMA_BYTES).collect::<String>()
        )));
    }
    Ok(name.to_owned())
}

/// The URL, without looking at its parameters. Messages show nothing of it: there may be a password anywhere in a URL that
/// makes no sense.
fn parse(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).map_err(|e| {
        invalid("the PostgreSQL URL makes no sense; it looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE, with \
                 special characters in the password as %XX")
        .with_source(e)
    })?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(invalid("not a PostgreSQL URL; it begins with postgres:// or postgresql://"));
    }
    if parsed.path().trim_start_matches('/').is_empty() {
        return Err(invalid("the PostgreSQL URL names no database; for example postgres://localhost/events"));
    }
    if parsed.fragment().is_some() {
        return Err(invalid("a # in the PostgreSQL URL is written as %23"));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Config::from_url(url).err().unwrap().to_string()
    }

    #[test]
    fn parameters_take_effect_or_are_refused() {
        let url = "postgresql://u%40:p%2Fw@h:5433/d%20b?schema=s_2&max_connections=3&acquire_timeout_ms=4";
        let config = Config::from_url(url).unwrap();
        assert_eq!((config.connect.get_username(), config.connect.get_database()), ("u@", Some("d b")));
        assert_eq!((&*config.schema, config.max_connections), ("s_2", 3));
        assert_eq!(config.acquire_timeout.as_millis(), 4);
        assert_eq!(Config::from_url("postgres://h/d").unwrap().schema, "synckit_audit");
        for (parameter, said) in [
            ("tenant=a", "unknown parameter \"tenant\""),
            ("schema=A", "a schema's name"),
            ("schema=pg_x", "a schema's name"),
            ("max_connections=0", "max_connections is a number, at least 1"),
            ("sslmode=on", "sslmode is one of disable, allow"),
            ("schema=a&schema=b", "given twice"),
            ("sslrootcert=/not/there", "cannot be read"),
        ] {
            let error = refused(&format!("postgres://h/d?{parameter}"));
            assert!(error.contains(said), "{parameter}: {error}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        for url in [
            "postgres://user:hunter2@h:x/d",
            "postgres://user:hunter2@/d#",
            "postgres://user:hunter2@h",
            "mysql://user:hunter2@h/d",
            "postgres://user:hunter2@h/d?x=1",
            "hunter2",
        ] {
            assert!(!refused(url).contains("hunter2"), "{url}");
        }
        let place = Config::from_url("postgres://user:hunter2@h/d").unwrap().place();
        assert_eq!(place, "the database \"d\" at h:5432");
    }
}
