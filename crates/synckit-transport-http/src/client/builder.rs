//! Making a client.

use std::{fmt, sync::atomic::AtomicU8, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use percent_encoding::percent_decode_str;
use reqwest::{Client, Url, header::HeaderValue, redirect::Policy};
use synckit_core::{Error, ErrorKind, Hash, LogId, Result};
use tokio::sync::RwLock;

use super::{
    HttpTransport, UNKNOWN,
    exchange::{Exchange, Limits},
};

const OPERATION: &str = "configure transport";

/// Makes an [`HttpTransport`].
#[derive(Clone)]
#[must_use]
pub struct HttpTransportBuilder {
    url: String,
    bearer_token: Option<String>,
    connect_timeout: Duration,
    read_timeout: Duration,
    timeout: Duration,
    max_request_bytes: usize,
    compression: Option<bool>,
    limits: Limits,
    #[cfg(feature = "tls")]
    roots: Vec<Vec<u8>>,
}

impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password in it.
        f.debug_struct("HttpTransportBuilder").finish_non_exhaustive()
    }
}

impl HttpTransportBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            bearer_token: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(20),
            timeout: Duration::from_secs(120),
            max_request_bytes: 8 << 20,
            compression: None,
            limits: Limits {
                response_bytes: 10 << 20,
                decompressed_bytes: 20 << 20,
                compression: true,
                compression_min_bytes: 1024,
            },
            #[cfg(feature = "tls")]
            roots: Vec::new(),
        }
    }

    /// Sends `Authorization: Bearer TOKEN`. A user and password in the URL are sent as Basic authorization instead; both
    /// together are an error.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.bearer_token = Some(token.into());
        self
    }

    /// How long connecting may take; 10 s unless set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the peer may be silent while an answer is awaited or read; 20 s unless set.
    pub const fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long one request may take in all; 120 s unless set.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Pushes with more bytes of JSON text than this are sent as several requests, cut between events; 8 MiB unless set.
    pub const fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// The largest answer as it crosses the network, in bytes; 10 MiB unless set.
    pub const fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.limits.response_bytes = bytes;
        self
    }

    /// The largest answer after decompression, in bytes; 20 MiB unless set.
    pub const fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.limits.decompressed_bytes = bytes;
        self
    }

    /// Whether to compress requests and to accept compressed answers. Unless set, that is done but for a peer on this very
    /// machine (`localhost` and loopback addresses), where compressing takes longer than sending.
    pub const fn compression(mut self, on: bool) -> Self {
        self.compression = Some(on);
        self
    }

    /// Requests with fewer bytes than this are not compressed; 1024 unless set.
    pub const fn compression_min_bytes(mut self, bytes: usize) -> Self {
        self.limits.compression_min_bytes = bytes;
        self
    }

    /// Trusts this certificate authority too, beside those that browsers trust: an X.509 certificate in DER form.
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// The transport. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the URL is not an http or https URL or has a query or fragment, if a limit or timeout is
    /// zero, if the limit after decompression is below the one before it, or if the credentials cannot be sent;
    /// [`ErrorKind::Unsupported`] for an https URL without the feature `tls`.
    pub fn build(self) -> Result<HttpTransport> {
        let invalid = |what: &str| Error::invalid(OPERATION, what);
        let mut url = Url::parse(&self.url).map_err(|e| invalid("the URL cannot be read").with_source(e))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid("the URL is not one of http or https"));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                OPERATION,
                "https needs the feature tls, which this build does not have",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("the URL of a hub has no query and no fragment"));
        }
        if self.max_request_bytes == 0 || self.limits.response_bytes == 0 {
            return Err(invalid("a limit of zero allows nothing"));
        }
        if self.limits.decompressed_bytes < self.limits.response_bytes {
            return Err(invalid("max_decompressed_bytes is below max_response_bytes"));
        }
        if [self.connect_timeout, self.read_timeout, self.timeout].iter().any(Duration::is_zero) {
            return Err(invalid("a timeout of zero allows nothing"));
        }
        let mut limits = self.limits;
        limits.compression = self.compression.unwrap_or_else(|| !is_loopback(&url));
        let credentials = Credentials::take(&mut url, self.bearer_token.as_deref())?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        let address = match &credentials {
            Some(c) if c.in_url => base.replacen("://", "://***@", 1),
            _ => base.clone(),
        };
        let stock_log =
            LogId::from_slice(&Hash::of(format!("go-sync-kit {base}").as_bytes()).as_bytes()[..16])?;
        let client = Client::builder()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .timeout(self.timeout)
            .redirect(Policy::none());
        #[cfg(feature = "tls")]
        let client = client.tls_backend_preconfigured(super::tls::config(self.roots)?);
        let client = client.build().map_err(|e| invalid("the HTTP client cannot be made").with_source(e))?;
        Ok(HttpTransport {
            exchange: Exchange::new(client, base, credentials, limits),
            address,
            stock_log,
            max_request_bytes: self.max_request_bytes,
            kind: AtomicU8::new(UNKNOWN),
            stages: true.into(),
            ready: std::sync::Mutex::default(),
            closed: RwLock::new(false),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is sent as `Authorization`, and what must never be shown.
pub(super) struct Credentials {
    pub(super) header: HeaderValue,
    pub(super) secrets: Vec<String>,
    in_url: bool,
}

impl Credentials {
    /// Takes user and password out of the URL, or else uses the token.
    fn take(url: &mut Url, token: Option<&str>) -> Result<Option<Self>> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let in_url = !url.username().is_empty() || url.password().is_some();
        let (value, secrets) = match (in_url, token) {
            (false, None) => return Ok(None),
            (true, Some(_)) => {
                return Err(Error::invalid(OPERATION, "there are both a user in the URL and a bearer token"));
            }
            (true, None) => {
                let password = decode(url.password().unwrap_or_default());
                let encoded = BASE64.encode(format!("{}:{password}", decode(url.username())));
                (format!("Basic {encoded}"), vec![encoded, password])
            }
            (false, Some(token)) => (format!("Bearer {token}"), vec![token.to_owned()]),
        };
        // A URL with a host takes both.
        let _ = (url.set_username(""), url.set_password(None));
        let mut header = HeaderValue::from_str(&value).map_err(|_| {
            Error::invalid(OPERATION, "the credentials have characters that no header may have")
        })?;
        header.set_sensitive(true);
        Ok(Some(Self { header, secrets, in_url }))
    }
}
