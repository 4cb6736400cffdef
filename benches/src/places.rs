//! Where the stores of a bench are.

use crate::world::Outcome;

/// Stores of one kind, which go when it is dropped.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    scheme: &'static str,
}

/// All kinds.
pub(crate) const KINDS: [&str; 1] = ["sqlite"];

impl Place {
    pub(crate) fn new(kind: &str) -> Outcome<Self> {
        let known = KINDS.iter().find(|known| **known == kind);
        let scheme =
            known.ok_or_else(|| format!("there is no store {kind:?}; there are {}", KINDS.join(", ")))?;
        Ok(Self { folder: tempfile::tempdir()?, scheme })
    }

    /// The URL of a store.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}:{}", self.scheme, self.folder.path().join(name).display())
    }
}
