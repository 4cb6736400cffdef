//! What is known before a write.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Row};
use synckit_core::{
    AggregateId, Event, EventId, EventType, Hash, LogId, Mark, Metadata, NodeId, Payload, Result, Timestamp,
    decode_offered,
    graph::{Vertex, decode_heads},
    plan::{Claim, Known, KnownEntry, Lookup, NodeState, vertex_of},
    store::{QuarantineSide, Quarantined, Refusal, RefusalCode, Standing},
};

use crate::{
    query::{Query, all, each, first, one},
    read,
    row::{Columns as _, signed},
};

const OPERATION: &str = "look up";

pub(crate) fn node(connection: &Connection) -> Result<NodeState> {
    let sql = "SELECT log, node, former, counter, clock, position, hash FROM node";
    one(connection, OPERATION, sql, [], node_of)
}

/// Which tables of claims have rows. Mostly none has, and looking into them can be spared.
#[derive(Clone, Copy)]
pub(crate) struct Claimed {
    withdrawn: bool,
    others: bool,
}

impl Claimed {
    pub(crate) fn of(connection: &Connection) -> Result<Self> {
        let sql = "SELECT EXISTS (SELECT 1 FROM withdrawn), EXISTS (SELECT 1 FROM other_claims)";
        one(connection, OPERATION, sql, [], |row| {
            Ok(Self { withdrawn: row.number(0)? != 0, others: row.number(1)? != 0 })
        })
    }
}

/// The node, and whether the log may be written to.
pub(crate) fn node_and_standing(connection: &Connection) -> Result<(NodeState, Standing)> {
    let sql = "SELECT log, node, former, counter, clock, position, hash, standing FROM node";
    one(connection, OPERATION, sql, [], |row| Ok((node_of(row)?, Standing::parse(row.text(7)?)?)))
}

fn node_of(row: &Row<'_>) -> Result<NodeState> {
    let former: Result<Vec<NodeId>> = row.blob(2)?.chunks(16).map(NodeId::from_slice).collect();
    Ok(NodeState {
        log: LogId::from_slice(row.blob(0)?)?,
        node: NodeId::from_slice(row.blob(1)?)?,
        former: former?,
        counter: row.number(3)?,
        clock: Timestamp::from_micros(row.number(4)?),
        head: Mark { position: row.number(5)?, hash: Hash::from_slice(row.blob(6)?)? },
    })
}

pub(crate) fn look_up(
    connection: &Connection,
    lookup: &Lookup,
    claimed: Claimed,
    known: &mut Known,
) -> Result<()> {
    let mut entries = Query::new(connection, OPERATION, KNOWN_ENTRY)?;
    for id in &lookup.ids {
        let entry = entries.first([id.as_str()], known_entry)?;
        known.entries.extend(entry.map(|entry| (id.clone(), entry)));
        if claimed.withdrawn {
            claims(connection, "withdrawn", id, &mut known.withdrawn)?;
        }
        if claimed.others {
            claims(connection, "other_claims", id, &mut known.others)?;
        }
    }
    for vertex in &lookup.decisions {
        let sql = "SELECT aggregate_id, timestamp FROM decisions WHERE vertex = ?";
        let decision = first(connection, OPERATION, sql, [vertex.as_str()], |row| {
            Ok((AggregateId::new(row.text(0)?)?, Timestamp::from_micros(row.number(1)?)))
        })?;
        known.decisions.extend(decision.map(|decision| (vertex.clone(), decision)));
    }
    let mut heads = Query::new(connection, OPERATION, "SELECT heads FROM aggregates WHERE aggregate_id = ?")?;
    for aggregate in &lookup.aggregates {
        let heads = heads.first([aggregate.as_str()], |row| decode_heads(row.blob(0)?))?;
        known.heads.extend(heads.map(|heads| (aggregate.clone(), heads)));
    }
    let sql = "SELECT id FROM stamps WHERE origin = ? AND counter = ? ORDER BY id LIMIT 1";
    let mut own_ids = Query::new(connection, OPERATION, sql)?;
    for counter in &lookup.own_counters {
        let of = (known.node.node.to_bytes(), signed(*counter));
        let own = own_ids.first(of, |row| EventId::new(row.text(0)?))?;
        known.own.extend(own.map(|id| (*counter, id)));
    }
    if !lookup.events.is_empty() {
        let found = read::load(connection, lookup.events.iter())?;
        known.events.extend(found.into_iter().map(|e| (e.event.id.clone(), e.event)));
    }
    if lookup.quarantine {
        known.quarantine = quarantine(connection)?;
    }
    if let Some(log) = lookup.unstamped_from {
        for aggregate in &lookup.aggregates {
            let last = last_unstamped(connection, aggregate, log)?;
            known.last_unstamped.extend(last.map(|id| (aggregate.clone(), id)));
        }
    }
    Ok(())
}

