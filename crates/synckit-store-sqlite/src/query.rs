//! Statements, each prepared once by a connection and kept ready.

use rusqlite::{CachedStatement, Connection, Params, Row};
use synckit_core::{Error, Result};

use crate::error::failed;

/// Visits the rows of a query, one by one.
pub(crate) fn each(
    connection: &Connection,
    operation: &'static str,
    sql: &str,
    params: impl Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let failed = failed(operation);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        visit(row).map_err(Error::of_stored_row)?;
    }
    Ok(())
}

/// The rows of a query.
pub(crate) fn all<T>(
    connection: &Connection,
    operation: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each(connection, operation, sql, params, |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    connection: &Connection,
    operation: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    Query::new(connection, operation, sql)?.first(params, read)
}

/// A query that is made many times.
pub(crate) struct Query<'a> {
    operation: &'static str,
    statement: CachedStatement<'a>,
}

impl<'a> Query<'a> {
    pub(crate) fn new(connection: &'a Connection, operation: &'static str, sql: &str) -> Result<Self> {
        let statement = connection.prepare_cached(sql).map_err(failed(operation))?;
        Ok(Self { operation, statement })
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let failed = failed(self.operation);
        let mut rows = self.statement.query(params).map_err(failed)?;
        rows.next().map_err(failed)?.map(read).transpose().map_err(Error::of_stored_row)
    }
}

/// The row of a query that has one.
pub(crate) fn one<T>(
    connection: &Connection,
    operation: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<T> {
    let found = first(connection, operation, sql, params, read)?;
    found.ok_or_else(|| failed(operation)(rusqlite::Error::QueryReturnedNoRows))
}

/// Runs a statement that gives no rows.
pub(crate) fn run(
    connection: &Connection,
    operation: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<()> {
    let failed = failed(operation);
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failed)?;
    Ok(())
}
