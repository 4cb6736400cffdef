//! Content hashes, the hash chain of a log, and the digests by which replicas compare themselves.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{
    binary::Writer,
    error::{Error, Result},
    event::Event,
    ids::EventId,
    stamp::Stamp,
};

/// A SHA-256 hash; its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of an empty log.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash from a slice of 32 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) unless there are 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| Error::invalid("read hash", format!("a hash has 32 bytes, not {}", bytes.len())))
    }

    /// The SHA-256 of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid("read hash", format!("not 64 hexadecimal digits: {text:?}"));
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The hash of an event's content: type, aggregate, codec, data and metadata. The id and the stamp are not content.
#[must_use]
pub fn content_hash(event: &Event) -> Hash {
    let mut sha = Sha256::new();
    for field in [
        event.event_type.as_str().as_bytes(),
        event.aggregate_id.as_str().as_bytes(),
        event.data.codec().as_bytes(),
        event.data.bytes(),
        event.metadata.as_json().as_bytes(),
    ] {
        sha.update(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        sha.update(field);
    }
    Hash(sha.finalize().into())
}

/// Room for an entry with one parent and names of usual length.
const USUAL_ENTRY_BYTES: usize = 256;

/// The canonical bytes of an entry: id, origin, counter, timestamp, parents and content hash.
#[must_use]
pub fn entry_bytes(id: &EventId, stamp: &Stamp, content: &Hash) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(USUAL_ENTRY_BYTES));
    writer
        .text(id.as_str())
        .u128(stamp.origin.as_u128())
        .u64(stamp.counter)
        .u64(stamp.timestamp.as_micros())
        .u64(stamp.parents.len() as u64);
    for parent in &stamp.parents {
        writer.text(parent.as_str());
    }
    writer.0.extend_from_slice(content.as_bytes());
    writer.0
}

/// The hash of a log up to and including an entry, from the hash before it.
#[must_use]
pub fn chain_hash(previous: &Hash, id: &EventId, stamp: &Stamp, content: &Hash) -> Hash {
    let mut sha = Sha256::new();
    sha.update(previous.as_bytes());
    sha.update(entry_bytes(id, stamp, content));
    Hash(sha.finalize().into())
}
