//! What a server allows.

use std::time::Duration;

use synckit_core::{Error, Result, limits::MAX_PAGE_EVENTS};

/// What a server allows; made by [`ServerOptions::builder`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    pub(super) max_request_bytes: usize,
    pub(super) max_decompressed_bytes: usize,
    pub(super) max_events_per_request: usize,
    pub(super) compression: bool,
    pub(super) compression_min_bytes: usize,
    pub(super) request_timeout: Duration,
    pub(super) conflict_on_mismatch: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_request_bytes: 10 << 20,
            max_decompressed_bytes: 20 << 20,
            max_events_per_request: MAX_PAGE_EVENTS,
            compression: true,
            compression_min_bytes: 1024,
            request_timeout: Duration::from_secs(30),
            conflict_on_mismatch: false,
        }
    }
}

impl ServerOptions {
    /// Options that begin with the defaults.
    pub fn builder() -> ServerOptionsBuilder {
        ServerOptionsBuilder::default()
    }
}

/// Makes [`ServerOptions`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ServerOptionsBuilder {
    options: ServerOptions,
}

impl ServerOptionsBuilder {
    /// The largest request body as it crosses the network, in bytes; 10 MiB unless set. More is answered with 413.
    pub const fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.options.max_request_bytes = bytes;
        self
    }

    /// The largest request body after decompression, in bytes; 20 MiB unless set. More is answered with 413.
    pub const fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.options.max_decompressed_bytes = bytes;
        self
    }

    /// The most events in one push; 10,000 unless set. More are answered with 413.
    pub const fn max_events_per_request(mut self, events: usize) -> Self {
        self.options.max_events_per_request = events;
        self
    }

    /// Whether answers are compressed for clients that accept gzip; they are unless set. Compressed requests are always
    /// understood.
    pub const fn compression(mut self, on: bool) -> Self {
        self.options.compression = on;
        self
    }

    /// Answers with fewer bytes than this are not compressed; 1024 unless set.
    pub const fn compression_min_bytes(mut self, bytes: usize) -> Self {
        self.options.compression_min_bytes = bytes;
        self
    }

    /// How long one request may take, reading its body included; 30 s unless set. Longer is answered with 503.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout;
        self
    }

    /// What a stock client is told that pushes another content under an id which is taken: 409 for its whole batch, or,
    /// unless set, 200, with the discrepancy in the answer and in the server's log. Nothing is overwritten either way.
    pub const fn conflict_on_mismatch(mut self, on: bool) -> Self {
        self.options.conflict_on_mismatch = on;
        self
    }

    /// The options.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) if a limit or the timeout is zero, or the limit after
    /// decompression is below the one before it.
    pub fn build(self) -> Result<ServerOptions> {
        let options = self.options;
        let invalid = |what: &str| Err(Error::invalid("configure server", what));
        if options.max_request_bytes == 0 || options.max_events_per_request == 0 {
            return invalid("a limit of zero would refuse every request");
        }
        if options.max_decompressed_bytes < options.max_request_bytes {
            return invalid("max_decompressed_bytes is below max_request_bytes");
        }
        if options.request_timeout.is_zero() {
            return invalid("a request timeout of zero would refuse every request");
        }
        Ok(options)
    }
}
