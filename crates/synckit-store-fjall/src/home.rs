//! Where a store lives, so that a copy notices that it is one.

use std::path::Path;

/// The host and the file itself, as one line: on Unix the device and the inode, so that a file that is only renamed stays
/// what it is; elsewhere the path.
pub(crate) fn of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let host = gethostname::gethostname();
    Some(format!("{}|{}", host.to_string_lossy(), file(&path)?))
}

#[cfg(unix)]
fn file(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().ok()?;
    Some(format!("{}|{}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file(path: &Path) -> Option<String> {
    Some(path.display().to_string())
}
