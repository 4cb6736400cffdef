//! Databases that are something else, or damaged.

use synckit_audit::{AuditFilter, AuditIndex as _, PostgresAuditIndex};
use synckit_core::ErrorKind;

use crate::support::{Schema, at, entry, log};

#[tokio::test]
async fn tables_that_are_no_index_are_left_alone() {
    let schema = Schema::new();
    let index = PostgresAuditIndex::open(&schema.url, log()).await.unwrap();
    assert!(index.record(&[entry(1, "a"), entry(2, "b")], None, &at(2)).await.unwrap());
    schema.run("UPDATE decisions SET person = 'x' WHERE position = 2").await;
    let error = index.find(&AuditFilter::default(), 0, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("the decision at 2 is damaged"), "{error}");
    let kept = index.kept(0, 10).await.unwrap();
    assert!(kept[0].entry.is_ok() && kept[1].entry.is_err());
    schema.run("UPDATE version SET version = 2").await;
    let error = PostgresAuditIndex::open(&schema.url, log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
    schema.run("UPDATE version SET version = 1; DROP TABLE progress").await;
    let error = PostgresAuditIndex::open(&schema.url, log()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("no table \"progress\""), "{error}");
    index.close().await;
    schema.drop().await;
}

#[tokio::test]
async fn many_who_make_the_tables_at_once_make_them_once() {
    let schema = Schema::new();
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = schema.url.clone();
        opening.spawn(async move { PostgresAuditIndex::open(&url, log()).await.map(drop) });
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
    schema.drop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let url = "postgres://ann:hunter2@127.0.0.1:1/audit";
    let error = PostgresAuditIndex::open(url, log()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
