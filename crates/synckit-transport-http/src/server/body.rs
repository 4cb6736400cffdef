//! Request bodies, limited before anything is read out of them.

use axum::{
    body::BodyDataStream,
    extract::Request,
    http::{
        HeaderMap,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use futures_util::StreamExt as _;
use synckit_core::Result;
use synckit_wire::gzip;

use super::{Failure, Shared};
use crate::offload::offload;

impl Shared {
    /// Reads a body, and gives it to `read` when it is within the limits.
    pub(super) async fn body<T: Send + 'static>(
        &self,
        operation: &'static str,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (parts, body) = request.into_parts();
        let mut stream = body.into_data_stream();
        let zipped = match self.acceptable(&parts.headers) {
            Ok(zipped) => zipped,
            Err(failure) => {
                self.discard(&mut stream).await;
                return Err(failure);
            }
        };
        let bytes = self.collect(stream).await?;
        if bytes.is_empty() {
            return Err(Failure::new("INVALID_REQUEST", "empty request body"));
        }
        let max = self.options.max_decompressed_bytes;
        // A few compressed bytes may be many.
        let size = if zipped { max } else { bytes.len() };
        let work = move || if zipped { read(&gzip::decompress(&bytes, max)?) } else { read(&bytes) };
        Ok(offload(size, operation, work).await?)
    }

    /// Checks what the headers say of the body. True if it is compressed.
    fn acceptable(&self, headers: &HeaderMap) -> Result<bool, Failure> {
        let text =
            |name| headers.get(name).map_or("", |v| v.to_str().unwrap_or("?")).trim().to_ascii_lowercase();
        let content_type = text(CONTENT_TYPE);
        if !content_type.is_empty() && !content_type.starts_with("application/json") {
            return Err(Failure::new("UNSUPPORTED_MEDIA_TYPE", "unsupported media type"));
        }
        let encoding = text(CONTENT_ENCODING);
        if !matches!(&*encoding, "" | "identity" | "gzip")
            || headers.get_all(CONTENT_ENCODING).iter().count() > 1
        {
            return Err(Failure::new(
                "UNSUPPORTED_MEDIA_TYPE",
                format!("unsupported content encoding: {encoding} (only gzip is supported)"),
            ));
        }
        let length = text(CONTENT_LENGTH).parse::<u64>().unwrap_or(0);
        if length > self.options.max_request_bytes as u64 {
            return Err(self.too_large());
        }
        Ok(encoding == "gzip")
    }

    fn too_large(&self) -> Failure {
        let max = self.options.max_request_bytes;
        Failure::new("REQUEST_TOO_LARGE", format!("request body too large: maximum size is {max} bytes"))
    }

    async fn collect(&self, mut stream: BodyDataStream) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Failure::new("INVALID_REQUEST", "the request body ended early"))?;
            if bytes.len() + chunk.len() > self.options.max_request_bytes {
                self.discard(&mut stream).await;
                return Err(self.too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads on for a while, and forgets what it reads: a client that is still sending does not see the answer if the
    /// connection is closed on it.
    async fn discard(&self, stream: &mut BodyDataStream) {
        let mut left = self.options.max_request_bytes;
        while let Some(Ok(chunk)) = stream.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}
