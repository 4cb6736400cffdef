//! Databases for tests, on the server that a variable names.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::{Connection as _, PgConnection};
use synckit_store_postgres::PostgresConfig;

const VARIABLE: &str = "SYNCKIT_TEST_POSTGRES_URL";

/// The URL of the server's database for tests.
pub(crate) fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} names no PostgreSQL server; run cargo xtask test, which starts one")
    })
}

/// A URL with another database and these parameters.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let (url, parameters) = url.split_once('?').map_or((url, ""), |(url, p)| (url, p));
    let (server, _) = url.rsplit_once('/').unwrap();
    if parameters.is_empty() { format!("{server}/{name}?") } else { format!("{server}/{name}?{parameters}&") }
}

/// A URL with another user.
pub(crate) fn with_user(url: &str, user: &str, password: &str) -> String {
    let (_, server) = url.split_once("://").unwrap();
    let server = server.split_once('@').map_or(server, |(_, server)| server);
    format!("postgres://{user}:{password}@{server}")
}

/// A database that goes with the last one who uses it.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
    tenants: AtomicUsize,
}

impl Database {
    /// A database of its own on this server.
    pub(crate) async fn new(server: String) -> Arc<Self> {
        Self::made_from("template0", server).await
    }

    /// A database that is the copy of one that nobody is connected to.
    pub(crate) async fn copy(of: &Self) -> Arc<Self> {
        Self::made_from(&of.name, of.server.clone()).await
    }

    async fn made_from(template: &str, server: String) -> Arc<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("synckit_test_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        // A test that was killed may have left one behind.
        run(&mut connection, &format!("DROP DATABASE IF EXISTS {name}")).await;
        run(&mut connection, &format!("CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")).await;
        connection.close().await.unwrap();
        Arc::new(Self { server, name, tenants: AtomicUsize::new(0) })
    }

    /// The database that the tests of this process share while they run.
    pub(crate) async fn shared() -> Arc<Self> {
        static SHARED: tokio::sync::Mutex<Weak<Database>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(database) = shared.upgrade() {
            return database;
        }
        let database = Self::new(server()).await;
        *shared = Arc::downgrade(&database);
        database
    }

    /// Its URL, to which parameters may be added.
    pub(crate) fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A tenant that nobody else has.
    pub(crate) fn config(&self) -> PostgresConfig {
        let tenant = format!("tenant-{}", self.tenants.fetch_add(1, Ordering::Relaxed));
        self.tenant(&tenant)
    }

    pub(crate) fn tenant(&self, name: &str) -> PostgresConfig {
        PostgresConfig::from_url(&format!("{}tenant={name}", self.url())).unwrap()
    }

    /// A connection that knows nothing of stores.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url().trim_end_matches(['?', '&'])).await.unwrap()
    }
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // It may be dropped inside a runtime, which cannot wait.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A test may have ended its server.
                if let Ok(mut connection) = PgConnection::connect(&server).await {
                    run(&mut connection, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}
