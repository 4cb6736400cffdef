//! Word of what other processes append: notifications, and a look every now and then in case one got lost.

use std::{
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions},
};
use synckit_core::Result;
use tokio::task::AbortHandle;

use crate::{error::from_sqlx, store::Inner};

/// The channel of all stores in a database.
const CHANNEL: &str = "synckit";
/// While somebody waits, one look in this time finds what no notification told of.
const LOOKS_EVERY: Duration = Duration::from_millis(800);
const RECONNECTS_AFTER: Duration = Duration::from_millis(500);

/// Tells everybody where the log of a tenant ends. Not a part of the write: that would make all writers of the server take
/// turns at their commits. Nothing waits for it to become durable.
pub(crate) async fn tell(connection: &mut PgConnection, tenant: i32, position: u64) -> Result<()> {
    sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(format!("{tenant} {position}"))
        .execute(connection)
        .await
        .map_err(from_sqlx("notify"))
        .map(drop)
}

/// The position that a notification tells of, if it is about this tenant. Two schemas in one database have tenants of the
/// same number, and anybody may notify: it is a reason to look, and no more.
fn position(notification: &PgNotification, tenant: i32) -> Option<u64> {
    let (about, position) = notification.payload().split_once(' ')?;
    if about.parse() == Ok(tenant) { position.parse().ok() } else { None }
}

/// The one who listens, once somebody has waited for the first time.
#[derive(Debug)]
pub(crate) struct Ear {
    pool: PgPool,
    task: Mutex<Option<AbortHandle>>,
}

impl Ear {
    pub(crate) fn new(options: PgConnectOptions, acquire_timeout: Duration) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(acquire_timeout)
            .connect_lazy_with(options);
        Self { pool, task: Mutex::default() }
    }

    /// Begins to listen, unless somebody does already.
    pub(crate) fn open(&self, store: Weak<Inner>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended with its runtime.
        if self.pool.is_closed() || task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let pool = self.pool.clone();
        let listening = async move { tokio::join!(listen(&pool, &store), look(&store)) };
        *task = Some(tokio::spawn(listening).abort_handle());
    }

    pub(crate) async fn close(&self) {
        self.stop();
        self.pool.close().await;
    }

    fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens until the store is gone. What was missed while nobody listened is found by a look afterwards.
async fn listen(pool: &PgPool, store: &Weak<Inner>) {
    while store.strong_count() > 0 && !pool.is_closed() {
        if let Err(error) = hear(pool, store).await {
            tracing::debug!(%error, "the connection that listens was lost");
        }
        tokio::time::sleep(RECONNECTS_AFTER).await;
    }
}

async fn hear(pool: &PgPool, store: &Weak<Inner>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    refresh(store).await;
    loop {
        let heard = listener.try_recv().await?;
        let Some(inner) = store.upgrade() else { return Ok(()) };
        let news = heard.as_ref().map(|n| position(n, inner.tenant.number));
        let known = *inner.head.borrow();
        drop(inner);
        match news {
            // The connection was lost, and is there again.
            None => refresh(store).await,
            Some(Some(position)) if position > known => refresh(store).await,
            Some(_) => {}
        }
    }
}

async fn look(store: &Weak<Inner>) {
    while store.strong_count() > 0 {
        tokio::time::sleep(LOOKS_EVERY).await;
        refresh(store).await;
    }
}

/// Looks where the log ends, if somebody wants to know.
async fn refresh(store: &Weak<Inner>) {
    let Some(inner) = store.upgrade().filter(|inner| inner.head.receiver_count() > 0) else { return };
    if let Err(error) = inner.refresh().await {
        tracing::debug!(%error, "cannot look where the log ends");
    }
}
