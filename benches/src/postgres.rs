//! `postgres-append` and `postgres-load`: a month of flights into PostgreSQL and out of it, against `COPY`.

use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use synckit::{Backends, CreateOptions, EventStore as _, core::store::Write};

use crate::{
    figure::{Figure, Target},
    load,
    places::Place,
    world::{APPEND_BATCH, Outcome, World, alternate, rate, timed},
};

pub(crate) fn run(world: &mut World) -> Outcome<Vec<Figure>> {
    let place = Place::new("postgres")?;
    append(world, &place, "model")?;
    let batches = world.runtime.block_on(entries(&place, "model"))?;
    let events = world.flights()?.len();
    let mut made = 0;
    let (ours, raw) = alternate(
        world,
        |world| {
            made += 1;
            append(world, &place, &format!("run{made}"))
        },
        |world| world.runtime.block_on(copy_in(&place, &batches, events)),
    )?;
    let target = Target::RatioAtLeast(0.6);
    let mut figures =
        vec![Figure { bench: "postgres-append".into(), ours, raw, target, unit: "events/s" }];
    let store = world.runtime.block_on(Backends::new().open_store(&place.url("model")))?;
    let (ours, raw) = alternate(
        world,
        |world| {
            let (read, took) = timed(|| world.runtime.block_on(load::load(&*store)))?;
            load::complete(read)?;
            Ok(rate(read, took))
        },
        |world| world.runtime.block_on(copy_out(&place, events)),
    )?;
    world.runtime.block_on(store.close())?;
    figures.push(Figure { bench: "postgres-load".into(), ours, raw, target, unit: "events/s" });
    Ok(figures)
}

/// Appends to a new store in a schema of its own; the rate until the last transaction is durable.
fn append(world: &mut World, place: &Place, schema: &str) -> Outcome<f64> {
    let flights = world.flights()?;
    let batches: Vec<Vec<_>> = flights.chunks(APPEND_BATCH).map(<[_]>::to_vec).collect();
    let url = place.url(schema);
    world.runtime.block_on(async {
        let store = Backends::new().create_store(&url, &CreateOptions::labelled("bench")).await?;
        let begun = std::time::Instant::now();
        for batch in batches {
            let events = batch.len();
            if store.write(Write::Append(batch)).await?.accepted() != events {
                return Err("not every event was taken".into());
            }
        }
        let took = begun.elapsed();
        store.close().await?;
        if schema != "model" {
            drop_schema(place, schema).await?;
        }
        Ok(rate(flights.len(), took))
    })
}

async fn connect(place: &Place) -> Outcome<PgConnection> {
    Ok(PgConnection::connect(&place.server()?).await?)
}

async fn drop_schema(place: &Place, schema: &str) -> Outcome<()> {
    let mut connection = connect(place).await?;
    let sql = format!("DROP SCHEMA {schema} CASCADE");
    connection.execute(sqlx::AssertSqlSafe(sql)).await?;
    Ok(connection.close().await?)
}

/// The rows of `entries`, as `COPY` gives them, by the batches in which they were appended.
async fn entries(place: &Place, schema: &str) -> Outcome<Vec<Vec<u8>>> {
    let mut connection = connect(place).await?;
    let mut batches = Vec::new();
    loop {
        let after = batches.len() * APPEND_BATCH;
        let sql = format!(
            "COPY (SELECT * FROM {schema}.entries WHERE position > {after} AND position <= {} ORDER BY position) \
             TO STDOUT (FORMAT binary)",
            after + APPEND_BATCH
        );
        let mut rows = Vec::new();
        let mut stream = connection.copy_out_raw(&sql).await?;
        while let Some(bytes) = stream.try_next().await? {
            rows.extend_from_slice(&bytes);
        }
        drop(stream);
        // A header and a trailer of 21 bytes are all there is beyond the end.
        if rows.len() <= 21 {
            return Ok(batches);
        }
        batches.push(rows);
    }
}

/// Copies the rows into `entries` of a new store: the same table with the same indexes, a transaction for each batch.
async fn copy_in(place: &Place, batches: &[Vec<u8>], events: usize) -> Outcome<f64> {
    let store = Backends::new().create_store(&place.url("raw"), &CreateOptions::labelled("raw")).await?;
    store.close().await?;
    let mut connection = connect(place).await?;
    let begun = std::time::Instant::now();
    for batch in batches {
        let mut transaction = connection.begin().await?;
        let mut copy = transaction.copy_in_raw("COPY raw.entries FROM STDIN (FORMAT binary)").await?;
        copy.send(batch.as_slice()).await?;
        copy.finish().await?;
        transaction.commit().await?;
    }
    let took = begun.elapsed();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM raw.entries").fetch_one(&mut connection).await?;
    connection.close().await?;
    drop_schema(place, "raw").await?;
    if usize::try_from(count)? != events {
        return Err(format!("the raw side wrote {count} rows").into());
    }
    Ok(rate(events, took))
}

/// Copies all rows out, in one go.
async fn copy_out(place: &Place, events: usize) -> Outcome<f64> {
    let mut connection = connect(place).await?;
    let begun = std::time::Instant::now();
    let mut bytes = 0;
    let sql = "COPY (SELECT * FROM model.entries ORDER BY position) TO STDOUT (FORMAT binary)";
    let mut stream = connection.copy_out_raw(sql).await?;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len();
    }
    drop(stream);
    let took = begun.elapsed();
    connection.close().await?;
    if bytes < events * 100 {
        return Err(format!("the raw side read {bytes} bytes").into());
    }
    Ok(rate(events, took))
}
