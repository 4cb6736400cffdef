//! Files that are not what they were, or not of this version.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use synckit_core::{
    ErrorKind, Event, EventId, EventStore,
    store::{LogEntry, ReadRequest, Write},
};
use synckit_store_fjall::{FjallConfig, FjallStore};
use synckit_testkit::faults::{assert_damage, fill, try_everything};
use xxhash_rust::xxh3::xxh3_64;

async fn open(path: &Path) -> synckit_core::Result<FjallStore> {
    FjallStore::open(FjallConfig::at(path)).await
}

async fn create(path: &Path) -> synckit_core::Result<FjallStore> {
    FjallStore::create(FjallConfig::at(path)).await
}

/// A store with some of everything, closed.
async fn filled(path: &Path) -> Vec<LogEntry> {
    let store = create(path).await.unwrap();
    fill(&store).await.unwrap();
    let log = store.read(ReadRequest::default()).await.unwrap().entries;
    store.close().await.unwrap();
    open(path).await.unwrap().close().await.unwrap();
    log
}

/// A store of which a part is in tables of the engine, closed.
async fn with_tables(path: &Path) {
    let store = create(path).await.unwrap();
    fill(&store).await.unwrap();
    for n in 0..36 {
        let large = Event::new("t", "large", &"x".repeat(1_000_000)).unwrap();
        let large = large.with_id(format!("large-{n}")).unwrap();
        store.write(Write::Append(vec![large])).await.unwrap();
    }
    store.close().await.unwrap();
    open(path).await.unwrap().close().await.unwrap();
}

/// All files below a folder, relative to it, but for those without content.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for file in fs::read_dir(next).unwrap().map(|f| f.unwrap().path()) {
            if file.is_dir() {
                folders.push(file);
            } else if file.metadata().unwrap().len() > 0 {
                found.push(file.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// What is done to a file, by name: a part of it is cut off, or one byte in it is another.
fn damages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let length = bytes.len();
    let cuts = [0, 1, length / 2, length - 1].into_iter();
    let cut = cuts.map(|at| (format!("cut at {at}"), bytes[..at].to_vec()));
    let flips = [0, length / 4, length / 2, length - length / 4 - 1, length - 1].into_iter();
    let flipped = flips.map(|at| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x41;
        (format!("byte {at} of {length}"), bytes)
    });
    cut.chain(flipped).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_is_cut_or_flipped_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let log = filled(&whole).await;
    let files = files(&whole);
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        for (done, bytes) in damages(&fs::read(whole.join(&file)).unwrap()) {
            let what = format!("{}, {done}", file.display());
            let damaged = folder.path().join("damaged");
            copy(&whole, &damaged);
            fs::write(damaged.join(&file), bytes).unwrap();
            match open(&damaged).await {
                // Another number there looks like that of a newer format.
                Err(error) if what == "engine/version, byte 3 of 4" => {
                    assert_eq!(error.kind(), ErrorKind::SchemaTooNew, "{error}");
                }
                Err(error) => {
                    assert_damage(&error, &what);
                    assert_damage(&open(&damaged).await.unwrap_err(), &format!("{what}, again"));
                    assert_damage(&create(&damaged).await.unwrap_err(), &format!("{what}, to create"));
                }
                Ok(store) => {
                    let tried = try_everything(&store).await;
                    tried.assert_damage(&what);
                    assert!(tried.is_wrong() || tried.entries.len() == log.len(), "{what}: not noticed");
                    for (read, entry) in tried.entries.iter().zip(&log) {
                        assert_eq!(read, entry, "{what}");
                    }
                    // To close a store whose engine gave up may fail.
                    let _ = store.close().await;
                }
            }
            fs::remove_dir_all(damaged).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_that_is_cut_or_flipped_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    with_tables(&whole).await;
    let tables: Vec<PathBuf> = files(&whole)
        .into_iter()
        .filter(|file| file.parent().is_some_and(|f| f.ends_with("tables") || f.ends_with("keyspaces/1")))
        .collect();
    assert!(tables.iter().any(|file| file.starts_with("engine/keyspaces/1/tables")), "{tables:?}");
    let ids: Vec<EventId> =
        ["own-1", "large-0", "large-9", "large-35"].into_iter().map(|id| EventId::new(id).unwrap()).collect();
    for file in tables {
        for (done, bytes) in damages(&fs::read(whole.join(&file)).unwrap()) {
            let what = format!("{}, {done}", file.display());
            let damaged = folder.path().join("damaged");
            copy(&whole, &damaged);
            fs::write(damaged.join(&file), bytes).unwrap();
            match open(&damaged).await {
                Err(error) => assert_damage(&error, &what),
                Ok(store) => {
                    let findings = store.maintenance().unwrap().integrity().await;
                    let loaded = store.load(&ids).await;
                    for error in [findings.as_ref().err(), loaded.as_ref().err()].into_iter().flatten() {
                        assert_damage(error, &what);
                    }
                    let found = findings.map_or(true, |findings| !findings.is_empty());
                    assert!(
                        found || loaded.is_ok_and(|loaded| loaded.len() == ids.len()),
                        "{what}: not noticed"
                    );
                    let _ = store.close().await;
                }
            }
            fs::remove_dir_all(damaged).unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_from_the_future_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    filled(&path).await;
    let mark = path.join("synckit.mark");
    let ours = fs::read(&mark).unwrap();
    let mut header = ours[..20].to_vec();
    header[16..20].copy_from_slice(&2_u32.to_be_bytes());
    header.push(1);
    header.extend_from_slice(&xxh3_64(&header).to_be_bytes());
    // The engine's own format, too.
    let version = path.join("engine/version");
    let engine = fs::read(&version).unwrap();
    let newer = [&engine[..3], &[engine[3] + 1]].concat();
    for (schema, format, said) in
        [(true, false, "schema 2"), (false, true, "format 4"), (true, true, "schema 2")]
    {
        fs::write(&mark, if schema { [&header, &ours[header.len()..]].concat() } else { ours.clone() })
            .unwrap();
        fs::write(&version, if format { &newer } else { &engine }).unwrap();
        for opened in [open(&path).await, create(&path).await] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaTooNew, "{error}");
            let text = error.to_string();
            assert!(text.contains(said) && text.contains("newer synckit"), "{text}");
        }
    }
    fs::write(&mark, &ours).unwrap();
    fs::write(&version, &engine).unwrap();
    let store = open(&path).await.unwrap();
    let tried = try_everything(&store).await;
    assert!(!tried.is_wrong(), "{:?} {:?}", tried.errors, tried.findings);
    store.close().await.unwrap();
}
