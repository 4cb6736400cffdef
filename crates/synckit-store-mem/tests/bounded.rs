//! A store that may hold only so much.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use synckit_core::{
    Event, EventStore as _,
    store::{Outcome, RefusalCode, Write, Written},
};
use synckit_store_mem::{MemStore, MemStoreBuilder};

fn event(id: &str) -> Event {
    Event::new("t", "a", &"x".repeat(484)).unwrap().with_id(id).unwrap()
}

async fn append(store: &MemStore, ids: &[&str]) -> Written {
    store.write(Write::Append(ids.iter().map(|id| event(id)).collect())).await.unwrap()
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_else() {
    assert_eq!(event("a").size(), 1_000);
    let store = MemStore::builder().max_bytes(3_500).build();
    let written = append(&store, &["a", "b", "c", "d", "e"]).await;
    let codes: Vec<_> = written.outcomes.iter().map(|o| o.refusal().map(|r| r.code)).collect();
    assert_eq!(codes, [None, None, None, Some(RefusalCode::Quota), Some(RefusalCode::Quota)]);
    assert_eq!(append(&store, &["a"]).await.outcomes, [Outcome::Duplicate], "what is there has its room");
    let small = Event::new("t", "a", "").unwrap();
    assert!(small.size() > 500 && !append_one(&store, small).await, "500 bytes are left");
}

async fn append_one(store: &MemStore, event: Event) -> bool {
    store.write(Write::Append(vec![event])).await.unwrap().accepted() == 1
}

#[tokio::test]
async fn the_limit_is_in_the_url() {
    let store = MemStoreBuilder::from_url("mem:?max_bytes=1000").unwrap().build();
    assert!(append_one(&store, event("a")).await);
    assert!(!append_one(&store, event("b")).await);
    assert!(MemStoreBuilder::from_url("mem:").is_ok());
    for wrong in ["mem:?max_bytes=x", "mem:?bytes=1", "mem:name", "sqlite:a"] {
        assert!(MemStoreBuilder::from_url(wrong).is_err(), "{wrong}");
    }
}
