//! The conformance suite of stores, on a file and in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use synckit_store_sqlite::{SqliteConfig, SqliteStore};
use synckit_testkit::{Fixture, Setup};

fn set_up(config: SqliteConfig, setup: Setup) -> SqliteConfig {
    config
        .mode(setup.mode)
        .label(setup.label)
        .environment(setup.environment)
        .clock_tolerance(setup.clock_tolerance)
        .max_data_bytes(setup.max_data_bytes)
}

mod file {
    use super::*;

    async fn fresh(setup: Setup) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let config = set_up(SqliteConfig::at(directory.path().join("events.db")), setup);
        let store = SqliteStore::create(config.clone()).await.unwrap();
        let open = move || {
            let config = config.clone();
            async { SqliteStore::open(config).await.unwrap() }
        };
        Fixture::new(store).guard(directory).reopen(open)
    }

    synckit_testkit::event_store_conformance!(fresh);
}

mod memory {
    use super::*;

    async fn fresh(setup: Setup) -> Fixture {
        Fixture::new(SqliteStore::create(set_up(SqliteConfig::in_memory(), setup)).await.unwrap())
    }

    synckit_testkit::event_store_conformance!(fresh);
}
