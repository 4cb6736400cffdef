//! Reading the log and what is known of it.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use synckit_core::{
    AggregateId, ConflictId, EventId, Hash, Lacking, LogId, Mark, Result, VertexId, decode_parents,
    store::{
        Checkpoint, LogEntry, LogPage, OpenConflict, PageBuilder, ReadRequest, ReviewRow, StoredDecision,
    },
};

use crate::{
    error::from_sqlx,
    lookup::{self, list},
    packed::{self, rows},
    progress,
};

/// Up to this many entries that a peer lacks are looked for one by one; for more, the log is read through.
const FEW: u64 = 4_096;
/// Entries fetched at a time at the beginning of a page, when nothing is known of their size yet: at the limit of data they
/// take 64 MiB.
const FIRST_BATCH: usize = 64;
/// Most entries fetched at a time: memory stays bounded, however much a filter passes over.
const LARGEST_BATCH: usize = 4_000;
/// Bytes that a batch is to have, going by the entries seen so far.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A page, read in one snapshot.
pub(crate) async fn page(
    connection: &mut PgConnection,
    tenant: i32,
    request: &ReadRequest,
) -> Result<LogPage> {
    let head = lookup::node(connection, tenant).await?.head;
    let lacking = match &request.missing_from {
        Some(theirs) => Some(progress::vector(connection, tenant).await?.lacking(theirs)),
        None => None,
    };
    let few = lacking.as_ref().filter(|lacking| lacking.count() <= FEW);
    let many = lacking.as_ref().filter(|_| few.is_none());
    let mut page = PageBuilder::new(request, lacking.as_ref(), head);
    let mut last = request.after;
    if let (Some(lacking), 0) = (many, request.after) {
        last = first_of(connection, tenant, lacking).await?.map_or(head.position, |first| first - 1);
    }
    let mut batch = FIRST_BATCH;
    'pages: while last < head.position {
        let wanted = batch.min(page.room() + 1);
        let fetched = fetch(connection, tenant, request, few, last, wanted).await?;
        let full = fetched.len() == wanted;
        let size: usize = fetched.iter().map(LogEntry::size).sum();
        batch = (BATCH_BYTES * wanted / size.max(1)).clamp(1, LARGEST_BATCH);
        for entry in fetched {
            last = entry.position;
            if !page.take(entry)? {
                break 'pages;
            }
        }
        if !full {
            break;
        }
    }
    let hash = match page.end() {
        (_, Some(hash)) => hash,
        (end, None) => hashes(connection, tenant, &[end]).await?.pop().flatten().unwrap_or(Hash::ZERO),
    };
    Ok(page.finish(hash))
}

/// Origins, and the first and the last counters of ranges, as three parameters.
type Ranges = (Vec<Vec<u8>>, Vec<i64>, Vec<i64>);

fn ranges(lacking: &Lacking) -> Ranges {
    let mut ranges = Ranges::default();
    for (origin, from, to) in lacking.ranges() {
        ranges.0.push(origin.to_bytes().to_vec());
        ranges.1.push(signed(from));
        ranges.2.push(signed(to));
    }
    ranges
}

/// The first position of an entry among them.
async fn first_of(connection: &mut PgConnection, tenant: i32, lacking: &Lacking) -> Result<Option<u64>> {
    let sql = "SELECT min(e.position) FROM unnest($2::bytea[], $3::bigint[], $4::bigint[]) j (origin, first, last) \
               CROSS JOIN LATERAL (SELECT e.position FROM entries e WHERE e.tenant = $1 AND e.origin = j.origin \
               AND e.counter BETWEEN j.first AND j.last OFFSET 0) e";
    let (origins, from, to) = ranges(lacking);
    let first: Option<i64> = sqlx::query_scalar(sql)
        .bind(tenant)
        .bind(origins)
        .bind(from)
        .bind(to)
        .fetch_one(connection)
        .await
        .map_err(from_sqlx("read"))?;
    Ok(first.map(i64::cast_unsigned))
}

