//! Where the store is, and how it is opened.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use synckit_core::{Error, Result, store::StoreSettings};

const MIB: u64 = 1024 * 1024;
const DEFAULT_CACHE_MIB: u64 = 20;
const LARGEST_CACHE_MIB: u64 = 1024 * 1024;
/// What would not be read back as part of a path.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// What "durable" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Every write survives a power cut: it is synced to the disk before it is acknowledged.
    #[default]
    Full,
    /// Every write survives a crash of the process; a power cut may lose the last ones.
    Normal,
}

/// Sets a [`FjallStore`](crate::FjallStore) up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FjallConfig {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: u64,
    pub(crate) taken_for_the_original: bool,
    pub(crate) settings: StoreSettings,
}

impl FjallConfig {
    /// A store in this folder, which belongs to the store alone.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            cache_bytes: DEFAULT_CACHE_MIB * MIB,
            taken_for_the_original: false,
            settings: StoreSettings::default(),
        }
    }

    /// The store that a URL names: `fjall:PATH`, with parameters after a question mark.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for another scheme, an empty path, or a parameter that is
    /// unknown or has a wrong value.
    pub fn from_url(url: &str) -> Result<Self> {
        let invalid = |what: String| Error::invalid("read store URL", what);
        let rest = url
            .strip_prefix("fjall:")
            .ok_or_else(|| invalid(format!("not a fjall URL: {url:?}; it begins with fjall:")))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode(path)?;
        if path.as_os_str().is_empty() {
            return Err(invalid("the fjall URL names no folder; for example fjall:events".into()));
        }
        let mut config = Self::at(path);
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            config = match (name, value) {
                ("durability", "full") => config.durability(Durability::Full),
                ("durability", "normal") => config.durability(Durability::Normal),
                ("durability", other) => {
                    return Err(invalid(format!("durability is full or normal, not {other:?}")));
                }
                ("cache_mib", text) => {
                    let wrong =
                        || format!("cache_mib is a number from 1 to {LARGEST_CACHE_MIB}, not {text:?}");
                    let mib: u64 = text.parse().map_err(|e| invalid(wrong()).with_source(e))?;
                    if !(1..=LARGEST_CACHE_MIB).contains(&mib) {
                        return Err(invalid(wrong()));
                    }
                    config.cache_bytes(mib * MIB)
                }
                (other, _) => {
                    return Err(invalid(format!(
                        "unknown parameter {other:?} in the fjall URL; known are durability and cache_mib"
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

    /// Bytes of blocks read that are kept in memory; 32 MiB by default, at least 1 MiB.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = if bytes < MIB { MIB } else { bytes };
        self
    }

    /// Opens a copy as if it were the original, which is what a copy looks like when a whole disk was copied. For tests of
    /// what happens then: two copies that go on as one node are a fork.
    #[must_use]
    pub const fn taken_for_the_original(mut self) -> Self {
        self.taken_for_the_original = true;
        self
    }

    synckit_core::store_settings_methods!();

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The URL of the folder, without parameters.
    pub(crate) fn url(&self) -> String {
        format!("fjall:{}", utf8_percent_encode(&self.path.to_string_lossy(), ESCAPED))
    }
}

/// `fjall:a`, `fjall:/abs/a`, `fjall://a`, `fjall:///abs/a` and `fjall:///C:/a` all name folders.
fn decode(path: &str) -> Result<PathBuf> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let decoded = percent_decode_str(path).decode_utf8().map_err(|e| {
        Error::invalid("read store URL", "the path in the fjall URL is not UTF-8").with_source(e)
    })?;
    let windows_drive =
        |p: &str| matches!(p.as_bytes(), [letter, b':', _, ..] if letter.is_ascii_alphabetic());
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
        FjallConfig::from_url(url).unwrap().path.to_str().unwrap().to_owned()
    }

    #[test]
    fn urls_name_folders() {
        assert_eq!(path("fjall:a"), "a");
        assert_eq!(path("fjall:/x/a"), "/x/a");
        assert_eq!(path("fjall://a"), "a");
        assert_eq!(path("fjall:///x/a%20b%3F"), "/x/a b?");
        assert_eq!(path("fjall:///C:/x/a"), "C:/x/a");
        assert_eq!(path("fjall:C:/x/a"), "C:/x/a");
    }

    #[test]
    fn a_url_that_is_shown_names_the_same_folder() {
        for name in ["a", "/x/a b?", "a%20b", "ä#", "C:/x"] {
            assert_eq!(path(&FjallConfig::at(name).url()), name);
        }
    }

    #[test]
    fn parameters_take_effect_or_are_refused() {
        let config = FjallConfig::from_url("fjall:a?durability=normal&cache_mib=7").unwrap();
        assert_eq!(config.durability, Durability::Normal);
        assert_eq!(config.cache_bytes, 7 * MIB);
        for bad in [
            "fjall:",
            "fjall://",
            "fjall:a?x=1",
            "fjall:a?durability=no",
            "fjall:a?cache_mib=x",
            "fjall:a?cache_mib=0",
            "fjall:a?cache_mib=99999999999",
            "mem:",
        ] {
            assert!(FjallConfig::from_url(bad).is_err(), "{bad}");
        }
    }
}
