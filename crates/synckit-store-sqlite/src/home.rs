//! Where a database file lives, so that a copy notices that it is one.

use std::path::Path;

/// The host, the path and, where there are any, the inode of a file, as one line.
pub(crate) fn of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let host = gethostname::gethostname();
    Some(format!("{}|{}|{}", host.to_string_lossy(), path.display(), inode(&path)))
}

#[cfg(unix)]
fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().map_or(0, |m| m.ino())
}

#[cfg(not(unix))]
fn inode(_: &Path) -> u64 {
    0
}
