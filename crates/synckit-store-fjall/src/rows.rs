//! The rows of small things.

use synckit_core::{
    ConflictId, EventId, Hash, LogId, Mark, NodeId, Result, Timestamp, VertexId, decode_offered,
    decode_parents, encode_offered, encode_parents,
    plan::Claim,
    store::{Checkpoint, QuarantineSide, Quarantined, Refusal, RefusalCode, ReviewRow, StoredDecision},
};

use crate::row::{RowReader, RowWriter};

pub(crate) fn encode_claim(claim: &Claim) -> Vec<u8> {
    let mut row = RowWriter::new();
    row.text(claim.aggregate.as_str()).stamp(&claim.stamp).fixed(claim.content.as_bytes());
    row.seal(0)
}

pub(crate) fn decode_claim(row: &[u8]) -> Result<Claim> {
    let mut row = RowReader::open(row, 0)?;
    Ok(Claim { aggregate: row.name()?, stamp: row.stamp()?, content: row.hash()? })
}

pub(crate) fn encode_decision(decision: &StoredDecision) -> Vec<u8> {
    let mut row = RowWriter::new();
    row.text(decision.vertex.as_str())
        .text(decision.event.as_str())
        .text(decision.aggregate.as_str())
        .u64(decision.timestamp.as_micros())
        .optional(decision.conflict.as_ref().map(ConflictId::as_str));
    row.seal(0)
}

pub(crate) fn decode_decision(row: &[u8]) -> Result<StoredDecision> {
    let mut row = RowReader::open(row, 0)?;
    Ok(StoredDecision {
        vertex: row.name::<VertexId>()?,
        event: row.name::<EventId>()?,
        aggregate: row.name()?,
        timestamp: Timestamp::from_micros(row.u64()?),
        conflict: row.optional()?.map(|c| crate::row::name(c.as_bytes())).transpose()?,
    })
}

pub(crate) fn encode_review(review: &ReviewRow) -> Vec<u8> {
    let mut row = RowWriter::new();
    row.text(review.event.as_str())
        .text(review.conflict.as_str())
        .text(review.aggregate.as_str())
        .text(&review.reason)
        .bytes(&encode_parents(&review.heads));
    row.seal(0)
}

pub(crate) fn decode_review(row: &[u8]) -> Result<ReviewRow> {
    let mut row = RowReader::open(row, 0)?;
    Ok(ReviewRow {
        event: row.name()?,
        conflict: row.name()?,
        aggregate: row.name()?,
        reason: row.text()?.to_owned(),
        heads: decode_parents(row.bytes()?)?,
    })
}

pub(crate) fn encode_checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut row = RowWriter::new();
    row.fixed(&checkpoint.log.to_bytes()).text(&checkpoint.address).fixed(checkpoint.filter.as_bytes());
    for mark in [checkpoint.pull, checkpoint.seen, checkpoint.shown] {
        row.u64(mark.position).fixed(mark.hash.as_bytes());
    }
    row.u64(checkpoint.push).u64(checkpoint.echo_floor).u64(checkpoint.synced_at.as_micros());
    row.seal(0)
}

pub(crate) fn decode_checkpoint(row: &[u8]) -> Result<Checkpoint> {
    let mut row = RowReader::open(row, 0)?;
    let mut checkpoint = Checkpoint::start(row.log()?, row.text()?, row.hash()?);
    for mark in [&mut checkpoint.pull, &mut checkpoint.seen, &mut checkpoint.shown] {
        *mark = Mark { position: row.u64()?, hash: row.hash()? };
    }
    checkpoint.push = row.u64()?;
    checkpoint.echo_floor = row.u64()?;
    checkpoint.synced_at = Timestamp::from_micros(row.u64()?);
    Ok(checkpoint)
}

pub(crate) fn encode_quarantined(quarantined: &Quarantined) -> Vec<u8> {
    let mut row = RowWriter::new();
    row.u8(u8::from(quarantined.side != QuarantineSide::Held))
        .fixed(&quarantined.peer.to_bytes())
        .text(quarantined.id.as_str())
        .bytes(quarantined.origin.map(NodeId::to_bytes).as_ref().map_or(&[], |o| o))
        .u64(quarantined.counter)
        .text(quarantined.refusal.code.as_str())
        .text(&quarantined.refusal.detail)
        .u64(quarantined.position)
        .bytes(&quarantined.held.as_ref().map(encode_offered).unwrap_or_default());
    row.seal(0)
}

