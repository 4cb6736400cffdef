//! Few entries go in by one statement and many by `COPY`; nothing else tells them apart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use support::Database;
use synckit_core::{
    Event, EventStore, Hash, Metadata, Payload,
    store::{ReadRequest, Write},
};
use synckit_store_postgres::PostgresStore;

/// More than go in by one statement.
const MANY: usize = 250;
/// More bytes than go in by one statement.
const MUCH: usize = 300 * 1024;

/// Events of all sorts.
fn events() -> Vec<Event> {
    let event = |n: usize| {
        let aggregate = format!("a-{}", n % 9);
        let mut event = Event::new("t", aggregate, &format!("\"\\{{}}, NULL '{n}' \u{1f375}")).unwrap();
        event = event.with_id(format!("e{n} \"{{,}}\\ NULL")).unwrap();
        if n.is_multiple_of(3) {
            event.data = Payload::encoded("raw", vec![0_u8, 0xff, b'\\', b'"', n as u8]).unwrap();
        }
        if n.is_multiple_of(4) {
            event = event.with_metadata(Metadata::from_pairs([("by", "NULL")]).unwrap());
        }
        event
    };
    (0..MANY).map(event).collect()
}

/// Position, event, counter and content of all entries, once they are written in these parts.
async fn stored(parts: Vec<Vec<Event>>) -> Vec<(u64, Event, u64, Hash)> {
    let database = Database::shared().await;
    let store = PostgresStore::create(database.config()).await.unwrap();
    for part in parts {
        let wanted = part.len();
        assert_eq!(store.write(Write::Append(part)).await.unwrap().accepted(), wanted);
    }
    let page = store.read(ReadRequest::default().limit(10_000).max_bytes(usize::MAX)).await.unwrap();
    assert_eq!(store.maintenance().unwrap().integrity().await.unwrap(), Vec::<String>::new());
    store.close().await.unwrap();
    page.entries.into_iter().map(|e| (e.position, e.event, e.stamp.counter, e.content)).collect()
}

#[tokio::test]
async fn few_and_many_entries_are_stored_alike() {
    let all = events();
    let at_once = stored(vec![all.clone()]).await;
    assert_eq!(at_once.len(), MANY);
    let in_parts = stored(all.chunks(7).map(<[Event]>::to_vec).collect()).await;
    assert_eq!(at_once, in_parts);
    assert_eq!(at_once.iter().map(|r| &r.1).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn few_entries_with_much_data_are_stored_as_they_are() {
    let large = |n: u8| {
        let mut event = Event::new("t", "a", &1).unwrap().with_id(format!("e{n}")).unwrap();
        event.data = Payload::encoded("raw", vec![n; MUCH]).unwrap();
        event
    };
    let all = vec![large(1), large(2)];
    let found = stored(vec![all.clone()]).await;
    assert_eq!(found.into_iter().map(|row| row.1).collect::<Vec<_>>(), all);
}
