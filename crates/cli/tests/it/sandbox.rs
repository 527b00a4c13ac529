//! A vault in a temporary folder and the real binary to drive it.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::suites;

/// A temporary folder with its own home for keys and anchors.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// Standard output as one JSON object.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {:?} {}", String::from_utf8_lossy(&self.stdout), self.stderr))
    }

    /// What it said, on both outputs.
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), self.stderr)
    }

    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let out = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, code, "stdout: {out}\nstderr: {}", self.stderr);
        self
    }
}

impl Sandbox {
    /// An empty folder.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With a solo vault and a key-file root.
    pub fn solo() -> Self {
        Self::made(&["init", "--no-recovery"])
    }

    /// With a rehearsal vault, in which `--as` chooses who acts.
    pub fn rehearsal() -> Self {
        Self::made(&["init", "--mode", "rehearsal", "--no-recovery"])
    }

    /// With a vault of the suite that the test runs for.
    fn made(init: &[&str]) -> Self {
        let sandbox = Self::new();
        match suites::table(suites::current()) {
            None => sandbox.run(init).exits(0),
            Some(table) => {
                let path = sandbox.write("suites.toml", table);
                let ended = sandbox.run([init, &["--crypto", "suites.toml"]].concat()).exits(0);
                std::fs::remove_file(path).expect("the file");
                ended
            }
        };
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn vault(&self) -> PathBuf {
        self.at(".strongroom")
    }

    /// Writes a file of the sandbox, with its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The same, for its owner alone: a passphrase is read from no other.
    pub fn write_private(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, bytes);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("a mode");
        path
    }

    /// The binary with the sandbox's environment, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.at("home"))
            .env("XDG_CONFIG_HOME", self.at("config"))
            .env("XDG_STATE_HOME", self.at("state"))
            .env("XDG_RUNTIME_DIR", self.at("run"))
            .stdin(Stdio::null());
        command
    }

    /// As [`Self::command`], under a umask, in octal.
    pub fn command_under<S: AsRef<OsStr>>(&self, umask: &str, args: impl IntoIterator<Item = S>) -> Command {
        let plain = self.command(args);
        let mut command = Command::new("sh");
        command.args(["-c", "umask \"$0\"; exec \"$@\"", umask]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        end(self.command(args))
    }

    /// Every object file of the depot, largest first.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.vault().join("depot")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).expect("a readable depot") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { open.push(path) } else { found.push(path) }
            }
        }
        found.sort_by_key(|p| std::cmp::Reverse((std::fs::metadata(p).map(|m| m.len()).unwrap_or(0), p.clone())));
        found
    }
}

/// Runs a prepared command to its end.
#[track_caller]
pub fn end(mut command: Command) -> Ended {
    let output = command.output().expect("the binary starts");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A small deterministic generator (SplitMix64), so that a failure prints a seed that repeats it.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend(self.roll().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}
