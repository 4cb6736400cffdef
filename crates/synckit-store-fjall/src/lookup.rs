//! What is known before a write.

use std::collections::{BTreeSet, HashMap};

use synckit_core::{
    AggregateId, EventId, NodeId, Result,
    graph::{Head, Vertex, decode_heads},
    parallel,
    plan::{Claim, Known, KnownEntry, Lookup},
    store::Quarantined,
};

use crate::{
    entry::Stored,
    keys::{self, Kind},
    read,
    row::{RowReader, name},
    rows::{decode_claim, decode_decision, decode_quarantined},
    view::{View, at_position},
};

/// Which claims there are. Mostly there are none, and looking for them can be spared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed {
    pub(crate) withdrawn: bool,
    pub(crate) others: bool,
}

impl Claimed {
    pub(crate) fn of(view: &View<'_>) -> Result<Self> {
        let small = &view.tables.small;
        Ok(Self {
            withdrawn: view.has(small, &Kind::Withdrawn.alone())?,
            others: view.has(small, &Kind::Other.alone())?,
        })
    }
}

/// The position of the entry that counts for an id.
pub(crate) fn position_of(view: &View<'_>, id: &EventId) -> Result<Option<u64>> {
    view.get(&view.tables.ids, id.as_str())?.map(|position| keys::number(&position)).transpose()
}

pub(crate) fn look_up(view: &View<'_>, lookup: &Lookup, claimed: Claimed, known: &mut Known) -> Result<()> {
    counting(view, lookup, known)?;
    for id in lookup.ids.iter().filter(|_| claimed.withdrawn || claimed.others) {
        if claimed.withdrawn {
            claims(view, Kind::Withdrawn, id, &mut known.withdrawn)?;
        }
        if claimed.others {
            claims(view, Kind::Other, id, &mut known.others)?;
        }
    }
    for id in &lookup.events {
        if let Some(position) = position_of(view, id)? {
            known.events.insert(id.clone(), view.entry(position, |entry| entry.entry())?.event);
        }
    }
    for vertex in &lookup.decisions {
        if let Some(row) = view.get(&view.tables.small, Kind::Decision.of(vertex.as_str().as_bytes()))? {
            let decision = decode_decision(&row)?;
            known.decisions.insert(vertex.clone(), (decision.aggregate, decision.timestamp));
        }
    }
    for aggregate in &lookup.aggregates {
        if let Some(row) = view.get(&view.tables.heads, aggregate.as_str())? {
            known.heads.insert(aggregate.clone(), heads(&row)?);
        }
    }
    for counter in &lookup.own_counters {
        let prefix = keys::counter(known.node.node, *counter);
        if let Some(row) = view.prefix(&view.tables.stamps, &prefix).next() {
            let (key, _) = row?;
            known.own.insert(*counter, name(keys::shared_of(&key)?.1.as_bytes())?);
        }
    }
    if lookup.quarantine {
        known.quarantine = quarantine(view)?;
    }
    if let Some(log) = lookup.unstamped_from {
        for aggregate in &lookup.aggregates {
            if let Some(last) = last_from(view, aggregate, NodeId::from(log))? {
                known.last_unstamped.insert(aggregate.clone(), last);
            }
        }
    }
    Ok(())
}

/// The entries that count for the ids.
fn counting(view: &View<'_>, lookup: &Lookup, known: &mut Known) -> Result<()> {
    let ids: Vec<&EventId> = lookup.ids.iter().collect();
    let (front, back) = ids.split_at(ids.len() / 2);
    let find = |ids: &[&EventId]| -> Result<Vec<(EventId, KnownEntry)>> {
        let mut found = Vec::new();
        for id in ids {
            if let Some(position) = position_of(view, id)? {
                found.push(((*id).clone(), view.entry(position, |entry| entry.known())?));
            }
        }
        Ok(found)
    };
    let (front, back) = parallel::both(ids.len(), || find(front), || find(back));
    known.entries.extend(front?.into_iter().chain(back?));
    Ok(())
}

/// The heads in a row.
pub(crate) fn heads(row: &[u8]) -> Result<Vec<Head>> {
    decode_heads(RowReader::open(row, 0)?.rest())
}

fn claims(view: &View<'_>, kind: Kind, id: &EventId, known: &mut HashMap<EventId, Vec<Claim>>) -> Result<()> {
    for row in view.prefix(&view.tables.small, &kind.under(id.as_str())) {
        known.entry(id.clone()).or_default().push(decode_claim(&row?.1)?);
    }
    Ok(())
}

/// Goes through an aggregate's entries that count.
fn each_counting(
    view: &View<'_>,
    aggregate: &AggregateId,
    mut visit: impl FnMut(&Stored<'_>) -> Result<()>,
) -> Result<()> {
    for row in view.prefix(&view.tables.positions, &keys::aggregate(aggregate)) {
        let position = keys::number(&row?.0)?;
        view.entry(position, |entry| if entry.superseded() { Ok(()) } else { visit(entry) })?;
    }
    Ok(())
}

/// The last event of an aggregate that came from a log without stamps.
fn last_from(view: &View<'_>, aggregate: &AggregateId, origin: NodeId) -> Result<Option<EventId>> {
    let mut last: Option<(u64, EventId)> = None;
    each_counting(view, aggregate, |entry| {
        if entry.origin() == origin && last.as_ref().is_none_or(|(counter, _)| *counter <= entry.counter()) {
            last = Some((entry.counter(), entry.id()?));
        }
        Ok(())
    })?;
    Ok(last.map(|(_, id)| id))
}

/// The history of an aggregate.
pub(crate) fn vertices(view: &View<'_>, claimed: Claimed, aggregate: &AggregateId) -> Result<Vec<Vertex>> {
    let mut ids = BTreeSet::new();
    if claimed.withdrawn {
        for row in view.prefix(&view.tables.small, &Kind::WithdrawnOfAggregate.under(aggregate.as_str())) {
            ids.insert(name::<EventId>(keys::after_zero(&row?.0)?)?);
        }
    }
    let mut vertices = Vec::new();
    each_counting(view, aggregate, |entry| {
        let vertex = entry.vertex()?.filter(|v| ids.is_empty() || !ids.contains(v.id.as_str()));
        vertices.extend(vertex);
        Ok(())
    })?;
    if !ids.is_empty() {
        let mut known = Known::of(crate::schema::node(view)?.state);
        look_up(view, &Lookup::of_ids(ids), claimed, &mut known)?;
        let withdrawn = known.withdrawn_vertices().filter(|(of, _)| of == aggregate);
        vertices.extend(withdrawn.map(|(_, vertex)| vertex));
    }
    Ok(vertices)
}

pub(crate) fn quarantine(view: &View<'_>) -> Result<Vec<Quarantined>> {
    read::rows(view, &Kind::Quarantine.alone(), decode_quarantined)
}

/// The entries at these positions, in their order.
pub(crate) fn at_positions(
    view: &View<'_>,
    positions: impl IntoIterator<Item = u64>,
) -> Result<Vec<synckit_core::store::LogEntry>> {
    positions.into_iter().map(|position| view.entry(position, |entry| entry.entry())).collect()
}

/// An entry of the log in its row, as it is met on the way along the log.
pub(crate) fn met(position: u64, row: &[u8]) -> Result<synckit_core::store::LogEntry> {
    Stored::read(position, row).and_then(|entry| entry.entry()).map_err(|e| at_position(e, position))
}
