//! gzip with hard limits.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use synckit_core::{Error, ErrorKind, Result};

/// The most that is set aside before it is seen to be needed.
const MOST_RESERVED: usize = 1 << 20;

/// Compresses `bytes`.
#[must_use]
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to a Vec cannot fail; an unfinished stream would not pass the checksum of the one who reads it.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Decompresses `bytes`, and stops as soon as there are more than `max_bytes`, so that a small body cannot fill the
/// memory. Nothing beyond the limit is ever held.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if there is more than the limit allows; [`ErrorKind::Invalid`] if it is not gzip, or not all of
/// it.
pub fn decompress(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>> {
    // JSON is about six times as long as its compressed text.
    let mut out = Vec::with_capacity((bytes.len() * 7).min(max_bytes).min(MOST_RESERVED));
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|e| Error::invalid("decompress", format!("invalid gzip data: {e}")))?;
    if out.len() > max_bytes {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "decompress",
            format!("decompressed data exceeds maximum size limit of {max_bytes} bytes"),
        ));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{compress, decompress};
    use synckit_core::ErrorKind;

    #[test]
    fn what_was_compressed_comes_back_up_to_the_limit() {
        let bytes = b"[1,2,3]".repeat(1000);
        let small = compress(&bytes);
        assert!(small.len() < 200);
        assert_eq!(decompress(&small, bytes.len()).unwrap(), bytes);
        assert_eq!(decompress(&small, bytes.len() - 1).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(decompress(&compress(b""), 0).unwrap(), b"");
    }

    #[test]
    fn several_streams_count_as_one() {
        let mut two = compress(b"ab");
        two.extend(compress(b"cd"));
        assert_eq!(decompress(&two, 4).unwrap(), b"abcd");
        assert_eq!(decompress(&two, 3).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn what_is_not_gzip_is_invalid() {
        let whole = compress(&[7; 5000]);
        for bytes in [&b"plain"[..], &whole[..whole.len() / 2], &whole[..whole.len() - 1], b""] {
            assert_eq!(decompress(bytes, 9000).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
