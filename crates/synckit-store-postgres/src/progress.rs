//! How much of each origin's events the store holds: kept up to date by every write, so that asking costs nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::PgConnection;
use synckit_core::{
    Error, ErrorKind, EventId, NodeId, Progress, Result, VectorCursor,
    plan::{Changes, Known, Lookup},
};

use crate::{
    error::from_sqlx,
    lookup::{self, Origins},
    packed::{self, Fields, rows},
    read::signed,
};

const OPERATION: &str = "record progress";

/// What is on record of one origin: the greatest counter, how many counters are held, and the hash over their ids.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recorded {
    pub(crate) counter: u64,
    pub(crate) held: u64,
    pub(crate) ids: u128,
}

impl Recorded {
    /// What is on record, by the places of the counter, the number held, and the hash.
    pub(crate) fn read(row: &Fields<'_>, [counter, held, ids]: [usize; 3]) -> Result<Self> {
        let damaged = |_| Error::new(ErrorKind::Corrupt, OPERATION, "a hash over ids does not have 16 bytes");
        let ids = row.bytes(ids)?.try_into().map_err(damaged)?;
        Ok(Self { counter: row.number(counter)?, held: row.number(held)?, ids: u128::from_be_bytes(ids) })
    }
}

/// A stamp with its event.
type Stamped<'a> = (NodeId, u64, &'a str);

/// What is on record of the origins of a write once it is stored. To be asked before it is.
pub(crate) async fn after(
    connection: &mut PgConnection,
    tenant: i32,
    changes: &Changes,
    known: &mut Known,
    origins: &mut Origins,
) -> Result<BTreeMap<NodeId, Recorded>> {
    let of_entries = changes.entries.iter().map(|e| (e.stamp.origin, e.stamp.counter, e.event.id.as_str()));
    let of_known = changes.known_stamps.iter().map(|k| (k.origin, k.counter, k.id.as_str()));
    let stamps: Vec<Stamped<'_>> = of_entries.chain(of_known).collect();
    for (origin, ..) in &stamps {
        origins.entry(*origin).or_insert(None);
    }
    if origins.values().any(Option::is_none) {
        lookup::look_up(connection, tenant, &Lookup::default(), known, origins).await?;
    }
    let before = |origin: NodeId| origins.get(&origin).copied().flatten().unwrap_or_default();
    if let Some(recorded) = ascending(&stamps, before) {
        return Ok(recorded);
    }
    let old = stamps.iter().filter(|(origin, counter, _)| *counter <= before(*origin).counter);
    let existing = existing(connection, tenant, old).await?;
    let mut there: HashSet<Stamped<'_>> = existing.iter().map(|(o, c, id)| (*o, *c, id.as_str())).collect();
    let mut counters: HashSet<(NodeId, u64)> = existing.iter().map(|(o, c, _)| (*o, *c)).collect();
    let mut recorded = BTreeMap::new();
    for (origin, counter, id) in stamps {
        let record: &mut Recorded = recorded.entry(origin).or_insert_with(|| before(origin));
        if there.insert((origin, counter, id)) {
            record.ids ^= Progress::mix(counter, id);
            record.held += u64::from(counters.insert((origin, counter)));
            record.counter = record.counter.max(counter);
        }
    }
    Ok(recorded)
}

/// What is to be on record of all origins, worked out anew from all stamps.
pub(crate) async fn worked_out(
    connection: &mut PgConnection,
    tenant: i32,
) -> Result<BTreeMap<NodeId, Recorded>> {
    let sql = format!(
        "COPY (SELECT origin, counter, id FROM entries WHERE tenant = {tenant} \
         UNION SELECT origin, counter, id FROM known_stamps WHERE tenant = {tenant} ORDER BY 1, 2) \
         TO STDOUT (FORMAT binary)"
    );
    let mut recorded: BTreeMap<NodeId, Recorded> = BTreeMap::new();
    packed::each_copied(connection, &sql, OPERATION, |row| {
        let counter = row.number(1)?;
        let record = recorded.entry(NodeId::from_slice(row.bytes(0)?)?).or_default();
        record.ids ^= Progress::mix(counter, row.text(2)?);
        record.held += u64::from(counter > record.counter);
        record.counter = counter;
        Ok(())
    })
    .await?;
    Ok(recorded)
}

