//! What is wrong with a rule file.

use std::fmt;

use crate::located::Place;

/// Something that is wrong at a place of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what was expected.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Why a rule file cannot be used. Its text has a line `FILE:LINE:COL: message` for each problem.
#[derive(Debug)]
#[non_exhaustive]
pub enum RuleFileError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong: all that was found, in the order of the file.
    Wrong {
        /// The file.
        file: String,
        /// What; at least one.
        problems: Vec<Problem>,
    },
}

impl RuleFileError {
    pub(crate) fn wrong(file: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| p.place);
        Self::Wrong { file: file.to_owned(), problems }
    }

    /// What is wrong in the file; nothing if it could not be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Wrong { problems, .. } => problems,
            Self::Unreadable { .. } => &[],
        }
    }
}

impl fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source } => write!(f, "{file}: {source}"),
            Self::Wrong { file, problems } => {
                for (i, Problem { place, message }) in problems.iter().enumerate() {
                    let separator = if i > 0 { "\n" } else { "" };
                    write!(f, "{separator}{file}:{}:{}: {message}", place.line, place.column)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for RuleFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Wrong { .. } => None,
        }
    }
}
