//! Where the database is, and how it is opened.

use std::{path::PathBuf, time::Duration};

use synckit_core::{Error, Result, store::StoreSettings};

/// What "durable" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Every write survives a power cut (`synchronous=FULL`).
    #[default]
    Full,
    /// Every write survives a crash of the process; a power cut may lose the last ones (`synchronous=NORMAL`).
    Normal,
}

/// Sets a [`SqliteStore`](crate::SqliteStore) up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteConfig {
    pub(crate) path: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) settings: StoreSettings,
}

impl SqliteConfig {
    /// A database in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            path: None,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            max_bytes: None,
            settings: StoreSettings::default(),
        }
    }

    /// A database in this file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..Self::in_memory() }
    }

    /// The database that a URL names: `sqlite:PATH` or `sqlite::memory:`, with parameters after a question mark.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for another scheme, an empty path, or a parameter that is
    /// unknown or has a wrong value.
    pub fn from_url(url: &str) -> Result<Self> {
        let invalid = |what: String| Error::invalid("read store URL", what);
        let rest = url
            .strip_prefix("sqlite:")
            .ok_or_else(|| invalid(format!("not a SQLite URL: {url:?}; it begins with sqlite:")))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut config = if path == ":memory:" { Self::in_memory() } else { Self::at(decode(path)?) };
        if path.is_empty() {
            return Err(invalid("the SQLite URL names no file; for example sqlite:events.db".into()));
        }
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            config = match (name, value) {
                ("durability", "full") => config.durability(Durability::Full),
                ("durability", "normal") => config.durability(Durability::Normal),
                ("durability", other) => {
                    return Err(invalid(format!("durability is full or normal, not {other:?}")));
                }
                ("busy_timeout_ms", ms) => {
                    let ms = ms.parse().map_err(|e| {
                        invalid(format!("busy_timeout_ms is a number, not {ms:?}")).with_source(e)
                    })?;
                    config.busy_timeout(Duration::from_millis(ms))
                }
                ("max_bytes", bytes) => {
                    let bytes = bytes.parse().map_err(|e| {
                        invalid(format!("max_bytes is a number of bytes, not {bytes:?}")).with_source(e)
                    })?;
                    config.max_bytes(bytes)
                }
                (other, _) => {
                    return Err(invalid(format!(
                        "unknown parameter {other:?} in the SQLite URL; known are durability, busy_timeout_ms and max_bytes"
                    )));
                }
            };
        }
        Ok(config)
    }

    /// What "durable" means; [`Durability::Full`] by default.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a write waits for another process; 5 seconds by default.
    #[must_use]
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How large the database may get, in bytes, rounded down to whole pages of 4 KiB; as large as SQLite can unless given. A
    /// write that does not fit fails as a whole, as on a full disk; a database that is larger already can be read, and grows
    /// no more.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    synckit_core::store_settings_methods!();

    /// The file, unless the database is in memory.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }
}

/// `sqlite:a.db`, `sqlite:/abs/a.db`, `sqlite://a.db`, `sqlite:///abs/a.db` and `sqlite:///C:/a.db` all name files.
fn decode(path: &str) -> Result<PathBuf> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().map_err(|e| {
        Error::invalid("read store URL", "the path in the SQLite URL is not UTF-8").with_source(e)
    })?;
    let windows_drive =
        |p: &str| p.len() > 2 && p.as_bytes()[0].is_ascii_alphabetic() && p.as_bytes()[1] == b':';
    let path = match decoded.strip_prefix('/') {
        Some(rest) if windows_drive(rest) => rest,
        _ => &decoded,
    };
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> String {
        SqliteConfig::from_url(url).unwrap().path.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn urls_name_files() {
        assert_eq!(path("sqlite:a.db"), "a.db");
        assert_eq!(path("sqlite:/x/a.db"), "/x/a.db");
        assert_eq!(path("sqlite://a.db"), "a.db");
        assert_eq!(path("sqlite:///x/a%20b%3F.db"), "/x/a b?.db");
        assert_eq!(path("sqlite:///C:/x/a.db"), "C:/x/a.db");
        assert_eq!(path("sqlite:C:/x/a.db"), "C:/x/a.db");
        assert!(SqliteConfig::from_url("sqlite::memory:").unwrap().path.is_none());
    }

    #[test]
    fn parameters_take_effect_or_are_refused() {
        let url = "sqlite:a?durability=normal&busy_timeout_ms=7&max_bytes=8192";
        let config = SqliteConfig::from_url(url).unwrap();
        assert_eq!(config.max_bytes, Some(8192));
        assert_eq!(config.durability, Durability::Normal);
        assert_eq!(config.busy_timeout, Duration::from_millis(7));
        for bad in ["sqlite:", "sqlite:a?x=1", "sqlite:a?durability=no", "sqlite:a?busy_timeout_ms=x", "mem:"]
        {
            assert!(SqliteConfig::from_url(bad).is_err(), "{bad}");
        }
    }
}
