//! Where a store lives, so that a copy notices that it is one.

use sqlx::{PgConnection, Row as _};
use synckit_core::Result;

use crate::error::from_sqlx;

/// The server's identity, the database and the table of tenants, as one line: a dump that is restored, and a database made
/// from a template, have other numbers. What this user may not read is a question mark.
pub(crate) async fn of(connection: &mut PgConnection) -> Result<String> {
    let sql = "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text, \
               'tenants'::regclass::oid::text, \
               has_function_privilege('pg_control_system()', 'EXECUTE')";
    let failed = from_sqlx("open store");
    let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(failed)?;
    let (database, table): (String, String) =
        (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    let server = if row.try_get(2).map_err(failed)? {
        let sql = "SELECT system_identifier::text FROM pg_control_system()";
        sqlx::query_scalar(sql).fetch_one(connection).await.map_err(failed)?
    } else {
        String::from("?")
    };
    Ok(format!("{server}/{database}/{table}"))
}

/// Whether two homes are one, as far as both are known.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a == b || *a == "?" || *b == "?")
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn what_is_unknown_is_no_difference() {
        assert!(same("7/5/16", "7/5/16"));
        assert!(same("?/5/16", "7/5/16"));
        assert!(!same("8/5/16", "7/5/16"));
        assert!(!same("7/6/16", "7/5/16"));
        assert!(!same("7/5/17", "?/5/16"));
    }
}