/// What is on record after stamps each of which comes after all before of its origin, as it is the rule; none if one does
/// not.
fn ascending(
    stamps: &[Stamped<'_>],
    before: impl Fn(NodeId) -> Recorded,
) -> Option<BTreeMap<NodeId, Recorded>> {
    let mut recorded = BTreeMap::new();
    for (origin, counter, id) in stamps {
        let record: &mut Recorded = recorded.entry(*origin).or_insert_with(|| before(*origin));
        if *counter <= record.counter {
            return None;
        }
        record.ids ^= Progress::mix(*counter, id);
        record.held += 1;
        record.counter = *counter;
    }
    Some(recorded)
}

/// Which of these stamps are there, and which of their counters are.
async fn existing<'a>(
    connection: &mut PgConnection,
    tenant: i32,
    stamps: impl Iterator<Item = &'a Stamped<'a>>,
) -> Result<Vec<(NodeId, u64, EventId)>> {
    let pairs: BTreeSet<(NodeId, u64)> = stamps.map(|(origin, counter, _)| (*origin, *counter)).collect();
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let origins: Vec<[u8; 16]> = pairs.iter().map(|(origin, _)| origin.to_bytes()).collect();
    let sql = "SELECT e.origin, e.counter, e.id FROM unnest($2::bytea[], $3::bigint[]) j (origin, counter) \
               JOIN entries e ON e.tenant = $1 AND e.origin = j.origin AND e.counter = j.counter \
               UNION SELECT s.origin, s.counter, s.id FROM unnest($2::bytea[], $3::bigint[]) j (origin, counter) \
               JOIN known_stamps s ON s.tenant = $1 AND s.origin = j.origin AND s.counter = j.counter";
    let found = sqlx::query(sql)
        .bind(tenant)
        .bind(origins.iter().map(|o| o.as_slice()).collect::<Vec<_>>())
        .bind(pairs.iter().map(|(_, counter)| signed(*counter)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(from_sqlx(OPERATION))?;
    rows(&found, |row| Ok((NodeId::from_slice(row.bytes(0)?)?, row.number(1)?, EventId::new(row.text(2)?)?)))
}

/// The hash over the ids under each range of counters.
pub(crate) async fn mixed_under(
    connection: &mut PgConnection,
    tenant: i32,
    ranges: &[(NodeId, u64, u64)],
) -> Result<Vec<u128>> {
    let sql = "SELECT counter, id FROM entries WHERE tenant = $1 AND origin = $2 AND counter BETWEEN $3 AND $4 \
               UNION SELECT counter, id FROM known_stamps \
               WHERE tenant = $1 AND origin = $2 AND counter BETWEEN $3 AND $4";
    let mut hashes = Vec::with_capacity(ranges.len());
    for (origin, from, to) in ranges {
        let found = sqlx::query(sql)
            .bind(tenant)
            .bind(origin.to_bytes())
            .bind(signed(*from))
            .bind(signed(*to))
            .fetch_all(&mut *connection)
            .await
            .map_err(from_sqlx("read progress"))?;
        let shares = rows(&found, |row| Ok(Progress::mix(row.number(0)?, row.text(1)?)))?;
        hashes.push(shares.into_iter().fold(0, |hash, share| hash ^ share));
    }
    Ok(hashes)
}

/// All that the store holds.
pub(crate) async fn vector(connection: &mut PgConnection, tenant: i32) -> Result<VectorCursor> {
    let query = sqlx::query("SELECT origin, counter, held, ids FROM origins WHERE tenant = $1").bind(tenant);
    let found = query.fetch_all(&mut *connection).await.map_err(from_sqlx("read progress"))?;
    let recorded =
        rows(&found, |row| Ok((NodeId::from_slice(row.bytes(0)?)?, Recorded::read(row, [1, 2, 3])?)))?;
    let mut origins = BTreeMap::new();
    for (origin, Recorded { counter, held, ids }) in recorded {
        let gaps = if held < counter { gaps(connection, tenant, origin).await? } else { Vec::new() };
        origins.insert(origin, Progress { counter, gaps, stubs: Vec::new(), ids });
    }
    stubs(connection, tenant, &mut origins).await?;
    VectorCursor::from_progress(origins)
}

/// Adds the ranges of stubs that count. The index over them is empty for a node without stubs.
async fn stubs(
    connection: &mut PgConnection,
    tenant: i32,
    origins: &mut BTreeMap<NodeId, Progress>,
) -> Result<()> {
    let sql = "SELECT origin, min(counter), max(counter) FROM \
               (SELECT origin, counter, counter - row_number() OVER (PARTITION BY origin ORDER BY counter) AS run \
               FROM (SELECT DISTINCT e.origin, e.counter FROM entries e \
               WHERE e.tenant = $1 AND e.stub AND NOT e.superseded \
               AND NOT EXISTS (SELECT 1 FROM withdrawn w \
               WHERE w.tenant = $1 AND w.id = e.id AND w.origin = e.origin AND w.counter = e.counter)) d) r \
               GROUP BY origin, run ORDER BY 1, 2";
    let query = sqlx::query(sql).bind(tenant);
    let found = query.fetch_all(connection).await.map_err(from_sqlx("read progress"))?;
    for (origin, range) in
        rows(&found, |row| Ok((NodeId::from_slice(row.bytes(0)?)?, (row.number(1)?, row.number(2)?))))?
    {
        if let Some(progress) = origins.get_mut(&origin) {
            progress.stubs.push(range);
        }
    }
    Ok(())
}

async fn gaps(connection: &mut PgConnection, tenant: i32, origin: NodeId) -> Result<Vec<(u64, u64)>> {
    let sql = "SELECT before + 1, counter - 1 FROM \
               (SELECT counter, lag(counter, 1, 0::bigint) OVER (ORDER BY counter) AS before FROM \
               (SELECT counter FROM entries WHERE tenant = $1 AND origin = $2 \
               UNION SELECT counter FROM known_stamps WHERE tenant = $1 AND origin = $2) d) r \
               WHERE counter > before + 1 ORDER BY 1";
    let query = sqlx::query(sql).bind(tenant).bind(origin.to_bytes());
    let found = query.fetch_all(connection).await.map_err(from_sqlx("read progress"))?;
    rows(&found, |row| Ok((row.number(0)?, row.number(1)?)))
}
