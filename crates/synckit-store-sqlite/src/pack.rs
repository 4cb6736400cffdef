//! Rows on their way into SQLite: the byte strings of many rows in one value. A value has a cost of its own on its way in,
//! far above that of its bytes; numbers are bound one by one, which costs next to nothing.

use sqlx::{Arguments as _, AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use synckit_core::Result;

use crate::error::from_sqlx;

/// Rows a statement: few enough for SQLite's limit of parameters, many enough to make a statement's cost small.
pub(crate) const ROWS: usize = 512;

/// The rows of one statement: of each its numbers, then where its byte strings begin, and where the last one ends.
pub(crate) struct Rows {
    bytes: Vec<u8>,
    numbers: Vec<i64>,
    rows: usize,
}

impl Rows {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), numbers: Vec::new(), rows: 0 }
    }

    /// Begins a row, which has these numbers.
    pub(crate) fn row(&mut self, numbers: &[i64]) -> &mut Self {
        self.rows += 1;
        self.numbers.extend_from_slice(numbers);
        self.mark();
        self
    }

    /// The row's next byte string.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.part(bytes).mark();
        self
    }

    /// The beginning of the row's next byte string.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// SQLite counts from 1.
    fn mark(&mut self) {
        self.numbers.push(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX).saturating_add(1));
    }

    /// A statement over the rows, which it finds in `r` under the names of `columns`. Where it says `{bytes}`, it means all
    /// byte strings. None if there are no rows.
    ///
    /// Rows of zeros may follow, which it has to leave out: so there are few different statements, and SQLite need not read
    /// each of them anew.
    pub(crate) fn statement(mut self, columns: &str, statement: &str) -> Option<Packed> {
        if self.rows == 0 {
            return None;
        }
        let numbers = self.numbers.len() / self.rows;
        self.rows = self.rows.next_power_of_two();
        self.numbers.resize(numbers * self.rows, 0);
        let row = format!("({})", vec!["?"; numbers].join(","));
        let rows = vec![&*row; self.rows].join(",");
        // It comes after the others, which bear no numbers.
        let bytes = format!("?{}", self.numbers.len() + 1);
        let sql = format!("WITH r({columns}) AS (VALUES {rows}) {}", statement.replace("{bytes}", &bytes));
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.numbers.len() + 1, 0);
        let mut query = sqlx::query_with(AssertSqlSafe(sql), arguments);
        for number in self.numbers {
            query = query.bind(number);
        }
        Some(Packed(query.bind(self.bytes)))
    }
}

/// A statement with its rows.
pub(crate) struct Packed(Query<'static, Sqlite, SqliteArguments>);

impl Packed {
    pub(crate) async fn run(self, connection: &mut SqliteConnection, operation: &'static str) -> Result<()> {
        self.0.execute(connection).await.map_err(from_sqlx(operation)).map(drop)
    }
}

/// Runs a statement for each chunk of so many of `all`; while one runs, the next is made.
pub(crate) async fn run_all<T>(
    connection: &mut SqliteConnection,
    all: &[T],
    rows: usize,
    operation: &'static str,
    make: impl Fn(&[T]) -> Option<Packed>,
) -> Result<()> {
    let mut chunks = all.chunks(rows);
    let mut next = chunks.next().and_then(&make);
    while let Some(statement) = next {
        let following = async { chunks.next().and_then(&make) };
        let (done, following) = tokio::join!(biased; statement.run(connection, operation), following);
        done?;
        next = following;
    }
    Ok(())
}
