//! Files that cannot grow, or cannot be written.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path};

use synckit_core::{
    Error, ErrorKind, Event, EventStore,
    store::{ReadRequest, Write},
};
use synckit_store_fjall::{Durability, FjallConfig, FjallStore};
use synckit_testkit::{again, faults::fill};
use tokio::sync::Mutex;

/// A process that begins holds the locks of the one that began it for a moment: one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

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
    let _turn = TURN.lock().await;
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
        assert_told(&again, ErrorKind::Storage, TOO_LARGE);
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
    let _turn = TURN.lock().await;
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
    let store = create(&path).await.unwrap();
    fill(&store).await.unwrap();
    store.close().await.unwrap();
    let length_before = length(&open(&path).await.unwrap()).await;
    let mark = path.join("synckit.mark");
    permit(&mark, 0o444);
    for opened in [open(&path).await, create(&path).await] {
        assert_told(&opened.unwrap_err(), ErrorKind::Forbidden, "cannot be written");
    }
    permit(&mark, 0o644);
    let journal = path.join("engine/0.jnl");
    permit(&journal, 0o444);
    assert_told(&open(&path).await.unwrap_err(), ErrorKind::Forbidden, "cannot be written");
    permit(&journal, 0o644);
    for folder in ["engine", "engine/keyspaces", "engine/keyspaces/1"] {
        permit(&path.join(folder), 0o555);
        match open(&path).await {
            Err(error) => assert_told(&error, ErrorKind::Forbidden, "cannot be written"),
            // It takes a while until a file is added there.
            Ok(store) => {
                assert_eq!(length(&store).await, length_before, "{folder}");
                store.close().await.unwrap();
            }
        }
        permit(&path.join(folder), 0o755);
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
