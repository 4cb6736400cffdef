//! Rows: a version, fields one after the other, and a checksum over all of it.

use std::str::FromStr;

use synckit_core::{Error, Hash, LogId, NodeId, Result, Stamp, Timestamp, decode_parents, encode_parents};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::damaged;

const VERSION: u8 = 1;
const SUM_BYTES: usize = 8;

/// Writes a row. Numbers are big-endian; texts and byte strings have their length before them.
pub(crate) struct RowWriter(Vec<u8>);

impl RowWriter {
    pub(crate) fn new() -> Self {
        Self::with_room(64)
    }

    /// A row that will have about so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut row = Vec::with_capacity(1 + bytes + SUM_BYTES);
        row.push(VERSION);
        Self(row)
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    pub(crate) fn length(&mut self, bytes: usize) -> &mut Self {
        self.fixed(&u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes())
    }

    /// Bytes whose number is known to the reader.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).fixed(bytes)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            None => self.u8(0),
            Some(text) => self.u8(1).text(text),
        }
    }

    pub(crate) fn stamp(&mut self, stamp: &Stamp) -> &mut Self {
        self.fixed(&stamp.origin.to_bytes()).u64(stamp.counter).u64(stamp.timestamp.as_micros());
        self.bytes(&encode_parents(&stamp.parents))
    }

    /// The row with its checksum. Whoever reads it must give the same seed.
    pub(crate) fn seal(mut self, seed: u64) -> Vec<u8> {
        let sum = xxh3_64_with_seed(&self.0, seed);
        self.0.extend_from_slice(&sum.to_be_bytes());
        self.0
    }
}

/// Reads what [`RowWriter`] wrote.
pub(crate) struct RowReader<'a>(&'a [u8]);

impl<'a> RowReader<'a> {
    /// Checks version and checksum.
    pub(crate) fn open(row: &'a [u8], seed: u64) -> Result<Self> {
        let (fields, sum) =
            row.split_last_chunk::<SUM_BYTES>().ok_or_else(|| damaged("a row ends too early"))?;
        if xxh3_64_with_seed(fields, seed) != u64::from_be_bytes(*sum) {
            return Err(damaged("the checksum of a row is wrong"));
        }
        match fields.split_first() {
            Some((&VERSION, fields)) => Ok(Self(fields)),
            _ => Err(damaged("a row has a version that is not known")),
        }
    }

    pub(crate) fn fixed(&mut self, length: usize) -> Result<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("a row ends too early"))?;
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| damaged("a row ends too early"))?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn length(&mut self) -> Result<usize> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.fixed(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        text(self.bytes()?)
    }

    pub(crate) fn optional(&mut self) -> Result<Option<&'a str>> {
        if self.u8()? == 0 { Ok(None) } else { self.text().map(Some) }
    }

    pub(crate) fn name<T: FromStr<Err = Error>>(&mut self) -> Result<T> {
        name(self.bytes()?)
    }

    pub(crate) fn hash(&mut self) -> Result<Hash> {
        self.array().map(Hash::from_bytes)
    }

    pub(crate) fn node(&mut self) -> Result<NodeId> {
        self.array().map(|bytes| NodeId::from_u128(u128::from_be_bytes(bytes)))
    }

    pub(crate) fn log(&mut self) -> Result<LogId> {
        self.array().map(|bytes| LogId::from_u128(u128::from_be_bytes(bytes)))
    }

    pub(crate) fn stamp(&mut self) -> Result<Stamp> {
        Ok(Stamp {
            origin: self.node()?,
            counter: self.u64()?,
            timestamp: Timestamp::from_micros(self.u64()?),
            parents: decode_parents(self.bytes()?)?,
        })
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| damaged("a stored text is not UTF-8").with_source(e))
}

/// A name that is part of a key or of a row.
pub(crate) fn name<T: FromStr<Err = Error>>(bytes: &[u8]) -> Result<T> {
    text(bytes)?.parse().map_err(|e: Error| damaged("a stored name is damaged").with_source(e))
}

#[cfg(test)]
mod tests {
    use synckit_core::{ErrorKind, EventId};

    use super::*;

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_found() {
        let mut row = RowWriter::new();
        row.u8(7).u64(9).text("tea").optional(None).optional(Some("pot"));
        let row = row.seal(5);
        let mut reader = RowReader::open(&row, 5).unwrap();
        assert_eq!((reader.u8().unwrap(), reader.u64().unwrap()), (7, 9));
        assert_eq!(reader.name::<EventId>().unwrap().as_str(), "tea");
        assert_eq!((reader.optional().unwrap(), reader.optional().unwrap()), (None, Some("pot")));
        assert!(reader.rest().is_empty());
        assert_eq!(reader.u8().unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(RowReader::open(&row, 6).is_err());
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(RowReader::open(&bad, 5).is_err(), "bit {bit}");
        }
        for end in 0..row.len() {
            assert!(RowReader::open(&row[..end], 5).is_err(), "{end} bytes");
        }
    }
}
