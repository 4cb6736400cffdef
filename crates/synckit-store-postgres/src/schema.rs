//! The tables, and how a database gets them.

use sqlx::{Connection as _, PgConnection};
use synckit_core::{
    CursorMode, Error, ErrorKind, Hash, LogId, NodeId, Result,
    store::{Identity, Standing},
};

use crate::{
    config::PostgresConfig,
    error::{DOCTOR, from_sqlx},
    home, packed,
};

/// What brings a database from a version to the next; the first one, from nothing. `docs/digest.md` shows how to read
/// `entries` from outside; keep the two in step. Free text that may have any character in it, NUL included, is kept as
/// bytes.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// "syki": the first half of the advisory lock under which tables and tenants are made.
const LOCK: i32 = 0x7379_6b69;

/// How a store is to be opened.
#[derive(Debug)]
pub(crate) enum How {
    /// It must exist.
    Open,
    /// It is made if there is none.
    Create,
    /// It is to be filled from the store with this identity.
    Receive(Identity),
}

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

/// Opens the tenant; makes the tables and the tenant first if that is wanted, all or nothing.
pub(crate) async fn open(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    how: &How,
) -> Result<Opened> {
    check_encoding(connection).await?;
    let version = version(connection, config).await?;
    let mut found = None;
    if version == MIGRATIONS.len() {
        found = row(connection, config, SELECT).await?;
    }
    if found.is_none() && (version > 0 || !matches!(how, How::Open)) {
        make(connection, config, how).await?;
        found = row(connection, config, SELECT).await?;
    }
    if let Some(found) = found {
        return settle(connection, config, how, found).await;
    }
    let (tenant, schema) = (&config.tenant, &config.schema);
    let what =
        format!("there is no store of the tenant {tenant:?} in the schema {schema:?} of {}", config.place());
    Err(Error::new(ErrorKind::NotFound, "open store", what))
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

/// The version of the tables; 0 if there are none.
async fn version(connection: &mut PgConnection, config: &PostgresConfig) -> Result<usize> {
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version')",
    )
    .bind(&config.schema)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if !there {
        return nothing_made(connection, config).await.map(|()| 0);
    }
    // Named in full: in a schema that the user may not look into, PostgreSQL would say that there is no such table.
    let sql = format!("SELECT version FROM \"{}\".schema_version", config.schema);
    let version: Option<i32> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_optional(connection).await.map_err(failed)?;
    let known = MIGRATIONS.len();
    match version.and_then(|version| usize::try_from(version).ok()) {
        Some(newer) if newer > known => Err(Error::new(
            ErrorKind::SchemaTooNew,
            "open store",
            format!("the database has schema {newer}, and this version knows {known}; use a newer synckit"),
        )),
        Some(version) if version > 0 => Ok(version),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "open store",
            format!(
                "the schema {:?} has tables that are not a synckit store's, or damaged; {DOCTOR}",
                config.schema
            ),
        )),
    }
}

/// Refuses to begin anew where a store has lost its version.
async fn nothing_made(connection: &mut PgConnection, config: &PostgresConfig) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'entries')";
    let entries: bool =
        sqlx::query_scalar(sql).bind(&config.schema).fetch_one(connection).await.map_err(failed)?;
    if !entries {
        return Ok(());
    }
    let what = format!("the schema {:?} has entries, and no schema_version; {DOCTOR}", config.schema);
    Err(Error::new(ErrorKind::Corrupt, "open store", what))
}

/// Makes what is missing: schema, tables, tenant. Whoever comes second finds it made.
async fn make(connection: &mut PgConnection, config: &PostgresConfig, how: &How) -> Result<()> {
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK)
        .bind(&config.schema)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let version = version(&mut tx, config).await?;
    if version == 0 {
        make_schema(&mut tx, config).await?;
    }
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        sqlx::raw_sql(*sql).execute(&mut *tx).await.map_err(failed)?;
        let noted = sqlx::query("UPDATE schema_version SET version = $1").bind(i32::try_from(step + 1).ok());
        noted.execute(&mut *tx).await.map_err(failed)?;
    }
    match how {
        How::Open => {}
        How::Create => make_tenant(&mut tx, config, None).await?,
        How::Receive(from) => make_tenant(&mut tx, config, Some(from)).await?,
    }
    tx.commit().await.map_err(failed)
}

