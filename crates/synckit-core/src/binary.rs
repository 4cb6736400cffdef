//! A small, canonical binary form: what is hashed, and what stores keep of things they need not look into.

use crate::{
    error::{Error, ErrorKind, Result},
    ids::VertexId,
};

/// Writes fields one after the other; texts and byte strings with their length (u32, big-endian) before them.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u128(&mut self, value: u128) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }
}

/// Reads what [`Writer`] wrote.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if self.0.len() < n {
            return Err(Error::new(ErrorKind::Corrupt, "decode", "a stored value ends too early"));
        }
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn u128(&mut self) -> Result<u128> {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.take(16)?);
        Ok(u128::from_be_bytes(bytes))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let mut length = [0; 4];
        length.copy_from_slice(self.take(4)?);
        self.take(u32::from_be_bytes(length) as usize)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|e| Error::new(ErrorKind::Corrupt, "decode", "a stored text is not UTF-8").with_source(e))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The parents of a stamp as stores keep them: each with its length before it.
#[must_use]
pub fn encode_parents(parents: &[VertexId]) -> Vec<u8> {
    let mut writer = Writer::default();
    for parent in parents {
        writer.text(parent.as_str());
    }
    writer.0
}

/// Reads what [`encode_parents`] wrote.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if the bytes are something else.
pub fn decode_parents(bytes: &[u8]) -> Result<Vec<VertexId>> {
    let mut reader = Reader(bytes);
    let mut parents = Vec::new();
    while !reader.is_empty() {
        parents.push(VertexId::new(reader.text()?)?);
    }
    Ok(parents)
}
