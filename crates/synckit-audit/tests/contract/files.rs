//! Files that are something else, or damaged.

use rusqlite::Connection;
use synckit_audit::{AuditFilter, AuditIndex as _, SqliteAuditIndex};
use synckit_core::ErrorKind;

use crate::support::{at, entry};

#[tokio::test]
async fn a_file_that_is_no_index_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text"), "not a database, but long enough to be one, if it were".repeat(200))
        .unwrap();
    Connection::open(path("other")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    for (name, kind) in [("text", ErrorKind::Corrupt), ("other", ErrorKind::Invalid)] {
        let before = std::fs::read(path(name)).unwrap();
        let error = SqliteAuditIndex::open(path(name)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert_eq!(std::fs::read(path(name)).unwrap(), before, "{name}");
    }
    drop(SqliteAuditIndex::open(path("made")).await.unwrap());
    Connection::open(path("made")).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let error = SqliteAuditIndex::open(path("made")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
    let error = SqliteAuditIndex::open(path("no/such/folder/audit.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_an_index_without_tables_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let index = SqliteAuditIndex::open(&path).await.unwrap();
    assert!(index.record(&[entry(1, "a"), entry(2, "b")], None, &at(2)).await.unwrap());
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("UPDATE decisions SET resolver = x'00' WHERE position = 2").unwrap();
    let error = index.find(&AuditFilter::default(), 0, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("the decision at 2 is damaged"), "{error}");
    let kept = index.kept(0, 10).await.unwrap();
    assert!(kept[0].entry.is_ok() && kept[1].entry.is_err());
    raw.execute_batch("DROP TABLE decisions").unwrap();
    let error = index.find(&AuditFilter::default(), 0, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_leaves_the_index_whole() {
    let folder = tempfile::tempdir().unwrap();
    let index = SqliteAuditIndex::open(folder.path().join("audit.db")).await.unwrap();
    let batch: Vec<_> = (1..500).map(|n| entry(n, &format!("e{n}"))).collect();
    let recording = tokio::spawn({
        let index = index.clone();
        async move { index.record(&batch, None, &at(500)).await }
    });
    tokio::task::yield_now().await;
    recording.abort();
    // An error says that it was aborted in time.
    let _ = recording.await;
    let progress = index.progress().await.unwrap();
    let expected = if progress.is_some() { 499 } else { 0 };
    assert_eq!(index.count(&AuditFilter::default()).await.unwrap(), expected);
}
