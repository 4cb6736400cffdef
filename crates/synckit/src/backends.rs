//! Backends by URL, so that a deployment swaps them without recompiling.

use std::sync::Arc;

use synckit_core::{
    CursorMode, Environment, Error, EventStore, Result, Transport,
    store::{Identity, StoreSettings},
};
use synckit_node::{Config, SyncNode};

/// Opens stores and transports by their URLs. Which schemes it knows depends on the crate's features.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Backends {
    /// Where time and randomness come from.
    pub environment: Environment,
    /// The network of `mem:` transports.
    #[cfg(feature = "transport-mem")]
    pub network: synckit_transport_mem::MemNetwork,
}

/// What a new store is to be.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// The node's name for people.
    pub label: String,
    /// The node's mode.
    pub mode: CursorMode,
}

impl CreateOptions {
    /// Options for a node with this name.
    #[must_use]
    pub fn labelled(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// The node's mode.
    #[must_use]
    pub const fn mode(mut self, mode: CursorMode) -> Self {
        self.mode = mode;
        self
    }
}

impl Backends {
    /// The backends of the features that are on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The schemes of the stores that are known.
    #[must_use]
    pub fn store_schemes() -> Vec<&'static str> {
        let mut schemes = Vec::new();
        if cfg!(feature = "store-mem") {
            schemes.push("mem:");
        }
        if cfg!(feature = "store-sqlite") {
            schemes.push("sqlite:");
        }
        if cfg!(feature = "store-postgres") {
            schemes.push("postgres://");
            schemes.push("postgresql://");
        }
        schemes
    }

    /// The schemes of the transports that are known.
    #[must_use]
    pub fn transport_schemes() -> Vec<&'static str> {
        let mut schemes = Vec::new();
        if cfg!(feature = "transport-mem") {
            schemes.push("mem:");
        }
        if cfg!(feature = "transport-http") {
            schemes.push("http://");
        }
        if cfg!(all(feature = "transport-http", feature = "tls")) {
            schemes.push("https://");
        }
        schemes
    }

    /// Opens the store that a URL names. It must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a URL that makes no sense, with the known schemes if its
    /// own is not one; [`ErrorKind::NotFound`](synckit_core::ErrorKind::NotFound) if there is no store; any error of the
    /// backend.
    pub async fn open_store(&self, url: &str) -> Result<Arc<dyn EventStore>> {
        self.store(url, How::Open).await
    }

    /// Opens the store that a URL names, and makes it first if there is none.
    ///
    /// # Errors
    /// As [`open_store`](Self::open_store), and any error of making one.
    pub async fn create_store(&self, url: &str, options: &CreateOptions) -> Result<Arc<dyn EventStore>> {
        self.store(url, How::Create(options)).await
    }

    /// Makes a store that is to be filled from the one with this identity, or opens one whose filling was interrupted; see
    /// [`maintenance::copy`](crate::maintenance::copy).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a URL that makes no sense, or if there is a store already;
    /// any error of making one.
    #[cfg(feature = "maintenance")]
    pub async fn receive_store(&self, url: &str, identity: &Identity) -> Result<Arc<dyn EventStore>> {
        self.store(url, How::Receive(identity)).await
    }

    /// Whether a URL names a store that stays when the process ends. Nothing is opened.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a URL that makes no sense, with the known schemes if its
    /// own is not one.
    pub fn is_lasting(url: &str) -> Result<bool> {
        #[cfg(feature = "store-sqlite")]
        if url.starts_with("sqlite:") {
            return Ok(synckit_store_sqlite::SqliteConfig::from_url(url)?.path().is_some());
        }
        #[cfg(feature = "store-postgres")]
        if is_postgres(url) {
            return synckit_store_postgres::PostgresConfig::from_url(url).map(|_| true);
        }
        #[cfg(feature = "store-mem")]
        if url.starts_with("mem:") {
            return synckit_store_mem::MemStoreBuilder::from_url(url).map(|_| false);
        }
        Err(unknown("store", url, &Self::store_schemes()))
    }

    async fn store(&self, url: &str, how: How<'_>) -> Result<Arc<dyn EventStore>> {
        let settings = how.settings(&self.environment);
        #[cfg(feature = "store-sqlite")]
        if url.starts_with("sqlite:") {
            use synckit_store_sqlite::{SqliteConfig, SqliteStore};
            let config = SqliteConfig::from_url(url)?.settings(settings);
            let in_memory = config.path().is_none();
            let store = match how {
                How::Receive(identity) => SqliteStore::receive(config, identity).await?,
                How::Open if !in_memory => SqliteStore::open(config).await?,
                How::Open | How::Create(_) => SqliteStore::create(config).await?,
            };
            return Ok(Arc::new(store));
        }
        #[cfg(feature = "store-postgres")]
        if is_postgres(url) {
            use synckit_store_postgres::{PostgresConfig, PostgresStore};
            let config = PostgresConfig::from_url(url)?.settings(settings);
            return Ok(Arc::new(match how {
                How::Receive(identity) => PostgresStore::receive(config, identity).await?,
                How::Open => PostgresStore::open(config).await?,
                How::Create(_) => PostgresStore::create(config).await?,
            }));
        }
        #[cfg(feature = "store-mem")]
        if url.starts_with("mem:") {
            let builder = synckit_store_mem::MemStoreBuilder::from_url(url)?.settings(settings);
            return Ok(Arc::new(match how {
                How::Receive(identity) => builder.receive(identity),
                How::Open | How::Create(_) => builder.build(),
            }));
        }
        let _ = settings;
        Err(unknown("store", url, &Self::store_schemes()))
    }

    /// The way to the peer that a URL names. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a URL that makes no sense, with the known schemes if its
    /// own is not one.
    pub fn connect(&self, url: &str) -> Result<Arc<dyn Transport>> {
        #[cfg(feature = "transport-http")]
        if url.starts_with("http://") || url.starts_with("https://") {
            return Ok(Arc::new(synckit_transport_http::HttpTransport::builder(url).build()?));
        }
        #[cfg(feature = "transport-mem")]
        if let Some(name) = url.strip_prefix("mem:") {
            return Ok(Arc::new(self.network.connect(name)?));
        }
        Err(unknown("transport", url, &Self::transport_schemes()))
    }

    /// The node that a config describes. Its store must exist.
    ///
    /// # Errors
    /// As [`open_store`](Self::open_store), [`connect`](Self::connect), and building a node.
    pub async fn open(&self, config: Config) -> Result<SyncNode> {
        config.check()?;
        let transport = config.transport.as_deref().map(|url| self.connect(url)).transpose()?;
        let store = self.open_store(&config.store).await?;
        let mut builder = SyncNode::builder(store).environment(self.environment.clone()).config(config);
        if let Some(transport) = transport {
            builder = builder.transport(transport);
        }
        builder.build()
    }
}

