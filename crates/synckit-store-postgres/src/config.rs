//! Where the database is, and how it is used.

use std::{fmt, time::Duration};

use sqlx::postgres::PgConnectOptions;
use synckit_core::{Error, Result, store::StoreSettings};
use url::Url;

const DEFAULT_TENANT: &str = "default";
const DEFAULT_SCHEMA: &str = "synckit";
const APPLICATION_NAME: &str = "synckit";
/// PostgreSQL cuts longer identifiers off.
const MAX_SCHEMA_BYTES: usize = 63;
const MAX_TENANT_BYTES: usize = 100;
/// One writes, and at least one reads.
const LEAST_CONNECTIONS: u32 = 2;

/// Parameters of the URL that are passed on to the driver.
const OF_THE_DRIVER: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "host"];
const OF_FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Sets a [`PostgresStore`](crate::PostgresStore) up.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresConfig {
    pub(crate) connect: PgConnectOptions,
    /// What the URL names of certificates and keys.
    files: Vec<(String, String)>,
    pub(crate) tenant: String,
    pub(crate) schema: String,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) settings: StoreSettings,
}

impl PostgresConfig {
    /// The database that a URL names: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with parameters after a question mark.
    ///
    /// What the URL leaves out is taken from the variables and the password file of PostgreSQL's own programs: `PGUSER`,
    /// `PGPASSWORD`, `PGSSLMODE`, `~/.pgpass` and so on. The crate's page lists the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for another scheme, a URL without a database, or a parameter
    /// that is unknown, given twice or has a wrong value.
    pub fn from_url(url: &str) -> Result<Self> {
        let mut url = parse(url)?;
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of_driver = |name: &str| OF_THE_DRIVER.contains(&name);
        url.set_query(None);
        for (name, value) in parameters.iter().filter(|(name, _)| of_driver(name)) {
            if name == "sslmode" && !SSL_MODES.contains(&value.as_str()) {
                return Err(invalid(format!("sslmode is one of {}, not {value:?}", SSL_MODES.join(", "))));
            }
            url.query_pairs_mut().append_pair(name, value);
        }
        // Its errors may show parts of the URL.
        let mut connect: PgConnectOptions =
            url.as_str().parse().map_err(|_| invalid("the PostgreSQL URL makes no sense to the driver"))?;
        if connect.get_application_name().is_none() {
            connect = connect.application_name(APPLICATION_NAME);
        }
        let mut config = Self::new(connect);
        for (i, (name, value)) in parameters.iter().enumerate() {
            if parameters[..i].iter().any(|(before, _)| before == name) {
                return Err(invalid(format!("the parameter {name:?} is given twice")));
            }
            config = match name.as_str() {
                "tenant" => config.tenant(value.as_str())?,
                "schema" => config.schema(value.as_str())?,
                "max_connections" => config.max_connections(number(name, value)?)?,
                "acquire_timeout_ms" => config.acquire_timeout(Duration::from_millis(number(name, value)?)),
                "lock_timeout_ms" => config.lock_timeout(Duration::from_millis(number(name, value)?)),
                file if OF_FILES.contains(&file) => {
                    config.files.push((name.clone(), value.clone()));
                    config
                }
                other if of_driver(other) => config,
                other => {
                    return Err(invalid(format!(
                        "unknown parameter {other:?} in the PostgreSQL URL; known are tenant, schema, max_connections, \
                         acquire_timeout_ms, lock_timeout_ms, {}",
                        OF_THE_DRIVER.join(", ")
                    )));
                }
            };
        }
        Ok(config)
    }

    fn new(connect: PgConnectOptions) -> Self {
        Self {
            connect,
            files: Vec::new(),
            tenant: DEFAULT_TENANT.into(),
            schema: DEFAULT_SCHEMA.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            settings: StoreSettings::default(),
        }
    }

    /// Whose log it is; `default` by default. The tenants of a database have a log each, and see nothing of each other.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) unless it is 1 to 100 of ASCII letters, digits, `-`, `_` and
    /// `.`.
    pub fn tenant(mut self, name: impl Into<String>) -> Result<Self> {
        self.tenant = name.into();
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !(1..=MAX_TENANT_BYTES).contains(&self.tenant.len()) || !self.tenant.bytes().all(fits) {
            return Err(invalid(format!(
                "a tenant's name is 1 to {MAX_TENANT_BYTES} of ASCII letters, digits, '-', '_' and '.', not {:?}",
                self.tenant.chars().take(MAX_TENANT_BYTES).collect::<String>()
            )));
        }
        Ok(self)
    }

    /// The PostgreSQL schema that the tables are in; `synckit` by default.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) unless it is 1 to 63 of ASCII lower-case letters, digits and
    /// `_`, and does not begin with a digit or `pg_`.
    pub fn schema(mut self, name: impl Into<String>) -> Result<Self> {
        self.schema = name.into();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let begins = self.schema.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        let reserved = self.schema.starts_with("pg_");
        if !begins || reserved || self.schema.len() > MAX_SCHEMA_BYTES || !self.schema.bytes().all(fits) {
            return Err(invalid(format!(
                "a schema's name is 1 to {MAX_SCHEMA_BYTES} of ASCII lower-case letters, digits and '_', and begins \
                 neither with a digit nor with pg_; not {:?}",
                self.schema.chars().take(MAX_SCHEMA_BYTES).collect::<String>()
            )));
        }
        Ok(self)
    }

