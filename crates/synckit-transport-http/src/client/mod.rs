//! The client: a peer behind HTTP.

mod builder;
mod exchange;
mod peer;
mod stock;
#[cfg(feature = "tls")]
mod tls;

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use synckit_core::{
    Error, ErrorKind, LogId, Result, Transport,
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};
use synckit_wire::{PeerAnswer, greeting_query, read_peer};
use tokio::sync::{RwLock, RwLockReadGuard};

pub use self::builder::HttpTransportBuilder;
use self::exchange::Exchange;

/// The way to a peer over HTTP: a hub of this kit, or a stock go-sync-kit hub.
///
/// A stock hub is recognised when it is greeted. It keeps no stamps, its log has an identity that is derived from its
/// URL, its marks have no hashes, and of filters and events only as much works as it can do: it gives whole events from
/// a position on, and takes JSON events without saying what became of each.
///
/// All methods can be dropped at any point; a request may have reached the peer then.
pub struct HttpTransport {
    exchange: Exchange,
    address: String,
    /// The identity of a stock hub's log.
    stock_log: LogId,
    max_request_bytes: usize,
    kind: AtomicU8,
    /// What is likely to be pushed next.
    ready: Mutex<Option<peer::Ready>>,
    /// Whether the peer takes in pushes before they are made; it does until it shows that it does not.
    stages: AtomicBool,
    /// Whether the transport was closed. Every call holds it shared, so that closing waits for them.
    closed: RwLock<bool>,
}

const UNKNOWN: u8 = 0;
const KIT: u8 = 1;
const STOCK: u8 = 2;

impl HttpTransport {
    /// The way to the hub at `url`, such as `https://hub.example/sync`, with the defaults.
    ///
    /// # Errors
    /// As [`HttpTransportBuilder::build`].
    pub fn new(url: &str) -> Result<Self> {
        Self::builder(url).build()
    }

    /// The way to the hub at `url`, with other settings.
    pub fn builder(url: &str) -> HttpTransportBuilder {
        HttpTransportBuilder::new(url)
    }

    async fn open(&self, operation: &'static str) -> Result<RwLockReadGuard<'_, bool>> {
        let guard = self.closed.read().await;
        if *guard {
            return Err(Error::new(ErrorKind::Closed, operation, "the transport was closed"));
        }
        Ok(guard)
    }

    async fn meet(&self, greeting: Greeting) -> Result<PeerState> {
        let query = greeting_query(&greeting)?;
        let body = self.exchange.get("greet", "latest-version", &query).await?;
        match read_peer(&body)? {
            PeerAnswer::Kit(state) => {
                self.kind.store(KIT, Ordering::Relaxed);
                Ok(state)
            }
            PeerAnswer::Stock(position) => {
                self.kind.store(STOCK, Ordering::Relaxed);
                Ok(stock::state(self.stock_log, position, &greeting))
            }
            _ => Err(Error::new(
                ErrorKind::Protocol,
                "greet",
                "the peer is of a kind that this version does not know",
            )),
        }
    }

    /// Whether the peer is a stock hub. Asks it, if it was never greeted.
    async fn is_stock(&self) -> Result<bool> {
        if self.kind.load(Ordering::Relaxed) == UNKNOWN {
            self.meet(Greeting::default()).await?;
        }
        Ok(self.kind.load(Ordering::Relaxed) == STOCK)
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("address", &self.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        let _open = self.open("greet").await?;
        self.meet(greeting).await
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        let _open = self.open("pull").await?;
        if self.is_stock().await? {
            return stock::pull(&self.exchange, self.stock_log, request).await;
        }
        peer::pull(&self.exchange, request).await
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        let _open = self.open("push").await?;
        if self.is_stock().await? {
            return stock::push(&self.exchange, self.stock_log, self.max_request_bytes, request).await;
        }
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        peer::push(&self.exchange, self.max_request_bytes, request, ready, &self.stages).await
    }

    async fn expect_push(&self, request: PushRequest) {
        if self.kind.load(Ordering::Relaxed) != KIT {
            return;
        }
        // Should it fail, it will fail again when it is pushed.
        let mut ready = peer::make_ready(&self.exchange, self.max_request_bytes, request).await.ok();
        if let (Some(ready), true) = (&mut ready, self.stages.load(Ordering::Relaxed))
            && let Err(error) = ready.stage(&self.exchange).await
        {
            tracing::debug!(%error, "the next push is not staged");
            let passes = error.is_retryable() || error.kind() == ErrorKind::TooLarge;
            self.stages.fetch_and(passes, Ordering::Relaxed);
        }
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    async fn close(&self) -> Result<()> {
        *self.closed.write().await = true;
        Ok(())
    }
}
