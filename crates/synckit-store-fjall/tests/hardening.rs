//! What real disks and real people do: damaged files, copies, two processes, other versions, folders that are something else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};

use synckit_core::{
    ErrorKind, Event, EventStore,
    store::{LogEntry, ReadRequest, Write},
};
use synckit_store_fjall::{FjallConfig, FjallStore};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    (folder, path)
}

fn events(from: usize, count: usize) -> Write {
    let event =
        |n| Event::new("t", format!("a-{n}"), &"x".repeat(500)).unwrap().with_id(format!("e-{n}")).unwrap();
    Write::Append((from..from + count).map(event).collect())
}

async fn open(path: &Path) -> synckit_core::Result<FjallStore> {
    FjallStore::open(FjallConfig::at(path)).await
}

/// A store with so many batches of ten events, closed.
async fn filled(path: &Path, batches: usize) {
    let store = FjallStore::create(FjallConfig::at(path).label("kitchen")).await.unwrap();
    for batch in 0..batches {
        store.write(events(batch * 10, 10)).await.unwrap();
    }
    store.close().await.unwrap();
    // From now on, its journal ends where its batches end.
    open(path).await.unwrap().close().await.unwrap();
}

/// All files below a folder, but for those without content.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
        match file.is_dir() {
            true => found.extend(files(&file)),
            false if file.metadata().unwrap().len() > 0 => found.push(file),
            false => {}
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|f| f.unwrap().path()) {
        let target = to.join(file.file_name().unwrap());
        if file.is_dir() {
            copy(&file, &target);
        } else {
            std::fs::copy(&file, target).unwrap();
        }
    }
}

/// The newest journal.
fn journal(store: &Path) -> PathBuf {
    files(&store.join("engine")).into_iter().rfind(|f| f.extension().is_some_and(|e| e == "jnl")).unwrap()
}

/// What can be read of a store that may be damaged, and whether something is known to be wrong.
async fn look(path: &Path) -> (Vec<LogEntry>, bool) {
    let store = match open(path).await {
        Ok(store) => store,
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
            return (Vec::new(), true);
        }
    };
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
    // To close a store whose engine gave up may fail.
    let _ = store.close().await;
    (found, !whole || integrity.map_or(true, |findings| !findings.is_empty()))
}

#[tokio::test]
async fn one_at_a_time() {
    let (_folder, path) = place();
    let store = FjallStore::create(FjallConfig::at(&path)).await.unwrap();
    for again in [open(&path).await, FjallStore::create(FjallConfig::at(&path)).await] {
        let error = again.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.is_retryable() && error.message().contains("one process at a time"), "{error}");
    }
    assert_eq!(store.write(events(0, 1)).await.unwrap().accepted(), 1, "the first goes on");
    store.close().await.unwrap();
    let store = open(&path).await.unwrap();
    assert_eq!(store.head().await.unwrap().position, 1);
    drop(store);
    open(&path).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_copied_folder_is_a_new_node_and_a_renamed_one_is_not() {
    let (folder, path) = place();
    filled(&path, 2).await;
    let store = open(&path).await.unwrap();
    let original = store.identity();
    assert_eq!(store.copied_from(), None);
    store.close().await.unwrap();

    let renamed = folder.path().join("renamed");
    std::fs::rename(&path, &renamed).unwrap();
    let store = open(&renamed).await.unwrap();
    assert_eq!(store.identity(), original);
    store.close().await.unwrap();

    let copied = folder.path().join("copied");
    copy(&renamed, &copied);
    let store = open(&copied).await.unwrap();
    let identity = store.identity();
    assert_eq!(store.copied_from(), Some((original.node, identity.node)));
    assert!(identity.node != original.node && identity.log != original.log);
    assert_eq!((identity.former.clone(), &*identity.label), (vec![original.node], "kitchen"));
    assert_eq!(store.head().await.unwrap().position, 20);
    assert_eq!(store.write(events(20, 1)).await.unwrap().accepted(), 1);
    store.close().await.unwrap();
    let store = open(&copied).await.unwrap();
    assert_eq!((store.identity(), store.copied_from()), (identity, None), "once");
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_store_is_told_apart() {
    let (folder, path) = place();
    let refused = async |path: &Path| open(path).await.unwrap_err();
    assert_eq!(refused(&path).await.kind(), ErrorKind::NotFound);
    std::fs::create_dir(&path).unwrap();
    assert_eq!(refused(&path).await.kind(), ErrorKind::NotFound, "an empty folder");
    std::fs::write(path.join("letter.txt"), "dear").unwrap();
    for refused in [refused(&path).await, FjallStore::create(FjallConfig::at(&path)).await.unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert!(refused.message().contains("not a synckit store"), "{refused}");
    }
    assert_eq!(std::fs::read(path.join("letter.txt")).unwrap(), b"dear");
    assert_eq!(refused(&path.join("letter.txt")).await.kind(), ErrorKind::Invalid, "a file");

    // What a making that was cut short leaves: the mark, and some of the engine's files.
    let half = folder.path().join("half");
    filled(&half, 1).await;
    let whole = std::fs::read(half.join("synckit.mark")).unwrap();
    std::fs::write(half.join("synckit.mark"), &whole[..0]).unwrap();
    std::fs::remove_dir_all(half.join("engine")).unwrap();
    let error = refused(&half).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("half"), "{error}");
    let store = FjallStore::create(FjallConfig::at(&half)).await.unwrap();
    assert_eq!(store.head().await.unwrap().position, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_lost_its_files_is_never_made_anew() {
    let (folder, path) = place();
    filled(&path, 30).await;
    for lost in ["synckit.mark", "engine", "engine/version", "engine/keyspaces", "engine/keyspaces/1/current"]
    {
        let damaged = folder.path().join(lost.replace('/', "-"));
        copy(&path, &damaged);
        let file = damaged.join(lost);
        if file.is_dir() {
            std::fs::remove_dir_all(file).unwrap()
        } else {
            std::fs::remove_file(file).unwrap()
        }
        let refused = [open(&damaged).await, FjallStore::create(FjallConfig::at(&damaged)).await];
        for error in refused.map(Result::unwrap_err) {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid), "{lost}: {error}");
        }
    }
    for file in files(&path.join("engine")) {
        let damaged = folder.path().join("without");
        copy(&path, &damaged);
        std::fs::remove_file(damaged.join(file.strip_prefix(&path).unwrap())).unwrap();
        let (read, wrong) = look(&damaged).await;
        // The lock is the engine's, and of no importance.
        assert!(wrong || read.len() == 300, "{} is missing", file.display());
        std::fs::remove_dir_all(damaged).unwrap();
    }
}

