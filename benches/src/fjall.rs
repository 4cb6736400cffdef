//! `append-fjall`: what `append` measures, against the engine's own batches.

use std::{collections::BTreeSet, path::Path, time::Instant};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    config::{BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry},
};
use synckit::{
    EventStore as _,
    core::store::Write,
    store_fjall::{FjallConfig, FjallStore},
};

use crate::{
    figure::{Figure, Target},
    world::{APPEND_BATCH, Outcome, World, alternate, rate, timed},
};

/// The tables of a store, as in `engine.rs` of synckit-store-fjall.
const TABLES: [&str; 6] = ["entries", "ids", "positions", "stamps", "heads", "small"];
const MIB: u64 = 1024 * 1024;

type Row = (Vec<u8>, Vec<u8>);

/// The engine with the settings of a store.
struct Engine {
    db: Database,
    tables: [Keyspace; 6],
}

impl Engine {
    fn open(folder: &Path) -> Outcome<Self> {
        let db = Database::builder(folder)
            .cache_size(20 * MIB)
            .max_cached_files(Some(256))
            .max_journaling_size(128 * MIB)
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()?;
        let mut tables = Vec::new();
        for name in TABLES {
            tables.push(db.keyspace(name, || options(name))?);
        }
        let tables = tables.try_into().map_err(|_| "a table is missing")?;
        Ok(Self { db, tables })
    }

    fn rows(&self, table: usize) -> Outcome<Vec<Row>> {
        let rows = self.tables[table].iter().map(|row| {
            let (key, value) = row.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        });
        rows.collect()
    }
}

fn options(table: &str) -> KeyspaceCreateOptions {
    let memory = if table == "entries" { 32 * MIB } else { 16 * MIB };
    let options = KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(memory);
    match table {
        "entries" => {
            options.expect_point_read_hits(true).data_block_size_policy(BlockSizePolicy::all(16 * 1024))
        }
        "positions" | "stamps" => options.filter_policy(FilterPolicy::disabled()),
        _ => {
            let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
            options.filter_policy(FilterPolicy::all(bloom))
        }
    }
}

/// The rows that a store has written, in batches of [`APPEND_BATCH`] entries and in the order of the log, as they come.
/// Rows that a store writes again and again are in every batch that touches them, as they are in the end.
struct Rows {
    all: [Vec<Row>; 6],
    batches: Vec<[Vec<Row>; 6]>,
}

impl Rows {
    /// The rows of the engine in this folder, which a store has closed.
    fn of(folder: &Path) -> Outcome<Self> {
        let engine = Engine::open(folder)?;
        let mut all: [Vec<Row>; 6] = Default::default();
        for (table, rows) in all.iter_mut().enumerate() {
            *rows = engine.rows(table)?;
        }
        let [entries, ids, positions, stamps, heads, small] = &all;
        let mut batches: Vec<[Vec<Row>; 6]> = Vec::new();
        batches.resize_with(entries.len().div_ceil(APPEND_BATCH), Default::default);
        let mut touched = vec![BTreeSet::new(); batches.len()];
        for (table, rows) in [(0, entries), (1, ids), (2, positions), (3, stamps)] {
            for row in rows {
                // A key or a value ends with the position.
                let position = if matches!(table, 0 | 2) { &row.0 } else { &row.1 };
                let batch = batch_of(position)?;
                batches.get_mut(batch).ok_or("a row is beyond the log")?[table].push(row.clone());
                if table == 2 {
                    touched[batch].insert(row.0[..row.0.len() - 9].to_vec());
                }
            }
        }
        for (batch, touched) in batches.iter_mut().zip(&touched) {
            batch[1].sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
            batch[2].sort_unstable_by_key(|(key, _)| position_of(key));
            batch[4] = heads.iter().filter(|row| touched.contains(&row.0)).cloned().collect();
            batch[5].clone_from(small);
        }
        Ok(Self { all, batches })
    }

    fn write(&self, engine: &Engine) -> Outcome<()> {
        for rows in &self.batches {
            let mut batch = engine.db.batch().durability(Some(PersistMode::SyncAll));
            for (table, rows) in engine.tables.iter().zip(rows) {
                for (key, value) in rows {
                    batch.insert(table, &key[..], &value[..]);
                }
            }
            batch.commit()?;
        }
        Ok(())
    }

    /// Checks that an engine has the rows that the store has written, and no others.
    fn check(&self, engine: &Engine) -> Outcome<()> {
        for (table, rows) in self.all.iter().enumerate() {
            if engine.rows(table)? != *rows {
                return Err(format!("the raw side wrote other rows into {}", TABLES[table]).into());
            }
        }
        Ok(())
    }
}

fn position_of(bytes: &[u8]) -> Option<u64> {
    bytes.last_chunk().map(|last| u64::from_be_bytes(*last))
}

/// The batch that a position, at the end of some bytes, is in.
fn batch_of(bytes: &[u8]) -> Outcome<usize> {
    let before = position_of(bytes).and_then(|p| p.checked_sub(1)).ok_or("a row has no position")?;
    Ok(usize::try_from(before)? / APPEND_BATCH)
}

pub(crate) fn append(world: &mut World) -> Outcome<Vec<Figure>> {
    let model = world.path();
    write(world, &model)?;
    let rows = Rows::of(&model.join("engine"))?;
    let mut checked = false;
    let (ours, raw) = alternate(
        world,
        |world| {
            let path = world.path();
            let rate = write(world, &path)?;
            std::fs::remove_dir_all(path)?;
            Ok(rate)
        },
        |world| {
            let path = world.path();
            let engine = Engine::open(&path)?;
            let ((), took) = timed(|| rows.write(&engine))?;
            if !std::mem::replace(&mut checked, true) {
                rows.check(&engine)?;
            }
            drop(engine);
            std::fs::remove_dir_all(path)?;
            Ok(rate(rows.all[0].len(), took))
        },
    )?;
    let (bench, target) = ("append-fjall".into(), Target::RatioAtLeast(0.6));
    Ok(vec![Figure { bench, ours, raw, target, unit: "events/s" }])
}

/// Appends to a new store, and closes it; the rate until the last batch is durable.
fn write(world: &mut World, path: &Path) -> Outcome<f64> {
    let flights = world.flights()?;
    world.runtime.block_on(async {
        let store = FjallStore::create(FjallConfig::at(path)).await?;
        let batches: Vec<_> = flights.chunks(APPEND_BATCH).map(<[_]>::to_vec).collect();
        let begun = Instant::now();
        for batch in batches {
            let events = batch.len();
            if store.write(Write::Append(batch)).await?.accepted() != events {
                return Err("not every event was taken".into());
            }
        }
        let took = begun.elapsed();
        store.close().await?;
        Ok(rate(flights.len(), took))
    })
}
