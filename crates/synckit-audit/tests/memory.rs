//! The index in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;

use support::{Place, index_conformance};
use synckit_audit::{AuditIndex, MemoryAuditIndex, open_index};
use synckit_core::LogId;

/// An index that stays as long as its place.
async fn fresh() -> Place {
    let index: Arc<dyn AuditIndex> = Arc::new(MemoryAuditIndex::new());
    Place::new((), move |_| {
        let index = Arc::clone(&index);
        async move { index }
    })
}

index_conformance!(fresh);

#[tokio::test]
async fn urls_name_indexes_or_the_schemes_that_are_known() {
    let log = LogId::random();
    assert_eq!(open_index("mem:", log).await.unwrap().progress().await.unwrap(), None);
    for url in ["mysql://u:secret@h/d", "secret", "mem:x", ""] {
        let error = open_index(url, log).await.unwrap_err().to_string();
        assert!(error.contains("known schemes are mem:") && !error.contains("secret"), "{error}");
    }
}
