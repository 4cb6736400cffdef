//! Servers and writers that are killed under load.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::{collections::BTreeMap, process::Command, sync::Arc};

use support::Database;
use synckit_core::{
    Event, EventStore,
    store::{Outcome, ReadRequest, Write},
};
use synckit_store_postgres::{PostgresConfig, PostgresStore};
use synckit_test_servers::Postgres;
use synckit_testkit::{kill_writers, write_until_killed};
use tokio::sync::mpsc;

const URL: &str = "SYNCKIT_TEST_KILLED_URL";

/// With [`URL`] in its environment, this is the writer that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_what_they_acknowledged() {
    if let Ok(url) = std::env::var(URL) {
        let store = PostgresStore::create(PostgresConfig::from_url(&url).unwrap()).await.unwrap();
        return write_until_killed(&store).await.unwrap();
    }
    let database = Database::new(support::server()).await;
    let url = format!("{}tenant=one", database.url());
    let writer = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "killed_writers_leave_what_they_acknowledged", "--nocapture"])
            .env(URL, &url);
        command
    };
    kill_writers(20, writer, async || {
        let store = PostgresStore::open(PostgresConfig::from_url(&url).unwrap()).await.unwrap();
        // What the dead one had sent may still be carried out; this waits for its turn.
        store.write(Write::Append(Vec::new())).await.unwrap();
        Arc::new(store) as Arc<dyn EventStore>
    })
    .await;
}

const WRITERS: usize = 6;
const WRITES: usize = 60;
const BATCH: usize = 3;
const KILLS: usize = 3;

/// Appends, again and again, until it is told what became of it.
async fn append(store: &PostgresStore, events: &[Event]) -> Vec<Outcome> {
    loop {
        match store.write(Write::Append(events.to_vec())).await {
            Ok(written) => return written.outcomes,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let mut server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    let url = format!("{}?acquire_timeout_ms=500", server.url());
    let config = PostgresConfig::from_url(&url).unwrap();
    let store = PostgresStore::create(config.clone()).await.unwrap();
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (store, acknowledge) = (store.clone(), acknowledge.clone());
        writers.push(tokio::spawn(async move {
            for write in 0..WRITES {
                let event = |n| {
                    let event = Event::new("t", format!("a{writer}"), &n).unwrap();
                    event.with_id(format!("{writer}-{write}-{n}")).unwrap()
                };
                let events: Vec<Event> = (0..BATCH).map(event).collect();
                let outcomes = append(&store, &events).await;
                for (event, outcome) in events.iter().zip(outcomes) {
                    acknowledge.send((event.id.to_string(), outcome)).unwrap();
                }
            }
        }));
    }
    drop(acknowledge);
    let total = WRITERS * WRITES * BATCH;
    let mut known = BTreeMap::new();
    for kill in 1..=KILLS {
        while known.len() < kill * total / (KILLS + 1) {
            let (id, outcome) = acknowledged.recv().await.unwrap();
            known.insert(id, outcome);
        }
        server = tokio::task::spawn_blocking(move || {
            server.kill().unwrap();
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
    }
    while let Some((id, outcome)) = acknowledged.recv().await {
        known.insert(id, outcome);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(known.len(), total);
    let page = store.read(ReadRequest::default().limit(10 * total)).await.unwrap();
    assert_eq!(page.entries.len(), total, "each event is there once");
    for (entry, position) in page.entries.iter().zip(1..) {
        assert_eq!(entry.position, position);
        match &known[entry.event.id.as_str()] {
            Outcome::Accepted { position: told } => assert_eq!(*told, position),
            // It was committed, and the answer was lost.
            Outcome::Duplicate => {}
            other => panic!("{}: {other:?}", entry.event.id),
        }
    }
    store.close().await.unwrap();
    let again = PostgresStore::open(config).await.unwrap();
    assert_eq!(again.head().await.unwrap().position, total as u64);
    assert_eq!(again.copied_from(), None, "a server that starts again is no copy");
    again.close().await.unwrap();
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}
