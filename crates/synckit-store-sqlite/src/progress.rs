//! How much of each origin's events the store holds: kept up to date by every write, so that asking costs nothing.

use std::collections::{BTreeMap, HashSet};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteRow};
use synckit_core::{
    Error, ErrorKind, NodeId, Progress, Result, VectorCursor,
    plan::{KnownStamp, NewEntry},
};

use crate::{
    error::from_sqlx,
    lookup::Columns as _,
    pack::{self, Packed, Rows, run_all},
    read::signed,
};

const OPERATION: &str = "record progress";
const ROWS: usize = 1_000;

/// A stamp with its event and, if there is an entry for it, the entry's position.
struct Stamped<'a> {
    origin: NodeId,
    counter: u64,
    id: &'a str,
    share: u128,
    position: Option<u64>,
}

type Key = (NodeId, u64, String, u128);

impl Stamped<'_> {
    fn key(&self) -> Key {
        (self.origin, self.counter, self.id.to_owned(), self.share)
    }
}

/// Records the stamps of new entries, and those that are known without one.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    entries: &[NewEntry],
    known: &[KnownStamp],
) -> Result<()> {
    let of_entries = entries.iter().map(|e| Stamped {
        origin: e.stamp.origin,
        counter: e.stamp.counter,
        id: e.event.id.as_str(),
        share: e.share(),
        position: Some(e.position),
    });
    let of_known = known.iter().map(|k| Stamped {
        origin: k.origin,
        counter: k.counter,
        id: k.id.as_str(),
        share: k.share,
        position: None,
    });
    let stamps: Vec<Stamped<'_>> = of_entries.chain(of_known).collect();
    let mut news: BTreeMap<NodeId, Vec<(u64, u128)>> = BTreeMap::new();
    let mut new = |row: &Stamped<'_>| {
        news.entry(row.origin).or_default().push((row.counter, row.share));
    };
    if known.is_empty() {
        // Only an event that was there before can come with a stamp that was there before.
        let inserting = run_all(connection, &stamps, pack::ROWS, OPERATION, logged);
        let (inserted, ()) = tokio::join!(biased; inserting, async { stamps.iter().for_each(new) });
        inserted?;
    } else {
        for rows in stamps.chunks(ROWS) {
            let mut before = existing(connection, rows).await?;
            insert(connection, rows).await?;
            rows.iter().filter(|row| before.insert(row.key())).for_each(&mut new);
        }
    }
    for (origin, stamps) in news {
        advance(connection, origin, stamps).await?;
    }
    Ok(())
}

/// The stamps of entries.
const INSERT_LOGGED: &str = "INSERT INTO stamps SELECT substr({bytes}, origin, 16), counter, \
    CAST(substr({bytes}, origin + 32, ends - origin - 32) AS TEXT), substr({bytes}, origin + 16, 16), position FROM r \
    WHERE position > 0 ON CONFLICT (origin, counter, id, share) DO UPDATE SET position = excluded.position";

