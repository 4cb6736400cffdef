//! What happened, line by line.

use std::{
    fmt,
    hash::{DefaultHasher, Hasher as _},
};

/// The lines of a history, or only their fingerprint.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
    line: String,
}

impl Trace {
    /// A trace without lines. Unless they are to be kept, only their fingerprint is.
    pub(crate) fn new(keep: bool) -> Self {
        Self { hasher: DefaultHasher::new(), lines: keep.then(Vec::new), line: String::new() }
    }

    /// Adds a line at a time in microseconds.
    pub(crate) fn add(&mut self, micros: u64, what: fmt::Arguments<'_>) {
        use fmt::Write as _;
        self.line.clear();
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        // Writing to a string does not fail.
        let _ = write!(self.line, "{seconds:>6}.{:03} {what}", rest / 1_000);
        self.hasher.write(self.line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// The same for the same lines.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }

    /// The lines, if they were kept.
    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
