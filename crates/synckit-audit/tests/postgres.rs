//! The index in a PostgreSQL database: on the server that a variable names, or else on one of its own.

#![cfg(all(unix, feature = "postgres"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::{Connection as _, PgConnection};
use support::{
    Place, index_conformance,
    sample::{LOG, all, at, decide_each, everything, of_group},
};
use synckit_audit::{
    AuditIndex as _, DifferenceKind, PostgresAuditIndex, open_index, rebuild, update, verify,
};
use synckit_core::{ErrorKind, EventStore as _, LogId};
use synckit_store_mem::MemStore;
use synckit_test_servers::Postgres;

const VARIABLE: &str = "SYNCKIT_TEST_POSTGRES_URL";

/// Statics are not dropped; the server watches for the end of the process that started it.
static OWN: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());

fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| OWN.url())
}

/// A schema that goes when it is dropped.
struct Schema(String);

impl Schema {
    async fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let schema = Self(format!("audit_test_{}_{number}", std::process::id()));
        run(&schema.drop_it()).await;
        schema
    }

    fn url(&self) -> String {
        let server = server();
        let sign = if server.contains('?') { '&' } else { '?' };
        format!("{server}{sign}schema={}", self.0)
    }

    async fn open(&self, log: LogId) -> PostgresAuditIndex {
        PostgresAuditIndex::open(&self.url(), log).await.unwrap()
    }

    fn drop_it(&self) -> String {
        format!("DROP SCHEMA IF EXISTS {} CASCADE", self.0)
    }

    async fn run(&self, sql: &str) {
        run(&format!("SET search_path = {}; {sql}", self.0)).await;
    }
}

async fn run(sql: &str) {
    let mut connection = PgConnection::connect(&server()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

impl Drop for Schema {
    fn drop(&mut self) {
        let sql = self.drop_it();
        // It may be dropped inside a runtime, which cannot wait.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&sql));
        });
        let _ = dropping.join();
    }
}

async fn fresh() -> Place {
    let schema = Schema::new().await;
    let url = schema.url();
    Place::new(schema, move |log| {
        let url = url.clone();
        async move { Arc::new(PostgresAuditIndex::open(&url, log).await.unwrap()) as Arc<_> }
    })
}

index_conformance!(fresh);

#[tokio::test(flavor = "multi_thread")]
async fn many_who_open_at_once_make_the_tables_once() {
    let schema = Schema::new().await;
    let opening: Vec<_> = (0..8)
        .map(|n| {
            let url = schema.url();
            tokio::spawn(async move { open_index(&url, LogId::from_u128(n % 3)).await.unwrap() })
        })
        .collect();
    for opened in opening {
        assert_eq!(opened.await.unwrap().progress().await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_tampered_with_are_damage_that_a_rebuild_mends() {
    let schema = Schema::new().await;
    let store = MemStore::new();
    let index = schema.open(store.identity().log).await;
    decide_each(&store, 0..3).await;
    for tampered in [
        "UPDATE entries SET decision = replace(decision, 'ann', 'bob') WHERE position = 4",
        "UPDATE entries SET person = 'bob' WHERE position = 4",
        "UPDATE entries SET person = NULL WHERE position = 4",
        "UPDATE entries SET decision = '{' WHERE position = 4",
        "UPDATE entries SET origin = '\\x00' WHERE position = 4",
        "UPDATE entries SET written_at = -1 WHERE position = 4",
    ] {
        rebuild(&store, &index).await.unwrap();
        schema.run(tampered).await;
        let error = index.find(&everything(), 0, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{tampered}: {error}");
        let found = verify(&store, &index).await.unwrap().first;
        let found: Vec<_> = found.iter().map(|d| (d.position, d.kind)).collect();
        assert_eq!(found, [(4, DifferenceKind::Different)], "{tampered}");
    }
    rebuild(&store, &index).await.unwrap();
    schema.run("DELETE FROM entries WHERE position = 2").await;
    assert_eq!(verify(&store, &index).await.unwrap().first[0].kind, DifferenceKind::Missing);
    schema.run("UPDATE logs SET hash = '\\x00'").await;
    assert_eq!(update(&store, &index).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(rebuild(&store, &index).await.unwrap().added, 3);
    schema.run("DROP TABLE entries").await;
    assert_eq!(index.count(&everything()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_half_way_leaves_nothing() {
    let schema = Schema::new().await;
    let index = schema.open(LOG).await;
    assert!(index.record(&[of_group("a", 1)], None, &at(1)).await.unwrap());
    schema.run("ALTER TABLE logs ADD CONSTRAINT no_room CHECK (position < 3)").await;
    let batch = [of_group("b", 2), of_group("c", 3)];
    index.record(&batch, Some(&at(1)), &at(3)).await.unwrap_err();
    assert_eq!(all(&index).await, [of_group("a", 1)]);
    assert_eq!(index.progress().await.unwrap(), Some(at(1)));
    schema.run("ALTER TABLE logs DROP CONSTRAINT no_room").await;
    assert!(index.record(&batch, Some(&at(1)), &at(3)).await.unwrap());
    assert_eq!(all(&index).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_something_else_and_of_newer_versions_are_refused() {
    let schema = Schema::new().await;
    drop(schema.open(LOG).await);
    for (sql, kind, said) in [
        (
            "UPDATE schema_version SET version = 2",
            ErrorKind::SchemaTooNew,
            "schema 2, and this version knows 1",
        ),
        ("DELETE FROM schema_version", ErrorKind::Corrupt, "is damaged"),
        ("DROP TABLE schema_version", ErrorKind::Invalid, "not an audit index's"),
        ("CREATE TABLE tenants (x int)", ErrorKind::Invalid, "is a synckit store's"),
    ] {
        schema.run(sql).await;
        let error = PostgresAuditIndex::open(&schema.url(), LOG).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_not_shown() {
    let schema = Schema::new().await;
    let index = schema.open(LOG).await;
    let (_, with_user) = server().split_once("://").map(|(s, r)| (s.to_owned(), r.to_owned())).unwrap();
    let host = with_user.split_once('@').map_or(&*with_user, |(_, host)| host).to_owned();
    let wrong = format!("postgres://hunter:hunter2@{host}");
    let unreachable = "postgres://hunter:hunter2@127.0.0.1:1/d";
    for url in [&*wrong, unreachable] {
        let error = PostgresAuditIndex::open(url, LOG).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
    let shown = format!("{index:?}");
    assert!(shown.contains("schema") && !shown.contains("synckit:"), "{shown}");
    if let Some((credentials, _)) = with_user.split_once('@') {
        assert!(!shown.contains(&format!("{credentials}@")), "{shown}");
    }
}
