//! Speed and memory against plain SQLite.

use std::process::Command;

use crate::run::{Outcome, built, root};

/// Builds the benches, and runs them: all, or those that are named.
pub(crate) fn run(names: &[String], json: bool) -> Outcome<()> {
    let program = built("synckit-bench", "synckit-bench")?;
    let mut command = Command::new(program);
    command.args(names).current_dir(root());
    if json {
        command.arg("--json");
    }
    if command.status()?.success() { Ok(()) } else { Err("a target was missed, or a bench failed".into()) }
}
