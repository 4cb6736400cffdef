//! Filters as SQL.

use rusqlite::types::Value;
use synckit_core::{EventId, audit::AuditFilter};

use crate::row::{groups_within, signed};

pub(super) const COLUMNS: &str =
    "position, event, aggregate, origin, written_at, conflict, person, resolver, rule, group_path, decision";

/// A statement with its parameters.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

#[derive(Default)]
struct Conditions {
    sql: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: &'static str, value: Value) {
        self.sql.push(sql);
        self.values.push(value);
    }

    fn of(filter: &AuditFilter) -> Self {
        let mut conditions = Self::default();
        let text = |name: &str| Value::Text(name.to_owned());
        let bytes = |text: &String| Value::Blob(text.clone().into_bytes());
        if let Some(aggregate) = &filter.aggregate {
            conditions.add("aggregate = ?", text(aggregate.as_str()));
        }
        if let Some(conflict) = &filter.conflict {
            conditions.add("conflict = ?", text(conflict.as_str()));
        }
        if let Some(user) = &filter.user {
            conditions.add("person = ?", bytes(user));
        }
        if let Some(resolver) = &filter.resolver {
            conditions.add("resolver = ?", bytes(resolver));
        }
        if let Some(rule) = &filter.rule {
            conditions.add("rule = ?", bytes(rule));
        }
        if let Some(group) = &filter.group {
            let (first, end) = groups_within(group);
            conditions.add("group_path >= ?", Value::Blob(first));
            conditions.add("group_path < ?", Value::Blob(end));
        }
        if let Some(from) = filter.from {
            conditions.add("written_at >= ?", Value::Integer(signed(from.as_micros())));
        }
        if let Some(to) = filter.to {
            conditions.add("written_at <= ?", Value::Integer(signed(to.as_micros())));
        }
        conditions
    }
}

impl Statement {
    pub(super) fn find(filter: &AuditFilter, after: u64, limit: usize) -> Self {
        let mut conditions = Conditions::of(filter);
        // SQLite takes positions for more telling than a range of groups or times, and would go through all that follow.
        let only_ranges = !conditions.sql.is_empty() && !conditions.sql.iter().any(|sql| sql.contains(" = "));
        let (after_it, order) =
            if only_ranges { ("+position > ?", "+position") } else { ("position > ?", "position") };
        conditions.add(after_it, Value::Integer(signed(after)));
        conditions.values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let wanted = conditions.sql.join(" AND ");
        let sql = format!(
            "SELECT {COLUMNS} FROM entries WHERE position IN \
             (SELECT position FROM entries WHERE {wanted} ORDER BY {order} LIMIT ?) ORDER BY position"
        );
        Self { sql, values: conditions.values }
    }

    pub(super) fn count(filter: &AuditFilter) -> Self {
        let conditions = Conditions::of(filter);
        let mut sql = "SELECT count(*) FROM entries".to_owned();
        if !conditions.sql.is_empty() {
            sql = format!("{sql} WHERE {}", conditions.sql.join(" AND "));
        }
        Self { sql, values: conditions.values }
    }

    pub(super) fn of_event(event: &EventId) -> Self {
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE event = ?");
        Self { sql, values: vec![Value::Text(event.as_str().to_owned())] }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use synckit_core::Timestamp;

    use super::*;
    use crate::sqlite::schema;

    fn plan(connection: &Connection, statement: &Statement) -> Vec<String> {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
        let values = rusqlite::params_from_iter(&statement.values);
        let steps = explained.query_map(values, |row| row.get::<_, String>("detail")).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_wanted_is_found_by_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection).unwrap();
        let text = || Some("x".to_owned());
        let time = Some(Timestamp::from_micros(1));
        let with = |change: &dyn Fn(&mut AuditFilter)| {
            let mut filter = AuditFilter::default();
            change(&mut filter);
            filter
        };
        let filters = [
            ("nothing", AuditFilter::default()),
            ("aggregate", with(&|f| f.aggregate = "x".parse().ok())),
            ("conflict", with(&|f| f.conflict = "x".parse().ok())),
            ("person", with(&|f| f.user = text())),
            ("resolver", with(&|f| f.resolver = text())),
            ("rule", with(&|f| f.rule = text())),
            ("group", with(&|f| f.group = text())),
            ("time", with(&|f| f.from = time)),
            ("time", with(&|f| f.to = time)),
            ("person", with(&|f| (f.user, f.from, f.to) = (text(), time, time))),
        ];
        for (name, filter) in filters {
            let by = if name == "nothing" { "PRIMARY KEY".into() } else { format!("entries_by_{name}") };
            let steps = plan(&connection, &Statement::find(&filter, 7, 10));
            assert!(steps.iter().any(|step| step.contains(&by)), "{name}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("SCAN entries")), "{name}: {steps:?}");
            if name != "nothing" {
                let steps = plan(&connection, &Statement::count(&filter));
                assert!(steps.iter().any(|step| step.contains(&by)), "{name}: {steps:?}");
            }
        }
    }
}
