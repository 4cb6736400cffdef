//! A tenant a node, all of them in one PostgreSQL database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, Row as _};
use synckit_core::{CursorMode, Environment, Error, ErrorKind, EventStore as _, Result};
use synckit_store_postgres::{PostgresConfig, PostgresStore};
use url::Url;

use super::host::Host;
use crate::store::at_once;

/// The variable that names a PostgreSQL server: a URL of a database whose user may make others.
pub const POSTGRES_URL: &str = "SYNCKIT_TEST_POSTGRES_URL";

const SCHEMA: &str = "synckit";
/// One writes, and one reads.
const CONNECTIONS: u32 = 2;
/// A busy machine is no fault of a history's.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database for the stores of a host; it goes with the host.
#[derive(Debug)]
pub(super) struct Database {
    runtime: tokio::runtime::Handle,
    server: Url,
    name: String,
    /// For what is done behind the kit's back.
    connection: tokio::sync::Mutex<Option<PgConnection>>,
    tables: Vec<Table>,
    tenants: AtomicU64,
}

/// A table, and its columns apart from those that say whose a row is.
#[derive(Debug)]
struct Table {
    name: String,
    columns: String,
}

/// All rows of a tenant; they go with this value.
#[derive(Debug)]
pub(crate) struct Rows {
    database: Arc<Database>,
    tenant: String,
}

#[derive(Debug)]
pub(crate) struct Disk {
    rows: Rows,
    pub(super) open: PostgresStore,
    config: PostgresConfig,
    pub(super) host: Arc<Host>,
}

fn sql(e: sqlx::Error) -> Error {
    Error::new(ErrorKind::Storage, "simulate", "PostgreSQL").with_source(e)
}

async fn run(connection: &mut PgConnection, statements: String) -> Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(connection).await.map(drop).map_err(sql)
}

impl Database {
    /// Makes one on the server that a URL names.
    pub(super) fn create(runtime: &tokio::runtime::Handle, url: &str) -> Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // It says what is wrong with a URL, and shows nothing of it.
        PostgresConfig::from_url(url)?;
        let server = Url::parse(url).map_err(|_| Error::invalid("simulate", "the URL makes no sense"))?;
        let name = format!("synckit_sim_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut database = Self {
            runtime: runtime.clone(),
            server,
            name,
            connection: tokio::sync::Mutex::default(),
            tables: Vec::new(),
            tenants: AtomicU64::new(0),
        };
        at_once(Some(runtime), async {
            let name = &database.name;
            let mut server = PgConnection::connect(database.server.as_str()).await.map_err(sql)?;
            for statement in [
                // A process that was killed may have left one behind.
                format!("DROP DATABASE IF EXISTS {name}"),
                format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
                // Logic is what is looked at, and not disks.
                format!("ALTER DATABASE {name} SET synchronous_commit = off"),
            ] {
                run(&mut server, statement).await?;
            }
            server.close().await.map_err(sql)?;
            // With the first store come the tables.
            PostgresStore::create(database.config("first")?).await?.close().await?;
            let mut connection = PgConnection::connect(database.url().as_str()).await.map_err(sql)?;
            database.tables = tables(&mut connection).await?;
            database.connection = tokio::sync::Mutex::new(Some(connection));
            Ok(())
        })?;
        Ok(database)
    }

    fn url(&self) -> Url {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url
    }

    fn config(&self, tenant: &str) -> Result<PostgresConfig> {
        let config = PostgresConfig::from_url(self.url().as_str())?.schema(SCHEMA)?.tenant(tenant)?;
        Ok(config.max_connections(CONNECTIONS)?.acquire_timeout(PATIENCE).lock_timeout(PATIENCE))
    }

    /// Runs statements in one transaction.
    async fn run(&self, statements: Vec<String>) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let Some(connection) = &mut *connection else {
            return Err(Error::new(ErrorKind::Closed, "simulate", "PostgreSQL"));
        };
        run(connection, statements.join(";")).await
    }

    /// A name that nobody has yet.
    fn rows(self: &Arc<Self>) -> Rows {
        let tenant = format!("n{}", self.tenants.fetch_add(1, Ordering::Relaxed));
        Rows { database: Arc::clone(self), tenant }
    }
}

