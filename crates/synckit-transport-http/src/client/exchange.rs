//! One request and its answer, within limits.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use synckit_core::{Error, ErrorKind, Result};
use synckit_wire::{failure, gzip};

use super::builder::Credentials;
use crate::offload::offload;

/// How much of the body of a failure is read.
const FAILURE_BYTES: usize = 64 * 1024;
/// The most that is set aside for a body before it comes: its length is the peer's word.
const MOST_RESERVED: usize = 1 << 20;
/// The longest that a peer can ask to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits on what is sent and received.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) response_bytes: usize,
    pub(super) decompressed_bytes: usize,
    pub(super) compression: bool,
    pub(super) compression_min_bytes: usize,
}

/// A body on its way to the peer.
#[derive(Clone)]
pub(super) struct Packed {
    bytes: Bytes,
    zipped: bool,
}

/// Sends requests below one URL.
pub(super) struct Exchange {
    client: Client,
    base: String,
    credentials: Option<Credentials>,
    limits: Limits,
}

impl Exchange {
    pub(super) const fn new(
        client: Client,
        base: String,
        credentials: Option<Credentials>,
        limits: Limits,
    ) -> Self {
        Self { client, base, credentials, limits }
    }

    /// The body of the answer to a GET.
    pub(super) async fn get(&self, operation: &'static str, path: &str, query: &str) -> Result<Vec<u8>> {
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("{}/{path}{separator}{query}", self.base);
        self.send(operation, self.client.request(Method::GET, url)).await
    }

    /// The body of the answer to a POST of JSON.
    pub(super) async fn post(&self, operation: &'static str, path: &str, body: String) -> Result<Vec<u8>> {
        let packed = self.pack(operation, body).await?;
        self.post_packed(operation, path, packed).await
    }

    /// Compresses a body if that is worth it.
    pub(super) async fn pack(&self, operation: &'static str, body: String) -> Result<Packed> {
        let zipped = self.limits.compression && body.len() >= self.limits.compression_min_bytes;
        let bytes = if zipped {
            offload(body.len(), operation, move || Ok(gzip::compress(body.as_bytes()))).await?
        } else {
            body.into_bytes()
        };
        Ok(Packed { bytes: bytes.into(), zipped })
    }

    /// The body of the answer to a POST of JSON.
    pub(super) async fn post_packed(
        &self,
        operation: &'static str,
        path: &str,
        body: Packed,
    ) -> Result<Vec<u8>> {
        let mut request = self
            .client
            .request(Method::POST, format!("{}/{path}", self.base))
            .header(CONTENT_TYPE, "application/json");
        if body.zipped {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        self.send(operation, request.body(body.bytes)).await
    }

    async fn send(&self, operation: &'static str, mut request: RequestBuilder) -> Result<Vec<u8>> {
        if self.limits.compression {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials.header.clone());
        }
        let response = request.send().await.map_err(|e| unreachable(operation, e))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.failed(operation, response).await);
        }
        let zipped = zipped(operation, &response)?;
        let body = self.read(operation, response, self.limits.response_bytes).await?;
        if zipped { self.unzip(operation, body).await } else { Ok(body) }
    }

    async fn unzip(&self, operation: &'static str, body: Vec<u8>) -> Result<Vec<u8>> {
        let max = self.limits.decompressed_bytes;
        let unzipped = offload(usize::MAX, operation, move || gzip::decompress(&body, max)).await;
        unzipped.map_err(|e| match e.kind() {
            ErrorKind::Invalid => Error::new(ErrorKind::Protocol, operation, e.message()),
            kind => Error::new(kind, operation, e.message()),
        })
    }

    /// Reads a body, but not more than `max` bytes of it.
    async fn read(&self, operation: &'static str, mut response: Response, max: usize) -> Result<Vec<u8>> {
        let too_large =
            || Error::new(ErrorKind::TooLarge, operation, format!("the answer has more than {max} bytes"));
        if response.content_length().is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = Vec::with_capacity(announced.unwrap_or_default().min(MOST_RESERVED));
        while let Some(chunk) = response.chunk().await.map_err(|e| cut_off(operation, e))? {
            if body.len() + chunk.len() > max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn failed(&self, operation: &'static str, response: Response) -> Error {
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let retry_after = seconds.map(|s| Duration::from_secs(s).min(MAX_RETRY_AFTER));
        let zipped = zipped(operation, &response);
        // The status says enough if the body cannot be had.
        let body = match (zipped, self.read(operation, response, FAILURE_BYTES).await) {
            (Ok(false), Ok(body)) => body,
            (Ok(true), Ok(body)) => gzip::decompress(&body, FAILURE_BYTES).unwrap_or_default(),
            _ => Vec::new(),
        };
        failure(operation, status, &self.masked(body), retry_after)
    }

    /// Masks our own credentials, should the peer repeat them.
    fn masked(&self, body: Vec<u8>) -> Vec<u8> {
        let Some(credentials) = &self.credentials else { return body };
        let mut text = String::from_utf8_lossy(&body).into_owned();
        for secret in credentials.secrets.iter().filter(|s| !s.is_empty()) {
            text = text.replace(secret, "***");
        }
        text.into_bytes()
    }
}

/// Whether the answer is compressed.
fn zipped(operation: &'static str, response: &Response) -> Result<bool> {
    let encoding = response.headers().get(CONTENT_ENCODING).map_or("", |v| v.to_str().unwrap_or("?")).trim();
    match encoding {
        e if e.is_empty() || e.eq_ignore_ascii_case("identity") => Ok(false),
        e if e.eq_ignore_ascii_case("gzip") => Ok(true),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            operation,
            "the answer is encoded in a way that was not asked for",
        )),
    }
}

/// The error for a request without an answer.
fn unreachable(operation: &'static str, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "the peer did not answer in time")
    } else if error.is_builder() {
        (ErrorKind::Invalid, "the request cannot be sent")
    } else if is_garbage(&error) {
        (ErrorKind::Protocol, "the peer does not speak HTTP")
    } else {
        (ErrorKind::Unavailable, "the peer cannot be reached")
    };
    Error::new(kind, operation, message).with_source(error.without_url())
}

/// The error for an answer that ended early.
fn cut_off(operation: &'static str, error: reqwest::Error) -> Error {
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "the rest of the answer did not come in time")
    } else if is_garbage(&error) {
        (ErrorKind::Protocol, "the answer is not HTTP")
    } else {
        (ErrorKind::Unavailable, "the connection ended before the answer did")
    };
    Error::new(kind, operation, message).with_source(error.without_url())
}

fn is_garbage(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(c) = cause {
        if let Some(error) = c.downcast_ref::<hyper::Error>() {
            return error.is_parse();
        }
        cause = c.source();
    }
    false
}
