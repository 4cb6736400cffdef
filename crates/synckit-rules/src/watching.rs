//! Watching a rule file.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use synckit_core::Hash;

use crate::{loader::MAX_FILE_BYTES, watch::ReloadableRules};

/// A writer that has been quiet for so long is done.
const QUIET: Duration = Duration::from_millis(100);
/// Where something is written all the time, the file is looked at after so many pauses that were too short.
const MOST_WAITS: usize = 50;

/// A file that is watched until this is dropped.
#[derive(Debug)]
pub struct Watching {
    _watcher: Arc<Mutex<RecommendedWatcher>>,
}

pub(crate) fn watch(rules: ReloadableRules) -> io::Result<Watching> {
    let (touched, touches) = channel();
    let told = move |event: notify::Result<Event>| match event {
        // Whoever reads files is of no interest, least of all this process.
        Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() => {}
        // The receiver is gone only when nobody watches any more.
        Ok(_) => drop(touched.send(())),
        Err(error) => tracing::warn!(%error, "the rule file may not be watched any more"),
    };
    let mut watcher = notify::recommended_watcher(told).map_err(io::Error::other)?;
    let mut folders = Vec::new();
    for folder in folders_of(rules.path())? {
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(io::Error::other)?;
        folders.push(folder);
    }
    let watcher = Arc::new(Mutex::new(watcher));
    let follower = Follower { rules, watcher: Arc::downgrade(&watcher), folders, read: None };
    std::thread::Builder::new().name("synckit-rules".to_owned()).spawn(move || follower.follow(&touches))?;
    Ok(Watching { _watcher: watcher })
}

/// The folder of the path, and that of the file to which it leads.
fn folders_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let of = |path: &Path| match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut folders = vec![std::fs::canonicalize(of(path))?, of(&std::fs::canonicalize(path)?)];
    folders.dedup();
    Ok(folders)
}

/// What tells one version of the file from another: where it is, and what is in it.
type Version = (PathBuf, Hash);

struct Follower {
    rules: ReloadableRules,
    watcher: Weak<Mutex<RecommendedWatcher>>,
    folders: Vec<PathBuf>,
    /// The version that was read last; inside, none if there was no file.
    read: Option<Option<Version>>,
}

impl Follower {
    /// Ends when nobody watches any more.
    fn follow(mut self, touches: &Receiver<()>) {
        loop {
            // It may have changed since it was read for the first time.
            self.look();
            if touches.recv().is_err() {
                return;
            }
            for _ in 0..MOST_WAITS {
                match touches.recv_timeout(QUIET) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    fn look(&mut self) {
        // First, so that a change after the reading is noticed.
        self.watch_anew();
        let version = self.version();
        if self.read.as_ref() != Some(&version) {
            self.rules.reload_watched();
            self.read = Some(version);
        }
    }

    fn version(&self) -> Option<Version> {
        let path = std::fs::canonicalize(self.rules.path()).ok()?;
        let mut bytes = Vec::new();
        File::open(&path).ok()?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        Some((path, Hash::of(&bytes)))
    }

    /// Watches where the file is now.
    fn watch_anew(&mut self) {
        let (Some(watcher), Ok(folders)) = (self.watcher.upgrade(), folders_of(self.rules.path())) else {
            return;
        };
        let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folders.iter().filter(|f| !self.folders.contains(f)) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(%error, folder = %folder.display(), "the rule file is not watched where it is");
            }
        }
        for former in self.folders.iter().filter(|f| !folders.contains(f)) {
            // A folder that is gone is not watched any more.
            let _ = watcher.unwatch(former);
        }
        drop(watcher);
        self.folders = folders;
    }
}
