//! Where the stores of a bench are.

use synckit_test_servers::{Durability, Postgres};

use crate::world::Outcome;

/// Stores of one kind, which go when it is dropped.
pub(crate) struct Place {
    kind: &'static str,
    folder: tempfile::TempDir,
    server: Option<Postgres>,
}

/// All kinds.
pub(crate) const KINDS: [&str; 3] = ["sqlite", "fjall", "postgres"];

impl Place {
    pub(crate) fn new(kind: &str) -> Outcome<Self> {
        let known = KINDS.iter().find(|known| **known == kind);
        let kind = known.ok_or_else(|| format!("there is no store {kind:?}; there are {}", KINDS.join(", ")))?;
        let server =
            if *kind == "postgres" { Some(Postgres::start_with(Durability::Full)?) } else { None };
        Ok(Self { kind, folder: tempfile::tempdir()?, server })
    }

    /// The URL of the server, if there is one.
    pub(crate) fn server(&self) -> Outcome<String> {
        Ok(self.server.as_ref().ok_or("there is no server")?.url())
    }

    /// The URL of a store.
    pub(crate) fn url(&self, name: &str) -> String {
        match &self.server {
            Some(server) => format!("{}?schema={name}", server.url()),
            None => format!("{}:{}", self.kind, self.folder.path().join(name).display()),
        }
    }
}
