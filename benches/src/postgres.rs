//! `append-postgres` and `load-postgres`: what `append` and `load` measure, on the server that a variable names, against
//! plain COPY into and out of the table of entries.

use std::time::Instant;

use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection};
use synckit::{
    Event, EventStore as _,
    core::store::{ReadRequest, Write},
    store_postgres::{PostgresConfig, PostgresStore},
};

use crate::{
    figure::{Figure, Target},
    world::{APPEND_BATCH, Outcome, SYNC_BATCH, World, alternate, rate},
};

/// A database in which tables may be made, for nothing else.
const VARIABLE: &str = "SYNCKIT_BENCH_POSTGRES_URL";
const COLUMNS: &str = "stub, superseded, position, counter, timestamp, id, event_type, aggregate_id, codec, data, \
                       metadata, origin, parents, content, hash, received_from";
/// What every binary COPY begins and ends with.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: &[u8] = &(-1_i16).to_be_bytes();

/// A schema that nobody else uses, and a connection to it. It goes in the end.
struct Place {
    url: String,
    schema: String,
    connection: PgConnection,
}

impl Place {
    async fn new() -> Outcome<Self> {
        let server = std::env::var(VARIABLE)
            .map_err(|_| format!("{VARIABLE} has to name a PostgreSQL database to measure in"))?;
        let schema = format!("synckit_bench_{}", std::process::id());
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}schema={schema}");
        let connection = PgConnection::connect(&server).await?;
        Ok(Self { url, schema, connection })
    }

    async fn run(&mut self, sql: String) -> Outcome<()> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Empty tables in a new schema, with a store of this tenant.
    async fn store(&mut self) -> Outcome<PostgresStore> {
        self.remove().await?;
        Ok(PostgresStore::create(PostgresConfig::from_url(&self.url)?).await?)
    }

    async fn remove(&mut self) -> Outcome<()> {
        self.run(format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema)).await
    }

    /// The rows of the table of entries, as COPY gives them, in batches.
    async fn rows(&mut self, entries: usize) -> Outcome<Vec<Vec<u8>>> {
        let mut batches = Vec::new();
        for first in (1..=entries).step_by(APPEND_BATCH) {
            let sql = format!(
                "COPY (SELECT tenant, {COLUMNS} FROM {}.entries WHERE position BETWEEN {first} AND {} ORDER BY position) \
                 TO STDOUT (FORMAT binary)",
                self.schema,
                first + APPEND_BATCH - 1
            );
            let rows: Vec<_> = self.connection.copy_out_raw(&sql).await?.try_collect().await?;
            batches.push(rows.concat());
        }
        Ok(batches)
    }
}

async fn write(store: &PostgresStore, flights: &[Event]) -> Outcome<()> {
    for batch in flights.chunks(APPEND_BATCH) {
        let written = store.write(Write::Append(batch.to_vec())).await?;
        if written.accepted() != batch.len() {
            return Err("not every event was taken".into());
        }
    }
    Ok(())
}

pub(crate) fn append(world: &mut World) -> Outcome<Vec<Figure>> {
    let flights = world.flights()?;
    let (place, rows) = world.runtime.block_on(async {
        let mut place = Place::new().await?;
        let store = place.store().await?;
        write(&store, &flights).await?;
        store.close().await?;
        let rows = place.rows(flights.len()).await?;
        Ok::<_, Box<dyn std::error::Error>>((place, rows))
    })?;
    let place = std::cell::RefCell::new(place);
    #[expect(clippy::await_holding_refcell_ref, reason = "the two sides take turns")]
    let (ours, raw) = alternate(
        world,
        |world| {
            world.runtime.block_on(async {
                let store = place.borrow_mut().store().await?;
                let begun = Instant::now();
                write(&store, &flights).await?;
                let took = begun.elapsed();
                store.close().await?;
                Ok(rate(flights.len(), took))
            })
        },
        |world| {
            world.runtime.block_on(async {
                let mut place = place.borrow_mut();
                place.store().await?.close().await?;
                let sql =
                    format!("COPY {}.entries (tenant, {COLUMNS}) FROM STDIN (FORMAT binary)", place.schema);
                let begun = Instant::now();
                for batch in &rows {
                    let mut tx = place.connection.begin().await?;
                    let mut copy = tx.copy_in_raw(&sql).await?;
                    copy.send(&**batch).await?;
                    copy.finish().await?;
                    tx.commit().await?;
                }
                Ok(rate(flights.len(), begun.elapsed()))
            })
        },
    )?;
    world.runtime.block_on(place.into_inner().remove())?;
    debug_assert!(rows.iter().all(|batch| batch.starts_with(HEADER) && batch.ends_with(END)));
    let (bench, target) = ("append-postgres".into(), Target::RatioAtLeast(0.6));
    Ok(vec![Figure { bench, ours, raw, target, unit: "events/s" }])
}

async fn read(store: &PostgresStore) -> Outcome<usize> {
    let (mut after, mut read) = (0, 0);
    loop {
        let page = store.read(ReadRequest::after(after).limit(SYNC_BATCH)).await?;
        read += page.entries.len();
        after = page.next.position;
        if !page.has_more {
            return Ok(read);
        }
        std::hint::black_box(page);
    }
}

pub(crate) fn load(world: &mut World) -> Outcome<Vec<Figure>> {
    let flights = world.flights()?;
    let (place, store) = world.runtime.block_on(async {
        let mut place = Place::new().await?;
        let store = place.store().await?;
        write(&store, &flights).await?;
        place.run(format!("VACUUM ANALYZE {}.entries", place.schema)).await?;
        Ok::<_, Box<dyn std::error::Error>>((place, store))
    })?;
    let place = std::cell::RefCell::new(place);
    #[expect(clippy::await_holding_refcell_ref, reason = "the two sides take turns")]
    let (ours, raw) = alternate(
        world,
        |world| {
            let begun = Instant::now();
            let read = world.runtime.block_on(read(&store))?;
            if read == flights.len() {
                Ok(rate(read, begun.elapsed()))
            } else {
                Err("not all was read".into())
            }
        },
        |world| {
            world.runtime.block_on(async {
                let mut place = place.borrow_mut();
                let sql = format!(
                    "COPY (SELECT {COLUMNS} FROM {}.entries ORDER BY position) TO STDOUT (FORMAT binary)",
                    place.schema
                );
                let begun = Instant::now();
                let mut rows = place.connection.copy_out_raw(&sql).await?;
                let mut bytes = 0;
                while let Some(row) = rows.try_next().await? {
                    bytes += std::hint::black_box(row).len();
                }
                std::hint::black_box(bytes);
                Ok(rate(flights.len(), begun.elapsed()))
            })
        },
    )?;
    world.runtime.block_on(async {
        store.close().await?;
        place.into_inner().remove().await
    })?;
    let (bench, target) = ("load-postgres".into(), Target::RatioAtLeast(0.6));
    Ok(vec![Figure { bench, ours, raw, target, unit: "events/s" }])
}
