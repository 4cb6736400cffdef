//! Where the stores of a bench are.

use crate::world::Outcome;

/// A PostgreSQL database in which tables may be made, for nothing else.
const VARIABLE: &str = "SYNCKIT_BENCH_POSTGRES_URL";

/// Stores of one kind. Files go when it is dropped; what is in a database goes with its server.
pub(crate) struct Place {
    kind: &'static str,
    folder: tempfile::TempDir,
    server: Option<String>,
}

/// All kinds.
pub(crate) const KINDS: [&str; 3] = ["sqlite", "fjall", "postgres"];

impl Place {
    pub(crate) fn new(kind: &str) -> Outcome<Self> {
        let known = KINDS.iter().find(|known| **known == kind);
        let kind =
            known.ok_or_else(|| format!("there is no store {kind:?}; there are {}", KINDS.join(", ")))?;
        let named = || {
            std::env::var(VARIABLE)
                .map_err(|_| format!("{VARIABLE} has to name a PostgreSQL database to measure in"))
        };
        let server = if *kind == "postgres" { Some(named()?) } else { None };
        Ok(Self { kind, folder: tempfile::tempdir()?, server })
    }

    /// The URL of a store.
    pub(crate) fn url(&self, name: &str) -> String {
        match &self.server {
            Some(server) => {
                let separator = if server.contains('?') { '&' } else { '?' };
                format!("{server}{separator}schema=scale_{}_{name}", std::process::id())
            }
            None => format!("{}:{}", self.kind, self.folder.path().join(name).display()),
        }
    }
}