pub(crate) fn decode_quarantined(row: &[u8]) -> Result<Quarantined> {
    let mut row = RowReader::open(row, 0)?;
    Ok(Quarantined {
        side: if row.u8()? == 0 { QuarantineSide::Held } else { QuarantineSide::Refused },
        peer: row.log()?,
        id: row.name()?,
        origin: Some(row.bytes()?).filter(|o| !o.is_empty()).map(NodeId::from_slice).transpose()?,
        counter: row.u64()?,
        refusal: Refusal::new(RefusalCode::parse(row.text()?), row.text()?),
        position: row.u64()?,
        held: Some(row.bytes()?).filter(|h| !h.is_empty()).map(decode_offered).transpose()?,
    })
}

/// What is known of an origin: its greatest counter, how many counters are held or known, and the hash over their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OriginRow {
    pub(crate) counter: u64,
    pub(crate) held: u64,
    pub(crate) ids: u128,
}

impl OriginRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut row = RowWriter::new();
        row.u64(self.counter).u64(self.held).fixed(&self.ids.to_be_bytes());
        row.seal(0)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self> {
        let mut row = RowReader::open(row, 0)?;
        Ok(Self { counter: row.u64()?, held: row.u64()?, ids: u128::from_be_bytes(row.array()?) })
    }
}

/// The log of a checkpoint's key.
pub(crate) fn key_of_checkpoint(log: LogId) -> Vec<u8> {
    crate::keys::Kind::Checkpoint.of(&log.to_bytes())
}

/// What tells claims of one id apart.
pub(crate) fn key_of_claim(kind: crate::keys::Kind, id: &EventId, row: &[u8]) -> Vec<u8> {
    kind.at(id.as_str(), Hash::of(row).as_bytes())
}

#[cfg(test)]
mod tests {
    use synckit_core::{Event, Stamp, store::Offered};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let event = Event::new("tea.brewed", "pot-1", &"earl grey").unwrap();
        let stamp = Stamp {
            origin: NodeId::from_u128(3),
            counter: 4,
            timestamp: Timestamp::from_micros(5),
            parents: vec![VertexId::new("a").unwrap(), VertexId::new("b").unwrap()],
        };
        let claim =
            Claim { aggregate: event.aggregate_id.clone(), stamp: stamp.clone(), content: Hash::of(b"tea") };
        assert_eq!(decode_claim(&encode_claim(&claim)).unwrap(), claim);

        let mut quarantined = Quarantined {
            side: QuarantineSide::Held,
            peer: LogId::from_u128(7),
            id: event.id.clone(),
            origin: Some(stamp.origin),
            counter: 4,
            refusal: Refusal::new(RefusalCode::ClockSkew, "too early"),
            position: 0,
            held: Some(Offered { event, stamp: Some(stamp), stub: None, position: 9 }),
        };
        assert_eq!(decode_quarantined(&encode_quarantined(&quarantined)).unwrap(), quarantined);
        (quarantined.side, quarantined.origin, quarantined.held) = (QuarantineSide::Refused, None, None);
        assert_eq!(decode_quarantined(&encode_quarantined(&quarantined)).unwrap(), quarantined);

        let mut checkpoint = Checkpoint::start(LogId::from_u128(1), "http://hub", Hash::of(b"filter"));
        checkpoint.pull = Mark { position: 1, hash: Hash::of(b"1") };
        checkpoint.seen = Mark { position: 2, hash: Hash::of(b"2") };
        checkpoint.shown = Mark { position: 3, hash: Hash::of(b"3") };
        (checkpoint.push, checkpoint.echo_floor) = (4, 5);
        checkpoint.synced_at = Timestamp::from_micros(6);
        assert_eq!(decode_checkpoint(&encode_checkpoint(&checkpoint)).unwrap(), checkpoint);

        let origin = OriginRow { counter: 9, held: 8, ids: 7 };
        assert_eq!(OriginRow::decode(&origin.encode()).unwrap(), origin);
    }
}
