//! The tables of indexes in a database.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use synckit_core::{Error, ErrorKind, Result};

use super::error::failed;
use crate::row::ANEW;

const VERSION: i32 = 1;
/// "syau": the first half of the advisory lock under which tables are made.
const LOCK: i32 = 0x7379_6175;

/// Free text is kept as bytes, since it may have NUL in it. `COLLATE "C"` compares bytewise, whatever the database's locale is.
const TABLES: &str = r#"
CREATE TABLE version (version INT NOT NULL);
CREATE TABLE progress (log BYTEA PRIMARY KEY, position BIGINT NOT NULL, hash BYTEA NOT NULL);
CREATE TABLE decisions (
    log BYTEA NOT NULL,
    position BIGINT NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    aggregate TEXT COLLATE "C" NOT NULL,
    origin BYTEA NOT NULL,
    written_at BIGINT NOT NULL,
    conflict TEXT COLLATE "C",
    person BYTEA,
    resolver BYTEA NOT NULL,
    rule BYTEA,
    group_path BYTEA,
    decision TEXT NOT NULL,
    PRIMARY KEY (log, position),
    UNIQUE (log, event)
);
CREATE INDEX by_aggregate ON decisions (log, aggregate, position);
CREATE INDEX by_conflict ON decisions (log, conflict, position) WHERE conflict IS NOT NULL;
CREATE INDEX by_person ON decisions (log, person, position) WHERE person IS NOT NULL;
CREATE INDEX by_resolver ON decisions (log, resolver, position);
CREATE INDEX by_rule ON decisions (log, rule, position) WHERE rule IS NOT NULL;
CREATE INDEX by_group ON decisions (log, group_path, position) WHERE group_path IS NOT NULL;
CREATE INDEX by_time ON decisions (log, written_at);
INSERT INTO version VALUES (1);
"#;

/// Makes the tables if they are missing, all or nothing. Whoever comes second finds them made.
pub(super) async fn prepare(connection: &mut PgConnection, schema: &str) -> Result<()> {
    if check(connection, schema).await? {
        return Ok(());
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK)
        .bind(schema)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if !check(&mut tx, schema).await? {
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
            .bind(schema)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        let make = if there { String::new() } else { format!("CREATE SCHEMA \"{schema}\";") };
        let sql = format!("{make} SET LOCAL search_path TO \"{schema}\"; {TABLES}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// Whether the tables are there; an error if they are something else.
async fn check(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::TEXT FROM pg_tables WHERE schemaname = $1")
            .bind(schema)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
    let ours = ["version", "progress", "decisions"];
    if ours.iter().all(|name| !tables.iter().any(|t| t == name)) {
        return Ok(false);
    }
    let damaged = |what: &str| Error::new(ErrorKind::Corrupt, "open audit index", format!("{what}; {ANEW}"));
    if let Some(missing) = ours.iter().find(|name| !tables.iter().any(|t| t == *name)) {
        return Err(damaged(&format!(
            "the schema {schema:?} has no table {missing:?}, or is not that of an index"
        )));
    }
    let sql = format!("SELECT version FROM \"{schema}\".version");
    let version: Option<i32> =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(connection).await.map_err(failed)?;
    match version {
        Some(VERSION) => Ok(true),
        Some(newer) if newer > VERSION => {
            let what = format!("the index has version {newer}, and {VERSION} is known; use a newer synckit");
            Err(Error::new(ErrorKind::SchemaTooNew, "open audit index", what))
        }
        _ => Err(damaged("the version of the tables is not known")),
    }
}
