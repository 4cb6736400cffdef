//! The simulation: built with every assertion, and with the switch for planted bugs.

use std::{path::PathBuf, process::Command};

use crate::{
    run::{Outcome, cargo, root},
    servers::Servers,
};

/// Who has one of these as an argument runs no campaign, unless the number of its histories is there as well.
const ALONE: [&str; 2] = ["--seed", "--only"];
/// Who has one of these runs none at all.
const NO_CAMPAIGN: [&str; 3] = ["--plant", "--help", "-h"];

/// Whether an option is among the arguments, be it with its value or before it.
fn has(arguments: &[&str], option: &str) -> bool {
    arguments
        .iter()
        .any(|a| a.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

/// Whether some histories will run on servers, too.
fn is_campaign(arguments: &[&str]) -> bool {
    let any = |options: &[&str]| options.iter().any(|option| has(arguments, option));
    !any(&NO_CAMPAIGN) && (has(arguments, "--seeds") || !any(&ALONE))
}

/// Builds the simulation, and runs it with these arguments and the servers that it needs.
pub(crate) fn run(arguments: &[&str]) -> Outcome<()> {
    cargo(&["build", "--profile", "sim", "--package", "synckit-sim", "--features", "planted-bugs"], &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("sim").join(format!("synckit-sim{}", std::env::consts::EXE_SUFFIX));
    let servers = if is_campaign(arguments) { Some(Servers::start()?) } else { None };
    let variables = servers.as_ref().map(Servers::variables).unwrap_or_default();
    eprintln!("+ synckit-sim {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).envs(variables).status()?;
    if status.success() { Ok(()) } else { Err("the simulation found something; see above".into()) }
}

#[cfg(test)]
mod tests {
    use super::is_campaign;

    #[test]
    fn servers_are_for_campaigns() {
        for arguments in [&[][..], &["--seeds", "5"], &["--seeds=5", "--seed=7"], &["--minutes", "1"]] {
            assert!(is_campaign(arguments), "{arguments:?}");
        }
        for arguments in [
            &["--seed", "7"][..],
            &["--seed=7", "--only=1"],
            &["--plant", "all", "--seeds", "9"],
            &["--help"],
        ] {
            assert!(!is_campaign(arguments), "{arguments:?}");
        }
    }
}
