//! A SQLite file a node.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use synckit_core::{CursorMode, Environment, Error, ErrorKind, EventStore as _, Result};
use synckit_store_sqlite::{Durability, SqliteConfig, SqliteStore};

use super::{failed, host::Host};

#[derive(Debug)]
pub(crate) struct Disk {
    pub(super) host: Arc<Host>,
    config: SqliteConfig,
    path: PathBuf,
    pub(super) open: SqliteStore,
}

fn sql(e: rusqlite::Error) -> Error {
    Error::new(ErrorKind::Storage, "simulate", "SQLite").with_source(e)
}

fn config(path: &Path, mode: CursorMode, environment: &Environment) -> SqliteConfig {
    SqliteConfig::at(path).mode(mode).environment(environment.clone()).durability(Durability::Normal)
}

/// A copy that is moved with its file system looks just like the original.
fn forget_home(path: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(path).map_err(sql)?;
    connection.execute("UPDATE node SET home = NULL", []).map(drop).map_err(sql)
}

impl Disk {
    pub(super) fn create(host: &Arc<Host>, mode: CursorMode, environment: &Environment) -> Result<Self> {
        let path = host.file();
        let config = config(&path, mode, environment);
        let open = host.now(SqliteStore::create(config.clone()))?;
        Ok(Self { host: Arc::clone(host), config, path, open })
    }

    pub(super) fn of_copy(
        host: &Arc<Host>,
        from: &Path,
        mode: CursorMode,
        environment: &Environment,
    ) -> Result<Self> {
        let path = host.file();
        std::fs::copy(from, &path).map_err(failed("a copy cannot be made"))?;
        let config = config(&path, mode, environment);
        forget_home(&path)?;
        let open = host.now(SqliteStore::open(config.clone()))?;
        Ok(Self { host: Arc::clone(host), config, path, open })
    }

    pub(super) fn reopen(&mut self) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            SqliteStore::open(self.config.clone()).await
        })?;
        Ok(())
    }

    pub(super) fn copy(&self) -> Result<PathBuf> {
        let to = self.host.file();
        let connection = rusqlite::Connection::open(&self.path).map_err(sql)?;
        connection.execute("VACUUM INTO ?", [&*to.to_string_lossy()]).map_err(sql)?;
        Ok(to)
    }

    pub(super) fn restore(&mut self, from: &Path) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            for beside in ["-wal", "-shm"] {
                let mut name = self.path.as_os_str().to_owned();
                name.push(beside);
                // It may not be there.
                let _ = std::fs::remove_file(name);
            }
            std::fs::copy(from, &self.path).map_err(failed("a copy cannot be put back"))?;
            forget_home(&self.path)?;
            SqliteStore::open(self.config.clone()).await
        })?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nobody needs it any longer.
        let _ = self.host.now(self.open.close());
        let _ = std::fs::remove_file(&self.path);
    }
}
