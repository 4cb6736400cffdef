//! Reading the log and what is known of it.

use std::borrow::Borrow as _;

use sqlx::SqliteConnection;
use synckit_core::{
    AggregateId, ConflictId, EventId, Hash, Lacking, LogId, Mark, Result, Timestamp, VertexId, content_hash,
    decode_parents,
    store::{Checkpoint, LogEntry, LogPage, OpenConflict, ReadRequest, ReviewRow, StoredDecision},
};

use crate::{
    error::from_sqlx,
    lookup::{self, Columns as _, list},
    packed, progress,
};

/// Up to this many entries that a peer lacks are looked for one by one; for more, the log is read through.
const FEW: u64 = 4_096;
/// Entries fetched at a time at the beginning of a page, when nothing is known of their size yet: at the limit of data they
/// take 64 MiB.
const FIRST_BATCH: usize = 64;
/// Most entries fetched at a time: memory stays bounded, however much a filter passes over.
const LARGEST_BATCH: usize = 2_000;
/// Bytes that a batch is to have, going by the entries seen so far.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

pub(crate) async fn page(connection: &mut SqliteConnection, request: &ReadRequest) -> Result<LogPage> {
    let head = lookup::node(connection).await?.head;
    let lacking = match &request.missing_from {
        Some(theirs) => Some(progress::vector(connection).await?.lacking(theirs)),
        None => None,
    };
    let few = lacking.as_ref().filter(|lacking| lacking.count() <= FEW);
    let many = lacking.as_ref().filter(|_| few.is_none());
    let (mut entries, mut bytes, mut last) = (Vec::new(), 0, request.after);
    if let (Some(lacking), 0) = (many, request.after) {
        last = first_of(connection, lacking).await?.map_or(head.position, |first| first - 1);
    }
    let (mut reached, mut passed) = (head.position, head);
    let mut batch = FIRST_BATCH;
    'pages: while last < head.position {
        let wanted = batch.min(request.page_limit().saturating_sub(entries.len()) + 1);
        let fetched = fetch(connection, request, few, last, wanted).await?;
        let full = fetched.len() == wanted;
        let size: usize = fetched.iter().map(LogEntry::size).sum();
        batch = (BATCH_BYTES * wanted / size.max(1)).clamp(1, LARGEST_BATCH);
        for read in fetched {
            let (position, hash) = (read.position, read.hash);
            if let Some(shaped) = request.shape_for(lacking.as_ref(), read) {
                bytes += shaped.size();
                let over = bytes > request.page_bytes() && !entries.is_empty();
                if entries.len() == request.page_limit() || over {
                    // Everything before the first entry left out was given or passed over.
                    reached = position - 1;
                    break 'pages;
                }
                entries.push(verified(shaped)?);
            }
            last = position;
            passed = Mark { position, hash };
        }
        if !full {
            break;
        }
    }
    let reached = reached.max(request.after.min(head.position));
    let known = [head, passed].into_iter().find(|mark| mark.position == reached);
    let hash = match known {
        Some(mark) => mark.hash,
        None => hashes(connection, &[reached]).await?.pop().flatten().unwrap_or(Hash::ZERO),
    };
    let next = Mark { position: reached, hash };
    Ok(LogPage { entries, next, head, has_more: reached < head.position })
}

/// The entry, if its content is what it was. SQLite has no checksums of its own.
fn verified(entry: LogEntry) -> Result<LogEntry> {
    if entry.stub || content_hash(&entry.event) == entry.content {
        return Ok(entry);
    }
    Err(packed::damaged(&format!("{} at position {} is not what it was", entry.event.id, entry.position)))
}

/// The ranges as one parameter, for `json_each`.
fn ranges(lacking: &Lacking) -> String {
    let ranges = lacking.ranges().map(|(node, from, to)| serde_json::json!([node.to_string(), from, to]));
    serde_json::Value::from_iter(ranges).to_string()
}

/// The first position of an entry among them.
async fn first_of(connection: &mut SqliteConnection, lacking: &Lacking) -> Result<Option<u64>> {
    let sql = "SELECT min(s.position) FROM json_each(?) j CROSS JOIN stamps s ON s.origin = unhex(j.value ->> 0) \
               AND s.counter BETWEEN (j.value ->> 1) AND (j.value ->> 2)";
    let first: Option<i64> = sqlx::query_scalar(sql)
        .bind(ranges(lacking))
        .fetch_one(connection)
        .await
        .map_err(from_sqlx("read"))?;
    Ok(first.map(i64::cast_unsigned))
}

