//! What benches share: a folder, a runtime, events.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use serde_json::value::RawValue;
use synckit::{
    CursorMode, Event, EventStore as _, Metadata,
    core::store::Write,
    store_sqlite::{SqliteConfig, SqliteStore},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::figure::median;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How often everything is measured; the median counts.
pub(crate) const RUNS: usize = 5;
/// Events in a transaction when a lot is appended.
pub(crate) const APPEND_BATCH: usize = 10_000;
/// Events in a page when a node is set to nothing else.
pub(crate) const SYNC_BATCH: usize = 1_000;

pub(crate) struct World {
    pub(crate) runtime: Runtime,
    folder: TempDir,
    flights: Option<Arc<Vec<Event>>>,
    made: usize,
}

impl World {
    pub(crate) fn new() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, folder: tempfile::tempdir()?, flights: None, made: 0 })
    }

    /// A path for a database that does not exist yet.
    pub(crate) fn path(&mut self) -> PathBuf {
        self.made += 1;
        self.folder.path().join(format!("{}.db", self.made))
    }

    /// A month of flights.
    pub(crate) fn flights(&mut self) -> Outcome<Arc<Vec<Event>>> {
        if let Some(flights) = &self.flights {
            return Ok(Arc::clone(flights));
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/flights-2013-01.ndjson.gz");
        let lines = BufReader::new(GzDecoder::new(File::open(file)?));
        let flights: Outcome<Vec<Event>> = lines.lines().map(|line| flight(&line?)).collect();
        let flights = Arc::new(flights?);
        self.flights = Some(Arc::clone(&flights));
        Ok(flights)
    }

    /// A log of that many events under the path `hub-EVENTS.db`, made once: the month over and over, with other ids.
    pub(crate) fn log_of(&mut self, events: usize) -> Outcome<PathBuf> {
        let path = self.folder.path().join(format!("hub-{events}.db"));
        if path.exists() {
            return Ok(path);
        }
        let flights = self.flights()?;
        eprintln!("  making a log of {events} events");
        self.runtime.block_on(async {
            let store = SqliteStore::create(SqliteConfig::at(&path).label("hub")).await?;
            let mut made = (0..events).map(|i| again(&flights[i % flights.len()], i / flights.len()));
            loop {
                let batch: Vec<Event> = made.by_ref().take(APPEND_BATCH).collect::<Outcome<_>>()?;
                if batch.is_empty() {
                    break;
                }
                store.write(Write::Append(batch)).await?;
            }
            store.close().await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
        Ok(path)
    }
}

/// A flight from a CloudEvent: attributes without a place in an event become metadata, as `synckit import` has it.
fn flight(line: &str) -> Outcome<Event> {
    let mut attributes: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line)?;
    let mut take = |name: &str| attributes.remove(name).ok_or_else(|| format!("an event without {name}"));
    let text = |raw: Box<RawValue>| serde_json::from_str::<String>(raw.get());
    let (id, event_type) = (text(take("id")?)?, text(take("type")?)?);
    let (aircraft, data) = (text(take("subject")?)?, take("data")?);
    let metadata = Metadata::from_map(&attributes)?;
    Ok(Event::new(event_type, aircraft, &data)?.with_id(id)?.with_metadata(metadata))
}

/// The same flight in another month.
pub(crate) fn again(event: &Event, month: usize) -> Outcome<Event> {
    Ok(event.clone().with_id(format!("{}-{month}", event.id))?)
}

/// A new store in integer mode, as a program gets it that sets nothing else.
pub(crate) async fn new_store(path: &Path) -> Outcome<SqliteStore> {
    Ok(SqliteStore::create(SqliteConfig::at(path).mode(CursorMode::Integer)).await?)
}

/// Removes a database and the files beside it.
pub(crate) fn remove(path: &Path) {
    for end in ["", "-wal", "-shm", "-sync"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // What is not there need not be removed, and the folder goes in the end.
        let _ = std::fs::remove_file(name);
    }
}

/// How long something takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Duration)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((done, begun.elapsed()))
}

/// Measures both sides in turn; the medians of what they give.
pub(crate) fn alternate(
    world: &mut World,
    mut ours: impl FnMut(&mut World) -> Outcome<f64>,
    mut raw: impl FnMut(&mut World) -> Outcome<f64>,
) -> Outcome<(Option<f64>, Option<f64>)> {
    let (mut all_ours, mut all_raw) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        all_ours.push(ours(world)?);
        all_raw.push(raw(world)?);
        if let (Some(ours), Some(raw)) = (all_ours.last(), all_raw.last()) {
            eprintln!("  run {run}: ours {ours:.1}, raw {raw:.1}");
        }
    }
    Ok((median(all_ours), median(all_raw)))
}

/// Events a second.
pub(crate) fn rate(events: usize, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64()
}