/// The next entries. First their positions are found, where that takes looking, and then what is there.
async fn fetch(
    connection: &mut PgConnection,
    tenant: i32,
    request: &ReadRequest,
    lacking: Option<&Lacking>,
    after: u64,
    limit: usize,
) -> Result<Vec<LogEntry>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    if lacking.is_none() && request.filter.aggregates.is_empty() {
        // After a pull, the log has little else than what is not to be sent back.
        let wanted = request.not_from.map_or_else(String::new, |(log, floor)| {
            let (log, floor) = (log.as_u128(), signed(floor));
            format!(
                "AND (e.received_from IS DISTINCT FROM decode('{log:032x}', 'hex') OR e.position <= {floor})"
            )
        });
        let sql = format!(
            "COPY (SELECT {} FROM entries e WHERE e.tenant = {tenant} AND e.position > {} {wanted} \
             ORDER BY e.position LIMIT {limit}) TO STDOUT (FORMAT binary)",
            packed::ENTRY,
            signed(after)
        );
        return packed::copied(connection, &sql, "read", packed::entry).await;
    }
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new("SELECT ");
    query.push("e.* FROM (SELECT p.position FROM ");
    if let Some(lacking) = lacking {
        let (origins, from, to) = ranges(lacking);
        query.push("(SELECT DISTINCT ON (e.origin, e.counter, e.id, e.timestamp, e.parents, e.content) e.position FROM unnest(");
        query.push_bind(origins).push("::bytea[], ").push_bind(from).push("::bigint[], ").push_bind(to);
        query.push(
            "::bigint[]) j (origin, first, last) CROSS JOIN LATERAL (SELECT e.origin, e.counter, e.id, e.timestamp, e.parents, e.content, ",
        );
        query.push("e.position FROM entries e WHERE e.tenant = ").push_bind(tenant);
        query.push(
            " AND e.origin = j.origin AND e.counter BETWEEN j.first AND j.last OFFSET 0) e \
             ORDER BY e.origin, e.counter, e.id, e.timestamp, e.parents, e.content, e.position DESC) p WHERE p.position > ",
        );
        query.push_bind(signed(after));
    } else {
        let names: Vec<String> = list(&request.filter.aggregates).into_iter().map(str::to_owned).collect();
        query.push("unnest(").push_bind(names).push("::text[]) j CROSS JOIN LATERAL (SELECT e.position");
        query.push(" FROM entries e WHERE e.tenant = ").push_bind(tenant).push(" AND e.aggregate_id = j");
        query.push(" AND e.position > ").push_bind(signed(after));
        query.push(" ORDER BY e.position LIMIT ").push_bind(limit).push(") p");
    }
    query.push(" ORDER BY p.position LIMIT ").push_bind(limit).push(") p CROSS JOIN LATERAL (SELECT ");
    query.push(packed::ENTRY).push(" FROM entries e WHERE e.tenant = ").push_bind(tenant);
    query.push(" AND e.position = p.position OFFSET 0) e ORDER BY p.position");
    let found = query.build().fetch_all(connection).await.map_err(from_sqlx("read"))?;
    rows(&found, packed::entry)
}

/// Numbers beyond PostgreSQL's range are beyond every position, too.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) async fn hashes(
    connection: &mut PgConnection,
    tenant: i32,
    positions: &[u64],
) -> Result<Vec<Option<Hash>>> {
    let asked: Vec<i64> = positions.iter().map(|p| signed(*p)).collect();
    let sql = "SELECT e.hash FROM unnest($2::bigint[]) WITH ORDINALITY j (position, place) \
               LEFT JOIN entries e ON e.tenant = $1 AND e.position = j.position ORDER BY j.place";
    let query = sqlx::query(sql).bind(tenant).bind(asked);
    let found = query.fetch_all(connection).await.map_err(from_sqlx("read hashes"))?;
    let found = rows(&found, |row| row.optional(0).map(Hash::from_slice).transpose())?;
    let start = |(position, hash): (&u64, Option<Hash>)| if *position == 0 { Some(Hash::ZERO) } else { hash };
    Ok(positions.iter().zip(found).map(start).collect())
}

pub(crate) async fn load(
    connection: &mut PgConnection,
    tenant: i32,
    ids: &[EventId],
) -> Result<Vec<LogEntry>> {
    let sql = format!(
        "SELECT e.* FROM unnest($2::text[]) j CROSS JOIN LATERAL (SELECT {} FROM entries e \
         WHERE e.tenant = $1 AND e.id = j AND NOT e.superseded OFFSET 0) e",
        packed::ENTRY
    );
    let mut entries = Vec::with_capacity(ids.len());
    for ids in list(ids).chunks(FIRST_BATCH) {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(tenant).bind(ids);
        let found = query.fetch_all(&mut *connection).await.map_err(from_sqlx("load"))?;
        entries.extend(rows(&found, packed::entry)?);
    }
    entries.into_iter().map(LogEntry::verified).collect()
}

