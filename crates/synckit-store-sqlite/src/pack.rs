//! Rows on their way into SQLite: the byte strings of many rows in one value. A value has a cost of its own on its way in,
//! far above that of its bytes; numbers are bound one by one, which costs next to nothing.

use sqlx::{AssertSqlSafe, SqliteConnection};
use synckit_core::Result;

use crate::error::from_sqlx;

/// Rows a statement: few enough for SQLite's limit of parameters, many enough to make a statement's cost small.
pub(crate) const ROWS: usize = 500;

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
        self.bytes.extend_from_slice(bytes);
        self.mark();
        self
    }

    /// SQLite counts from 1.
    fn mark(&mut self) {
        self.numbers.push(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX).saturating_add(1));
    }

    /// Runs a statement over the rows, which it finds in `r` under the names of `columns`. Where it says `{bytes}`, it
    /// means all byte strings.
    pub(crate) async fn run(
        self,
        connection: &mut SqliteConnection,
        columns: &str,
        statement: &str,
        operation: &'static str,
    ) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let row = format!("({})", vec!["?"; self.numbers.len() / self.rows].join(","));
        let rows = vec![&*row; self.rows].join(",");
        // It comes after the others, which bear no numbers.
        let bytes = format!("?{}", self.numbers.len() + 1);
        let sql = format!("WITH r({columns}) AS (VALUES {rows}) {}", statement.replace("{bytes}", &bytes));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for number in self.numbers {
            query = query.bind(number);
        }
        query.bind(self.bytes).execute(connection).await.map_err(from_sqlx(operation)).map(drop)
    }
}
