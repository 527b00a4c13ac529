//! A private PostgreSQL for tests: its own data, a Unix socket in a temporary folder, no TCP, gone with its last user.
//!
//! PostgreSQL refuses to run as root; then it runs as the user `postgres`, or else `nobody`.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A running server. It stops, and its files go, when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    programs: Programs,
    pid: Pid,
    /// Reads the server's messages and waits for its end.
    keeper: Option<JoinHandle<()>>,
    databases: AtomicU32,
}

/// How one database orders text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collation {
    /// By bytes.
    Bytes,
    /// By the rules of a language.
    Language,
}

impl Postgres {
    /// The process's server: started by the first who asks, stopped by the last who lets go.
    ///
    /// # Errors
    /// What is missing, and the package that has it.
    pub fn shared() -> Result<Arc<Self>, String> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start(&[])?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Starts a server of one's own, with further `settings` (`name=value`).
    ///
    /// # Errors
    /// What is missing, and the package that has it.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        let programs = Programs::find()?;
        let dir = tempfile::Builder::new().prefix("pg").tempdir().map_err(|error| error.to_string())?;
        programs.give(dir.path())?;
        let data = dir.path().join("data");
        let mut initdb = programs.command("initdb", None);
        initdb.args(["--no-sync", "--no-instructions", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]);
        run(initdb.arg("-D").arg(&data))?;

        let mut server = programs.command("postgres", Some("QUIT"));
        server.arg("-D").arg(&data).arg("-k").arg(dir.path());
        for setting in ["listen_addresses=", "log_min_messages=log", "max_connections=200"].iter().chain(settings) {
            server.args(["-c", setting]);
        }
        let (pid, keeper) = watch(server)?;
        Ok(Self { dir, programs, pid, keeper: Some(keeper), databases: AtomicU32::new(0) })
    }

    /// Creates an empty database and returns its address for a client.
    ///
    /// # Errors
    /// The server's message.
    pub fn database(&self, collation: Collation) -> Result<String, String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::SeqCst));
        let mut create = self.programs.command("createdb", None);
        // A server may be set up to wait for a standby that never comes; the creation does not wait.
        create.env("PGOPTIONS", "-c synchronous_commit=local");
        create.arg("-h").arg(self.dir.path()).args(["-U", "postgres", "-T", "template0"]);
        if collation == Collation::Language {
            create.args(["--locale-provider=icu", "--icu-locale=en"]);
        }
        run(create.arg(&name))?;
        Ok(format!("host={} user=postgres dbname={name}", self.dir.path().display()))
    }

    /// Stops the server at once, as a crash would; addresses then lead nowhere.
    pub fn crash(&mut self) {
        // A server that is gone already is what was wanted.
        let _ = kill_process(self.pid, Signal::QUIT);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Starts `server` from a thread that lives as long as it does (the kernel ties the server to that thread, so that it dies
/// with the tests), and returns when it accepts connections.
fn watch(mut server: Command) -> Result<(Pid, JoinHandle<()>), String> {
    let (sender, receiver) = mpsc::channel();
    let keeper = std::thread::spawn(move || {
        let spawned = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return drop(sender.send(Err(format!("postgres did not start: {error}")))),
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut said = String::new();
        for line in
            child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok)
        {
            if line.contains("database system is ready to accept connections") {
                let _ = sender.send(pid.ok_or_else(|| "postgres has no process number".to_owned()));
            }
            said = format!("{said}{line}\n").chars().rev().take(4000).collect::<Vec<_>>().into_iter().rev().collect();
        }
        let _ = child.wait();
        // Nobody listens any more unless it never was ready.
        let _ = sender.send(Err(format!("postgres ended: {said}")));
    });
    let pid = receiver.recv().map_err(|error| error.to_string())??;
    Ok((pid, keeper))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Where PostgreSQL's programs are, and as whom they run.
#[derive(Debug)]
struct Programs {
    dir: PathBuf,
    user: Option<&'static str>,
}

impl Programs {
    fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dir = std::iter::once(PathBuf::from("/usr/lib/postgresql/15/bin"))
            .chain(std::env::split_paths(&path))
            .find(|dir| ["initdb", "postgres", "createdb"].iter().all(|program| dir.join(program).is_file()))
            .ok_or("PostgreSQL 15 is missing: install the Debian package `postgresql-15`")?;
        let user = match rustix::process::geteuid().is_root() {
            false => None,
            true => Some(unprivileged()?),
        };
        Ok(Self { dir, user })
    }

    /// `program`, as the unprivileged user if we are root; `death` is what it gets when its parent dies.
    fn command(&self, program: &str, death: Option<&str>) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = self.user {
            command.args(["--reuid", user, "--regid", group(user), "--clear-groups"]);
        }
        if let Some(signal) = death {
            command.args(["--pdeathsig", signal]);
        }
        command.arg("--").arg(self.dir.join(program)).current_dir("/").env("LC_ALL", "C").env_remove("PGDATA");
        command
    }

    /// Makes `dir` the unprivileged user's.
    fn give(&self, dir: &Path) -> Result<(), String> {
        match self.user {
            Some(user) => run(Command::new("chown").arg(user).arg(dir)),
            None => Ok(()),
        }
    }
}

fn unprivileged() -> Result<&'static str, String> {
    let known = |user: &&&str| Command::new("id").arg(user).output().is_ok_and(|output| output.status.success());
    let users = ["postgres", "nobody"];
    users
        .iter()
        .find(known)
        .copied()
        .ok_or_else(|| "PostgreSQL refuses root and there is no user `postgres` or `nobody`".into())
}

fn group(user: &str) -> &str {
    if user == "nobody" { "nogroup" } else { user }
}