/// How a store is to be opened.
#[derive(Clone, Copy)]
enum How<'a> {
    Open,
    Create(&'a CreateOptions),
    #[cfg_attr(not(feature = "maintenance"), expect(dead_code, reason = "only copies are received"))]
    Receive(&'a Identity),
}

impl How<'_> {
    fn settings(self, environment: &Environment) -> StoreSettings {
        let mut settings = StoreSettings::default();
        settings.environment = environment.clone();
        if let Self::Create(options) = self {
            settings.label.clone_from(&options.label);
            settings.mode = options.mode;
        }
        settings
    }
}

#[cfg(feature = "store-postgres")]
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

fn unknown(what: &str, url: &str, known: &[&str]) -> Error {
    Error::invalid(
        "read URL",
        format!("{:?} is not the URL of a {what}; known schemes are {}", masked(url), known.join(", ")),
    )
}

/// A URL as it may be shown: without user names, passwords and tokens.
#[must_use]
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority =
        authority.rsplit_once('@').map_or_else(|| authority.to_owned(), |(_, host)| format!("***@{host}"));
    let path = path.split_once('?').map_or_else(|| path.to_owned(), |(path, _)| format!("{path}?***"));
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn credentials_are_masked() {
        assert_eq!(masked("https://u:p@h:1/sync?token=t"), "https://***@h:1/sync?***");
        assert_eq!(masked("http://h/sync"), "http://h/sync");
        assert_eq!(masked("http://u:p%40@h"), "http://***@h");
        assert_eq!(masked("sqlite:a@b.db"), "sqlite:a@b.db");
        assert_eq!(masked("postgres://u:p@h:5432/db?tenant=t"), "postgres://***@h:5432/db?***");
        assert_eq!(masked("postgresql://u:p@/db?host=/run"), "postgresql://***@/db?***");
    }
}
