//! How commands end.

use std::{fmt, io};

use synckit::Error;

use crate::signals::Signal;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Everything was done.
    Clean,
    /// Something was refused, and it was said what.
    Refused,
    /// A signal ended it.
    Stopped(Signal),
}

impl Done {
    /// How a command ended that may have been refused something.
    pub(crate) const fn refused_if(refused: bool) -> Self {
        if refused { Self::Refused } else { Self::Clean }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the kit.
    Kit(Error),
    /// A reason of the command line's own.
    Told(String),
    /// Nobody reads standard output any more, which is how a pipeline ends.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn told(message: impl Into<String>) -> Self {
        Self::Told(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kit(error) => error.fmt(f),
            Self::Told(message) => f.write_str(message),
            Self::ClosedPipe => f.write_str("standard output was closed"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Kit(error)
    }
}

/// Errors of writing to standard output; whoever reads a file says which.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Told(format!("standard output cannot be written: {error}")),
        }
    }
}
