//! The rules of the workspace that no other tool checks.

use std::{fs, path::Path};

use crate::run::{Outcome, root};

const MOST_LINES: usize = 500;

pub(crate) fn check() -> Outcome<()> {
    let mut found = Vec::new();
    sources(&root().join("crates"), &mut found)?;
    for entry in fs::read_dir(root().join("crates"))? {
        manifest(&entry?.path().join("Cargo.toml"), &mut found)?;
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}

/// No source file is too long to read at one sitting.
fn sources(folder: &Path, found: &mut Vec<String>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let lines = fs::read_to_string(&path)?.lines().count();
            if lines > MOST_LINES {
                found.push(format!("{}: {lines} lines; at most {MOST_LINES}", path.display()));
            }
        }
    }
    Ok(())
}

/// Dev-dependencies between our crates name no version: cargo cannot publish circles that do.
fn manifest(path: &Path, found: &mut Vec<String>) -> Outcome<()> {
    let mut dev = false;
    for (i, line) in fs::read_to_string(path)?.lines().enumerate() {
        if line.starts_with('[') {
            dev = line.contains("dev-dependencies");
        }
        let ours = line.starts_with("synckit");
        if dev && ours && (line.contains("workspace") || line.contains("version")) {
            found.push(format!(
                "{}:{}: dev-dependencies on our crates are by path only",
                path.display(),
                i + 1
            ));
        }
    }
    Ok(())
}
