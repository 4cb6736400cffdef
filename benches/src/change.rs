//! `change`: what a few new events cost between two large logs, and between two small ones.

use std::{path::PathBuf, time::Instant};

use synckit::{
    Event, SyncNode,
    core::store::Write,
    store_sqlite::{SqliteConfig, SqliteStore},
};

use crate::{
    figure::{Figure, Target},
    peer::{Served, mib, node},
    world::{Outcome, World, again, alternate, new_store},
};

const LARGE: usize = 1_000_000;
const SMALL: usize = 10_000;
/// New events on each side in one sync.
const NEW: usize = 100;
/// Syncs in one run; their mean counts.
const SYNCS: usize = 20;

/// A hub and a node that have synced.
struct Pair {
    hub: Served,
    client: SyncNode,
    /// What comes next, for the node and for the hub: of different aircraft, so that nothing is in conflict.
    coming: [Box<dyn Iterator<Item = Event>>; 2],
}

pub(crate) fn run(world: &mut World) -> Outcome<Vec<Figure>> {
    let large = pair(world, LARGE)?;
    let small = pair(world, SMALL)?;
    let mut pairs = [large, small];
    let [large, small] = &mut pairs;
    let (ours, raw) = alternate(
        world,
        |world| world.runtime.block_on(large.syncs()),
        |world| world.runtime.block_on(small.syncs()),
    )?;
    for pair in pairs {
        world.runtime.block_on(async {
            pair.client.close().await?;
            pair.hub.stop().await
        })?;
    }
    let (bench, target) = ("change".into(), Target::RatioAtMost(1.5));
    Ok(vec![Figure { bench, ours, raw, target, unit: "ms a sync" }])
}

fn pair(world: &mut World, events: usize) -> Outcome<Pair> {
    let (full, empty): (PathBuf, PathBuf) = (world.log_of(events)?, world.path());
    let flights = world.flights()?;
    eprintln!("  pulling {events} events");
    let mut months = [0, 1].map(|side| {
        let flights = std::sync::Arc::clone(&flights);
        // Months that the log does not have.
        let endless = (1_000_usize..).flat_map(move |month| {
            let flights = std::sync::Arc::clone(&flights);
            (0..flights.len()).filter_map(move |i| again(&flights[i], month).ok())
        });
        let own =
            move |e: &Event| e.aggregate_id.as_str().bytes().map(usize::from).sum::<usize>() % 2 == side;
        Some(Box::new(endless.filter(own)) as Box<dyn Iterator<Item = Event>>)
    });
    let (Some(nodes), Some(hubs)) = (months[0].take(), months[1].take()) else {
        return Err("no events".into());
    };
    world.runtime.block_on(async {
        let hub = Served::start(SqliteStore::open(SqliteConfig::at(&full)).await?).await?;
        let client = node(new_store(&empty).await?, &hub.url)?;
        let report = client.sync().await?;
        if report.pulled != hub.store.head().await?.position as usize {
            return Err("not everything was pulled".into());
        }
        eprintln!("  databases of {} and {} MiB", mib(&full), mib(&empty));
        let mut pair = Pair { hub, client, coming: [nodes, hubs] };
        pair.syncs().await?;
        Ok(pair)
    })
}

impl Pair {
    /// The mean time of a sync in milliseconds: the node appends, pulls what is new at the hub, and pushes.
    async fn syncs(&mut self) -> Outcome<f64> {
        let mut took = 0.0;
        for _ in 0..SYNCS {
            let [own, theirs] = &mut self.coming;
            let theirs: Vec<Event> = theirs.take(NEW).collect();
            let own: Vec<Event> = own.take(NEW).collect();
            self.hub.store.write(Write::Append(theirs)).await?;
            let begun = Instant::now();
            self.client.append(own).await?;
            let report = self.client.sync().await?;
            took += begun.elapsed().as_secs_f64() * 1_000.0;
            if (report.pulled, report.pushed) != (NEW, NEW) {
                return Err(format!("pulled {}, pushed {}", report.pulled, report.pushed).into());
            }
        }
        Ok(took / SYNCS as f64)
    }
}
