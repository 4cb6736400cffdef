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
        Ok(Self { counter: row.number(counter)?, held: row.number(held)?, ids: hash(row, ids)? })
    }
}

/// A share in the hash over an origin's ids, or the hash itself.
pub(crate) fn hash(row: &Fields<'_>, column: usize) -> Result<u128> {
    let damaged = |_| Error::new(ErrorKind::Corrupt, OPERATION, "a hash over ids does not have 16 bytes");
    row.bytes(column)?.try_into().map(u128::from_be_bytes).map_err(damaged)
}

/// The columns of a stamp of an entry `e`, and of a stamp `s` that is known without one, as [`stamped`] reads them.
const OF_ENTRY: &str = "e.origin, e.counter, e.timestamp, e.parents, e.id, e.content, NULL::bytea AS share";
const OF_KNOWN: &str = "s.origin, s.counter, NULL::bigint, NULL::bytea, s.id, NULL::bytea, s.share";

/// An origin, a counter, and the share of what is held or known under them, which differs for any two.
type Stamped = (NodeId, u64, u128);

fn stamped(row: &Fields<'_>) -> Result<Stamped> {
    let share = if row.optional(6).is_some() {
        hash(row, 6)?
    } else {
        Progress::share(&EventId::new(row.text(4)?)?, &row.stamp([0, 1, 2, 3])?, &row.hash(5)?)
    };
    Ok((NodeId::from_slice(row.bytes(0)?)?, row.number(1)?, share))
}

/// What is on record of the origins of a write once it is stored. To be asked before it is.
pub(crate) async fn after(
    connection: &mut PgConnection,
    tenant: i32,
    changes: &Changes,
    known: &mut Known,
    origins: &mut Origins,
) -> Result<BTreeMap<NodeId, Recorded>> {
    let of_entries = changes.entries.iter().map(|e| (e.stamp.origin, e.stamp.counter, e.share));
    let of_known = changes.known_stamps.iter().map(|k| (k.origin, k.counter, k.share));
    let stamps: Vec<Stamped> = of_entries.chain(of_known).collect();
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
    let mut there: HashSet<Stamped> = existing(connection, tenant, old).await?.into_iter().collect();
    let mut counters: HashSet<(NodeId, u64)> = there.iter().map(|(o, c, _)| (*o, *c)).collect();
    let mut recorded = BTreeMap::new();
    for (origin, counter, share) in stamps {
        let record: &mut Recorded = recorded.entry(origin).or_insert_with(|| before(origin));
        if there.insert((origin, counter, share)) {
            record.ids ^= share;
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
        "COPY (SELECT {OF_ENTRY} FROM entries e WHERE e.tenant = {tenant} \
         UNION ALL SELECT {OF_KNOWN} FROM known_stamps s WHERE s.tenant = {tenant} ORDER BY 1, 2) \
         TO STDOUT (FORMAT binary)"
    );
    let mut recorded: BTreeMap<NodeId, Recorded> = BTreeMap::new();
    let mut of_counter: HashSet<u128> = HashSet::new();
    packed::each_copied(connection, &sql, OPERATION, |row| {
        let (origin, counter, share) = stamped(row)?;
        let record = recorded.entry(origin).or_default();
        if counter > record.counter {
            of_counter.clear();
            record.held += 1;
            record.counter = counter;
        }
        if of_counter.insert(share) {
            record.ids ^= share;
        }
        Ok(())
    })
    .await?;
    Ok(recorded)
}

/// What is on record after stamps each of which comes after all before of its origin, as it is the rule; none if one does
/// not.
fn ascending(stamps: &[Stamped], before: impl Fn(NodeId) -> Recorded) -> Option<BTreeMap<NodeId, Recorded>> {
    let mut recorded = BTreeMap::new();
    for (origin, counter, share) in stamps {
        let record: &mut Recorded = recorded.entry(*origin).or_insert_with(|| before(*origin));
        if *counter <= record.counter {
            return None;
        }
        record.ids ^= share;
        record.held += 1;
        record.counter = *counter;
    }
    Some(recorded)
}

/// Which of these stamps are there, and which of their counters are.
async fn existing<'a>(
    connection: &mut PgConnection,
    tenant: i32,
    stamps: impl Iterator<Item = &'a Stamped>,
) -> Result<Vec<Stamped>> {
    let pairs: BTreeSet<(NodeId, u64)> = stamps.map(|(origin, counter, _)| (*origin, *counter)).collect();
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let origins: Vec<[u8; 16]> = pairs.iter().map(|(origin, _)| origin.to_bytes()).collect();
    let sql = format!(
        "SELECT e.* FROM unnest($2::bytea[], $3::bigint[]) j (origin, counter) CROSS JOIN LATERAL \
         (SELECT {OF_ENTRY} FROM entries e \
         WHERE e.tenant = $1 AND e.origin = j.origin AND e.counter = j.counter OFFSET 0) e \
         UNION ALL SELECT s.* FROM unnest($2::bytea[], $3::bigint[]) j (origin, counter) CROSS JOIN LATERAL \
         (SELECT {OF_KNOWN} FROM known_stamps s \
         WHERE s.tenant = $1 AND s.origin = j.origin AND s.counter = j.counter OFFSET 0) s"
    );
    let found = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant)
        .bind(origins.iter().map(|o| o.as_slice()).collect::<Vec<_>>())
        .bind(pairs.iter().map(|(_, counter)| signed(*counter)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(from_sqlx(OPERATION))?;
    rows(&found, stamped)
}

/// The hash over what is held or known under each range of counters.
pub(crate) async fn mixed_under(
    connection: &mut PgConnection,
    tenant: i32,
    ranges: &[(NodeId, u64, u64)],
) -> Result<Vec<u128>> {
    let sql = format!(
        "SELECT {OF_ENTRY} FROM entries e WHERE e.tenant = $1 AND e.origin = $2 AND e.counter BETWEEN $3 AND $4 \
         UNION ALL SELECT {OF_KNOWN} FROM known_stamps s \
         WHERE s.tenant = $1 AND s.origin = $2 AND s.counter BETWEEN $3 AND $4"
    );
    let mut hashes = Vec::with_capacity(ranges.len());
    for (origin, from, to) in ranges {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(tenant).bind(origin.to_bytes());
        let query = query.bind(signed(*from)).bind(signed(*to));
        let found = query.fetch_all(&mut *connection).await.map_err(from_sqlx("read progress"))?;
        // An entry and a stub of it have one share, and so may a stamp that is known.
        let shares: HashSet<Stamped> = rows(&found, stamped)?.into_iter().collect();
        hashes.push(shares.into_iter().fold(0, |hash, (_, _, share)| hash ^ share));
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
    VectorCursor::from_progress(origins).map_err(Error::of_stored_row)
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
