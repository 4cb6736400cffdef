//! Writers that are killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{process::Command, sync::Arc};

use synckit_core::EventStore;
use synckit_store_sqlite::{SqliteConfig, SqliteStore};
use synckit_testkit::{kill_writers, write_until_killed};

const PATH: &str = "SYNCKIT_TEST_KILLED_PATH";

/// With [`PATH`] in its environment, this is the writer that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_what_they_acknowledged() {
    if let Some(path) = std::env::var_os(PATH) {
        let store = SqliteStore::create(SqliteConfig::at(path)).await.unwrap();
        return write_until_killed(&store).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let writer = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "killed_writers_leave_what_they_acknowledged", "--nocapture"])
            .env(PATH, &path);
        command
    };
    kill_writers(50, writer, async || {
        Arc::new(SqliteStore::open(SqliteConfig::at(&path)).await.unwrap()) as Arc<dyn EventStore>
    })
    .await;
}
