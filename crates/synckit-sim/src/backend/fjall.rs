//! A folder of fjall's a node.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use synckit_core::{CursorMode, Environment, EventStore as _, Result};
use synckit_store_fjall::{Durability, FjallConfig, FjallStore};

use super::{failed, host::Host};

#[derive(Debug)]
pub(crate) struct Disk {
    pub(super) host: Arc<Host>,
    config: FjallConfig,
    pub(super) open: FjallStore,
}

/// A copy that is moved with its file system looks just like the original.
fn config(path: &Path, mode: CursorMode, environment: &Environment) -> FjallConfig {
    FjallConfig::at(path)
        .mode(mode)
        .environment(environment.clone())
        .durability(Durability::Normal)
        .taken_for_the_original()
}

/// Copies a folder, without the zeros that the engine has put behind what it wrote.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_folder(&file.path(), &target)?;
            continue;
        }
        let mut bytes = std::fs::read(file.path())?;
        if file.path().extension().is_some_and(|e| e == "jnl") {
            bytes.truncate(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
        }
        std::fs::write(target, bytes)?;
    }
    Ok(())
}

impl Disk {
    pub(super) fn create(host: &Arc<Host>, mode: CursorMode, environment: &Environment) -> Result<Self> {
        let config = config(&host.file(), mode, environment);
        let open = host.now(FjallStore::create(config.clone()))?;
        Ok(Self { host: Arc::clone(host), config, open })
    }

    pub(super) fn of_copy(
        host: &Arc<Host>,
        from: &Path,
        mode: CursorMode,
        environment: &Environment,
    ) -> Result<Self> {
        let config = config(&host.file(), mode, environment);
        copy_folder(from, config.path()).map_err(failed("a copy cannot be made"))?;
        let open = host.now(FjallStore::open(config.clone()))?;
        Ok(Self { host: Arc::clone(host), config, open })
    }

    pub(super) fn reopen(&mut self) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            FjallStore::open(self.config.clone()).await
        })?;
        Ok(())
    }

    pub(super) fn copy(&self) -> Result<PathBuf> {
        // Every call has come to its end.
        let to = self.host.file();
        copy_folder(self.config.path(), &to).map_err(failed("a copy cannot be made"))?;
        Ok(to)
    }

    pub(super) fn restore(&mut self, from: &Path) -> Result<()> {
        self.open = self.host.now(async {
            self.open.close().await?;
            let replaced = failed("a copy cannot be put back");
            std::fs::remove_dir_all(self.config.path()).map_err(&replaced)?;
            copy_folder(from, self.config.path()).map_err(replaced)?;
            FjallStore::open(self.config.clone()).await
        })?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nobody needs it any longer.
        let _ = self.host.now(self.open.close());
        let _ = std::fs::remove_dir_all(self.config.path());
    }
}
