//! The simulation: built with every assertion, and with the switch for planted bugs.

use std::{path::PathBuf, process::Command};

use crate::run::{Outcome, cargo, root};

/// Builds the simulation, and runs it with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    cargo(&["build", "--profile", "sim", "--package", "synckit-sim", "--features", "planted-bugs"], &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("sim").join(format!("synckit-sim{}", std::env::consts::EXE_SUFFIX));
    eprintln!("+ synckit-sim {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err("the simulation found something; see above".into()) }
}
