//! PostgreSQL.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::folder::Folder;

const PASSWORD: &str = "synckit";
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const LOOKS_EVERY: Duration = Duration::from_millis(20);
/// Another program may take a port between our finding it free and the server's taking it.
const TRIES: usize = 5;

/// Nothing is forced to disk.
const QUICK: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// A PostgreSQL server of its own on this machine, reached at 127.0.0.1 with a password.
///
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: Folder,
    port: u16,
    server: Option<Child>,
    settings: Vec<String>,
}

/// The folder with PostgreSQL's server programs; none if they are not on this machine.
#[must_use]
pub fn postgres_programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    if let Ok(told) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    }
    let complete = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|p| folder.join(p).is_file());
    // Links in PATH lead to programs that look for their files beside themselves.
    folders.into_iter().find(complete).and_then(|folder| {
        let program = folder.join("postgres").canonicalize().ok()?;
        Some(program.parent()?.to_path_buf()).filter(complete)
    })
}

impl Postgres {
    /// Makes a cluster in a temporary folder, and starts a server on a free port. It survives a crash of its processes
    /// without loss, and not one of the machine: nothing is forced to disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the programs are not on this machine; what the programs say if they fail.
    pub fn start() -> io::Result<Self> {
        Self::start_as(&QUICK, None)
    }

    /// As [`start`](Self::start), with everything forced to disk as it is for a server in earnest: for measurements.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_durable() -> io::Result<Self> {
        Self::start_as(&[], None)
    }

    /// As [`start`](Self::start), with TLS for those who ask for it: a chain of certificates and the key of the first one,
    /// as PEM.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_tls(certificates: &str, key: &str) -> io::Result<Self> {
        Self::start_as(&QUICK, Some((certificates, key)))
    }

    fn start_as(settings: &[&str], tls: Option<(&str, &str)>) -> io::Result<Self> {
        let programs = postgres_programs().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "PostgreSQL's programs initdb and postgres were not found",
            )
        })?;
        let folder = Folder::new("data/postmaster.pid")?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { programs, folder, port: 0, server: None, settings };
        server.make_cluster()?;
        if let Some((certificates, key)) = tls {
            let certificates = server.folder.secret("server.crt", certificates)?;
            let key = server.folder.secret("server.key", key)?;
            server.settings.push("ssl=on".to_owned());
            server.settings.push(format!("ssl_cert_file={}", certificates.display()));
            server.settings.push(format!("ssl_key_file={}", key.display()));
        }
        for _ in 0..TRIES {
            server.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if server.try_start()? {
                return Ok(server);
            }
        }
        Err(server.failed("the server does not start"))
    }

    /// A URL of the server's own database, with the user that may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills the server without warning (SIGKILL).
    ///
    /// # Errors
    /// Any error of the system.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Starts the server again on the same port.
    ///
    /// # Errors
    /// What the server says if it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        // Its processes take a moment to notice that the first of them is gone.
        while begun.elapsed() < STARTS_WITHIN {
            if self.try_start()? {
                return Ok(());
            }
            thread::sleep(LOOKS_EVERY);
        }
        Err(self.failed("the server does not start again"))
    }

    /// Kills the server, and starts it again as a standby: it takes no writes until it is promoted.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn restart_as_standby(&mut self) -> io::Result<()> {
        self.kill()?;
        self.folder.secret("data/standby.signal", "")?;
        self.restart()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn failed(&self, what: &str) -> io::Error {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        io::Error::other(format!("{what}: {log}"))
    }

    fn make_cluster(&self) -> io::Result<()> {
        let password = self.folder.path().join("password");
        fs::write(&password, PASSWORD)?;
        readable(&password)?;
        let told = self
            .folder
            .command(&self.programs.join("initdb"))
            .args(["--username=postgres", "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data())
            .output()?;
        if told.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("initdb failed: {}", String::from_utf8_lossy(&told.stderr))))
    }

    /// Whether the server takes connections; if not, it has ended.
    fn try_start(&mut self) -> io::Result<bool> {
        let log = fs::File::create(self.log())?;
        let mut server = self
            .folder
            .command(&self.programs.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1"])
            .args(["-c", "max_connections=300"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let begun = Instant::now();
        while begun.elapsed() < STARTS_WITHIN {
            if server.try_wait()?.is_some() {
                return Ok(false);
            }
            if self.is_ready() {
                self.server = Some(server);
                return Ok(true);
            }
            thread::sleep(LOOKS_EVERY);
        }
        server.kill()?;
        server.wait()?;
        Ok(false)
    }

    /// The server writes into its file when it takes connections; before that it turns them away.
    fn is_ready(&self) -> bool {
        let noted = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let ready = noted.lines().nth(7).is_some_and(|line| matches!(line.trim(), "ready" | "standby"));
        ready && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.folder.clear(self.server.as_mut());
    }
}

/// It says nothing that this source does not, and the server's user has to read it.
fn readable(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))
}
