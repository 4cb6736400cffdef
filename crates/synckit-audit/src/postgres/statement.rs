//! Statements, and filters as SQL.

use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use synckit_core::{
    Hash, LogCursor, LogId, Mark, Result,
    audit::{AuditEntry, AuditFilter},
};

use super::error::failed;
use crate::{
    index::{AuditProgress, Kept},
    row::{ANEW, Columns, damaged, group_path, groups_within, json, signed, unsigned},
};

const READ: &str = "read audit index";
const WRITE: &str = "record decisions";
const COLUMNS: &str =
    "position, event, aggregate, origin, written_at, conflict, person, resolver, rule, group_path, decision";

const PROGRESS: &str = "SELECT position, hash FROM logs WHERE number = $1";
const PROGRESS_LOCKED: &str = "SELECT position, hash FROM logs WHERE number = $1 FOR UPDATE";

/// The progress of a log, which is locked if it is to be changed.
pub(super) async fn progress(
    connection: &mut PgConnection,
    number: i32,
    log: LogId,
    locked: bool,
) -> Result<Option<AuditProgress>> {
    let sql = if locked { PROGRESS_LOCKED } else { PROGRESS };
    let failed = failed(READ);
    let row = sqlx::query(sql).bind(number).fetch_one(connection).await.map_err(failed)?;
    let position: Option<i64> = row.try_get(0).map_err(failed)?;
    let hash: Option<&[u8]> = row.try_get(1).map_err(failed)?;
    let (Some(position), Some(hash)) = (position, hash) else { return Ok(None) };
    let read = || -> Result<AuditProgress> {
        Ok(LogCursor { log, mark: Mark { position: unsigned(position)?, hash: Hash::from_slice(hash)? } })
    };
    read().map(Some).map_err(|error| {
        let what = format!("the progress of the index is damaged; {ANEW}");
        synckit_core::Error::new(synckit_core::ErrorKind::Corrupt, READ, what).with_source(error)
    })
}

pub(super) async fn put_progress(
    connection: &mut PgConnection,
    number: i32,
    mark: Option<Mark>,
) -> Result<()> {
    sqlx::query("UPDATE logs SET position = $2, hash = $3 WHERE number = $1")
        .bind(number)
        .bind(mark.map(|mark| signed(mark.position)))
        .bind(mark.map(|mark| mark.hash.as_bytes().to_vec()))
        .execute(connection)
        .await
        .map_err(failed(WRITE))
        .map(drop)
}

pub(super) async fn put(connection: &mut PgConnection, number: i32, entries: &[&AuditEntry]) -> Result<()> {
    let failed = failed(WRITE);
    let positions: Vec<i64> = entries.iter().map(|e| signed(e.position)).collect();
    let events: Vec<&str> = entries.iter().map(|e| e.event.as_str()).collect();
    sqlx::query("DELETE FROM entries WHERE log = $1 AND (position = ANY($2) OR event = ANY($3))")
        .bind(number)
        .bind(&positions)
        .bind(&events)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    let decisions: Vec<String> = entries.iter().map(|e| json(&e.decision)).collect::<Result<_>>()?;
    let bytes = |text: &Option<String>| text.as_deref().map(|text| text.as_bytes().to_vec());
    let sql = "INSERT INTO entries (log, position, event, aggregate, origin, written_at, conflict, person, resolver, \
               rule, group_path, decision) SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], \
               $6::bigint[], $7::text[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::text[])";
    sqlx::query(sql)
        .bind(number)
        .bind(&positions)
        .bind(&events)
        .bind(entries.iter().map(|e| e.aggregate.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.origin.to_bytes().to_vec()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| signed(e.written_at.as_micros())).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.decision.conflict.as_ref().map(|c| c.as_str())).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| bytes(&e.decision.user)).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.decision.resolver.as_bytes()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| bytes(&e.decision.rule)).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.decision.group.as_deref().map(group_path)).collect::<Vec<_>>())
        .bind(decisions)
        .execute(connection)
        .await
        .map_err(failed)
        .map(drop)
}

