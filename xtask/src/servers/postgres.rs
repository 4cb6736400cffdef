//! PostgreSQL.

use crate::run::Outcome;

pub(crate) const VARIABLE: &str = "SYNCKIT_TEST_POSTGRES_URL";

/// The variable by which benches find a server.
const FOR_BENCHES: &str = "SYNCKIT_BENCH_POSTGRES_URL";

/// A server for benches, with the variable by which they find it; it ends with the second value.
#[cfg(unix)]
pub(crate) fn for_benches() -> Outcome<(&'static str, String, Option<synckit_test_servers::Postgres>)> {
    if let Ok(url) = std::env::var(FOR_BENCHES) {
        return Ok((FOR_BENCHES, url, None));
    }
    if synckit_test_servers::postgres_programs().is_none() {
        install()?;
    }
    let private = synckit_test_servers::Postgres::start_durable()?;
    Ok((FOR_BENCHES, private.url(), Some(private)))
}

/// A server for benches, with the variable by which they find it.
#[cfg(not(unix))]
pub(crate) fn for_benches() -> Outcome<(&'static str, String, ())> {
    let url =
        std::env::var(FOR_BENCHES).map_err(|_| format!("set {FOR_BENCHES} to the URL of a database"))?;
    Ok((FOR_BENCHES, url, ()))
}

/// A server for tests.
pub(crate) struct Server {
    url: String,
    #[cfg(unix)]
    _private: Option<synckit_test_servers::Postgres>,
}

impl Server {
    /// The server that the variable names, or one of its own from the programs on this machine.
    pub(crate) fn start() -> Outcome<Self> {
        if let Ok(url) = std::env::var(VARIABLE) {
            return Ok(Self {
                url,
                #[cfg(unix)]
                _private: None,
            });
        }
        Self::private()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    #[cfg(not(unix))]
    fn private() -> Outcome<Self> {
        Err(format!("set {VARIABLE} to the URL of a PostgreSQL database in which tests may make others")
            .into())
    }

    #[cfg(unix)]
    fn private() -> Outcome<Self> {
        if synckit_test_servers::postgres_programs().is_none() {
            install()?;
        }
        let private = synckit_test_servers::Postgres::start()?;
        eprintln!("+ a PostgreSQL server of its own");
        Ok(Self { url: private.url(), _private: Some(private) })
    }
}

/// Installs the programs where that is ours to do: as root on Debian and what comes from it.
#[cfg(unix)]
fn install() -> Outcome<()> {
    use std::{os::unix::fs::MetadataExt as _, path::Path, process::Command};

    let missing = format!(
        "the tests need PostgreSQL: install its server programs (on Debian: apt-get install postgresql), or set \
         {VARIABLE} to the URL of a database in which tests may make others"
    );
    // What is made belongs to the user that makes it.
    let root = tempfile::tempdir()?.path().metadata()?.uid() == 0;
    if !root || !Path::new("/etc/debian_version").exists() {
        return Err(missing.into());
    }
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", "postgresql"]] {
        eprintln!("+ apt-get {}", arguments.join(" "));
        let mut command = Command::new("apt-get");
        let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status()?;
        if !status.success() {
            return Err(missing.into());
        }
    }
    Ok(())
}
