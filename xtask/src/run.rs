//! Running programs.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Runs cargo in the workspace, and shows the command.
pub(crate) fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Outcome<()> {
    eprintln!("+ cargo {}", arguments.join(" "));
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status =
        Command::new(program).args(arguments).envs(variables.iter().copied()).current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" ")).into()) }
}

/// The command line, built in release mode.
pub(crate) fn synckit() -> Outcome<PathBuf> {
    built("synckit-cli", "synckit")
}

/// A program of a package, built in release mode.
pub(crate) fn built(package: &str, program: &str) -> Outcome<PathBuf> {
    cargo(&["build", "--release", "--package", package], &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// What a program prints, once it has ended well.
pub(crate) fn output(program: &Path, arguments: &[&str]) -> Outcome<String> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(format!("synckit {} failed: {errors}", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// A hub in a process of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut server = Self { child, url: String::new() };
        let url =
            line.trim().strip_prefix("listening on ").ok_or_else(|| format!("the hub said {line:?}"))?;
        url.clone_into(&mut server.url);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