type Builder = QueryBuilder<Postgres>;

fn select(what: &str, number: i32) -> Builder {
    let mut query = Builder::new(format!("SELECT {what} FROM entries WHERE log = "));
    query.push_bind(number);
    query
}

/// Text that is the wanted one: found by its beginning, which is indexed.
fn is(query: &mut Builder, column: &str, wanted: &str) {
    query.push(format!(" AND substring({column} FROM 1 FOR 256) = substring("));
    query.push_bind(wanted.as_bytes().to_vec());
    query.push(format!(" FROM 1 FOR 256) AND {column} = "));
    query.push_bind(wanted.as_bytes().to_vec());
}

fn conditions(query: &mut Builder, filter: &AuditFilter) {
    if let Some(aggregate) = &filter.aggregate {
        query.push(" AND aggregate = ").push_bind(aggregate.as_str().to_owned());
    }
    if let Some(conflict) = &filter.conflict {
        query.push(" AND conflict = ").push_bind(conflict.as_str().to_owned());
    }
    for (column, wanted) in [("person", &filter.user), ("resolver", &filter.resolver), ("rule", &filter.rule)]
    {
        if let Some(wanted) = wanted {
            is(query, column, wanted);
        }
    }
    if let Some(group) = &filter.group {
        let (first, end) = groups_within(group);
        query.push(" AND substring(group_path FROM 1 FOR 256) >= substring(").push_bind(first.clone());
        query.push(" FROM 1 FOR 256) AND substring(group_path FROM 1 FOR 256) <= substring(");
        query.push_bind(end.clone());
        query.push(" FROM 1 FOR 256) AND group_path >= ").push_bind(first);
        query.push(" AND group_path < ").push_bind(end);
    }
    if let Some(from) = filter.from {
        query.push(" AND written_at >= ").push_bind(signed(from.as_micros()));
    }
    if let Some(to) = filter.to {
        query.push(" AND written_at <= ").push_bind(signed(to.as_micros()));
    }
}

pub(super) async fn find(
    connection: &mut PgConnection,
    number: i32,
    filter: &AuditFilter,
    after: u64,
    limit: usize,
) -> Result<Vec<Kept>> {
    let mut query = select(COLUMNS, number);
    conditions(&mut query, filter);
    query.push(" AND position > ").push_bind(signed(after));
    query.push(" ORDER BY position LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = query.build().fetch_all(connection).await.map_err(failed(READ))?;
    rows.iter().map(kept).collect()
}

pub(super) async fn of_event(
    connection: &mut PgConnection,
    number: i32,
    event: &str,
) -> Result<Option<Kept>> {
    let mut query = select(COLUMNS, number);
    query.push(" AND event = ").push_bind(event.to_owned());
    let row = query.build().fetch_optional(connection).await.map_err(failed(READ))?;
    row.as_ref().map(kept).transpose()
}

pub(super) async fn count(connection: &mut PgConnection, number: i32, filter: &AuditFilter) -> Result<u64> {
    let mut query = select("count(*)", number);
    conditions(&mut query, filter);
    unsigned(query.build_query_scalar().fetch_one(connection).await.map_err(failed(READ))?)
}

fn kept(row: &PgRow) -> Result<Kept> {
    let position: i64 = row.try_get(0).map_err(failed(READ))?;
    Ok(Kept::new(u64::try_from(position).unwrap_or_default(), entry(row, position)))
}

fn entry(row: &PgRow, position: i64) -> Result<AuditEntry> {
    let columns = || -> sqlx::Result<Columns<'_>> {
        Ok(Columns {
            position,
            event: row.try_get(1)?,
            aggregate: row.try_get(2)?,
            origin: row.try_get(3)?,
            written_at: row.try_get(4)?,
            conflict: row.try_get(5)?,
            person: row.try_get(6)?,
            resolver: row.try_get(7)?,
            rule: row.try_get(8)?,
            group_path: row.try_get(9)?,
            decision: row.try_get(10)?,
        })
    };
    columns().map_err(|e| damaged(position).with_source(e))?.entry()
}
