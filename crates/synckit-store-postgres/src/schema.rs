//! The tables, and how a database gets them.

use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};
use synckit_core::{CursorMode, Error, ErrorKind, Hash, LogId, NodeId, Result};

use crate::{config::PostgresConfig, error::from_sqlx, home};

const VERSION: i32 = 1;

/// `docs/digest.md` shows how to read `entries` from outside; keep the two in step. Free text that may have any character in
/// it, NUL included, is kept as bytes.
const TABLES: &str = include_str!("schema.sql");

/// "syki": the first half of the advisory lock under which tables and tenants are made.
const LOCK: i32 = 0x7379_6b69;

/// A tenant's row, as it does not change while a store is open.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) number: i32,
    pub(crate) label: String,
    pub(crate) mode: CursorMode,
}

/// What opening a store came to.
pub(crate) struct Opened {
    pub(crate) tenant: Tenant,
    /// The node that it was and the node that it is now, if it turned out to be a copy.
    pub(crate) copied: Option<(NodeId, NodeId)>,
}

fn failed(error: sqlx::Error) -> Error {
    from_sqlx("open store")(error)
}

/// Opens the tenant; makes the tables and the tenant first if that is wanted. All or nothing.
pub(crate) async fn open(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    create: bool,
) -> Result<Opened> {
    check_encoding(connection).await?;
    if let Some(opened) = look(connection, config).await? {
        return Ok(opened);
    }
    let missing = |what: String| Err(Error::new(ErrorKind::NotFound, "open store", what));
    if !create {
        return missing(format!(
            "there is no store of the tenant {:?} in the schema {:?} of {}",
            config.tenant,
            config.schema,
            config.place()
        ));
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK)
        .bind(&config.schema)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if version(&mut tx, config).await?.is_none() {
        make_schema(&mut tx, config).await?;
        sqlx::raw_sql(TABLES).execute(&mut *tx).await.map_err(failed)?;
    }
    make_tenant(&mut tx, config).await?;
    tx.commit().await.map_err(failed)?;
    match look(connection, config).await? {
        Some(opened) => Ok(opened),
        None => missing(format!("the tenant {:?} is gone again", config.tenant)),
    }
}

async fn check_encoding(connection: &mut PgConnection) -> Result<()> {
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(connection).await.map_err(failed)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let what = format!("the database has the encoding {encoding}; a store needs UTF8");
    Err(Error::invalid("open store", what))
}

/// The version of the tables; none if there are none.
async fn version(connection: &mut PgConnection, config: &PostgresConfig) -> Result<Option<i32>> {
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version')",
    )
    .bind(&config.schema)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let version: Option<i32> = sqlx::query_scalar("SELECT version FROM schema_version")
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    match version {
        Some(VERSION) => Ok(version),
        Some(newer) if newer > VERSION => Err(Error::new(
            ErrorKind::SchemaTooNew,
            "open store",
            format!("the database has schema {newer} and this version knows {VERSION}; use a newer synckit"),
        )),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "open store",
            format!("the schema {:?} has tables that are not a synckit store's", config.schema),
        )),
    }
}

/// Makes the PostgreSQL schema. One that is there already will do, if the user may make tables in it.
async fn make_schema(connection: &mut PgConnection, config: &PostgresConfig) -> Result<()> {
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(&config.schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if there {
        return Ok(());
    }
    // The name is made of letters, digits and underscores.
    let sql = format!("CREATE SCHEMA \"{}\"", config.schema);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.map_err(failed).map(drop)
}

async fn make_tenant(connection: &mut PgConnection, config: &PostgresConfig) -> Result<()> {
    let home = home::of(connection).await?;
    let entropy = &config.environment.entropy;
    sqlx::query(
        "INSERT INTO tenants (name, log, node, former, label, mode, counter, clock, position, hash, home) \
         VALUES ($1, $2, $3, '', $4, $5, 0, 0, 0, $6, $7) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&config.tenant)
    .bind(LogId::from_u128(entropy.random()).to_bytes())
    .bind(NodeId::from_u128(entropy.random()).to_bytes())
    .bind(&config.label)
    .bind(config.mode.to_string())
    .bind(Hash::ZERO.as_bytes().as_slice())
    .bind(home)
    .execute(connection)
    .await
    .map_err(failed)
    .map(drop)
}

async fn row(connection: &mut PgConnection, config: &PostgresConfig, lock: &str) -> Result<Option<PgRow>> {
    let sql = format!("SELECT tenant, label, mode, home, node FROM tenants WHERE name = $1{lock}");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&config.tenant)
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// The tenant, if it is there. One that lives somewhere else than before gets a new node and a new log: it was copied.
async fn look(connection: &mut PgConnection, config: &PostgresConfig) -> Result<Option<Opened>> {
    if version(connection, config).await?.is_none() {
        return Ok(None);
    }
    let Some(found) = row(connection, config, "").await? else { return Ok(None) };
    let mode: String = found.try_get(2).map_err(failed)?;
    let tenant = Tenant {
        number: found.try_get(0).map_err(failed)?,
        label: found.try_get(1).map_err(failed)?,
        mode: mode.parse()?,
    };
    let home = home::of(connection).await?;
    let known = |row: &PgRow| row.try_get::<Option<String>, _>(3).map_err(failed);
    if known(&found)?.is_some_and(|known| home::same(&known, &home)) {
        return Ok(Some(Opened { tenant, copied: None }));
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    let Some(found) = row(&mut tx, config, " FOR UPDATE").await? else { return Ok(None) };
    let before = known(&found)?;
    let former = NodeId::from_slice(found.try_get(4).map_err(failed)?)?;
    let copied = before.is_some_and(|before| !home::same(&before, &home));
    let entropy = &config.environment.entropy;
    let node = if copied { NodeId::from_u128(entropy.random()) } else { former };
    let update = if copied {
        sqlx::query(
            "UPDATE tenants SET home = $2, former = former || node, node = $3, log = $4, counter = 0 \
             WHERE tenant = $1",
        )
        .bind(tenant.number)
        .bind(home)
        .bind(node.to_bytes())
        .bind(LogId::from_u128(entropy.random()).to_bytes())
    } else {
        sqlx::query("UPDATE tenants SET home = $2 WHERE tenant = $1").bind(tenant.number).bind(home)
    };
    update.execute(&mut *tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(Opened { tenant, copied: copied.then_some((former, node)) }))
}
