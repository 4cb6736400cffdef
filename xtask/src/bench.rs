//! Speed and memory against plain SQLite.

use std::process::Command;

use crate::{
    run::{Outcome, built, root},
    servers,
};

/// Builds the benches, and runs them: all, or those that are named.
pub(crate) fn run(names: &[String], json: bool) -> Outcome<()> {
    let program = built("synckit-bench", "synckit-bench")?;
    let mut command = Command::new(program);
    command.args(names).current_dir(root());
    let postgres = ["postgres", "append-postgres", "load-postgres"];
    let wanted = names.is_empty() || names.iter().any(|name| postgres.contains(&name.as_str()));
    let server = if wanted { Some(servers::for_benches()?) } else { None };
    if let Some((variable, url, _)) = &server {
        command.env(variable, url);
    }
    if json {
        command.arg("--json");
    }
    if command.status()?.success() { Ok(()) } else { Err("a target was missed, or a bench failed".into()) }
}

/// Runs stores with very long logs.
pub(crate) fn scale(arguments: &[String]) -> Outcome<()> {
    let program = built("synckit-bench", "synckit-bench")?;
    let done = Command::new(program).arg("scale").args(arguments).current_dir(root()).status()?;
    if done.success() { Ok(()) } else { Err("a target was missed, or a bench failed".into()) }
}
