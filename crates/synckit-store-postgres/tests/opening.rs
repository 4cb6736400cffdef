//! Opening stores: tenants, schemas, copies, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use sqlx::Connection as _;
use support::{Database, run};
use synckit_core::{
    ErrorKind, Event, EventStore,
    store::{ReadRequest, Write},
};
use synckit_store_postgres::{PostgresConfig, PostgresStore};

fn event(id: &str) -> Event {
    Event::new("t", "a", &1).unwrap().with_id(id).unwrap()
}

async fn append(store: &PostgresStore, id: &str) -> u64 {
    let written = store.write(Write::Append(vec![event(id)])).await.unwrap();
    assert_eq!(written.accepted(), 1);
    written.head.position
}

async fn kind(url: &str) -> (ErrorKind, String) {
    let error = PostgresStore::create(PostgresConfig::from_url(url).unwrap()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in ["hunter2", "mallory"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn tenants_see_nothing_of_each_other() {
    let database = Database::new(support::server()).await;
    let one = PostgresStore::create(database.tenant("one")).await.unwrap();
    let other = PostgresStore::create(database.tenant("other")).await.unwrap();
    for n in 1..=3 {
        assert_eq!(append(&one, &format!("e{n}")).await, n, "each log is dense");
        assert_eq!(append(&other, &format!("e{n}")).await, n, "each log is dense");
    }
    let (ours, theirs) = (one.identity(), other.identity());
    assert!(ours.log != theirs.log && ours.node != theirs.node);
    let page = one.read(ReadRequest::default()).await.unwrap();
    assert_eq!(page.entries.len(), 3);
    assert!(page.entries.iter().all(|e| e.stamp.origin == ours.node));
    assert_eq!(one.vector().await.unwrap().origins().len(), 1);
    // The same tenant in another schema is another one.
    let url = format!("{}tenant=one&schema=elsewhere", database.url());
    let elsewhere = PostgresStore::create(PostgresConfig::from_url(&url).unwrap()).await.unwrap();
    assert_eq!(append(&elsewhere, "e1").await, 1);
    assert_ne!(elsewhere.identity().log, ours.log);
    let missing = PostgresStore::open(database.tenant("missing")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("\"missing\""), "{missing}");
    for store in [one, other, elsewhere] {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_create_it_at_once_open_the_same() {
    let database = Database::new(support::server()).await;
    let creating: Vec<_> =
        (0..8).map(|_| tokio::spawn(PostgresStore::create(database.tenant("one")))).collect();
    let mut logs = Vec::new();
    for task in creating {
        let store = task.await.unwrap().unwrap();
        logs.push(store.identity().log);
        store.close().await.unwrap();
    }
    logs.dedup();
    assert_eq!(logs.len(), 1);
}

#[tokio::test]
async fn a_copy_goes_on_as_another_node() {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    append(&store, "e1").await;
    let original = store.identity();
    store.close().await.unwrap();
    let copy = Database::copy(&database).await;
    let copied = PostgresStore::open(copy.tenant("one")).await.unwrap();
    let now = copied.identity();
    assert_eq!(copied.copied_from(), Some((original.node, now.node)));
    assert!(now.log != original.log && now.is_or_was(original.node));
    assert_eq!(append(&copied, "e2").await, 2);
    copied.close().await.unwrap();
    let again = PostgresStore::open(copy.tenant("one")).await.unwrap();
    assert_eq!((again.identity(), again.copied_from()), (now, None), "it is a copy once");
    again.close().await.unwrap();
    let store = PostgresStore::open(database.tenant("one")).await.unwrap();
    assert_eq!((store.identity(), store.copied_from()), (original, None));
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    store.close().await.unwrap();
    let mut admin = database.connect().await;
    run(&mut admin, "UPDATE synckit.schema_version SET version = 99").await;
    for opened in [
        PostgresStore::open(database.tenant("one")).await,
        PostgresStore::create(database.tenant("two")).await,
    ] {
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
        assert!(error.to_string().contains("99"), "{error}");
    }
    // Somebody else's tables.
    run(&mut admin, "CREATE SCHEMA theirs; CREATE TABLE theirs.schema_version (version integer)").await;
    let theirs = PostgresConfig::from_url(&format!("{}schema=theirs", database.url())).unwrap();
    assert_eq!(PostgresStore::create(theirs).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // A user who may not.
    let role = format!("mallory_{}", database.name());
    run(&mut admin, &format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await;
    let mallory = support::with_user(&database.url(), &role, "hunter2");
    assert_eq!(kind(&format!("{mallory}schema=new")).await.0, ErrorKind::Forbidden);
    assert_eq!(kind(&mallory).await.0, ErrorKind::Forbidden);
    run(&mut admin, &format!("DROP ROLE {role}")).await;
    admin.close().await.unwrap();
}

#[tokio::test]
async fn servers_that_do_not_let_us_in() {
    let server = support::server();
    let stranger = support::with_user(&server, "mallory", "hunter2");
    let (refused, said) = kind(&stranger).await;
    assert_eq!(refused, ErrorKind::Unauthorized, "{said}");
    let (missing, said) = kind(&support::with_database(&server, "there_is_none")).await;
    assert_eq!(missing, ErrorKind::NotFound, "{said}");
    assert!(said.contains("there_is_none"), "{said}");
    let (unreachable, said) = kind("postgres://mallory:hunter2@127.0.0.1:1/db").await;
    assert_eq!(unreachable, ErrorKind::Unavailable, "{said}");
    assert!(said.contains("127.0.0.1:1"), "{said}");
    let (unknown, said) = kind("postgres://mallory:hunter2@no.such.host.invalid/db").await;
    assert_eq!(unknown, ErrorKind::Unavailable, "{said}");
}

/// Whoever holds the lock and does nothing makes others fail in time, and with a kind that says that they may try again.
#[tokio::test]
async fn a_writer_that_never_ends_does_not_stop_others_for_ever() {
    let database = Database::new(support::server()).await;
    let url = format!("{}tenant=one&lock_timeout_ms=200", database.url());
    let store = PostgresStore::create(PostgresConfig::from_url(&url).unwrap()).await.unwrap();
    let mut other = database.connect().await;
    let mut holding = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM synckit.tenants FOR UPDATE").execute(&mut *holding).await.unwrap();
    let error = store.write(Write::Append(vec![event("e1")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(store.head().await.unwrap().position, 0, "readers do not wait");
    holding.rollback().await.unwrap();
    assert_eq!(append(&store, "e1").await, 1);
    store.close().await.unwrap();
}