/// The tables with a tenant's rows; that of the tenants is the first.
async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>> {
    let columns = "SELECT table_name::text, string_agg(quote_ident(column_name), ', ') FILTER \
                   (WHERE column_name <> 'tenant' AND NOT (table_name = 'tenants' AND column_name = 'name')) \
                   FROM information_schema.columns WHERE table_schema = $1 GROUP BY table_name \
                   HAVING bool_or(column_name = 'tenant') ORDER BY table_name <> 'tenants', table_name";
    let rows = sqlx::query(columns).bind(SCHEMA).fetch_all(connection).await.map_err(sql)?;
    let table = |row: &sqlx::postgres::PgRow| {
        Ok(Table { name: row.try_get(0).map_err(sql)?, columns: row.try_get(1).map_err(sql)? })
    };
    rows.iter().map(table).collect()
}

fn number_of(tenant: &str) -> String {
    format!("(SELECT tenant FROM {SCHEMA}.tenants WHERE name = '{tenant}')")
}

impl Rows {
    /// Copies all rows of another tenant, who must have none so far. They do not show that they were copied: they live in
    /// the same table of the same database.
    fn copying(&self, from: &Self) -> Vec<String> {
        let (ours, theirs) = (number_of(&self.tenant), number_of(&from.tenant));
        let copy = |table: &Table| {
            let Table { name, columns } = table;
            let (key, value) = if name == "tenants" {
                ("name", format!("'{}'", self.tenant))
            } else {
                ("tenant", ours.clone())
            };
            format!(
                "INSERT INTO {SCHEMA}.{name} ({key}, {columns}) \
                 SELECT {value}, {columns} FROM {SCHEMA}.{name} WHERE tenant = {theirs}"
            )
        };
        self.database.tables.iter().map(copy).collect()
    }

    /// Removes them; that of the tenant is the last.
    fn removing(&self) -> Vec<String> {
        let tenant = number_of(&self.tenant);
        let remove = |table: &Table| format!("DELETE FROM {SCHEMA}.{} WHERE tenant = {tenant}", table.name);
        self.database.tables.iter().rev().map(remove).collect()
    }

    fn copy(&self) -> Result<Self> {
        let copy = self.database.rows();
        at_once(Some(&self.database.runtime), self.database.run(copy.copying(self)))?;
        Ok(copy)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // Nobody needs them any longer.
        let _ = at_once(Some(&self.database.runtime), self.database.run(self.removing()));
    }
}

impl Disk {
    pub(super) fn create(host: &Arc<Host>, mode: CursorMode, environment: &Environment) -> Result<Self> {
        let rows = host.database()?.rows();
        let config = rows.database.config(&rows.tenant)?.mode(mode).environment(environment.clone());
        let open = host.now(PostgresStore::create(config.clone()))?;
        Ok(Self { rows, open, config, host: Arc::clone(host) })
    }

    pub(super) fn of_copy(
        host: &Arc<Host>,
        from: &Rows,
        mode: CursorMode,
        environment: &Environment,
    ) -> Result<Self> {
        let rows = from.copy()?;
        let config = rows.database.config(&rows.tenant)?.mode(mode).environment(environment.clone());
        let open = host.now(PostgresStore::open(config.clone()))?;
        Ok(Self { rows, open, config, host: Arc::clone(host) })
    }

    pub(super) fn reopen(&mut self) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            PostgresStore::open(self.config.clone()).await
        })?;
        Ok(())
    }

    pub(super) fn copy(&self) -> Result<Rows> {
        self.rows.copy()
    }

    pub(super) fn restore(&mut self, from: &Rows) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            let replacing = [self.rows.removing(), self.rows.copying(from)].concat();
            self.rows.database.run(replacing).await?;
            PostgresStore::open(self.config.clone()).await
        })?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.host.now(self.open.close());
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is gone took it along.
        let _: Result<()> = at_once(Some(&self.runtime), async {
            if let Some(connection) = self.connection.get_mut().take() {
                connection.close().await.map_err(sql)?;
            }
            let mut server = PgConnection::connect(self.server.as_str()).await.map_err(sql)?;
            run(&mut server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await?;
            server.close().await.map_err(sql)
        });
    }
}
