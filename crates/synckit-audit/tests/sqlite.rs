//! The index in a SQLite file.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use support::{
    Place, index_conformance,
    sample::{LOG, all, at, decide_each, of_group},
};
use synckit_audit::{AuditIndex as _, DifferenceKind, SqliteAuditIndex, open_index, rebuild, update, verify};
use synckit_core::ErrorKind;
use synckit_store_mem::MemStore;

async fn fresh() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    Place::new(folder, move |_| {
        let path = path.clone();
        async move { Arc::new(SqliteAuditIndex::open(path).await.unwrap()) as Arc<_> }
    })
}

index_conformance!(fresh);

fn change(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

async fn refused(path: &Path, kind: ErrorKind, said: &str) {
    let before = std::fs::read(path).unwrap();
    let error = SqliteAuditIndex::open(path).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(said) && text.contains(&*path.to_string_lossy()), "{text}");
    assert_eq!(std::fs::read(path).unwrap(), before, "it is left as it is");
}

#[tokio::test]
async fn what_is_no_index_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    change(&path, "CREATE TABLE mine (x)");
    refused(&path, ErrorKind::Invalid, "a database of something else, and not an audit index").await;
    change(&path, "PRAGMA application_id = 0x73796b69; PRAGMA user_version = 2");
    refused(&path, ErrorKind::Invalid, "a synckit store, and not an audit index").await;
    std::fs::write(&path, "once upon a time".repeat(500)).unwrap();
    refused(&path, ErrorKind::Corrupt, "not a SQLite database").await;
    let missing = folder.path().join("no").join("a.db");
    let error = SqliteAuditIndex::open(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn an_index_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(SqliteAuditIndex::open(&path).await.unwrap());
    change(&path, "PRAGMA user_version = 2");
    refused(&path, ErrorKind::SchemaTooNew, "schema 2, and this version knows 1").await;
    change(&path, "PRAGMA user_version = 0");
    refused(&path, ErrorKind::Corrupt, "can be made anew").await;
}

#[tokio::test]
async fn rows_that_were_tampered_with_are_damage_that_a_rebuild_mends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (store, index) = (MemStore::new(), SqliteAuditIndex::open(&path).await.unwrap());
    decide_each(&store, 0..3).await;
    for tampered in [
        "UPDATE entries SET decision = replace(decision, 'ann', 'bob') WHERE position = 4",
        "UPDATE entries SET person = CAST('bob' AS BLOB) WHERE position = 4",
        "UPDATE entries SET person = NULL WHERE position = 4",
        "UPDATE entries SET decision = '{' WHERE position = 4",
        "UPDATE entries SET decision = x'ff' WHERE position = 4",
        "UPDATE entries SET origin = x'00' WHERE position = 4",
        "UPDATE entries SET written_at = -1 WHERE position = 4",
        "UPDATE entries SET event = CAST(x'ff' AS TEXT) WHERE position = 4",
    ] {
        rebuild(&store, &index).await.unwrap();
        change(&path, tampered);
        let error = index.find(&support::sample::everything(), 0, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{tampered}: {error}");
        assert!(error.to_string().contains("decision at 4"), "{tampered}: {error}");
        let found = verify(&store, &index).await.unwrap().first;
        let found: Vec<_> = found.iter().map(|d| (d.position, d.kind)).collect();
        assert_eq!(found, [(4, DifferenceKind::Different)], "{tampered}");
    }
    rebuild(&store, &index).await.unwrap();
    change(&path, "DELETE FROM entries WHERE position = 2");
    assert_eq!(verify(&store, &index).await.unwrap().first[0].kind, DifferenceKind::Missing);
    rebuild(&store, &index).await.unwrap();
    assert!(verify(&store, &index).await.unwrap().is_clean());

    change(&path, "UPDATE progress SET hash = x'00'");
    assert_eq!(update(&store, &index).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(rebuild(&store, &index).await.unwrap().added, 3);
    change(&path, "DROP TABLE entries");
    assert_eq!(index.count(&support::sample::everything()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_write_that_fails_half_way_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let index = SqliteAuditIndex::open(&path).await.unwrap();
    assert!(index.record(&[of_group("a", 1)], None, &at(1)).await.unwrap());
    change(
        &path,
        "CREATE TRIGGER full BEFORE INSERT ON entries WHEN new.position = 3 BEGIN SELECT raise(ABORT, 'full'); END",
    );
    let batch = [of_group("b", 2), of_group("c", 3)];
    index.record(&batch, Some(&at(1)), &at(3)).await.unwrap_err();
    assert_eq!(all(&index).await, [of_group("a", 1)]);
    assert_eq!(index.progress().await.unwrap(), Some(at(1)));
    change(&path, "DROP TRIGGER full");
    assert!(index.record(&batch, Some(&at(1)), &at(3)).await.unwrap());
    assert_eq!(all(&index).await.len(), 3);
}

#[tokio::test]
async fn urls_name_files_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.db");
    let url = format!("sqlite:{}", path.display()).replace(' ', "%20");
    let index = open_index(&url, LOG).await.unwrap();
    assert!(path.is_file() && index.record(&[of_group("a", 1)], None, &at(1)).await.unwrap());
    let memory = open_index("sqlite::memory:", LOG).await.unwrap();
    assert!(memory.record(&[of_group("a", 1)], None, &at(1)).await.unwrap());
    assert_eq!(all(&*memory).await.len(), 1);
    let error = open_index("sqlite:a.db?x=1", LOG).await.unwrap_err();
    assert!(error.to_string().contains("no parameters"), "{error}");
}