/// Aggregates of a query with the parameters tenant, name and limit.
async fn names(
    connection: &mut PgConnection,
    sql: &'static str,
    (tenant, after, limit): (i32, Option<&AggregateId>, usize),
) -> Result<Vec<AggregateId>> {
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(after.map_or("", |a| a.as_str()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let found = query.fetch_all(connection).await.map_err(from_sqlx("list aggregates"))?;
    rows(&found, |row| AggregateId::new(row.text(0)?))
}

pub(crate) async fn aggregates(
    connection: &mut PgConnection,
    tenant: i32,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let sql = "SELECT aggregate_id FROM aggregates WHERE tenant = $1 AND aggregate_id > $2 \
               ORDER BY aggregate_id LIMIT $3";
    names(connection, sql, (tenant, after, limit)).await
}

pub(crate) async fn disputed(
    connection: &mut PgConnection,
    tenant: i32,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let sql = "SELECT aggregate_id FROM aggregates WHERE tenant = $1 AND conflict IS NOT NULL AND aggregate_id > $2 \
               UNION SELECT aggregate_id FROM decisions WHERE tenant = $1 AND aggregate_id > $2 \
               UNION SELECT aggregate_id FROM withdrawn WHERE tenant = $1 AND aggregate_id > $2 ORDER BY 1 LIMIT $3";
    names(connection, sql, (tenant, after, limit)).await
}

pub(crate) async fn conflicts(
    connection: &mut PgConnection,
    tenant: i32,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<OpenConflict>> {
    let sql = "SELECT a.aggregate_id, a.conflict, EXISTS (SELECT 1 FROM reviews r \
               WHERE r.tenant = $1 AND r.aggregate_id = a.aggregate_id) FROM aggregates a \
               WHERE a.tenant = $1 AND a.conflict IS NOT NULL AND a.aggregate_id > $2 ORDER BY a.aggregate_id LIMIT $3";
    let query = sqlx::query(sql)
        .bind(tenant)
        .bind(after.map_or("", |a| a.as_str()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let found = query.fetch_all(connection).await.map_err(from_sqlx("list conflicts"))?;
    rows(&found, |row| {
        Ok(OpenConflict {
            aggregate: AggregateId::new(row.text(0)?)?,
            id: ConflictId::new(row.text(1)?)?,
            in_review: row.flag(2)?,
        })
    })
}

pub(crate) async fn count_conflicts(connection: &mut PgConnection, tenant: i32) -> Result<u64> {
    let sql = "SELECT count(*) FROM aggregates WHERE tenant = $1 AND conflict IS NOT NULL";
    let count: i64 = sqlx::query_scalar(sql)
        .bind(tenant)
        .fetch_one(connection)
        .await
        .map_err(from_sqlx("count conflicts"))?;
    Ok(count.cast_unsigned())
}

/// What reviews are asked for.
pub(crate) enum Reviewed {
    Conflict(ConflictId),
    Aggregate(AggregateId),
}

pub(crate) async fn reviews(
    connection: &mut PgConnection,
    tenant: i32,
    of: &Reviewed,
) -> Result<Vec<ReviewRow>> {
    let (sql, name) = match of {
        Reviewed::Conflict(conflict) => (
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews \
             WHERE tenant = $1 AND conflict = $2 ORDER BY event",
            conflict.as_str(),
        ),
        Reviewed::Aggregate(aggregate) => (
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews \
             WHERE tenant = $1 AND aggregate_id = $2 ORDER BY event",
            aggregate.as_str(),
        ),
    };
    let query = sqlx::query(sql).bind(tenant).bind(name);
    let found = query.fetch_all(connection).await.map_err(from_sqlx("list reviews"))?;
    rows(&found, |row| {
        Ok(ReviewRow {
            event: EventId::new(row.text(0)?)?,
            conflict: ConflictId::new(row.text(1)?)?,
            aggregate: AggregateId::new(row.text(2)?)?,
            heads: decode_parents(row.bytes(3)?)?,
            reason: row.text(4)?.to_owned(),
        })
    })
}

pub(crate) async fn decisions(
    connection: &mut PgConnection,
    tenant: i32,
    conflict: &ConflictId,
) -> Result<Vec<StoredDecision>> {
    let sql = "SELECT vertex, event, aggregate_id, timestamp FROM decisions \
               WHERE tenant = $1 AND conflict = $2 ORDER BY vertex";
    let query = sqlx::query(sql).bind(tenant).bind(conflict.as_str());
    let found = query.fetch_all(connection).await.map_err(from_sqlx("list decisions"))?;
    rows(&found, |row| {
        Ok(StoredDecision {
            vertex: VertexId::new(row.text(0)?)?,
            event: EventId::new(row.text(1)?)?,
            aggregate: AggregateId::new(row.text(2)?)?,
            conflict: Some(conflict.clone()),
            timestamp: row.timestamp(3)?,
        })
    })
}

pub(crate) async fn checkpoints(connection: &mut PgConnection, tenant: i32) -> Result<Vec<Checkpoint>> {
    let sql = "SELECT log, address, filter, pull_position, pull_hash, push, seen_position, seen_hash, \
               shown_position, shown_hash, echo_floor, synced_at FROM checkpoints WHERE tenant = $1 ORDER BY log";
    let query = sqlx::query(sql).bind(tenant);
    let found = query.fetch_all(connection).await.map_err(from_sqlx("read checkpoints"))?;
    rows(&found, |row| {
        let mut checkpoint = Checkpoint::start(LogId::from_slice(row.bytes(0)?)?, row.text(1)?, row.hash(2)?);
        checkpoint.pull = Mark { position: row.number(3)?, hash: row.hash(4)? };
        checkpoint.push = row.number(5)?;
        checkpoint.seen = Mark { position: row.number(6)?, hash: row.hash(7)? };
        checkpoint.shown = Mark { position: row.number(8)?, hash: row.hash(9)? };
        checkpoint.echo_floor = row.number(10)?;
        checkpoint.synced_at = row.timestamp(11)?;
        Ok(checkpoint)
    })
}
