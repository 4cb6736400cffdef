//! Answers.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY},
    },
    response::Response,
};
use synckit_core::{Error, ErrorKind};
use synckit_wire::{code_of, gzip, status_of, write_failure};

use super::ServerOptions;
use crate::offload::offload;

/// How long a client should wait that finds the hub busy.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// A status and a JSON body.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: String,
    retry_after: Option<Duration>,
}

/// A request that cannot be answered as it should be.
#[derive(Debug)]
pub(super) struct Failure {
    code: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same failure; one that is about a cursor says so.
    pub(super) fn into_bad_cursor(mut self) -> Self {
        if self.code == "INVALID_REQUEST" && self.message.starts_with("bad cursor") {
            self.code = "INVALID_CURSOR";
        }
        self
    }

    pub(super) fn reply(self, operation: &'static str) -> Reply {
        let status = status_of(self.code);
        let retry_after = self.retry_after.or((status == 503).then_some(RETRY_AFTER_DEFAULT));
        Reply { status, body: write_failure(self.code, &self.message, operation), retry_after }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = code_of(error.kind());
        let message = match error.kind() {
            ErrorKind::Closed => "the hub is closing".to_owned(),
            _ if code == "INTERNAL_ERROR" => {
                tracing::error!(%error, kind = %error.kind(), "a request failed");
                "the hub failed; its log says why".to_owned()
            }
            _ => error.message().to_owned(),
        };
        Self { code, message, retry_after: error.retry_after() }
    }
}

impl Reply {
    pub(super) const fn ok(body: String) -> Self {
        Self { status: 200, body, retry_after: None }
    }

    /// Writes the answer, compressed if the caller accepts that and it is worth it.
    pub(super) async fn respond(self, headers: &HeaderMap, options: &ServerOptions) -> Response {
        let Self { status, body, retry_after } = self;
        let zip = options.compression && body.len() >= options.compression_min_bytes && accepts_gzip(headers);
        let body = if zip {
            offload(body.len(), "compress", move || Ok(gzip::compress(body.as_bytes()))).await
        } else {
            Ok(body.into_bytes())
        };
        let mut response = match body {
            Ok(body) => json(status, body),
            Err(error) => {
                tracing::error!(%error, "an answer could not be compressed");
                return plain(500, "internal error");
            }
        };
        let headers = response.headers_mut();
        if zip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if options.compression {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if let Some(wait) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

fn json(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `{"error":"message"}`; the message has nothing that JSON would escape.
pub(super) fn plain(status: u16, message: &'static str) -> Response {
    json(status, format!("{{\"error\":\"{message}\"}}").into_bytes())
}

/// Whether gzip, or anything, is accepted with a quality above zero. What is said of gzip itself counts first.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let refused = parts.any(|p| {
                let (name, quality) = p.split_once('=').unwrap_or((p, "1"));
                name.trim().eq_ignore_ascii_case("q") && quality.trim().parse::<f32>().is_ok_and(|q| q <= 0.0)
            });
            match coding {
                c if c.eq_ignore_ascii_case("gzip") || c.eq_ignore_ascii_case("x-gzip") => return !refused,
                "*" => any = !refused,
                _ => {}
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::{ACCEPT_ENCODING, HeaderMap, accepts_gzip};

    #[test]
    fn gzip_is_used_only_where_it_is_accepted() {
        let cases = [
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("deflate", false),
            ("notgzip", false),
            ("", false),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
