//! Running the built binary in a folder of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder, in which stores are named by relative URLs such as `sqlite:a.db`.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The objects on standard output, one a line.
    pub(crate) fn ndjson(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// Checks that the command failed with one line on standard error that has these words.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, words: &[&str]) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        if status == 1 {
            assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        }
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing: {self:?}");
        }
        self
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with these stores in it, `NAME.db` each.
    pub(crate) fn with(names: &[&str]) -> Self {
        let bench = Self::new();
        for name in names {
            bench.run(&["init", "--store", &format!("sqlite:{name}.db"), "--node", name]).ok();
        }
        bench
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synckit"));
        command.args(args).current_dir(self.dir.path());
        for name in ["SYNCKIT_STORE", "SYNCKIT_REMOTE", "RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // The command may end before it has read everything.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Appends an event about `aggregate`.
    pub(crate) fn append(&self, store: &str, id: &str, aggregate: &str, data: &str) {
        let store = format!("sqlite:{store}.db");
        let args = [
            "append",
            "--store",
            &store,
            "--type",
            "note",
            "--aggregate",
            aggregate,
            "--data",
            data,
            "--id",
            id,
        ];
        self.run(&args).ok();
    }

    /// Imports lines, and returns the report.
    pub(crate) fn import(&self, store: &str, lines: &[u8]) -> (Option<i32>, Value) {
        let ran = self.run_with(&["import", "--json", "--store", &format!("sqlite:{store}.db"), "-"], lines);
        (ran.status, ran.json())
    }

    pub(crate) fn digest(&self, store: &str) -> Value {
        self.digest_of(&format!("sqlite:{store}.db"))
    }

    pub(crate) fn digest_of(&self, url: &str) -> Value {
        self.run(&["digest", "--json", "--store", url]).ok().json()
    }

    pub(crate) fn export(&self, store: &str) -> String {
        self.run(&["export", "--store", &format!("sqlite:{store}.db")]).ok().stdout
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    /// Starts a hub on a free port.
    pub(crate) fn serve(&self, store: &str) -> Served {
        self.serve_with(&["serve", "--store", &format!("sqlite:{store}.db"), "--listen", "127.0.0.1:0"])
    }

    pub(crate) fn serve_with(&self, args: &[&str]) -> Served {
        let mut child = self.command(args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("no hub: {stderr}");
        }
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or(line.trim_end()).to_owned();
        Served { child, first_line: line, url, _stdout: stdout }
    }

    pub(crate) fn sync(&self, store: &str, url: &str, more: &[&str]) -> Value {
        let store = format!("sqlite:{store}.db");
        let mut args = vec!["sync", "--json", "--store", &store, "--remote", url];
        args.extend(more);
        self.run(&args).ok().json()
    }
}

/// A hub. It is killed when it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) first_line: String,
    pub(crate) url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The host and port.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").trim_end_matches("/sync").to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
