//! `load`: a log from the beginning to the end, in pages of 1,000.

use synckit::{
    EventStore,
    core::store::ReadRequest,
    store_sqlite::{SqliteConfig, SqliteStore},
};

use crate::{
    figure::{Figure, Target},
    raw,
    world::{Outcome, SYNC_BATCH, World, alternate, rate, timed},
};

const EVENTS: usize = 53_402;

pub(crate) fn run(world: &mut World) -> Outcome<Vec<Figure>> {
    let path = world.log_of(EVENTS)?;
    let store = world.runtime.block_on(SqliteStore::open(SqliteConfig::at(&path)))?;
    let (ours, raw) = alternate(
        world,
        |world| {
            let (read, took) = timed(|| world.runtime.block_on(load(&store)))?;
            complete(read)?;
            Ok(rate(read, took))
        },
        |_| {
            let (read, took) = timed(|| raw::read(&path, SYNC_BATCH))?;
            complete(read)?;
            Ok(rate(read, took))
        },
    )?;
    world.runtime.block_on(store.close())?;
    let (bench, target) = ("load".into(), Target::RatioAtLeast(0.4));
    Ok(vec![Figure { bench, ours, raw, target, unit: "events/s" }])
}

pub(crate) fn complete(read: usize) -> Outcome<()> {
    if read == EVENTS { Ok(()) } else { Err(format!("{read} of {EVENTS} events were read").into()) }
}

pub(crate) async fn load(store: &dyn EventStore) -> Outcome<usize> {
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
