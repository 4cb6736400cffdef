//! `pull` and `push`: a month of flights between two files over HTTP, 1,000 in a page.

use std::{path::Path, time::Instant};

use synckit::store_sqlite::{SqliteConfig, SqliteStore};

use crate::{
    figure::{Figure, Target},
    peer::{Served, node},
    raw::Rows,
    world::{Outcome, SYNC_BATCH, World, alternate, new_store, rate, remove, timed},
};

const EVENTS: usize = 53_402;

pub(crate) fn pull(world: &mut World) -> Outcome<Vec<Figure>> {
    compare(world, "pull", async |full, empty| {
        let hub = Served::start(SqliteStore::open(SqliteConfig::at(full)).await?).await?;
        let client = node(new_store(empty).await?, &hub.url)?;
        let begun = Instant::now();
        let report = client.sync().await?;
        let took = begun.elapsed();
        client.close().await?;
        hub.stop().await?;
        complete(report.pulled)?;
        Ok(rate(EVENTS, took))
    })
}

pub(crate) fn push(world: &mut World) -> Outcome<Vec<Figure>> {
    compare(world, "push", async |full, empty| {
        let hub = Served::start(new_store(empty).await?).await?;
        let client = node(SqliteStore::open(SqliteConfig::at(full)).await?, &hub.url)?;
        let begun = Instant::now();
        let report = client.sync().await?;
        let took = begun.elapsed();
        client.close().await?;
        hub.stop().await?;
        complete(report.pushed)?;
        Ok(rate(EVENTS, took))
    })
}

/// Measures `sync`, which moves everything from the full database to the empty one, against writing the same rows.
fn compare(
    world: &mut World,
    name: &str,
    sync: impl AsyncFn(&Path, &Path) -> Outcome<f64>,
) -> Outcome<Vec<Figure>> {
    let full = world.log_of(EVENTS)?;
    let model = world.path();
    world.runtime.block_on(sync(&full, &model))?;
    let rows = Rows::of(&model, SYNC_BATCH)?;
    let mut checked = false;
    let (ours, raw) = alternate(
        world,
        |world| {
            let path = world.path();
            let took = world.runtime.block_on(sync(&full, &path))?;
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
    let target = Target::RatioAtLeast(0.5);
    Ok(vec![Figure { bench: name.to_owned(), ours, raw, target, unit: "events/s" }])
}

fn complete(moved: usize) -> Outcome<()> {
    if moved == EVENTS { Ok(()) } else { Err(format!("{moved} of {EVENTS} events were moved").into()) }
}