    /// At most this many connections for writing and reading together; 8 by default. One of them writes. Waiting for other
    /// processes' writes takes one more, and so does a turn to sync.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) below 2.
    pub fn max_connections(mut self, connections: u32) -> Result<Self> {
        if connections < LEAST_CONNECTIONS {
            return Err(invalid(format!(
                "max_connections is {LEAST_CONNECTIONS} or more, not {connections}"
            )));
        }
        self.max_connections = connections;
        Ok(self)
    }

    /// How long a call waits for a connection, be it a new one; 10 seconds by default.
    #[must_use]
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a write waits for a write of another process; 10 seconds by default, and no end for zero.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    synckit_core::store_settings_methods!();

    /// What is wrong with a file that the URL names. The driver's word for it would be that the server is not there.
    pub(crate) fn unreadable(&self) -> Option<Error> {
        self.files.iter().find_map(|(parameter, path)| {
            let error = std::fs::File::open(path).err()?;
            let what = format!("the file {path:?} that {parameter} names cannot be read");
            Some(Error::invalid("open store", what).with_source(error))
        })
    }

    /// The server and the database as messages show them.
    pub(crate) fn place(&self) -> String {
        let database = self.connect.get_database().unwrap_or_default();
        match self.connect.get_socket() {
            Some(socket) => format!("the database {database:?} at {}", socket.display()),
            None => {
                format!(
                    "the database {database:?} at {}:{}",
                    self.connect.get_host(),
                    self.connect.get_port()
                )
            }
        }
    }
}

impl fmt::Debug for PostgresConfig {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("place", &self.place())
            .field("tenant", &self.tenant)
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::invalid("read store URL", what)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| invalid(format!("{name} is a number, not {value:?}")))
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
        PostgresConfig::from_url(url).unwrap_err().to_string()
    }

    #[test]
    fn parameters_take_effect() {
        let url = "postgresql://u%40:p%2Fw@h:5433/d%20b?tenant=acme-1&schema=s_2&max_connections=3&acquire_timeout_ms=4\
                   &lock_timeout_ms=5&sslmode=verify-full&application_name=me";
        let config = PostgresConfig::from_url(url).unwrap();
        assert_eq!((config.connect.get_host(), config.connect.get_port()), ("h", 5433));
        assert_eq!((config.connect.get_username(), config.connect.get_database()), ("u@", Some("d b")));
        assert_eq!(config.connect.get_application_name(), Some("me"));
        assert!(matches!(config.connect.get_ssl_mode(), sqlx::postgres::PgSslMode::VerifyFull));
        assert_eq!((&*config.tenant, &*config.schema, config.max_connections), ("acme-1", "s_2", 3));
        let timeouts = (config.acquire_timeout.as_millis(), config.lock_timeout.as_millis());
        assert_eq!(timeouts, (4, 5));
        let plain = PostgresConfig::from_url("postgres://h/d").unwrap();
        assert_eq!((&*plain.tenant, &*plain.schema), ("default", "synckit"));
        assert_eq!(plain.connect.get_application_name(), Some("synckit"));
        let socket = PostgresConfig::from_url("postgres:///d?host=/run/postgresql").unwrap();
        assert_eq!(socket.connect.get_socket().unwrap(), std::path::Path::new("/run/postgresql"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (parameter, said) in [
            ("x=1", "unknown parameter \"x\""),
            ("ssl-mode=require", "unknown parameter"),
            ("options=-c%20a%3Db", "unknown parameter"),
            ("tenant=", "a tenant's name"),
            ("tenant=a%20b", "a tenant's name"),
            ("schema=A", "a schema's name"),
            ("schema=pg_x", "a schema's name"),
            ("max_connections=1", "max_connections is 2 or more"),
            ("max_connections=x", "max_connections is a number"),
            ("sslmode=on", "sslmode is one of disable, allow"),
            ("tenant=a&tenant=b", "given twice"),
        ] {
            let error = refused(&format!("postgres://h/d?{parameter}"));
            assert!(error.contains(said), "{parameter}: {error}");
        }
        assert!(refused("postgres://h/d?x=1").contains("known are tenant, schema, max_connections"));
        assert!(refused("postgres://h").contains("names no database"));
        assert!(refused("mysql://h/d").contains("begins with postgres://"));
    }

    #[test]
    fn credentials_are_not_shown() {
        let secret = "hunter2";
        for url in [
            "postgres://user:hunter2@h:x/d",
            "postgres://user:hunter2@/d#",
            "postgres://user:hunter2@h",
            "mysql://user:hunter2@h/d",
            "postgres://user:hunter2@h/d?x=1",
            "hunter2",
        ] {
            assert!(!refused(url).contains(secret), "{url}");
        }
        let config = PostgresConfig::from_url("postgres://user:hunter2@h/d").unwrap();
        let shown = format!("{config:?} {}", config.place());
        assert!(!shown.contains(secret) && !shown.contains("user"), "{shown}");
    }
}
