//! Many writers, several processes' worth of stores, and readers that follow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{Connection as _, Executor as _};
use support::{Database, run};
use synckit_core::{
    Event, EventStore,
    store::{ReadRequest, Write},
};
use synckit_store_postgres::PostgresStore;

const WRITERS: usize = 16;
const WRITES: usize = 25;
const BATCH: usize = 2;

fn events(name: &str, aggregate: &str, count: usize) -> Vec<Event> {
    let event = |n| Event::new("t", aggregate, &n).unwrap().with_id(format!("{name}-{n}")).unwrap();
    (0..count).map(event).collect()
}

/// Reads as the log grows; each entry has to come next.
async fn follow(store: PostgresStore, total: usize) -> BTreeSet<String> {
    let (mut seen, mut after) = (BTreeSet::new(), 0);
    while seen.len() < total {
        store.appended(after).await.unwrap();
        let page = store.read(ReadRequest::after(after).limit(50)).await.unwrap();
        for entry in page.entries {
            after += 1;
            assert_eq!(entry.position, after, "an entry is missing, or came twice");
            assert!(seen.insert(entry.event.id.to_string()), "{} came twice", entry.event.id);
        }
        assert_eq!(page.next.position, after);
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_in_four_stores_and_a_transaction_that_stays_open() {
    let database = Database::shared().await;
    let config = database.config();
    let first = PostgresStore::create(config.clone()).await.unwrap();
    let mut stores = vec![first];
    for _ in 0..3 {
        stores.push(PostgresStore::open(config.clone()).await.unwrap());
    }
    let mut bystander = database.connect().await;
    let mut open = bystander.begin().await.unwrap();
    open.execute("SELECT pg_current_xact_id()").await.unwrap();

    let total = WRITERS * WRITES * BATCH;
    let reader = PostgresStore::open(config).await.unwrap();
    let following = tokio::spawn(follow(reader.clone(), total));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = stores[writer % stores.len()].clone();
        writers.push(tokio::spawn(async move {
            let mut positions = Vec::new();
            for write in 0..WRITES {
                let new = events(&format!("{writer}-{write}"), &format!("a{}", writer % 5), BATCH);
                let written = store.write(Write::Append(new)).await.unwrap();
                assert_eq!(written.accepted(), BATCH);
                positions.push(written.head.position);
            }
            assert!(positions.is_sorted(), "what came later has a greater position");
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let seen = following.await.unwrap();
    assert_eq!(seen.len(), total);
    assert_eq!(reader.head().await.unwrap().position, total as u64);
    open.rollback().await.unwrap();
    for store in stores.iter().chain([&reader]) {
        store.close().await.unwrap();
    }
}

/// The processes of the server that listen in this database.
async fn listeners(connection: &mut sqlx::PgConnection) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_though_the_connection_that_listens_was_lost() {
    let database = Database::new(support::server()).await;
    let config = database.config();
    let writer = PostgresStore::create(config.clone()).await.unwrap();
    let reader = PostgresStore::open(config).await.unwrap();
    let mut admin = database.connect().await;
    for round in 0..3 {
        let waiting = tokio::spawn({
            let reader = reader.clone();
            async move { reader.appended(round).await }
        });
        let mut killed = Vec::new();
        while killed.is_empty() {
            killed = listeners(&mut admin).await;
            tokio::task::yield_now().await;
        }
        for pid in killed {
            run(&mut admin, &format!("SELECT pg_terminate_backend({pid})")).await;
        }
        assert!(!waiting.is_finished(), "nothing was appended yet");
        writer.write(Write::Append(events(&format!("{round}"), "a", 1))).await.unwrap();
        waiting.await.unwrap().unwrap();
    }
    // The connection that listens ends with the store.
    reader.close().await.unwrap();
    drop(reader);
    while !listeners(&mut admin).await.is_empty() {
        tokio::task::yield_now().await;
    }
    writer.close().await.unwrap();
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_to_sync_exclude_each_other_across_stores() {
    let database = Database::shared().await;
    let config = database.config();
    let one = PostgresStore::create(config.clone()).await.unwrap();
    let other = Arc::new(PostgresStore::open(config).await.unwrap());
    let elsewhere = PostgresStore::create(database.config()).await.unwrap();
    let turn = one.sync_turn().await.unwrap();
    let waiting = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.sync_turn().await }
    });
    drop(elsewhere.sync_turn().await.unwrap());
    assert!(!waiting.is_finished(), "two turns at once");
    drop(turn);
    drop(waiting.await.unwrap().unwrap());
    for store in [&one, &*other, &elsewhere] {
        store.close().await.unwrap();
    }
}

/// Small appends that wait share transactions, and each gets what became of its own events.
#[tokio::test(flavor = "multi_thread")]
async fn appends_at_once_are_told_apart() {
    let database = Database::shared().await;
    let store = PostgresStore::create(database.config()).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..60_u64 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            // Every third is one that another task appends, too; every seventh is reserved.
            let id = if n % 7 == 0 { format!("synckit.{n}") } else { format!("e{}", n - n % 3 % 2) };
            let event = Event::new("t", format!("a{}", n % 4), &(n - n % 3 % 2)).unwrap();
            let own = events(&format!("own-{n}"), "own", 2);
            let Ok(event) = event.with_id(id) else { return (n, store.write(Write::Append(own)).await) };
            (n, store.write(Write::Append([vec![event], own].concat())).await)
        }));
    }
    let mut accepted = 0;
    for task in tasks {
        let (n, written) = task.await.unwrap();
        let written = written.unwrap();
        let outcomes = &written.outcomes[written.outcomes.len() - 2..];
        let at = |outcome: &synckit_core::store::Outcome| match outcome {
            synckit_core::store::Outcome::Accepted { position } => *position,
            other => panic!("{n}: {other:?}"),
        };
        assert_eq!(at(&outcomes[0]) + 1, at(&outcomes[1]), "a write is one piece");
        let entries = store.load(&[synckit_core::EventId::new(format!("own-{n}-0")).unwrap()]).await.unwrap();
        assert_eq!(entries[0].position, at(&outcomes[0]));
        accepted += written.accepted() as u64;
    }
    assert_eq!(store.head().await.unwrap().position, accepted);
    store.close().await.unwrap();
}
