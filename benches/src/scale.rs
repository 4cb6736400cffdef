//! `cargo xtask scale`: what a page and an append cost in a very long log, against a short one, and the memory of reading
//! all of it.

use std::{sync::Arc, time::Instant};

use synckit::{
    Backends, CreateOptions, Event, EventId, EventStore,
    core::store::{ReadRequest, Write},
};

use crate::{
    child::Process,
    figure::{Figure, Target},
    places::Place,
    process::{above, idle, runtime, say},
    world::{APPEND_BATCH, Outcome, SYNC_BATCH, World, alternate},
};

const SMALL: usize = 10_000;
/// Pages read, and appends made, in one run; their mean counts.
const READS: u64 = 100;
const APPENDS: usize = 50;
/// Events in one append.
const NEW: usize = 100;
const MOST_MIB: f64 = 64.0;

/// Measures each kind of store with a log of this many events.
pub(crate) fn run(world: &mut World, kinds: &[String], events: usize) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for kind in kinds {
        eprintln!("{kind}");
        figures.extend(of_kind(world, kind, events)?);
    }
    Ok(figures)
}

/// A log, and what comes next to it.
struct Log {
    store: Arc<dyn EventStore>,
    coming: Box<dyn Iterator<Item = Event>>,
    reads: u64,
}

fn of_kind(world: &mut World, kind: &str, events: usize) -> Outcome<Vec<Figure>> {
    let place = Place::new(kind)?;
    let mut large = Log::make(world, &place.url("large"), events)?;
    let mut small = Log::make(world, &place.url("small"), SMALL)?;
    let target = Target::RatioAtMost(1.5);
    let mut figures = Vec::new();
    let (ours, raw) = alternate(
        world,
        |world| world.runtime.block_on(large.pages()),
        |world| world.runtime.block_on(small.pages()),
    )?;
    figures.push(Figure { bench: format!("scale-page-{kind}"), ours, raw, target, unit: "ms a page" });
    let (ours, raw) = alternate(
        world,
        |world| world.runtime.block_on(large.appends()),
        |world| world.runtime.block_on(small.appends()),
    )?;
    figures.push(Figure { bench: format!("scale-append-{kind}"), ours, raw, target, unit: "ms an append" });
    for log in [large, small] {
        world.runtime.block_on(log.store.close())?;
    }
    let said = Process::start(&["scan-process", &place.url("large")])?.says()?;
    let read = said["read"].as_u64().unwrap_or_default();
    if (read as usize) < events {
        return Err(format!("{read} of {events} events were read").into());
    }
    let (bench, target) = (format!("scale-scan-{kind}"), Target::Below(MOST_MIB));
    figures.push(Figure { bench, ours: said["above_idle_mib"].as_f64(), raw: None, target, unit: "MiB" });
    Ok(figures)
}

impl Log {
    fn make(world: &mut World, url: &str, events: usize) -> Outcome<Self> {
        let flights = world.flights()?;
        eprintln!("  making a log of {events} events");
        let endless = move || {
            let flights = Arc::clone(&flights);
            // Under ids as the kit makes them.
            (0..).map(move |i: usize| Event { id: EventId::generate(), ..flights[i % flights.len()].clone() })
        };
        let store = world.runtime.block_on(async {
            let store = Backends::new().create_store(url, &CreateOptions::labelled("scale")).await?;
            let mut made = endless().take(events);
            let mut shown = Instant::now();
            loop {
                let batch: Vec<Event> = made.by_ref().take(APPEND_BATCH).collect();
                if batch.is_empty() {
                    return Ok::<_, synckit::Error>(store);
                }
                let written = store.write(Write::Append(batch)).await?;
                if shown.elapsed().as_secs() >= 10 {
                    eprintln!("    {} events", written.head.position);
                    shown = Instant::now();
                }
            }
        })?;
        Ok(Self { store, coming: Box::new(endless().skip(events)), reads: 0 })
    }

    /// Reads pages all over the log; the milliseconds that one takes.
    async fn pages(&mut self) -> Outcome<f64> {
        let last = self.store.head().await?.position.saturating_sub(SYNC_BATCH as u64);
        let begun = Instant::now();
        for _ in 0..READS {
            // A walk that comes to all parts of the log.
            self.reads = self.reads.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let request = ReadRequest::after(self.reads % last.max(1)).limit(SYNC_BATCH);
            let page = self.store.read(request).await?;
            if page.entries.len() != SYNC_BATCH {
                return Err(format!("a page of {} events", page.entries.len()).into());
            }
        }
        Ok(begun.elapsed().as_secs_f64() * 1_000.0 / READS as f64)
    }

    /// Appends a few events at a time; the milliseconds that one append takes.
    async fn appends(&mut self) -> Outcome<f64> {
        let batches: Vec<Vec<Event>> =
            (0..APPENDS).map(|_| self.coming.by_ref().take(NEW).collect()).collect();
        let begun = Instant::now();
        for batch in batches {
            if self.store.write(Write::Append(batch)).await?.accepted() != NEW {
                return Err("not every event was taken".into());
            }
        }
        Ok(begun.elapsed().as_secs_f64() * 1_000.0 / APPENDS as f64)
    }
}

/// Reads a whole log in a process of its own.
pub(crate) fn scan(url: &str) -> Outcome<()> {
    runtime()?.block_on(async {
        let store = Backends::new().open_store(url).await?;
        let idle = idle()?;
        let mut request = ReadRequest::default().limit(SYNC_BATCH);
        let mut read = 0_usize;
        loop {
            let page = store.read(request.clone()).await?;
            read += page.entries.len();
            request.after = page.next.position;
            if !page.has_more {
                break;
            }
        }
        say(&serde_json::json!({"read": read, "above_idle_mib": above(&idle)?}))?;
        Ok(store.close().await?)
    })
}
