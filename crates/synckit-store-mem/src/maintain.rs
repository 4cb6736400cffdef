//! Moving what a store holds: giving its rows out, and being filled with those of another.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use synckit_core::{
    AggregateId, Error, EventId, NodeId, Result, VertexId,
    plan::{Changes, Claim, ClaimOf, KnownStamp, NewHeads, NodeState},
    store::{Rows, Standing, Table},
};

use crate::state::State;

fn foreign_key<E>(_: E) -> Error {
    Error::invalid("read rows", "the key is not one that this store gave")
}

/// The rows after a key, which is the text that `K` is made from; with the key of the last, if there may be more.
fn after<'a, K: Ord + AsRef<str> + 'a, V>(
    rows: &'a BTreeMap<K, V>,
    key: Option<K>,
    limit: usize,
) -> (Vec<(&'a K, &'a V)>, Option<Vec<u8>>) {
    let from = key.map_or(Unbounded, Excluded);
    let found: Vec<_> = rows.range((from, Unbounded)).take(limit.max(1)).collect();
    let more = found.len() == limit.max(1);
    let next = found.last().filter(|_| more).map(|(key, _)| key.as_ref().as_bytes().to_vec());
    (found, next)
}

fn claims(rows: &[(&EventId, &Vec<Claim>)]) -> Vec<ClaimOf> {
    let mut all = Vec::new();
    for (id, claims) in rows {
        all.extend(claims.iter().map(|claim| ClaimOf { id: (*id).clone(), claim: claim.clone() }));
    }
    all
}

impl State {
    pub(crate) fn rows(&self, table: Table, key: Option<&[u8]>, limit: usize) -> Result<Rows> {
        let text = key.map(|k| std::str::from_utf8(k).map(str::to_owned)).transpose();
        let mut changes = Changes::default();
        let next = match table {
            Table::Heads => {
                let key = text.map_err(foreign_key)?.map(AggregateId::new).transpose()?;
                let (rows, next) = after(&self.aggregates, key, limit);
                changes.heads = rows
                    .into_iter()
                    .map(|(id, a)| NewHeads {
                        aggregate: id.clone(),
                        heads: a.heads.clone(),
                        conflict: a.conflict.clone(),
                    })
                    .collect();
                next
            }
            Table::Decisions => {
                let key = text.map_err(foreign_key)?.map(VertexId::new).transpose()?;
                let (rows, next) = after(&self.decisions, key, limit);
                changes.decisions = rows.into_iter().map(|(_, d)| d.clone()).collect();
                next
            }
            Table::Reviews => {
                let by_event: BTreeMap<EventId, _> =
                    self.reviews.iter().map(|r| (r.event.clone(), r)).collect();
                let key = text.map_err(foreign_key)?.map(EventId::new).transpose()?;
                let (rows, next) = after(&by_event, key, limit);
                changes.reviews = rows.into_iter().map(|(_, r)| (*r).clone()).collect();
                next
            }
            Table::Withdrawn => {
                let key = text.map_err(foreign_key)?.map(EventId::new).transpose()?;
                let (rows, next) = after(&self.withdrawn, key, limit);
                changes.withdrawn = claims(&rows);
                next
            }
            Table::OtherClaims => {
                let key = text.map_err(foreign_key)?.map(EventId::new).transpose()?;
                let (rows, next) = after(&self.others, key, limit);
                changes.others = claims(&rows);
                next
            }
            Table::KnownStamps => {
                let key = key.map(origin_and_counter).transpose()?;
                let (rows, next) = self.known_stamps(key, limit.max(1));
                changes.known_stamps = rows;
                next
            }
            other => {
                return Err(Error::invalid("read rows", format!("the table {other:?} is not known here")));
            }
        };
        Ok(Rows { changes, next })
    }

    /// Stamps without an entry, all of a counter at once.
    fn known_stamps(&self, after: Option<(NodeId, u64)>, limit: usize) -> (Vec<KnownStamp>, Option<Vec<u8>>) {
        let mut rows = Vec::new();
        let first = after.map(|(origin, _)| origin);
        for (origin, known) in self.origins.iter().filter(|(origin, _)| first.is_none_or(|f| **origin >= f)) {
            let done = after.filter(|(of, _)| of == origin).map_or(0, |(_, counter)| counter);
            for (counter, ids) in known.stamps.range((Excluded(done), Unbounded)) {
                let without = ids.iter().filter(|(_, position)| position.is_none());
                rows.extend(without.map(|((id, share), _)| KnownStamp {
                    origin: *origin,
                    counter: *counter,
                    id: id.clone(),
                    share: *share,
                }));
                if rows.len() >= limit {
                    let mut key = origin.to_bytes().to_vec();
                    key.extend(counter.to_be_bytes());
                    return (rows, Some(key));
                }
            }
        }
        (rows, None)
    }

    pub(crate) fn fill(&mut self, changes: Changes) -> Result<()> {
        let end = self.node.head.position;
        self.standing.may_fill()?;
        if changes.entries.iter().zip(end + 1..).any(|(entry, position)| entry.position != position) {
            return Err(Error::invalid("fill store", format!("the entries do not follow on position {end}")));
        }
        self.store(changes);
        Ok(())
    }

    pub(crate) fn complete(&mut self, node: NodeState) -> Result<()> {
        self.standing.may_fill()?;
        if node.head != self.node.head {
            let (has, wanted) = (self.node.head.position, node.head.position);
            return Err(Error::invalid(
                "fill store",
                format!("the log ends at position {has}, not at {wanted}, or with another hash"),
            ));
        }
        self.node = node;
        self.standing = Standing::Live;
        Ok(())
    }
}

fn origin_and_counter(key: &[u8]) -> Result<(NodeId, u64)> {
    let (origin, counter) = key.split_at_checked(16).ok_or_else(|| foreign_key(()))?;
    let counter = counter.try_into().map(u64::from_be_bytes).map_err(foreign_key)?;
    Ok((NodeId::from_slice(origin)?, counter))
}
