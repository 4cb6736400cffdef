//! Which database an index is in.

use std::fmt;

use sqlx::postgres::PgConnectOptions;
use synckit_core::{Error, Result};
use url::Url;

const DEFAULT_SCHEMA: &str = "synckit_audit";
/// PostgreSQL cuts longer identifiers off.
const MAX_SCHEMA_BYTES: usize = 63;
/// Parameters of the URL that are passed on to the driver.
const OF_THE_DRIVER: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "host"];

pub(super) struct Config {
    pub(super) connect: PgConnectOptions,
    pub(super) schema: String,
}

impl Config {
    /// Messages show nothing of a URL that makes no sense: there may be a password anywhere in it.
    pub(super) fn from_url(url: &str) -> Result<Self> {
        let mut url = Url::parse(url).map_err(|e| {
            let what = "the PostgreSQL URL makes no sense; it looks like postgres://USER:PASSWORD@HOST:PORT/DATABASE";
            invalid(what).with_source(e)
        })?;
        if url.path().trim_start_matches('/').is_empty() {
            return Err(invalid(
                "the PostgreSQL URL names no database; for example postgres://localhost/audit",
            ));
        }
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        let mut schema = None;
        for (name, value) in parameters {
            match name.as_str() {
                "schema" if schema.is_some() => return Err(invalid("the parameter schema is given twice")),
                "schema" => schema = Some(value),
                known if OF_THE_DRIVER.contains(&known) => {
                    url.query_pairs_mut().append_pair(&name, &value);
                }
                other => {
                    let known = OF_THE_DRIVER.join(", ");
                    return Err(invalid(format!("unknown parameter {other:?}; known are schema, {known}")));
                }
            }
        }
        let schema = schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        check(&schema)?;
        // Its errors may show parts of the URL.
        let connect: PgConnectOptions =
            url.as_str().parse().map_err(|_| invalid("the PostgreSQL URL makes no sense to the driver"))?;
        let named = connect.get_application_name().is_some();
        let connect = if named { connect } else { connect.application_name("synckit-audit") };
        Ok(Self { connect, schema })
    }
}

impl fmt::Debug for Config {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.connect.get_host())
            .field("database", &self.connect.get_database())
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

fn check(schema: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = schema.bytes().next().is_some_and(|b| !b.is_ascii_digit()) && !schema.starts_with("pg_");
    if begins && schema.len() <= MAX_SCHEMA_BYTES && schema.bytes().all(fits) {
        return Ok(());
    }
    Err(invalid(format!(
        "a schema's name is 1 to {MAX_SCHEMA_BYTES} of ASCII lower-case letters, digits and '_', and begins neither with a \
         digit nor with pg_; not {schema:?}"
    )))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::invalid("read index URL", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_take_effect_and_others_are_refused() {
        let config = Config::from_url("postgres://u:p@h:5433/d?schema=s_2&sslmode=disable").unwrap();
        assert_eq!((config.schema.as_str(), config.connect.get_host()), ("s_2", "h"));
        assert_eq!(Config::from_url("postgres://h/d").unwrap().schema, "synckit_audit");
        for (url, said) in [
            ("postgres://h", "names no database"),
            ("postgres://h/d?schema=A", "a schema's name"),
            ("postgres://h/d?schema=pg_x", "a schema's name"),
            ("postgres://h/d?schema=a&schema=b", "given twice"),
            ("postgres://h/d?tenant=x", "unknown parameter \"tenant\""),
        ] {
            let error = Config::from_url(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        for url in
            ["postgres://user:hunter2@h:x/d", "postgres://user:hunter2@h", "postgres://user:hunter2@h/d?x=1"]
        {
            assert!(!Config::from_url(url).unwrap_err().to_string().contains("hunter2"), "{url}");
        }
        let shown = format!("{:?}", Config::from_url("postgres://user:hunter2@h/d").unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
    }
}
