//! Files that cannot grow, cannot be written, or are not what they were.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use synckit_core::{
    Error, ErrorKind, Event, EventId, EventStore,
    store::{LogEntry, ReadRequest, Write},
};
use synckit_store_fjall::{Durability, FjallConfig, FjallStore};
use synckit_testkit::{
    again,
    faults::{assert_damage, fill, try_everything},
};
use xxhash_rust::xxh3::xxh3_64;

const FULL: &str = "SYNCKIT_TEST_FULL_PATH";
const READ_ONLY: &str = "SYNCKIT_TEST_READ_ONLY_PATH";

fn events(from: usize, count: usize) -> Write {
    let event =
        |n| Event::new("t", format!("a-{n}"), &"x".repeat(500)).unwrap().with_id(format!("e-{n}")).unwrap();
    Write::Append((from..from + count).map(event).collect())
}

async fn open(path: &Path) -> synckit_core::Result<FjallStore> {
    FjallStore::open(FjallConfig::at(path)).await
}

async fn create(path: &Path) -> synckit_core::Result<FjallStore> {
    FjallStore::create(FjallConfig::at(path)).await
}

async fn length(store: &FjallStore) -> usize {
    let mut request = ReadRequest::default();
    loop {
        let page = store.read(request.clone()).await.unwrap();
        request.after = page.next.position;
        if !page.has_more {
            return usize::try_from(page.next.position).unwrap();
        }
    }
}

fn assert_told(error: &Error, kind: ErrorKind, said: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

const TOO_LARGE: &str = "a file of the store may not get any larger";

/// With [`FULL`] in its environment, this is the process whose files cannot grow.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_grow_is_told_and_survived() {
    if let Some(path) = env::var_os(FULL) {
        return until_full(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    for durability in ["full", "normal"] {
        let path = folder.path().join(durability);
        let store = create(&path).await.unwrap();
        store.write(events(0, 100)).await.unwrap();
        store.close().await.unwrap();
        // From now on, its journal ends where its batches end.
        open(&path).await.unwrap().close().await.unwrap();

        let mut limited =
            again::with_files_up_to(512, "a_file_that_cannot_grow_is_told_and_survived").unwrap();
        let told = limited.env(FULL, &path).output().unwrap();
        assert!(told.status.success(), "{told:?}");
        let told = String::from_utf8(told.stdout).unwrap();
        let held = told.lines().find_map(|line| line.split_once("acknowledged ")).unwrap().1.parse().unwrap();

        let store = open(&path).await.unwrap();
        assert_eq!(length(&store).await, held, "what was acknowledged is there, and nothing else");
        assert_eq!(store.maintenance().unwrap().integrity().await.unwrap(), Vec::<String>::new());
        assert_eq!(store.write(events(held, 100)).await.unwrap().accepted(), 100, "there is room again");
        store.close().await.unwrap();

        // What was begun where there was no room is made where there is.
        let new = path.with_extension("new");
        let store = create(&new).await.unwrap();
        assert_eq!(store.write(events(0, 1)).await.unwrap().accepted(), 1);
        store.close().await.unwrap();
    }
}

async fn until_full(path: &Path) {
    let durability = if path.ends_with("full") { Durability::Full } else { Durability::Normal };
    let config = FjallConfig::at(path).durability(durability);
    let mut held = 100;
    for round in 0..3 {
        let store = FjallStore::open(config.clone()).await.unwrap();
        assert_eq!(length(&store).await, held, "round {round}");
        let full = loop {
            match store.write(events(held, 50)).await {
                Ok(written) => held += written.accepted(),
                Err(error) => break error,
            }
        };
        assert_told(&full, ErrorKind::Storage, TOO_LARGE);
        assert!(held >= 200, "some fit");
        let again = store.write(events(held, 1)).await.unwrap_err();
        assert_told(&again, ErrorKind::Storage, "close the store and open it again");
        assert_eq!(length(&store).await, held, "reading goes on");
        store.close().await.unwrap();
    }
    let new = path.with_extension("new");
    assert_told(&create(&new).await.unwrap_err(), ErrorKind::Storage, TOO_LARGE);
    assert_eq!(open(&new).await.unwrap_err().kind(), ErrorKind::NotFound);
    println!("acknowledged {held}");
}

/// With [`READ_ONLY`] in its environment, this is the process whom permissions bind.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_told() {
    if let Some(folder) = env::var_os(READ_ONLY) {
        return read_only(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bound = again::without_privileges(folder.path(), "what_cannot_be_written_is_told").unwrap();
    let told = bound.env(READ_ONLY, folder.path()).output().unwrap();
    assert!(told.status.success(), "{told:?}");
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn read_only(parent: &Path) {
    let path = parent.join("store");
    filled(&path).await;
    let length_before = length(&open(&path).await.unwrap()).await;
    let mark = path.join("synckit.mark");
    permit(&mark, 0o444);
    for opened in [open(&path).await, create(&path).await] {
        assert_told(&opened.unwrap_err(), ErrorKind::Forbidden, "cannot be written");
    }
    permit(&mark, 0o644);
    let journal = path.join("engine/0.jnl");
    for (file, mode, back) in [(&journal, 0o444, 0o644), (&path.join("engine"), 0o555, 0o755)] {
        permit(file, mode);
        match open(&path).await {
            Err(error) => assert_told(&error, ErrorKind::Forbidden, "cannot be written"),
            Ok(store) => {
                assert_eq!(length(&store).await, length_before, "reading goes on");
                store.close().await.unwrap();
            }
        }
        permit(file, back);
    }
    permit(parent, 0o555);
    let new = create(&parent.join("new")).await.unwrap_err();
    assert_told(&new, ErrorKind::Forbidden, "cannot be written");
    permit(parent, 0o755);
    permit(&path, 0o000);
    assert_eq!(open(&path).await.unwrap_err().kind(), ErrorKind::Forbidden);
    permit(&path, 0o755);
    let store = open(&path).await.unwrap();
    assert_eq!(length(&store).await, length_before);
    assert_eq!(store.write(events(0, 1)).await.unwrap().accepted(), 1);
    store.close().await.unwrap();
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
    let mut file = fs::File::options().write(true).open(&mark).unwrap();
    file.write_all(&header).unwrap();
    drop(file);
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
            assert_told(&error, ErrorKind::SchemaTooNew, said);
            assert!(error.to_string().contains("newer synckit"), "{error}");
        }
    }
    fs::write(&mark, &ours).unwrap();
    fs::write(&version, &engine).unwrap();
    let store = open(&path).await.unwrap();
    let tried = try_everything(&store).await;
    assert!(!tried.is_wrong(), "{:?} {:?}", tried.errors, tried.findings);
    store.close().await.unwrap();
}
