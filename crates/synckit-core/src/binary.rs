//! A small, canonical binary form: what is hashed, and what stores keep of things they need not look into.

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, Metadata, Payload},
    hash::Hash,
    ids::{AggregateId, EventId, EventType, NodeId, VertexId},
    stamp::{Stamp, Timestamp},
    store::Offered,
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
        std::str::from_utf8(self.bytes()?).map_err(|e| {
            Error::new(ErrorKind::Corrupt, "decode", "a stored text is not UTF-8").with_source(e)
        })
    }

    pub(crate) fn name<T: std::str::FromStr<Err = Error>>(&mut self) -> Result<T> {
        self.text()?.parse().map_err(|e: Error| {
            Error::new(ErrorKind::Corrupt, "decode", "a stored name is damaged").with_source(e)
        })
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
        parents.push(reader.name::<VertexId>()?);
    }
    Ok(parents)
}

/// An entry as stores keep it in quarantine.
#[must_use]
pub fn encode_offered(offered: &Offered) -> Vec<u8> {
    let mut w = Writer::default();
    let event = &offered.event;
    w.text(event.id.as_str()).text(event.event_type.as_str()).text(event.aggregate_id.as_str());
    w.text(event.data.codec()).bytes(event.data.bytes()).text(event.metadata.as_json()).u64(offered.position);
    w.bytes(offered.stub.as_ref().map_or(&[][..], |h| h.as_bytes()));
    if let Some(stamp) = &offered.stamp {
        w.u128(stamp.origin.as_u128()).u64(stamp.counter).u64(stamp.timestamp.as_micros());
        w.bytes(&encode_parents(&stamp.parents));
    }
    w.0
}

/// Reads what [`encode_offered`] wrote.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if the bytes are something else.
pub fn decode_offered(bytes: &[u8]) -> Result<Offered> {
    let mut r = Reader(bytes);
    let (id, event_type, aggregate_id) =
        (r.name::<EventId>()?, r.name::<EventType>()?, r.name::<AggregateId>()?);
    let codec = r.text()?;
    let data = Payload::stored(Some(codec), r.bytes()?.to_vec());
    let metadata = Metadata::stored(r.text()?);
    let position = r.u64()?;
    let stub = match r.bytes()? {
        [] => None,
        hash => Some(Hash::from_slice(hash).map_err(|e| {
            Error::new(ErrorKind::Corrupt, "decode", "a stored hash is damaged").with_source(e)
        })?),
    };
    let stamp = if r.is_empty() {
        None
    } else {
        let (origin, counter, timestamp) =
            (NodeId::from_u128(r.u128()?), r.u64()?, Timestamp::from_micros(r.u64()?));
        Some(Stamp { origin, counter, timestamp, parents: decode_parents(r.bytes()?)? })
    };
    Ok(Offered { event: Event { id, event_type, aggregate_id, data, metadata }, stamp, stub, position })
}
