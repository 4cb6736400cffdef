//! Turns to sync, across processes.

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use synckit_core::{LogId, Result, store::SyncTurn};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::from_sqlx;

const OPERATION: &str = "wait for a turn to sync";
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Within the process a mutex, between processes an advisory lock of a connection of its own, which ends with the process
/// that holds it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    within: Arc<Mutex<()>>,
}

struct Held {
    /// The lock goes with the connection.
    _connection: std::sync::Mutex<PgConnection>,
    _within: OwnedMutexGuard<()>,
}

impl Turns {
    pub(crate) async fn wait(&self, options: &PgConnectOptions, log: LogId) -> Result<SyncTurn> {
        let within = Arc::clone(&self.within).lock_owned().await;
        let failed = from_sqlx(OPERATION);
        let mut connection = options.connect().await.map_err(failed)?;
        let mut wait = FIRST_WAIT;
        // A connection that waits in the server goes on waiting when its client is gone.
        while !sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(key(log))
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?
        {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Ok(SyncTurn::new(Held { _connection: std::sync::Mutex::new(connection), _within: within }))
    }
}

/// Logs have random numbers, half of which tells them apart.
fn key(log: LogId) -> i64 {
    let [half @ .., _, _, _, _, _, _, _, _] = log.to_bytes();
    i64::from_be_bytes(half)
}
