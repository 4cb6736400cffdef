//! What real disks do: full, damaged, from another version.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};

use synckit_core::{
    ErrorKind, Event, EventStore, LogId, Stamp, Timestamp,
    store::{Apply, LogEntry, Offered, Outcome, ReadRequest, Write},
};
use synckit_store_sqlite::{SqliteConfig, SqliteStore};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    (folder, path)
}

fn events(from: usize, count: usize) -> Write {
    let event =
        |n| Event::new("t", format!("a-{n}"), &"x".repeat(500)).unwrap().with_id(format!("e-{n}")).unwrap();
    Write::Append((from..from + count).map(event).collect())
}

fn sql(path: &Path, statement: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let (_folder, path) = place();
    let config = SqliteConfig::at(&path).max_bytes(1024 * 1024);
    let store = SqliteStore::create(config).await.unwrap();
    let mut held = 0;
    let full = loop {
        match store.write(events(held, 100)).await {
            Ok(written) => held += written.accepted(),
            Err(error) => break error,
        }
    };
    assert!(held >= 100, "some fit");
    assert_eq!(full.kind(), ErrorKind::Storage);
    assert!(full.to_string().contains("full"), "{full}");
    let head = store.head().await.unwrap();
    assert_eq!(head.position, held as u64, "nothing of the write that did not fit is there");
    store.close().await.unwrap();
    let store = SqliteStore::open(SqliteConfig::at(&path)).await.unwrap();
    assert_eq!(store.head().await.unwrap(), head);
    let written = store.write(events(held, 100)).await.unwrap();
    assert_eq!(written.outcomes[0], Outcome::Accepted { position: held as u64 + 1 }, "there is room again");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_data_is_found_when_it_is_read() {
    let (_folder, path) = place();
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    store.write(events(0, 10)).await.unwrap();
    store.close().await.unwrap();
    sql(&path, "UPDATE entries SET data = CAST('\"' || substr(data, 3) || 'y' AS BLOB) WHERE position = 7");
    let store = SqliteStore::open(SqliteConfig::at(&path)).await.unwrap();
    let error = store.read(ReadRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains("e-6 at position 7") && text.contains("synckit doctor"), "{text}");
    assert_eq!(
        store.read(ReadRequest::default().limit(6)).await.unwrap().entries.len(),
        6,
        "the others can be read"
    );
    assert_eq!(store.read(ReadRequest::after(7)).await.unwrap().entries.len(), 3);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let (_folder, path) = place();
    let store = SqliteStore::create(SqliteConfig::at(&path).label("kitchen")).await.unwrap();
    store.write(events(0, 10)).await.unwrap();
    let (identity, head) = (store.identity(), store.head().await.unwrap());
    store.close().await.unwrap();
    sql(&path, "ALTER TABLE node DROP COLUMN standing; PRAGMA user_version = 1");
    let store = SqliteStore::open(SqliteConfig::at(&path)).await.unwrap();
    assert_eq!((store.identity(), store.head().await.unwrap()), (identity, head));
    assert_eq!(store.write(events(10, 1)).await.unwrap().accepted(), 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_database_from_the_future_is_refused() {
    let (_folder, path) = place();
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    store.close().await.unwrap();
    sql(&path, "PRAGMA user_version = 99");
    let error = SqliteStore::open(SqliteConfig::at(&path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
    assert!(error.to_string().contains("99"), "{error}");
}

/// What can be read of a store that may be damaged, and whether something is known to be wrong.
async fn look(path: &Path) -> (Vec<LogEntry>, bool) {
    let Ok(store) = SqliteStore::open(SqliteConfig::at(path)).await else { return (Vec::new(), true) };
    let integrity = store.maintenance().unwrap().integrity().await;
    let (mut found, mut request) = (Vec::new(), ReadRequest::default().limit(50));
    let whole = loop {
        match store.read(request.clone()).await {
            Err(_) => break false,
            Ok(page) => {
                found.extend(page.entries);
                request.after = page.next.position;
                if !page.has_more {
                    break true;
                }
            }
        }
    };
    store.close().await.unwrap();
    (found, !whole || integrity.map_or(true, |findings| !findings.is_empty()))
}

#[tokio::test]
async fn damaged_files_never_give_wrong_data() {
    let (folder, path) = place();
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    store.write(events(0, 500)).await.unwrap();
    store.close().await.unwrap();
    let (entries, wrong) = look(&path).await;
    assert!(entries.len() == 500 && !wrong);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        // A folder each: a log beside the file must not be taken for that of another.
        let damaged = folder.path().join(format!("{at}"));
        std::fs::create_dir(&damaged).unwrap();
        let (cut, overwritten) = (damaged.join("cut.db"), damaged.join("overwritten.db"));
        std::fs::write(&cut, &whole[..at]).unwrap();
        assert!(look(&cut).await.1, "cut at {at}: not found");
        let mut bytes = whole.clone();
        bytes[at..(at + 64).min(whole.len())].fill(0xa5);
        std::fs::write(&overwritten, bytes).unwrap();
        let (read, _) = look(&overwritten).await;
        for entry in read {
            let index = usize::try_from(entry.position).unwrap() - 1;
            assert_eq!(entry.event, entries[index].event, "overwritten at {at}");
        }
    }
}

#[test]
fn a_write_that_nobody_waits_for_is_taken_note_of() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_time().build();
    runtime.unwrap().block_on(async {
        let store = SqliteStore::create(SqliteConfig::in_memory()).await.unwrap();
        store.write(events(0, 1)).await.unwrap();
        let before = store.identity();
        // An event of its own that it does not hold: the node takes another name.
        let event = Event::new("t", "elsewhere", &1).unwrap().with_id("lost").unwrap();
        let stamp = Stamp::checked(before.node, 9, Timestamp::from_micros(1), Vec::new()).unwrap();
        let lost = Offered { event, stamp: Some(stamp), stub: None, position: 9 };
        let apply = Apply { peer: Some(LogId::random()), entries: vec![lost], ..Apply::default() };
        // The one thread that may wait is busy until the write has been dropped.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || gate.recv());
        tokio::select! {
            biased;
            done = store.write(Write::Apply(apply)) => panic!("{done:?}"),
            () = std::future::ready(()) => {}
        }
        open.send(()).unwrap();
        busy.await.unwrap().unwrap();
        // There is one connection, which is used in turn.
        let node = store.maintenance().unwrap().node().await.unwrap();
        assert_ne!(node.node, before.node, "the write went on");
        assert_eq!(store.identity().node, node.node);
        store.close().await.unwrap();
    });
}

#[tokio::test]
async fn the_write_ahead_log_is_written_back_again_and_again() {
    const BATCH: usize = 100;
    const MIB: u64 = 1024 * 1024;
    let (folder, path) = place();
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    let event = |n| Event::new("t", "a", &"x".repeat(64 * 1024)).unwrap().with_id(format!("e-{n}")).unwrap();
    for first in (0..3_000).step_by(BATCH) {
        store.write(Write::Append((first..first + BATCH).map(event).collect())).await.unwrap();
    }
    let log = folder.path().join("events.db-wal").metadata().unwrap().len();
    assert!(log < 80 * MIB, "{} MiB of 190 are still in the log", log / MIB);
    store.close().await.unwrap();
}