/// The entry that counts for an id.
const KNOWN_ENTRY: &str = "SELECT position, event_type, aggregate_id, origin, counter, timestamp, parents, content, stub \
                           FROM entries WHERE id = ? AND superseded = 0";

fn known_entry(row: &Row<'_>) -> Result<KnownEntry> {
    Ok(KnownEntry {
        position: row.number(0)?,
        event_type: EventType::new(row.text(1)?)?,
        aggregate: AggregateId::new(row.text(2)?)?,
        stamp: row.stamp(3)?,
        content: Hash::from_slice(row.blob(7)?)?,
        stub: row.number(8)? != 0,
    })
}

/// The last event of an aggregate that came from a log without stamps.
fn last_unstamped(connection: &Connection, aggregate: &AggregateId, log: LogId) -> Result<Option<EventId>> {
    let sql = "SELECT id FROM entries WHERE aggregate_id = ? AND origin = ? AND superseded = 0 \
               ORDER BY counter DESC, position DESC LIMIT 1";
    first(connection, OPERATION, sql, (aggregate.as_str(), log.to_bytes()), |row| EventId::new(row.text(0)?))
}

/// The claims of an id in a table.
fn claims(
    connection: &Connection,
    table: &'static str,
    id: &EventId,
    known: &mut HashMap<EventId, Vec<Claim>>,
) -> Result<()> {
    let sql = format!(
        "SELECT aggregate_id, origin, counter, timestamp, parents, content FROM {table} WHERE id = ?"
    );
    let found = all(connection, OPERATION, &sql, [id.as_str()], |row| {
        Ok(Claim {
            aggregate: AggregateId::new(row.text(0)?)?,
            stamp: row.stamp(1)?,
            content: Hash::from_slice(row.blob(5)?)?,
        })
    })?;
    if !found.is_empty() {
        known.insert(id.clone(), found);
    }
    Ok(())
}

/// The histories of these aggregates, in their order.
pub(crate) fn vertices(
    connection: &Connection,
    claimed: Claimed,
    aggregates: impl IntoIterator<Item = AggregateId>,
) -> Result<Vec<(AggregateId, Vec<Vertex>)>> {
    let of = |aggregate| {
        let vertices = history(connection, claimed, &aggregate)?;
        Ok((aggregate, vertices))
    };
    aggregates.into_iter().map(of).collect()
}

fn history(connection: &Connection, claimed: Claimed, aggregate: &AggregateId) -> Result<Vec<Vertex>> {
    let operation = "read history";
    let mut ids = BTreeSet::new();
    if claimed.withdrawn {
        let sql = "SELECT id FROM withdrawn WHERE aggregate_id = ?";
        each(connection, operation, sql, [aggregate.as_str()], |row| {
            ids.insert(EventId::new(row.text(0)?)?);
            Ok(())
        })?;
    }
    let mut vertices = Vec::new();
    let sql = "SELECT id, event_type, origin, counter, timestamp, parents, stub, \
               iif(event_type = 'synckit.resolution', data, x'') \
               FROM entries WHERE aggregate_id = ? AND superseded = 0 ORDER BY position";
    each(connection, operation, sql, [aggregate.as_str()], |row| {
        let event = Event {
            id: EventId::new(row.text(0)?)?,
            event_type: EventType::new(row.text(1)?)?,
            aggregate_id: aggregate.clone(),
            data: Payload::stored(None, row.blob(7)?.to_vec()),
            metadata: Metadata::default(),
        };
        let vertex = vertex_of(&event, &row.stamp(2)?, row.number(6)? != 0);
        // What is left of an id of which something was withdrawn is worked out below.
        vertices.extend(vertex.filter(|v| ids.is_empty() || !ids.contains(v.id.as_str())));
        Ok(())
    })?;
    if !ids.is_empty() {
        let mut known = Known::of(node(connection)?);
        look_up(connection, &Lookup::of_ids(ids), claimed, &mut known)?;
        let withdrawn = known.withdrawn_vertices().filter(|(of, _)| of == aggregate);
        vertices.extend(withdrawn.map(|(_, vertex)| vertex));
    }
    Ok(vertices)
}

pub(crate) fn quarantine(connection: &Connection) -> Result<Vec<Quarantined>> {
    let sql = "SELECT side, peer, id, origin, counter, code, detail, position, held FROM quarantine";
    all(connection, "read quarantine", sql, [], |row| {
        let origin = row.blob(3)?;
        Ok(Quarantined {
            side: if row.text(0)? == "held" { QuarantineSide::Held } else { QuarantineSide::Refused },
            peer: LogId::from_slice(row.blob(1)?)?,
            id: EventId::new(row.text(2)?)?,
            origin: if origin.is_empty() { None } else { Some(NodeId::from_slice(origin)?) },
            counter: row.number(4)?,
            refusal: Refusal::new(RefusalCode::parse(row.text(5)?), row.text(6)?),
            position: row.number(7)?,
            held: row.optional_blob(8)?.map(decode_offered).transpose()?,
        })
    })
}