fn logged(rows: &[Stamped<'_>]) -> Option<Packed> {
    let mut packed = Rows::new();
    for row in rows {
        let packed = packed.row(&[signed(row.counter), signed(row.position.unwrap_or(0))]);
        packed.part(&row.origin.to_bytes()).part(&row.share.to_be_bytes()).bytes(row.id.as_bytes());
    }
    packed.statement("counter, position, origin, ends", INSERT_LOGGED)
}

async fn insert(connection: &mut SqliteConnection, rows: &[Stamped<'_>]) -> Result<()> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO stamps ");
    query.push_values(rows, |mut q, row| {
        q.push_bind(row.origin.to_bytes().to_vec());
        q.push_bind(signed(row.counter));
        q.push_bind(row.id.to_owned());
        q.push_bind(row.share.to_be_bytes().to_vec());
        q.push_bind(row.position.map(signed));
    });
    query.push(
        " ON CONFLICT (origin, counter, id, share) DO UPDATE SET position = coalesce(excluded.position, position)",
    );
    query.build().execute(connection).await.map_err(from_sqlx(OPERATION)).map(drop)
}

async fn existing(connection: &mut SqliteConnection, rows: &[Stamped<'_>]) -> Result<HashSet<Key>> {
    let asked: Vec<serde_json::Value> =
        rows.iter().map(|r| serde_json::json!([r.origin.to_string(), r.counter, r.id])).collect();
    let sql = "SELECT s.origin, s.counter, s.id, s.share FROM json_each(?) j CROSS JOIN stamps s \
               ON s.origin = unhex(j.value ->> 0) AND s.counter = (j.value ->> 1) AND s.id = (j.value ->> 2)";
    let query = sqlx::query(sql).bind(serde_json::Value::Array(asked).to_string());
    let found = query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))?;
    let key = |row| -> Result<Key> {
        let row: &SqliteRow = row;
        Ok((NodeId::from_slice(&row.blob(0)?)?, row.number(1)?, row.text(2)?, mixed(&row.blob(3)?)?))
    };
    found.iter().map(key).collect()
}

/// Takes new stamps of an origin into its progress.
async fn advance(
    connection: &mut SqliteConnection,
    origin: NodeId,
    mut stamps: Vec<(u64, u128)>,
) -> Result<()> {
    let failed = from_sqlx(OPERATION);
    let key = origin.to_bytes().to_vec();
    let row = sqlx::query("SELECT counter, held, ids FROM origins WHERE origin = ?")
        .bind(key.clone())
        .fetch_optional(&mut *connection)
        .await
        .map_err(&failed)?;
    let (before, mut held, ids) = match &row {
        None => (0, 0, 0),
        Some(row) => (row.number(0)?, row.number(1)?, mixed(&row.blob(2)?)?),
    };
    stamps.sort_unstable();
    let ids = stamps.iter().fold(ids, |ids, (_, mix)| ids ^ mix);
    let counter = stamps.last().map_or(before, |(counter, _)| before.max(*counter));
    let ascending = stamps.first().is_some_and(|(first, _)| *first > before)
        && stamps.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if ascending {
        held += stamps.len() as u64;
    } else {
        let sql = "SELECT count(DISTINCT counter) FROM stamps WHERE origin = ?";
        let row = sqlx::query(sql).bind(key.clone()).fetch_one(&mut *connection).await.map_err(&failed)?;
        held = row.number(0)?;
    }
    sqlx::query("INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)")
        .bind(key)
        .bind(signed(counter))
        .bind(signed(held))
        .bind(ids.to_be_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(&failed)
        .map(drop)
}

/// Works the progress of all origins out anew from the stamps.
pub(crate) async fn rebuild(connection: &mut SqliteConnection) -> Result<()> {
    let failed = from_sqlx(OPERATION);
    sqlx::query("DELETE FROM origins").execute(&mut *connection).await.map_err(&failed)?;
    let sql = "SELECT origin, counter, id, share FROM stamps WHERE (origin, counter, id, share) > (?, ?, ?, ?) \
               ORDER BY origin, counter, id, share LIMIT ?";
    let (mut origin, mut counter, mut id, mut share) = (Vec::new(), 0, String::new(), Vec::new());
    let mut all: BTreeMap<Vec<u8>, (u64, u128)> = BTreeMap::new();
    loop {
        let query = sqlx::query(sql).bind(origin.clone()).bind(signed(counter)).bind(id.clone());
        let rows =
            query.bind(share.clone()).bind(ROWS as i64).fetch_all(&mut *connection).await.map_err(&failed)?;
        let Some(last) = rows.last() else { break };
        for row in &rows {
            let counter = row.number(1)?;
            let (greatest, ids) = all.entry(row.blob(0)?).or_default();
            *greatest = counter.max(*greatest);
            *ids ^= mixed(&row.blob(3)?)?;
        }
        (origin, counter, id, share) = (last.blob(0)?, last.number(1)?, last.text(2)?, last.blob(3)?);
    }
    let sql = "INSERT INTO origins VALUES (?1, ?2, (SELECT count(DISTINCT counter) FROM stamps WHERE origin = ?1), ?3)";
    for (origin, (counter, ids)) in all {
        let query = sqlx::query(sql).bind(origin).bind(signed(counter)).bind(ids.to_be_bytes().to_vec());
        query.execute(&mut *connection).await.map_err(&failed)?;
    }
    Ok(())
}

pub(crate) fn mixed(bytes: &[u8]) -> Result<u128> {
    let damaged = |_| Error::new(ErrorKind::Corrupt, OPERATION, "a hash over ids does not have 16 bytes");
    bytes.try_into().map(u128::from_be_bytes).map_err(damaged)
}

/// The hash over the ids under each range of counters.
pub(crate) async fn mixed_under(
    connection: &mut SqliteConnection,
    ranges: &[(NodeId, u64, u64)],
) -> Result<Vec<u128>> {
    let sql = "SELECT share FROM stamps WHERE origin = ? AND counter BETWEEN ? AND ?";
    let mut hashes = Vec::with_capacity(ranges.len());
    for (origin, from, to) in ranges {
        let query = sqlx::query(sql).bind(origin.to_bytes().to_vec()).bind(signed(*from)).bind(signed(*to));
        let mut hash = 0;
        for row in query.fetch_all(&mut *connection).await.map_err(from_sqlx("read progress"))? {
            hash ^= mixed(&row.blob(0)?)?;
        }
        hashes.push(hash);
    }
    Ok(hashes)
}

/// All that the store holds.
pub(crate) async fn vector(connection: &mut SqliteConnection) -> Result<VectorCursor> {
    let sql = "SELECT origin, counter, held, ids FROM origins";
    let rows = sqlx::query(sql).fetch_all(&mut *connection).await.map_err(from_sqlx("read progress"))?;
    let mut origins = BTreeMap::new();
    for row in rows {
        let origin = NodeId::from_slice(&row.blob(0)?)?;
        let (counter, held, ids) = (row.number(1)?, row.number(2)?, mixed(&row.blob(3)?)?);
        let gaps = if held < counter { gaps(connection, origin).await? } else { Vec::new() };
        origins.insert(origin, Progress { counter, gaps, stubs: Vec::new(), ids });
    }
    stubs(connection, &mut origins).await?;
    VectorCursor::from_progress(origins)
}

/// Adds the ranges of stubs that count. The index over them is empty for a node without stubs.
async fn stubs(connection: &mut SqliteConnection, origins: &mut BTreeMap<NodeId, Progress>) -> Result<()> {
    let sql = "SELECT origin, min(counter), max(counter) FROM \
               (SELECT origin, counter, counter - row_number() OVER (PARTITION BY origin ORDER BY counter) AS run \
               FROM (SELECT DISTINCT e.origin, e.counter FROM entries e WHERE e.stub = 1 AND e.superseded = 0 \
               AND NOT EXISTS (SELECT 1 FROM withdrawn w \
               WHERE w.id = e.id AND w.origin = e.origin AND w.counter = e.counter))) \
               GROUP BY origin, run ORDER BY 1, 2";
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(from_sqlx("read progress"))?;
    for row in rows {
        if let Some(progress) = origins.get_mut(&NodeId::from_slice(&row.blob(0)?)?) {
            progress.stubs.push((row.number(1)?, row.number(2)?));
        }
    }
    Ok(())
}

async fn gaps(connection: &mut SqliteConnection, origin: NodeId) -> Result<Vec<(u64, u64)>> {
    let sql = "SELECT before + 1, counter - 1 FROM \
               (SELECT counter, lag(counter, 1, 0) OVER (ORDER BY counter) AS before FROM \
               (SELECT DISTINCT counter FROM stamps WHERE origin = ?)) WHERE counter > before + 1";
    let query = sqlx::query(sql).bind(origin.to_bytes().to_vec());
    let rows = query.fetch_all(connection).await.map_err(from_sqlx("read progress"))?;
    rows.iter().map(|row| Ok((row.number(0)?, row.number(1)?))).collect()
}
