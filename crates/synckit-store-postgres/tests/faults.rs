//! Servers that are full, take no writes, or have lost something.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};
use support::{Database, run};
use synckit_core::{
    Error, ErrorKind, Event, EventStore, Result,
    store::{ReadRequest, Write, Written},
};
use synckit_store_postgres::{PostgresConfig, PostgresStore};
use synckit_test_servers::Postgres;
use synckit_testkit::faults::{Tried, assert_damage, fill, try_everything};

async fn append(store: &PostgresStore, id: &str) -> Result<Written> {
    let event = Event::new("t", "a", &1).unwrap().with_id(id).unwrap();
    store.write(Write::Append(vec![event])).await
}

async fn ids(store: &PostgresStore) -> Vec<String> {
    let page = store.read(ReadRequest::default()).await.unwrap();
    page.entries.iter().map(|entry| entry.event.id.to_string()).collect()
}

fn assert_told(error: &Error, kind: ErrorKind, said: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

/// From now on, whoever adds an entry is told that the disk is full: at once, or when the transaction is committed.
async fn full(admin: &mut PgConnection, code: &str, when: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION synckit.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'could not extend file \"base/5/16384\"' USING ERRCODE = '{code}'; END $$; \
         CREATE CONSTRAINT TRIGGER is_full AFTER INSERT ON synckit.entries {when} \
         FOR EACH ROW EXECUTE FUNCTION synckit.full()"
    );
    run(admin, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_told_and_survived() {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    append(&store, "first").await.unwrap();
    let mut admin = database.connect().await;
    let mut held = vec!["first".to_owned()];
    for (code, kind, said) in [
        ("53100", ErrorKind::Storage, "disk is full; nothing of this write was stored"),
        ("53200", ErrorKind::Busy, "out of memory"),
        ("53400", ErrorKind::Storage, "could not extend file"),
    ] {
        for when in ["NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"] {
            full(&mut admin, code, when).await;
            let head = store.head().await.unwrap();
            let at_once = (0..8).map(|n| {
                let store = store.clone();
                tokio::spawn(async move { append(&store, &format!("lost-{n}")).await })
            });
            for task in at_once.collect::<Vec<_>>() {
                assert_told(&task.await.unwrap().unwrap_err(), kind, said);
            }
            assert_eq!(store.head().await.unwrap(), head);
            assert_eq!(ids(&store).await, held, "reading goes on");
            run(&mut admin, "DROP TRIGGER is_full ON synckit.entries").await;
            let id = format!("{code} {when}");
            let written = append(&store, &id).await.unwrap();
            assert_eq!(written.head.position, head.position + 1, "there is room again");
            held.push(id);
        }
    }
    assert_eq!(ids(&store).await, held);
    store.close().await.unwrap();
    admin.close().await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_set_to_be_read_only_is_read_on() {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    append(&store, "first").await.unwrap();
    store.close().await.unwrap();
    let mut admin = database.connect().await;
    let name = database.name();
    run(&mut admin, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;

    let said = "takes no writes; it is set to be read only";
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    assert_told(&append(&store, "second").await.unwrap_err(), ErrorKind::Forbidden, said);
    assert_eq!(ids(&store).await, ["first"]);
    let sealed = store.maintenance().unwrap().seal("mem:").await.unwrap_err();
    assert_told(&sealed, ErrorKind::Forbidden, said);
    let new = PostgresStore::create(database.tenant("two")).await.unwrap_err();
    assert_told(&new, ErrorKind::Forbidden, said);
    let elsewhere = format!("{}schema=elsewhere", database.url());
    let new = PostgresStore::create(PostgresConfig::from_url(&elsewhere).unwrap()).await.unwrap_err();
    assert_told(&new, ErrorKind::Forbidden, said);
    store.close().await.unwrap();

    run(&mut admin, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    let store = PostgresStore::open(database.tenant("one")).await.unwrap();
    append(&store, "second").await.unwrap();
    assert_eq!(ids(&store).await, ["first", "second"]);
    store.close().await.unwrap();
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_until_it_is_promoted() {
    let mut server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    let store = PostgresStore::create(PostgresConfig::from_url(&server.url()).unwrap()).await.unwrap();
    append(&store, "first").await.unwrap();
    let standing_by = tokio::task::spawn_blocking(move || server.restart_as_standby().map(|()| server));
    server = standing_by.await.unwrap().unwrap();

    let again = PostgresStore::open(PostgresConfig::from_url(&server.url()).unwrap()).await.unwrap();
    assert_eq!(again.copied_from(), None);
    let error = append(&again, "second").await.unwrap_err();
    assert_told(&error, ErrorKind::Unavailable, "it is a standby");
    assert!(error.is_retryable(), "it may be promoted");
    assert_eq!(ids(&again).await, ["first"]);
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    run(&mut admin, "SELECT pg_promote()").await;
    append(&again, "second").await.unwrap();
    assert_eq!(ids(&again).await, ["first", "second"]);
    admin.close().await.unwrap();
    again.close().await.unwrap();
    store.close().await.unwrap();
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

/// A database with a store that has some of everything, and that nobody is connected to.
async fn filled() -> Arc<Database> {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    fill(&store).await.unwrap();
    store.close().await.unwrap();
    database
}

/// What is left of a copy of the database to which this was done.
async fn after(database: &Database, sql: &str) -> Result<Tried> {
    let copy = Database::copy(database).await;
    let mut admin = copy.connect().await;
    run(&mut admin, sql).await;
    admin.close().await.unwrap();
    let created = PostgresStore::create(copy.tenant("one")).await;
    if let Err(error) = &created {
        assert_eq!(error.kind(), PostgresStore::open(copy.tenant("one")).await.unwrap_err().kind());
    }
    let store = created?;
    let tried = try_everything(&store).await;
    store.close().await.unwrap();
    Ok(tried)
}

async fn strings(database: &Database, sql: &'static str) -> Vec<String> {
    let mut admin = database.connect().await;
    let found = sqlx::query_scalar(sql).fetch_all(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    found
}

#[tokio::test]
async fn a_store_that_has_all_its_tables_is_whole() {
    let database = filled().await;
    let tried = after(&database, "SELECT").await.unwrap();
    assert!(!tried.is_wrong(), "{tried:?}");
}

#[tokio::test]
async fn a_missing_table_is_damage() {
    let database = filled().await;
    let tables =
        strings(&database, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'synckit'").await;
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        match after(&database, &format!("DROP TABLE synckit.{table}")).await {
            Err(error) => assert_damage(&error, &table),
            Ok(tried) => {
                assert!(tried.is_wrong(), "nobody misses {table}");
                tried.assert_damage(&table);
            }
        }
    }
}

#[tokio::test]
async fn a_missing_column_is_damage() {
    let database = filled().await;
    for column in ["tenants DROP hash", "entries DROP parents", "aggregates DROP heads", "origins DROP ids"] {
        match after(&database, &format!("ALTER TABLE synckit.{column}")).await {
            Err(error) => assert_damage(&error, column),
            Ok(tried) => {
                assert!(tried.is_wrong(), "nobody misses {column}");
                tried.assert_damage(column);
            }
        }
    }
}

/// Copies every table of the store from one schema into another, in which the tables are empty or not there.
fn copy_tables(from: &str, to: &str) -> String {
    format!(
        "DO $$ DECLARE t text; BEGIN \
         FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '{from}' LOOP \
         EXECUTE format('CREATE TABLE IF NOT EXISTS {to}.%I (LIKE {from}.%I)', t, t); \
         EXECUTE format('DELETE FROM {to}.%I', t); \
         EXECUTE format('INSERT INTO {to}.%I OVERRIDING SYSTEM VALUE SELECT * FROM {from}.%I', t, t); \
         END LOOP; END $$"
    )
}

/// Columns in which that is right, or makes a row that nobody looks for.
const FREE: [&str; 9] = [
    "decisions.vertex.text",
    "other_claims.claim.bytea",
    "other_claims.id.text",
    "quarantine.code.text",
    "quarantine.side.text",
    "tenants.home.text",
    "tenants.label.text",
    "tenants.standing.text",
    "withdrawn.claim.bytea",
];

#[tokio::test]
async fn bytes_of_another_length_are_damage() {
    let database = filled().await;
    let columns = strings(
        &database,
        "SELECT table_name || '.' || column_name || '.' || data_type FROM information_schema.columns \
         WHERE table_schema = 'synckit' AND (data_type = 'bytea' OR data_type = 'text') \
         AND (table_name, column_name) <> ('tenants', 'name') ORDER BY 1",
    )
    .await;
    assert!(columns.len() > 30, "{columns:?}");
    let mut admin = database.connect().await;
    run(&mut admin, "CREATE SCHEMA kept").await;
    run(&mut admin, &copy_tables("synckit", "kept")).await;
    let mut unnoticed = Vec::new();
    for column in &columns {
        let [table, name, of] = column.split('.').collect::<Vec<_>>()[..] else { panic!("{column}") };
        let value = if of == "bytea" { r"'\x81'" } else { "''" };
        run(&mut admin, &copy_tables("kept", "synckit")).await;
        // In one row: keys are unique.
        let sql = format!(
            "UPDATE synckit.{table} SET {name} = {value} \
             WHERE ctid = (SELECT ctid FROM synckit.{table} WHERE {name} IS NOT NULL LIMIT 1)"
        );
        run(&mut admin, &sql).await;
        match PostgresStore::open(database.tenant("one")).await {
            Err(error) => assert_damage(&error, &sql),
            Ok(store) => {
                let tried = try_everything(&store).await;
                tried.assert_damage(&sql);
                if !tried.is_wrong() {
                    unnoticed.push(column.as_str());
                }
                store.close().await.unwrap();
            }
        }
    }
    admin.close().await.unwrap();
    assert_eq!(unnoticed, FREE);
}
