//! The tables, and how a database gets them.

use sqlx::{Connection as _, PgConnection};
use synckit_core::{Error, ErrorKind, LogId, Result};

use super::{config::Config, error};
use crate::row::ANEW;

const OPERATION: &str = "open audit index";
const VERSION: i32 = 1;
/// "syka": with the schema's hash, the advisory lock under which tables are made.
const LOCK: i32 = 0x7379_6b61;

/// Text compares bytewise. Of free text, which may be longer than PostgreSQL takes into an index, the beginning is indexed.
const TABLES: &str = r#"
CREATE TABLE schema_version (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL);
INSERT INTO schema_version VALUES (true, 1);
CREATE TABLE logs (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log bytea NOT NULL UNIQUE,
    position bigint,
    hash bytea,
    CHECK ((position IS NULL) = (hash IS NULL))
);
CREATE TABLE entries (
    log integer NOT NULL,
    position bigint NOT NULL,
    event text COLLATE "C" NOT NULL,
    aggregate text COLLATE "C" NOT NULL,
    origin bytea NOT NULL,
    written_at bigint NOT NULL,
    conflict text COLLATE "C",
    person bytea,
    resolver bytea NOT NULL,
    rule bytea,
    group_path bytea,
    decision text COLLATE "C" NOT NULL,
    PRIMARY KEY (log, position),
    UNIQUE (log, event)
);
CREATE INDEX entries_by_aggregate ON entries (log, aggregate, position);
CREATE INDEX entries_by_conflict ON entries (log, conflict, position) WHERE conflict IS NOT NULL;
CREATE INDEX entries_by_person ON entries (log, substring(person FROM 1 FOR 256), position) WHERE person IS NOT NULL;
CREATE INDEX entries_by_resolver ON entries (log, substring(resolver FROM 1 FOR 256), position);
CREATE INDEX entries_by_rule ON entries (log, substring(rule FROM 1 FOR 256), position) WHERE rule IS NOT NULL;
CREATE INDEX entries_by_group ON entries (log, substring(group_path FROM 1 FOR 256), position)
    WHERE group_path IS NOT NULL;
CREATE INDEX entries_by_time ON entries (log, written_at, position);
"#;

fn failed(error: sqlx::Error) -> Error {
    error::failed(OPERATION)(error)
}

/// Makes what is missing, and gives the number of the log.
pub(super) async fn open(connection: &mut PgConnection, config: &Config, log: LogId) -> Result<i32> {
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut *connection).await.map_err(failed)?;
    if encoding != "UTF8" {
        let what = format!("the database has the encoding {encoding}; an index needs UTF8");
        return Err(Error::new(ErrorKind::Unsupported, OPERATION, what));
    }
    if is_made(connection, config).await?
        && let Some(number) = number(connection, log).await?
    {
        return Ok(number);
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK)
        .bind(&config.schema)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if !is_made(&mut tx, config).await? {
        make(&mut tx, config).await?;
    }
    let insert = "INSERT INTO logs (log) VALUES ($1) ON CONFLICT (log) DO NOTHING";
    sqlx::query(insert).bind(log.to_bytes().as_slice()).execute(&mut *tx).await.map_err(failed)?;
    let number = number(&mut tx, log).await?;
    tx.commit().await.map_err(failed)?;
    number.ok_or_else(|| Error::new(ErrorKind::Internal, OPERATION, "the log was not noted"))
}

async fn number(connection: &mut PgConnection, log: LogId) -> Result<Option<i32>> {
    sqlx::query_scalar("SELECT number FROM logs WHERE log = $1")
        .bind(log.to_bytes().as_slice())
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// Whether the tables are there. Tables that are not an index's are refused.
async fn is_made(connection: &mut PgConnection, config: &Config) -> Result<bool> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1")
            .bind(&config.schema)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if has("tenants") {
        let what = format!("the schema {:?} is a synckit store's; an index needs another", config.schema);
        return Err(Error::invalid(OPERATION, what));
    }
    if !has("schema_version") {
        if has("entries") || has("logs") {
            let what = format!("the schema {:?} has tables that are not an audit index's", config.schema);
            return Err(Error::invalid(OPERATION, what));
        }
        return Ok(false);
    }
    // Named in full: in a schema that the user may not look into, PostgreSQL would say that there is no such table.
    let sql = format!("SELECT version FROM \"{}\".schema_version", config.schema);
    let version: Option<i32> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_optional(connection).await.map_err(failed)?;
    match version {
        Some(VERSION) => Ok(true),
        Some(newer) if newer > VERSION => {
            let what = format!(
                "the index has schema {newer}, and this version knows {VERSION}; use a newer synckit"
            );
            Err(Error::new(ErrorKind::SchemaTooNew, OPERATION, what))
        }
        _ => {
            let what =
                format!("the version in the schema {:?} is damaged; drop it, and {ANEW}", config.schema);
            Err(Error::new(ErrorKind::Corrupt, OPERATION, what))
        }
    }
}

/// Makes schema and tables. A schema that is there already will do, if the user may make tables in it.
async fn make(connection: &mut PgConnection, config: &Config) -> Result<()> {
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
    sqlx::raw_sql(TABLES).execute(connection).await.map_err(failed).map(drop)
}
