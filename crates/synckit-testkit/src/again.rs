//! The running test program again, in a process that bears less.

use std::{
    env, fs, io,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

/// A user and a group that own nothing.
const NOBODY: u32 = 65_534;

/// One test of this program, in a process of its own.
///
/// # Errors
/// Any error of the system.
pub fn again(test: &str) -> io::Result<Command> {
    Ok(one_test(Command::new(env::current_exe()?), test))
}

fn one_test(mut command: Command, test: &str) -> Command {
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// As [`again`], in a process whose files get no larger than so many KiB: what fails for it fails as on a full disk.
///
/// # Errors
/// Any error of the system.
pub fn with_files_up_to(kib: u64, test: &str) -> io::Result<Command> {
    let blocks_of_512 = 2 * kib;
    let limited = format!("trap '' XFSZ && ulimit -f {blocks_of_512} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(env::current_exe()?);
    Ok(one_test(command, test))
}

/// As [`again`], under a user whom the permissions of files bind, and who owns this folder, which is empty.
///
/// # Errors
/// Any error of the system.
pub fn without_privileges(folder: &Path, test: &str) -> io::Result<Command> {
    if folder.metadata()?.uid() != 0 {
        return again(test);
    }
    chown(folder, Some(NOBODY), Some(NOBODY))?;
    // Where the program is, others may not be let in.
    let program = folder.join("program");
    fs::copy(env::current_exe()?, &program)?;
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir(folder);
    Ok(one_test(command, test))
}
