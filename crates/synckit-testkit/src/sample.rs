//! Events to test with.

use synckit_core::{
    AggregateId, Event, EventId, LogId, NodeId, Payload, Progress, Stamp, Timestamp, VertexId, content_hash,
    decision::Decision,
    graph::ConflictOutline,
    store::{Apply, Checkpoint, DecisionDraft, Offered, QuarantineSide, Quarantined, Refusal, RefusalCode},
};

/// What the clocks of fresh stores show, in microseconds: some time in 2023.
pub(crate) const NOW: u64 = 1_700_000_000_000_000;
/// A second before that; the samples' stamps count from here.
pub(crate) const BEFORE: u64 = NOW - SECOND;
pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const HOUR: u64 = 3600 * SECOND;
/// The log that the samples were pulled from.
pub(crate) const PEER: LogId = LogId::from_u128(0x9ee6);

/// An event with JSON text for data.
pub(crate) fn event(id: &str, aggregate: &str, data: &str) -> Event {
    Event::new("thing.happened", aggregate, data).unwrap().with_id(id).unwrap()
}

/// An event of another type.
pub(crate) fn typed(event_type: &str, id: &str, aggregate: &str) -> Event {
    Event::new(event_type, aggregate, id).unwrap().with_id(id).unwrap()
}

/// `count` events of one aggregate.
pub(crate) fn events(prefix: &str, aggregate: &str, count: usize) -> Vec<Event> {
    (1..=count).map(|i| event(&format!("{prefix}{i}"), aggregate, "data")).collect()
}

/// An event of another node, stamped `at` microseconds after [`BEFORE`].
pub(crate) fn stamped(
    id: &str,
    aggregate: &str,
    origin: u128,
    counter: u64,
    at: u64,
    parents: &[&str],
) -> Offered {
    stamp(event(id, aggregate, "data"), origin, counter, at, parents)
}

/// The event with such a stamp.
pub(crate) fn stamp(event: Event, origin: u128, counter: u64, at: u64, parents: &[&str]) -> Offered {
    let parents = parents.iter().map(|p| VertexId::new(*p).unwrap()).collect();
    let stamp =
        Stamp::checked(NodeId::from_u128(origin), counter, Timestamp::from_micros(BEFORE + at), parents);
    Offered { event, stamp: Some(stamp.unwrap()), stub: None, position: 0 }
}

/// The entry with other data.
pub(crate) fn with_data(mut offered: Offered, data: &str) -> Offered {
    offered.event.data = Payload::json(data).unwrap();
    offered
}

/// The entry without its data.
pub(crate) fn stub(mut offered: Offered) -> Offered {
    offered.stub = Some(content_hash(&offered.event));
    offered.event.data = Payload::stored(None, Vec::new());
    offered.event.metadata = synckit_core::Metadata::default();
    offered
}

/// How much of one origin a holder of these entries holds.
pub(crate) fn progress(held: &[Offered]) -> Progress {
    let share = |o: &Offered| {
        let (stamp, content) = (o.stamp.as_ref().unwrap(), o.stub.unwrap_or_else(|| content_hash(&o.event)));
        (stamp.counter, Progress::share(&o.event.id, stamp, &content))
    };
    let mut shares: Vec<(u64, u128)> = held.iter().map(share).collect();
    shares.sort_unstable();
    Progress::of(shares)
}

/// Two first events of one aggregate, by different nodes: a conflict.
pub(crate) fn rivals(aggregate: &str) -> Vec<Offered> {
    vec![
        stamped(&format!("{aggregate}-a"), aggregate, 2, counter_of(aggregate), 10, &[]),
        stamped(&format!("{aggregate}-b"), aggregate, 3, counter_of(aggregate), 20, &[]),
    ]
}

/// A counter that is the same for one aggregate, and hardly ever for two.
fn counter_of(aggregate: &str) -> u64 {
    aggregate.bytes().fold(1, |n, b| (n * 31 + u64::from(b)) % 1_000_003 + 1)
}

/// Entries as a puller takes them.
pub(crate) fn pulled(entries: Vec<Offered>) -> Apply {
    Apply { peer: Some(PEER), entries, hold: true, ..Apply::default() }
}

/// Entries as a hub takes them from the node that pushes.
pub(crate) fn pushed(author: NodeId, entries: Vec<Offered>) -> Apply {
    Apply { peer: Some(PEER), author: Some(author), entries, ..Apply::default() }
}

pub(crate) fn ids(texts: &[&str]) -> Vec<EventId> {
    texts.iter().map(|t| EventId::new(*t).unwrap()).collect()
}

pub(crate) fn aggregate(text: &str) -> AggregateId {
    AggregateId::new(text).unwrap()
}

/// A checkpoint of [`PEER`] that tells itself from others by its push cursor.
pub(crate) fn checkpoint(push: u64) -> Checkpoint {
    let mut checkpoint =
        Checkpoint::start(PEER, "mem:peer", synckit_core::Filter::everything().fingerprint());
    checkpoint.push = push;
    checkpoint
}

/// What [`PEER`] says of an event of our log that it does not take.
pub(crate) fn refused(
    id: &str,
    origin: NodeId,
    counter: u64,
    position: u64,
    code: RefusalCode,
) -> Quarantined {
    Quarantined {
        side: QuarantineSide::Refused,
        peer: PEER,
        id: EventId::new(id).unwrap(),
        origin: Some(origin),
        counter,
        refusal: Refusal::new(code, "not now"),
        position,
        held: None,
    }
}

/// A decision on a conflict that adopts the side with this head.
pub(crate) fn adopt(conflict: &ConflictOutline, head: &str, by_machine: bool) -> DecisionDraft {
    let side = conflict.sides.iter().find(|s| s.head.as_str() == head).unwrap();
    let mut decision = Decision::adopting(vec![side.head.clone()], "adopt", "conformance");
    decision.conflict = Some(conflict.id.clone());
    DecisionDraft {
        aggregate: conflict.aggregate.clone(),
        parents: conflict.heads.clone(),
        decision,
        by_machine,
        expect_heads: true,
    }
}