/// Makes the PostgreSQL schema. One that is there already will do, if the user may make tables in it.
async fn make_schema(connection: &mut PgConnection, config: &PostgresConfig) -> Result<()> {
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(&config.schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if !there {
        // The name is made of letters, digits and underscores.
        let sql = format!("CREATE SCHEMA \"{}\"", config.schema);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(failed)?;
    }
    let table = "CREATE TABLE schema_version (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL); \
                 INSERT INTO schema_version VALUES (true, 0)";
    sqlx::raw_sql(table).execute(connection).await.map_err(failed).map(drop)
}

/// Makes a tenant whose node is new, or that of the log to be received.
async fn make_tenant(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    received: Option<&Identity>,
) -> Result<()> {
    let new = config.settings.new_node();
    let label = received.map_or(&config.settings.label, |from| &from.label);
    if label.contains('\0') {
        return Err(Error::invalid("open store", "PostgreSQL takes no label with a NUL in it"));
    }
    let home = home::of(connection).await?;
    sqlx::query(
        "INSERT INTO tenants (name, log, node, former, label, mode, counter, clock, position, hash, home, standing) \
         VALUES ($1, $2, $3, '', $4, $5, 0, 0, 0, $6, $7, $8) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&config.tenant)
    .bind(received.map_or(new.log, |from| from.log).to_bytes())
    .bind(received.map_or(new.node, |from| from.node).to_bytes())
    .bind(label)
    .bind(received.map_or(config.settings.mode, |from| from.mode).to_string())
    .bind(Hash::ZERO.as_bytes().as_slice())
    .bind(home)
    .bind(if received.is_some() { Standing::Filling } else { Standing::Live }.to_text())
    .execute(connection)
    .await
    .map_err(failed)
    .map(drop)
}

const SELECT: &str = "SELECT tenant, label, mode, home, node, log, standing FROM tenants WHERE name = $1";
const SELECT_LOCKED: &str =
    "SELECT tenant, label, mode, home, node, log, standing FROM tenants WHERE name = $1 FOR UPDATE";

/// What is in a tenant's row when a store is opened.
struct Row {
    tenant: Tenant,
    home: Option<String>,
    node: NodeId,
    log: LogId,
    standing: Standing,
}

async fn row(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    sql: &'static str,
) -> Result<Option<Row>> {
    let found = sqlx::query(sql).bind(&config.tenant).fetch_optional(connection).await.map_err(failed)?;
    let Some(row) = found else { return Ok(None) };
    packed::row(&row, |row| {
        let tenant =
            Tenant { number: row.integer(0)?, label: row.text(1)?.to_owned(), mode: row.text(2)?.parse()? };
        Ok(Some(Row {
            tenant,
            home: row.optional_text(3)?.map(str::to_owned),
            node: NodeId::from_slice(row.bytes(4)?)?,
            log: LogId::from_slice(row.bytes(5)?)?,
            standing: Standing::parse(row.text(6)?)?,
        }))
    })
}

/// Takes the tenant as it is. One that lives somewhere else than before gets a new node and a new log: it was copied.
async fn settle(
    connection: &mut PgConnection,
    config: &PostgresConfig,
    how: &How,
    found: Row,
) -> Result<Opened> {
    check_standing(&found, how)?;
    let home = home::of(connection).await?;
    let known = |row: &Row| row.home.as_deref().is_some_and(|before| home::same(before, &home));
    if known(&found) || matches!(how, How::Receive(_)) {
        return Ok(Opened { tenant: found.tenant, copied: None });
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    // Another process may have done all this meanwhile.
    let found = row(&mut tx, config, SELECT_LOCKED).await?.unwrap_or(found);
    if known(&found) {
        return Ok(Opened { tenant: found.tenant, copied: None });
    }
    let new = config.settings.new_node();
    let copied = found.home.is_some();
    let update = if copied {
        sqlx::query(
            "UPDATE tenants SET home = $2, former = former || node, node = $3, log = $4, counter = 0 \
             WHERE tenant = $1",
        )
        .bind(found.tenant.number)
        .bind(&home)
        .bind(new.node.to_bytes())
        .bind(new.log.to_bytes())
    } else {
        sqlx::query("UPDATE tenants SET home = $2 WHERE tenant = $1").bind(found.tenant.number).bind(&home)
    };
    update.execute(&mut *tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(Opened { tenant: found.tenant, copied: copied.then_some((found.node, new.node)) })
}

/// Whether the store may be opened so.
fn check_standing(row: &Row, how: &How) -> Result<()> {
    let How::Receive(from) = how else { return row.standing.may_open() };
    let refused = |what: &str| Err(Error::invalid("fill store", what.to_owned()));
    if row.standing.may_fill().is_err() {
        return refused("there is a store already; a copy needs a place where there is none");
    }
    if (row.log, row.node) != (from.log, from.node) {
        return refused("a copy of another log was begun there; finish that one, or remove it");
    }
    Ok(())
}