async fn fetch(
    connection: &mut SqliteConnection,
    request: &ReadRequest,
    lacking: Option<&Lacking>,
    after: u64,
    limit: usize,
) -> Result<Vec<LogEntry>> {
    let mut query = packed::select_entries();
    if let Some(lacking) = lacking {
        query.push(" FROM json_each(").push_bind(ranges(lacking)).push(
            ") j CROSS JOIN stamps s ON s.origin = unhex(j.value ->> 0) \
             AND s.counter BETWEEN (j.value ->> 1) AND (j.value ->> 2) \
             CROSS JOIN entries e ON e.position = s.position",
        );
    } else if let [only] = request.filter.aggregates.as_slice() {
        query.push(" FROM entries e WHERE e.aggregate_id = ").push_bind(only.as_str().to_owned());
    } else if !request.filter.aggregates.is_empty() {
        query
            .push(" FROM json_each(")
            .push_bind(list(&request.filter.aggregates))
            .push(") j CROSS JOIN entries e ON e.aggregate_id = j.value");
    } else {
        query.push(" FROM entries e");
    }
    // With the stamp's position, SQLite need not look at the entries that come before.
    let condition = match (lacking, request.filter.aggregates.len()) {
        (Some(_), _) => " WHERE s.position > ",
        (None, 1) => " AND e.position > ",
        (None, _) => " WHERE e.position > ",
    };
    query.push(condition).push_bind(signed(after));
    // After a pull, the log has little else than what is not to be sent back.
    if let Some((log, floor)) = request.not_from {
        query.push(" AND (e.received_from IS NOT ").push_bind(log.to_bytes().to_vec());
        query.push(" OR e.position <= ").push_bind(signed(floor)).push(")");
    }
    query.push(" ORDER BY e.position LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    packed::entries(connection, query, "read").await
}

/// Numbers beyond SQLite's range are beyond every position, too.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) async fn hashes(
    connection: &mut SqliteConnection,
    positions: &[u64],
) -> Result<Vec<Option<Hash>>> {
    let mut found = Vec::with_capacity(positions.len());
    for position in positions {
        if *position == 0 {
            found.push(Some(Hash::ZERO));
            continue;
        }
        let hash: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM entries WHERE position = ?")
            .bind(signed(*position))
            .fetch_optional(&mut *connection)
            .await
            .map_err(from_sqlx("read hashes"))?;
        found.push(hash.as_deref().map(Hash::from_slice).transpose()?);
    }
    Ok(found)
}

pub(crate) async fn load(connection: &mut SqliteConnection, ids: &[EventId]) -> Result<Vec<LogEntry>> {
    let mut entries = Vec::with_capacity(ids.len());
    for ids in ids.chunks(FIRST_BATCH) {
        let mut query = packed::select_entries();
        query
            .push(" FROM json_each(")
            .push_bind(list(ids))
            .push(") j CROSS JOIN entries e ON e.id = j.value AND e.superseded = 0");
        entries.extend(packed::entries(connection, query, "load").await?);
    }
    entries.into_iter().map(verified).collect()
}

pub(crate) async fn aggregates(
    connection: &mut SqliteConnection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let rows = sqlx::query(
        "SELECT aggregate_id FROM aggregates WHERE aggregate_id > ? ORDER BY aggregate_id LIMIT ?",
    )
    .bind(after.map_or("", |a| a.borrow()))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
    .map_err(from_sqlx("list aggregates"))?;
    rows.iter().map(|row| AggregateId::new(row.text(0)?)).collect()
}

