//! The other side: the same rows through plain SQLite.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension as _, types::Value};

use crate::world::Outcome;

type Row = Vec<Value>;

/// The tables with rows, each with how a row gets into it.
const TABLES: [(&str, &str); 6] = [
    ("entries", "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    ("stamps", "INSERT INTO stamps VALUES (?, ?, ?, ?, ?)"),
    (
        "aggregates",
        "INSERT INTO aggregates VALUES (?, ?, ?) \
         ON CONFLICT (aggregate_id) DO UPDATE SET heads = excluded.heads, conflict = excluded.conflict",
    ),
    ("origins", "INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)"),
    ("checkpoints", "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    ("node", "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
];
/// The other tables, which stay empty in what is measured.
const EMPTY: [&str; 5] = ["decisions", "reviews", "withdrawn", "other_claims", "quarantine"];

/// The rows that a store has written, in transactions of `batch` entries. Rows that a store writes again and again (heads,
/// progress, the checkpoint, the node) are in every transaction that touches them, as they are in the end.
pub(crate) struct Rows {
    model: PathBuf,
    schema: Vec<String>,
    batches: Vec<[Vec<Row>; 6]>,
    pub(crate) entries: usize,
}

/// The settings of a store's writer, as in `opening.rs` of synckit-store-sqlite, and the length at which it has its log
/// written back.
const SETTINGS: &str = "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = off; \
    PRAGMA temp_store = memory; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192";

fn open(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(SETTINGS)?;
    Ok(connection)
}

fn select(connection: &Connection, sql: &str) -> Outcome<Vec<Row>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|i| row.get(i)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Rows {
    /// The rows of the database at `model`, which a store has closed.
    pub(crate) fn of(model: &Path, batch: usize) -> Outcome<Self> {
        let connection = open(model)?;
        for table in EMPTY {
            if !select(&connection, &format!("SELECT 1 FROM {table} LIMIT 1"))?.is_empty() {
                return Err(format!("{table} has rows, which the raw side does not write").into());
            }
        }
        let mut schema = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        let schema = schema.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let all = |table: &str| select(&connection, &format!("SELECT * FROM {table}"));
        let entries = select(&connection, "SELECT * FROM entries ORDER BY position")?;
        let stamps = select(&connection, "SELECT * FROM stamps ORDER BY position")?;
        if stamps.len() != entries.len() {
            return Err("the log has stamps without entries".into());
        }
        let aggregates = all("aggregates")?;
        let (origins, checkpoints, node) = (all("origins")?, all("checkpoints")?, all("node")?);
        let count = entries.len();
        let batches = entries.chunks(batch).zip(stamps.chunks(batch)).map(|(entries, stamps)| {
            let touched: BTreeSet<&str> = entries.iter().filter_map(|row| text(&row[3])).collect();
            let touched = |row: &&Row| text(&row[0]).is_some_and(|name| touched.contains(name));
            let aggregates = aggregates.iter().filter(touched).cloned().collect();
            let rest = [origins.clone(), checkpoints.clone(), node.clone()];
            let [origins, checkpoints, node] = rest;
            [entries.to_vec(), stamps.to_vec(), aggregates, origins, checkpoints, node]
        });
        let batches = batches.collect();
        Ok(Self { model: model.to_path_buf(), schema, batches, entries: count })
    }

    /// An empty database with the same tables.
    pub(crate) fn prepare(&self, path: &Path) -> Outcome<Connection> {
        let connection = open(path)?;
        for sql in &self.schema {
            connection.execute_batch(sql)?;
        }
        Ok(connection)
    }

    /// Writes the rows: a statement for each table, prepared once, and a transaction for each batch.
    pub(crate) fn write(&self, connection: &Connection) -> Outcome<()> {
        let mut statements = Vec::new();
        for (_, sql) in TABLES {
            statements.push(connection.prepare(sql)?);
        }
        for batch in &self.batches {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for (rows, statement) in batch.iter().zip(&mut statements) {
                for row in rows {
                    for (i, value) in row.iter().enumerate() {
                        statement.raw_bind_parameter(i + 1, value)?;
                    }
                    statement.raw_execute()?;
                }
            }
            connection.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Checks that a database has the rows that the store has written, and no others.
    pub(crate) fn check(&self, connection: &Connection) -> Outcome<()> {
        let model = self.model.to_string_lossy();
        connection.execute("ATTACH ? AS model", [&*model])?;
        for (table, _) in TABLES {
            for (one, other) in [("main", "model"), ("model", "main")] {
                let sql = format!(
                    "SELECT 1 FROM (SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table})"
                );
                if connection.query_row(&sql, [], |_| Ok(())).optional()?.is_some() {
                    return Err(format!("the raw side wrote other rows into {table}").into());
                }
            }
        }
        connection.execute_batch("DETACH model")?;
        Ok(())
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// A row of `entries` as a program would keep it.
pub(crate) struct Entry {
    pub(crate) position: i64,
    _texts: [String; 3],
    _optional: [Option<String>; 2],
    _data: Vec<u8>,
    _numbers: [i64; 4],
    _blobs: [Vec<u8>; 4],
    _from: Option<Vec<u8>>,
}

/// Reads `entries` from the beginning to the end in pages; gives the number of rows.
pub(crate) fn read(path: &Path, page: usize) -> Outcome<usize> {
    let connection = open(path)?;
    let mut statement =
        connection.prepare("SELECT * FROM entries WHERE position > ? ORDER BY position LIMIT ?")?;
    let (mut after, mut count) = (0_i64, 0);
    loop {
        let rows = statement.query_map([after, i64::try_from(page)?], |row| {
            Ok(Entry {
                position: row.get(0)?,
                _texts: [row.get(1)?, row.get(2)?, row.get(3)?],
                _optional: [row.get(4)?, row.get(6)?],
                _data: row.get(5)?,
                _numbers: [row.get(8)?, row.get(9)?, row.get(14)?, row.get(15)?],
                _blobs: [row.get(7)?, row.get(10)?, row.get(11)?, row.get(12)?],
                _from: row.get(13)?,
            })
        })?;
        let rows: Vec<Entry> = rows.collect::<Result<_, _>>()?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.position;
        count += rows.len();
        std::hint::black_box(rows);
    }
}