#[tokio::test]
async fn a_cut_journal_is_noticed() {
    let (folder, path) = place();
    filled(&path, 20).await;
    let (entries, wrong) = look(&path).await;
    assert!(entries.len() == 200 && !wrong);
    let whole = std::fs::read(journal(&path)).unwrap();
    let end = whole.len();
    for at in (0..end).step_by(end / 60) {
        let damaged = folder.path().join(format!("{at}"));
        copy(&path, &damaged);
        std::fs::write(journal(&damaged), &whole[..at]).unwrap();
        let error = open(&damaged).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {at}: {error}");
        let advice = format!("synckit doctor --store fjall:{}", damaged.display());
        assert!(error.message().contains(&advice), "{error}");
        assert_eq!(open(&damaged).await.unwrap_err().kind(), ErrorKind::Corrupt, "again, cut at {at}");
        std::fs::remove_dir_all(damaged).unwrap();
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_journal_is_noticed() {
    let (folder, path) = place();
    filled(&path, 20).await;
    let whole = std::fs::read(journal(&path)).unwrap();
    let end = whole.len();
    for (n, at) in (0..end).step_by(end / 150).enumerate() {
        let damaged = folder.path().join(format!("{at}"));
        copy(&path, &damaged);
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (n % 8);
        std::fs::write(journal(&damaged), bytes).unwrap();
        let (read, wrong) = look(&damaged).await;
        assert!(wrong, "byte {at} of {end}: {} entries, and nothing wrong", read.len());
        std::fs::remove_dir_all(damaged).unwrap();
    }
}

#[tokio::test]
async fn a_batch_that_a_crash_cut_short_is_dropped_and_nothing_else() {
    let (folder, path) = place();
    filled(&path, 20).await;
    let whole = std::fs::read(journal(&path)).unwrap();
    let end = whole.len();
    let store = open(&path).await.unwrap();
    store.write(events(200, 10)).await.unwrap();
    store.close().await.unwrap();
    let longer = std::fs::read(journal(&path)).unwrap();
    let longer_end = longer.len();
    let before = folder.path().join("before");
    filled(&before, 20).await;
    for at in (end..longer_end).step_by((longer_end - end) / 40) {
        // As if the write had never been acknowledged: the mark has not seen it.
        for zeros in [0, 4096] {
            let torn = folder.path().join("torn");
            copy(&before, &torn);
            let mut bytes = std::fs::read(journal(&before)).unwrap();
            bytes.extend_from_slice(&longer[end..at]);
            bytes.resize(bytes.len() + zeros, 0);
            std::fs::write(journal(&torn), bytes).unwrap();
            let (read, wrong) = look(&torn).await;
            assert!(read.len() == 200 && !wrong, "cut at {at}, {zeros} zeros: {} entries", read.len());
            std::fs::remove_dir_all(torn).unwrap();
        }
    }
}
