//! Rows on their way into PostgreSQL: its binary format for `COPY`.

use sqlx::PgConnection;
use synckit_core::Result;

use crate::error::from_sqlx;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
const NULL: i32 = -1;
/// Sent at a time: while PostgreSQL works on it, the next rows are made.
const CHUNK: usize = 256 * 1024;

/// The fields of rows, one after the other.
pub(crate) struct Rows(Vec<u8>);

impl Rows {
    /// Begins a row of so many fields.
    pub(crate) fn row(&mut self, fields: i16) -> &mut Self {
        self.0.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // What is larger was refused long before.
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn optional(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        if let Some(bytes) = bytes {
            return self.bytes(bytes);
        }
        self.0.extend_from_slice(&NULL.to_be_bytes());
        self
    }

    pub(crate) fn integer(&mut self, number: i32) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.bytes(&[u8::from(flag)])
    }
}

/// Copies rows into a table; `statement` is `COPY TABLE (COLUMNS) FROM STDIN (FORMAT binary)`.
pub(crate) async fn copy<T>(
    connection: &mut PgConnection,
    statement: &str,
    operation: &'static str,
    all: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Rows, T),
) -> Result<()> {
    let failed = from_sqlx(operation);
    let mut copy = connection.copy_in_raw(statement).await.map_err(failed)?;
    let mut rows = Rows(Vec::with_capacity(CHUNK + CHUNK / 4));
    rows.0.extend_from_slice(HEADER);
    for row in all {
        write(&mut rows, row);
        if rows.0.len() >= CHUNK {
            copy.send(&*rows.0).await.map_err(failed)?;
            rows.0.clear();
        }
    }
    rows.0.extend_from_slice(&END.to_be_bytes());
    copy.send(&*rows.0).await.map_err(failed)?;
    copy.finish().await.map_err(failed).map(drop)
}
