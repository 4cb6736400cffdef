//! Rules that follow their file.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use async_trait::async_trait;
use synckit_resolve::{Conflict, ConflictResolver, DynamicResolver, Limits, Reads, Resolution, ResolveError};

use crate::{
    error::RuleFileError,
    loader::{RuleLoader, Rules},
};

/// Is told when a rule file was read again.
pub trait RulesListener: Send + Sync + 'static {
    /// New rules are in use.
    fn on_changed(&self, _rules: &Rules) {}

    /// The file cannot be used; the old rules stay.
    fn on_error(&self, _error: &RuleFileError) {}
}

/// Decides by a rule file that may be read again while it is in use. Clones share the rules.
///
/// A file that is wrong changes nothing. What is half-written is read as it is: where a writer may pause, have it write
/// another file, and rename that. A group that was switched by hand is as its file says after the next change.
#[derive(Clone)]
pub struct ReloadableRules(Arc<Inner>);

struct Inner {
    path: PathBuf,
    loader: RuleLoader,
    rules: RwLock<Rules>,
    /// Whoever reads the file again holds it, so that an older reading never replaces a newer one.
    reloading: Mutex<()>,
    listeners: Vec<Arc<dyn RulesListener>>,
}

impl fmt::Debug for ReloadableRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableRules").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl ReloadableRules {
    /// Reads the rules for the first time.
    ///
    /// # Errors
    /// A [`RuleFileError`] if the file cannot be used.
    pub fn load(loader: RuleLoader, path: impl Into<PathBuf>) -> Result<Self, RuleFileError> {
        Self::load_told(loader, path, Vec::new())
    }

    /// As [`load`](Self::load), with listeners, which are told one after the other.
    ///
    /// # Errors
    /// A [`RuleFileError`] if the file cannot be used.
    pub fn load_told(
        loader: RuleLoader,
        path: impl Into<PathBuf>,
        listeners: Vec<Arc<dyn RulesListener>>,
    ) -> Result<Self, RuleFileError> {
        let path = path.into();
        let rules = RwLock::new(loader.load(&path)?);
        Ok(Self(Arc::new(Inner { path, loader, rules, reloading: Mutex::new(()), listeners })))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The rules that are in use.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.0.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again, and uses what it says from now on.
    ///
    /// # Errors
    /// A [`RuleFileError`] if the file cannot be used; the old rules stay.
    pub fn reload(&self) -> Result<Rules, RuleFileError> {
        let _turn = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        match self.0.loader.load(&self.0.path) {
            Ok(rules) => {
                *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules.clone();
                self.0.listeners.iter().for_each(|l| l.on_changed(&rules));
                Ok(rules)
            }
            Err(error) => {
                tracing::warn!(%error, "the rule file cannot be used; the old rules stay");
                self.0.listeners.iter().for_each(|l| l.on_error(&error));
                Err(error)
            }
        }
    }

    fn current(&self) -> Arc<DynamicResolver> {
        Arc::clone(self.0.rules.read().unwrap_or_else(PoisonError::into_inner).resolver())
    }

    /// Reads the file again whenever it has changed and then been left alone for a tenth of a second, until the guard is
    /// dropped. The folders of its path and of the file itself are watched, so that one that is replaced by another is
    /// noticed, and so is a symbolic link that comes to lead elsewhere.
    ///
    /// # Errors
    /// [`std::io::Error`] if the folder cannot be watched.
    #[cfg(feature = "watch")]
    pub fn watch(&self) -> std::io::Result<crate::Watching> {
        crate::watching::watch(self.clone())
    }

    /// Reads the file again; listeners and the log are told what is wrong, and a listener that panics ends nothing.
    #[cfg(feature = "watch")]
    pub(crate) fn reload_watched(&self) {
        let reload = std::panic::AssertUnwindSafe(|| self.reload().map(drop));
        if std::panic::catch_unwind(reload).is_err() {
            tracing::error!(path = %self.0.path.display(), "reading the rule file again panicked");
        }
    }
}

#[async_trait]
impl ConflictResolver for ReloadableRules {
    fn name(&self) -> &str {
        "rules"
    }

    /// Everything: the rules may be others by the time that a conflict is decided.
    fn reads(&self) -> Reads {
        Reads::Everything
    }

    fn limits(&self) -> Limits {
        self.current().limits()
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        self.current().resolve(conflict).await
    }
}
