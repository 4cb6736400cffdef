//! A server's folder, the user that it runs under, and the keeper that clears both away.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Users to run a server under instead of root, if there are such.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Waits until its input ends, which it does with the process at the other end; then it stops the server whose process the
/// file names, unless that is another program by now, and removes the folder.
const KEEPER: &str = r#"
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$2" 2>/dev/null)
ours() { { tr '\0' ' ' < "/proc/$pid/cmdline" || ps -o args= -p "$pid"; } 2>/dev/null | grep -qF "$1"; }
if [ -n "$pid" ] && ours "$1"; then
    kill -QUIT "$pid"
    tries=0
    while ours "$1" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
rm -rf "$1"
"#;

/// A temporary folder for one server.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    user: Option<(u32, u32)>,
    keeper: Child,
}

impl Folder {
    /// A folder whose server notes its process in `pid_file`, which is relative to it.
    pub(crate) fn new(pid_file: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("synckit-test-").tempdir()?;
        let path = folder.path().to_path_buf();
        let root = path.metadata()?.uid() == 0;
        let user = if root { Some(unprivileged()?) } else { None };
        if let Some((user, group)) = user {
            chown(&path, Some(user), Some(group))?;
        }
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([&path, &path.join(pid_file)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // From here on the keeper removes it.
        Ok(Self { path: folder.keep(), user, keeper })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that the server alone may read.
    pub(crate) fn secret(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = self.user {
            chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }

    /// A program that runs in the folder, and not as root.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Ends what the keeper keeps, and waits for it.
    pub(crate) fn clear(&mut self, server: Option<&mut Child>) {
        drop(self.keeper.stdin.take());
        if let Some(server) = server {
            // Until it is waited for, it looks as if it ran.
            let _ = server.wait();
        }
        let _ = self.keeper.wait();
    }
}

fn unprivileged() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let numbers = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let found = UNPRIVILEGED.into_iter().find_map(numbers);
    found.ok_or_else(|| io::Error::other("there is no user postgres or nobody to run a server under"))
}
