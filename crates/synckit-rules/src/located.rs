//! Values that know where they were read.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};

/// Where something is in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Place {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// A line and a column; 0 counts as 1.
    #[must_use]
    pub const fn new(line: u64, column: u64) -> Self {
        Self { line: if line == 0 { 1 } else { line }, column: if column == 0 { 1 } else { column } }
    }
}

/// A value, and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub place: Place,
}

impl<T> Located<T> {
    /// A value that was put there by a program: it is at the beginning of the file.
    pub const fn anywhere(value: T) -> Self {
        Self { value, place: Place::START }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let place = Place::new(spanned.referenced.line(), spanned.referenced.column());
        Ok(Self { value: spanned.value, place })
    }
}