pub(crate) async fn disputed(
    connection: &mut SqliteConnection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<AggregateId>> {
    let sql = "SELECT aggregate_id FROM aggregates WHERE conflict IS NOT NULL AND aggregate_id > ?1 \
               UNION SELECT aggregate_id FROM decisions WHERE aggregate_id > ?1 \
               UNION SELECT aggregate_id FROM withdrawn WHERE aggregate_id > ?1 ORDER BY 1 LIMIT ?2";
    let rows = sqlx::query(sql)
        .bind(after.map_or("", |a| a.borrow()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(from_sqlx("list disputed aggregates"))?;
    rows.iter().map(|row| AggregateId::new(row.text(0)?)).collect()
}

pub(crate) async fn conflicts(
    connection: &mut SqliteConnection,
    after: Option<&AggregateId>,
    limit: usize,
) -> Result<Vec<OpenConflict>> {
    let sql = "SELECT a.aggregate_id, a.conflict, EXISTS (SELECT 1 FROM reviews r WHERE r.aggregate_id = a.aggregate_id) \
               FROM aggregates a WHERE a.conflict IS NOT NULL AND a.aggregate_id > ? ORDER BY a.aggregate_id LIMIT ?";
    let rows = sqlx::query(sql)
        .bind(after.map_or("", |a| a.borrow()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(from_sqlx("list conflicts"))?;
    rows.iter()
        .map(|row| {
            Ok(OpenConflict {
                aggregate: AggregateId::new(row.text(0)?)?,
                id: ConflictId::new(row.text(1)?)?,
                in_review: row.number(2)? != 0,
            })
        })
        .collect()
}

pub(crate) async fn count_conflicts(connection: &mut SqliteConnection) -> Result<u64> {
    let row = sqlx::query("SELECT count(*) FROM aggregates WHERE conflict IS NOT NULL")
        .fetch_one(connection)
        .await
        .map_err(from_sqlx("count conflicts"))?;
    row.number(0)
}

/// What reviews are asked for.
pub(crate) enum Reviewed<'a> {
    Conflict(&'a ConflictId),
    Aggregate(&'a AggregateId),
}

pub(crate) async fn reviews(connection: &mut SqliteConnection, of: Reviewed<'_>) -> Result<Vec<ReviewRow>> {
    let query = match of {
        Reviewed::Conflict(conflict) => sqlx::query(
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE conflict = ? ORDER BY event",
        )
        .bind(conflict.as_str()),
        Reviewed::Aggregate(aggregate) => sqlx::query(
            "SELECT event, conflict, aggregate_id, heads, reason FROM reviews WHERE aggregate_id = ? ORDER BY event",
        )
        .bind(aggregate.as_str()),
    };
    let rows = query.fetch_all(connection).await.map_err(from_sqlx("list reviews"))?;
    rows.iter()
        .map(|row| {
            Ok(ReviewRow {
                event: EventId::new(row.text(0)?)?,
                conflict: ConflictId::new(row.text(1)?)?,
                aggregate: AggregateId::new(row.text(2)?)?,
                heads: decode_parents(&row.blob(3)?)?,
                reason: row.text(4)?,
            })
        })
        .collect()
}

pub(crate) async fn decisions(
    connection: &mut SqliteConnection,
    conflict: &ConflictId,
) -> Result<Vec<StoredDecision>> {
    let rows = sqlx::query(
        "SELECT vertex, event, aggregate_id, timestamp FROM decisions WHERE conflict = ? ORDER BY vertex",
    )
    .bind(conflict.as_str())
    .fetch_all(connection)
    .await
    .map_err(from_sqlx("list decisions"))?;
    rows.iter()
        .map(|row| {
            Ok(StoredDecision {
                vertex: VertexId::new(row.text(0)?)?,
                event: EventId::new(row.text(1)?)?,
                aggregate: AggregateId::new(row.text(2)?)?,
                conflict: Some(conflict.clone()),
                timestamp: Timestamp::from_micros(row.number(3)?),
            })
        })
        .collect()
}

pub(crate) async fn checkpoints(connection: &mut SqliteConnection) -> Result<Vec<Checkpoint>> {
    let sql = "SELECT log, address, filter, pull_position, pull_hash, push, seen_position, seen_hash, \
               shown_position, shown_hash, echo_floor, synced_at FROM checkpoints ORDER BY log";
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(from_sqlx("read checkpoints"))?;
    rows.iter()
        .map(|row| {
            let mut checkpoint = Checkpoint::start(
                LogId::from_slice(&row.blob(0)?)?,
                row.text(1)?,
                Hash::from_slice(&row.blob(2)?)?,
            );
            checkpoint.pull = Mark { position: row.number(3)?, hash: Hash::from_slice(&row.blob(4)?)? };
            checkpoint.push = row.number(5)?;
            checkpoint.seen = Mark { position: row.number(6)?, hash: Hash::from_slice(&row.blob(7)?)? };
            checkpoint.shown = Mark { position: row.number(8)?, hash: Hash::from_slice(&row.blob(9)?)? };
            checkpoint.echo_floor = row.number(10)?;
            checkpoint.synced_at = Timestamp::from_micros(row.number(11)?);
            Ok(checkpoint)
        })
        .collect()
}
