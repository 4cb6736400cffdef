//! Files that cannot grow, cannot be written, or are not what they were.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use synckit_core::{
    Error, ErrorKind, Event, EventStore,
    store::{LogEntry, ReadRequest, Write},
};
use synckit_store_sqlite::{SqliteConfig, SqliteStore};
use synckit_testkit::{
    again,
    faults::{assert_damage, fill, try_everything},
};

const FULL: &str = "SYNCKIT_TEST_FULL_PATH";
const READ_ONLY: &str = "SYNCKIT_TEST_READ_ONLY_PATH";

fn events(from: usize, count: usize) -> Write {
    let event =
        |n| Event::new("t", format!("a-{n}"), &"x".repeat(500)).unwrap().with_id(format!("e-{n}")).unwrap();
    Write::Append((from..from + count).map(event).collect())
}

async fn open(path: &Path) -> synckit_core::Result<SqliteStore> {
    SqliteStore::open(SqliteConfig::at(path)).await
}

async fn length(store: &SqliteStore) -> usize {
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

/// With [`FULL`] in its environment, this is the process whose files cannot grow.
#[tokio::test]
async fn a_file_that_cannot_grow_is_told_and_survived() {
    if let Some(path) = env::var_os(FULL) {
        return until_full(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let mut limited = again::with_files_up_to(512, "a_file_that_cannot_grow_is_told_and_survived").unwrap();
    let told = limited.env(FULL, &path).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    let held = told.lines().find_map(|line| line.split_once("acknowledged ")).unwrap().1.parse().unwrap();
    let store = open(&path).await.unwrap();
    assert_eq!(length(&store).await, held, "what was acknowledged is there, and nothing else");
    assert_eq!(store.maintenance().unwrap().integrity().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.write(events(held, 100)).await.unwrap().accepted(), 100, "there is room again");
    store.close().await.unwrap();
}

async fn until_full(path: &Path) {
    let store = SqliteStore::create(SqliteConfig::at(path)).await.unwrap();
    let mut held = 0;
    let full = loop {
        match store.write(events(held, 100)).await {
            Ok(written) => held += written.accepted(),
            Err(error) => break error,
        }
    };
    assert_told(&full, ErrorKind::Storage, "does not read or write one of the database's files");
    assert!(held >= 100, "some fit");
    assert_eq!(length(&store).await, held, "reading goes on");
    // What is in the log can be written back, and then some may fit again.
    for _ in 0..3 {
        match store.write(events(held, 100)).await {
            Ok(written) => held += written.accepted(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "{error}"),
        }
    }
    assert_eq!(length(&store).await, held);
    store.close().await.unwrap();
    println!("acknowledged {held}");
}

/// With [`READ_ONLY`] in its environment, this is the process whom permissions bind.
#[tokio::test]
async fn what_cannot_be_written_is_read_where_it_can() {
    if let Some(folder) = env::var_os(READ_ONLY) {
        return read_only(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bound =
        again::without_privileges(folder.path(), "what_cannot_be_written_is_read_where_it_can").unwrap();
    let told = bound.env(READ_ONLY, folder.path()).output().unwrap();
    assert!(told.status.success(), "{told:?}");
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn read_only(parent: &Path) {
    let folder = parent.join("store");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("events.db");
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    store.write(events(0, 10)).await.unwrap();
    store.close().await.unwrap();

    permit(&path, 0o444);
    let store = open(&path).await.unwrap();
    assert_eq!(length(&store).await, 10);
    let error = store.write(events(10, 1)).await.unwrap_err();
    assert_told(&error, ErrorKind::Forbidden, "the database file cannot be written");
    assert_eq!(length(&store).await, 10, "reading goes on");
    store.close().await.unwrap();

    // SQLite needs its log beside the file even to read it. Who may not write leaves it there.
    permit(&folder, 0o555);
    let store = open(&path).await.unwrap();
    assert_eq!(length(&store).await, 10);
    store.close().await.unwrap();
    permit(&folder, 0o755);
    for beside in ["events.db-shm", "events.db-wal"] {
        fs::remove_file(folder.join(beside)).unwrap();
    }
    permit(&folder, 0o555);
    for mode in [0o444, 0o644] {
        permit(&path, mode);
        for opened in [open(&path).await, SqliteStore::create(SqliteConfig::at(&path)).await] {
            assert_told(&opened.unwrap_err(), ErrorKind::Forbidden, "cannot be written");
        }
    }
    let new = SqliteStore::create(SqliteConfig::at(folder.join("new.db"))).await.unwrap_err();
    assert_told(&new, ErrorKind::Forbidden, "new.db cannot be made");
    permit(&path, 0o000);
    assert_told(&open(&path).await.unwrap_err(), ErrorKind::Forbidden, "events.db cannot be read");
    permit(&folder, 0o755);
    assert_told(&open(&path).await.unwrap_err(), ErrorKind::Forbidden, "events.db cannot be read");

    permit(&path, 0o644);
    let store = open(&path).await.unwrap();
    assert_eq!(store.write(events(10, 1)).await.unwrap().accepted(), 1);
    permit(&folder, 0o555);
    // The lock by which processes take turns is a file of its own.
    assert_told(&store.sync_turn().await.unwrap_err(), ErrorKind::Forbidden, "events.db-sync");
    store.close().await.unwrap();
    permit(&folder, 0o755);
}

#[tokio::test]
async fn places_where_no_store_can_be_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| SqliteStore::create(SqliteConfig::at(folder.path().join(name)));
    assert_told(&at("no/such/events.db").await.unwrap_err(), ErrorKind::NotFound, "there is no folder");
    fs::create_dir(folder.path().join("folder")).unwrap();
    assert_told(&at("folder").await.unwrap_err(), ErrorKind::Invalid, "folder is a folder");
}

/// A store with some of everything: its files as they are when it is closed, or as a crash leaves them, and its log.
async fn files(folder: &Path, crashed: bool) -> (Vec<(String, Vec<u8>)>, Vec<LogEntry>) {
    let path = folder.join("events.db");
    let store = SqliteStore::create(SqliteConfig::at(&path)).await.unwrap();
    fill(&store).await.unwrap();
    let log = store.read(ReadRequest::default()).await.unwrap().entries;
    if !crashed {
        store.close().await.unwrap();
    }
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    if crashed {
        store.close().await.unwrap();
    }
    (files, log)
}

fn laid_out(parent: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let folder = parent.join("damaged");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder.join("events.db")
}

/// A log begins with the events that were read. Their stamps are not verified before a store is examined.
fn assert_begins(log: &[LogEntry], read: &[LogEntry], what: &str) {
    assert!(read.len() <= log.len(), "{what}");
    for (read, entry) in read.iter().zip(log) {
        assert_eq!((read.position, &read.event), (entry.position, &entry.event), "{what}");
    }
}

/// Whether anything is noticed of what was done to the files. Whatever it is, it is an error of damage, and nothing else than
/// what was written is read.
async fn is_noticed(path: &Path, log: &[LogEntry], what: &str) -> bool {
    let store = match open(path).await {
        Ok(store) => store,
        Err(error) => {
            assert_damage(&error, what);
            return true;
        }
    };
    let tried = try_everything(&store).await;
    tried.assert_damage(what);
    assert_begins(log, &tried.entries, what);
    store.close().await.unwrap();
    tried.is_wrong()
}

#[tokio::test]
async fn files_that_are_cut_or_emptied_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, log) = files(folder.path(), false).await;
    assert_eq!(whole.len(), 1);
    assert!(!is_noticed(&laid_out(folder.path(), &whole), &log, "whole").await);
    let mut half = whole.clone();
    half[0].1.truncate(whole[0].1.len() / 2);
    assert!(is_noticed(&laid_out(folder.path(), &half), &log, "cut to half").await);
    half[0].1.clear();
    let empty = laid_out(folder.path(), &half);
    let error = open(&empty).await.unwrap_err();
    assert_told(&error, ErrorKind::NotFound, "is an empty database, and not a store");
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_damage_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, log) = files(folder.path(), false).await;
    let length = whole[0].1.len();
    let mut noticed = 0;
    // Where the version of the schema is, any other number looks like that of a newer one.
    let version = 60..64;
    let places = (0..100).chain((100..length).step_by(1_021)).filter(|at| !version.contains(at));
    for at in places.clone() {
        let mut files = whole.clone();
        files[0].1[at] ^= 0xff;
        noticed +=
            usize::from(is_noticed(&laid_out(folder.path(), &files), &log, &format!("byte {at}")).await);
    }
    assert!(noticed > 20, "{noticed} of {}", places.count());
}

/// What is lost of SQLite's log is lost without a word: a crash leaves it so. What is left is whole.
#[tokio::test]
async fn a_log_that_is_damaged_leaves_a_store_that_is_whole() {
    let parent = tempfile::tempdir().unwrap();
    let (whole, log) = files(parent.path(), true).await;
    let names: Vec<&str> = whole.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["events.db", "events.db-shm", "events.db-wal"]);
    for (i, (name, bytes)) in whole.iter().enumerate().skip(1) {
        let cuts = [0, 1, bytes.len() / 2, bytes.len() - 1].map(|length| (length, false));
        let flips = (0..bytes.len()).step_by(bytes.len() / 20).map(|at| (at, true));
        for (at, flip) in cuts.into_iter().chain(flips) {
            let mut files = whole.clone();
            if flip {
                files[i].1[at] ^= 0x55;
            } else {
                files[i].1.truncate(at);
            }
            let path = laid_out(parent.path(), &files);
            let what = format!("{name} at {at}, {flip}");
            match open(&path).await {
                // Not even the tables are left.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => assert_damage(&error, &what),
                Ok(store) => {
                    let tried = try_everything(&store).await;
                    assert!(tried.findings.is_empty(), "{what}: {:?}", tried.findings);
                    assert_begins(&log, &tried.entries, &what);
                    store.close().await.unwrap();
                }
            }
        }
    }
}
