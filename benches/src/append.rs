//! `append`: a month of flights into a new file, 10,000 in a transaction.

use std::path::Path;

use synckit::{Event, EventStore as _, core::store::Write, store_sqlite::SqliteStore};

use crate::{
    figure::{Figure, Target},
    raw::Rows,
    world::{APPEND_BATCH, Outcome, World, alternate, new_store, rate, remove, timed},
};

pub(crate) fn run(world: &mut World) -> Outcome<Vec<Figure>> {
    let flights = world.flights()?;
    let model = world.path();
    append(world, &model, &flights)?;
    let rows = Rows::of(&model, APPEND_BATCH)?;
    let mut checked = false;
    let (ours, raw) = alternate(
        world,
        |world| {
            let path = world.path();
            let took = append(world, &path, &flights)?;
            remove(&path);
            Ok(took)
        },
        |world| {
            let path = world.path();
            let connection = rows.prepare(&path)?;
            let ((), took) = timed(|| rows.write(&connection))?;
            if !std::mem::replace(&mut checked, true) {
                rows.check(&connection)?;
            }
            drop(connection);
            remove(&path);
            Ok(rate(rows.entries, took))
        },
    )?;
    let (bench, target) = ("append".into(), Target::RatioAtLeast(0.7));
    Ok(vec![Figure { bench, ours, raw, target, unit: "events/s" }])
}

/// Appends to a new store, and closes it; the rate until the last transaction is durable.
fn append(world: &World, path: &Path, flights: &[Event]) -> Outcome<f64> {
    let batches: Vec<Vec<Event>> = flights.chunks(APPEND_BATCH).map(<[Event]>::to_vec).collect();
    world.runtime.block_on(async {
        let store = new_store(path).await?;
        let begun = std::time::Instant::now();
        write(&store, batches).await?;
        let took = begun.elapsed();
        store.close().await?;
        Ok(rate(flights.len(), took))
    })
}

async fn write(store: &SqliteStore, batches: Vec<Vec<Event>>) -> Outcome<()> {
    for batch in batches {
        let events = batch.len();
        let written = store.write(Write::Append(batch)).await?;
        if written.accepted() != events {
            return Err("not every event was taken".into());
        }
    }
    Ok(())
}
