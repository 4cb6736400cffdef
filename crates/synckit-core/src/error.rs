//! The one error type of the kit.

use std::{error::Error as StdError, fmt, sync::Arc};

/// What went wrong, for code that has to choose what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Input that can never be accepted as it stands.
    Invalid,
    /// Something that was named does not exist.
    NotFound,
    /// The store or transport was closed.
    Closed,
    /// Another process or task holds what is needed; the same call may succeed later.
    Busy,
    /// The other end cannot be reached, or says that it cannot serve now.
    Unavailable,
    /// The time allowed for the operation ran out.
    Timeout,
    /// The credentials are missing, wrong or expired.
    Unauthorized,
    /// The credentials are good, and do not allow this.
    Forbidden,
    /// More bytes or events than the limit allows.
    TooLarge,
    /// A cursor does not belong to the log it was used on: the log was wiped, restored or swapped.
    LogChanged,
    /// One event id names two different contents.
    ContentMismatch,
    /// The state changed between reading and writing; read again and retry.
    Stale,
    /// The other end did not speak the protocol.
    Protocol,
    /// Stored data is damaged.
    Corrupt,
    /// The stored data was written by a newer version of the kit.
    SchemaTooNew,
    /// The log was moved: it can be read, and is not written to any more.
    Sealed,
    /// A copy into the store has begun and is not complete.
    Unfinished,
    /// This backend cannot do that.
    Unsupported,
    /// The storage engine failed.
    Storage,
    /// A defect in the kit or in code plugged into it.
    Internal,
}

impl ErrorKind {
    /// Whether the very same call may succeed later without anyone changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable | Self::Timeout | Self::Stale)
    }

    /// The kind as a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Closed => "closed",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too_large",
            Self::LogChanged => "log_changed",
            Self::ContentMismatch => "content_mismatch",
            Self::Stale => "stale",
            Self::Protocol => "protocol",
            Self::Corrupt => "corrupt",
            Self::SchemaTooNew => "schema_too_new",
            Self::Sealed => "sealed",
            Self::Unfinished => "unfinished",
            Self::Unsupported => "unsupported",
            Self::Storage => "storage",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What failed, during which operation, and why.
///
/// `Display` is one line; the cause is reached through [`std::error::Error::source`].
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    retry_after: Option<std::time::Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Where errors about damage send the reader.
const DOCTOR: &str = "`synckit doctor` says more";

impl Error {
    /// An error of `kind` that happened during `operation`, a short verb phrase such as `"append"`.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, operation, message: message.into(), retry_after: None, source: None }))
    }

    /// An [`ErrorKind::Invalid`] error.
    #[must_use]
    pub fn invalid(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, operation, message)
    }

    /// An [`ErrorKind::Corrupt`] error about a stored row, which sends the reader to the examination of stores. For stores.
    #[must_use]
    pub fn damaged_row(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupt, "read", format!("a stored row is damaged: {what}; {DOCTOR}"))
    }

    /// What an error means that a stored row has come to: what would be invalid from anywhere else is damage there. For
    /// stores.
    #[must_use]
    pub fn of_stored_row(self) -> Self {
        match self.kind() {
            ErrorKind::Invalid | ErrorKind::Corrupt if !self.message().contains(DOCTOR) => {
                Self::damaged_row(self.message()).with_source(self)
            }
            _ => self,
        }
    }

    /// Adds the cause. Has no effect on an error that was cloned.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.source = Some(source.into());
        }
        self
    }

    /// Adds how long the other end asked to be left alone. Has no effect on an error that was cloned.
    #[must_use]
    pub fn with_retry_after(mut self, wait: std::time::Duration) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.retry_after = Some(wait);
        }
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The explanation, without kind and operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How long the other end asked to be left alone, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed later; see [`ErrorKind::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = format!("{}: {}", self.0.operation, self.0.message);
        let mut cause = self.0.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(c) = cause {
            let text = c.to_string();
            if !said.contains(&text) {
                said.push_str(": ");
                said.push_str(&text);
            }
            cause = c.source();
        }
        f.write_str(&said)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

/// The result type of the kit.
pub type Result<T, E = Error> = std::result::Result<T, E>;
