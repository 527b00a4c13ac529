//! What a run was: its command, the commit of the code around it, and a digest of the environment.

use super::RunError;
use api::wire::Provenance;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The longest command, in bytes; the keeper refuses longer ones.
const MAX_COMMAND_LEN: usize = 4096;
/// The longest value of a part, in bytes.
const MAX_PART_LEN: usize = 512;
/// The most files of the command line that are digested, and the longest of them.
const MAX_FILES: usize = 8;
const MAX_FILE_LEN: u64 = 64 << 20;

/// How long git may take, and the most of what it says that is listened to.
const GIT_PATIENCE: Duration = Duration::from_secs(5);
const MAX_SAID_LEN: u64 = 1 << 20;

/// Files that say which packages there are, where they lie beside the code.
const LOCKS: &[&str] = &[
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pixi.lock",
    "conda-lock.yml",
    "environment.yml",
    "requirements.txt",
    "pyproject.toml",
    "Cargo.lock",
    "package-lock.json",
    "renv.lock",
    "Manifest.toml",
];

/// Variables that change what a computation gives.
const VARIABLES: &[&str] = &[
    "PYTHONHASHSEED",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_DETERMINISTIC_OPS",
    "XLA_FLAGS",
];

/// The program that a command names, as the command's start will find it.
///
/// # Errors
/// [`RunError::NoProgram`].
pub(super) fn program(name: &OsStr) -> Result<PathBuf, RunError> {
    let missing = || RunError::NoProgram(name.to_string_lossy().into_owned());
    let runs =
        |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| runs(path)).ok_or_else(missing);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| runs(path)).ok_or_else(missing)
}

/// What can be said of a command that is going to be run here.
pub(super) fn of(command: &[OsString], program: &Path) -> Provenance {
    let here = std::env::current_dir().unwrap_or_default();
    let mut parts = BTreeMap::new();
    let mut add = |name: String, value: Option<String>| {
        if let Some(mut value) = value {
            value.truncate(value.floor_char_boundary(MAX_PART_LEN));
            parts.insert(name, value);
        }
    };
    add("system".into(), system());
    add("kernel".into(), Some(kernel()));
    let digest = digest_of(program).map(|digest| format!("{} {digest}", program.display()));
    add("program".into(), digest);
    add("packages".into(), packages(program));
    for name in LOCKS {
        add(format!("lock:{name}"), digest_of(&here.join(name)));
    }
    for name in VARIABLES {
        add(format!("variable:{name}"), std::env::var(name).ok());
    }
    let files = command.iter().skip(1).map(Path::new).filter(|path| path.is_relative() && path.is_file());
    for path in files.take(MAX_FILES) {
        let mut name = format!("file:{}", path.display());
        name.truncate(name.floor_char_boundary(MAX_PART_LEN));
        add(name, digest_of(path));
    }
    let canonical = serde_json::to_value(&parts).ok().and_then(|value| log::jcs::to_vec(&value).ok());
    let environment = hex::encode(seal::record::digest_of(&canonical.unwrap_or_default()));
    Provenance { command: shown(command), code: commit(&here), environment, parts }
}

/// A command as a shell would take it, cut if it is long.
pub(super) fn shown(command: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quoted = |word: &OsString| {
        let word = word.to_string_lossy();
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let mut text = command.iter().map(quoted).collect::<Vec<_>>().join(" ");
    if text.len() > MAX_COMMAND_LEN {
        text.truncate(text.floor_char_boundary(MAX_COMMAND_LEN - 3));
        text.push_str("...");
    }
    text
}

/// The commit that is checked out, with `+` if tracked files differ from it. Nothing is written, also not git's index.
fn commit(here: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // No program that the repository names watches its files.
        command.args(["--no-optional-locks", "-c", "core.fsmonitor=false", "-C"]).arg(here).args(arguments);
        answered(command, GIT_PATIENCE)
    };
    let head = String::from_utf8(git(&["rev-parse", "--verify", "HEAD"])?).ok()?;
    let head = Some(head.trim()).filter(|head| head.len() >= 40 && head.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(format!("{head}{}", if changed.is_empty() { "" } else { "+" }))
}

/// What a program says, if it succeeds within this time; else it is ended.
fn answered(mut command: Command, patience: Duration) -> Option<Vec<u8>> {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
    let out = child.stdout.take()?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let read = out.take(MAX_SAID_LEN).read_to_end(&mut said);
        let _ = send.send(read.map(|_| said));
    });
    let said = receive.recv_timeout(patience);
    if said.is_err() {
        let _ = child.kill();
    }
    // It closed its output, was ended, or said more than is listened to, which ends it too.
    let status = child.wait().ok()?;
    said.ok()?.ok().filter(|_| status.success())
}

fn system() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy())
}

/// Digest of the names of the Python packages that lie beside a program, and how many they are. The names carry their versions.
fn packages(program: &Path) -> Option<String> {
    let prefix = program.parent()?.parent()?;
    let mut names: Vec<Vec<u8>> = Vec::new();
    let libraries = std::fs::read_dir(prefix.join("lib")).ok()?.flatten();
    for library in libraries.filter(|entry| entry.file_name().as_bytes().starts_with(b"python3")) {
        for folder in ["site-packages", "dist-packages"] {
            let Ok(found) = std::fs::read_dir(library.path().join(folder)) else { continue };
            let named = found.flatten().map(|entry| entry.file_name().as_bytes().to_vec());
            names.extend(named.filter(|name| name.ends_with(b".dist-info") || name.ends_with(b".egg-info")));
        }
    }
    if let Ok(found) = std::fs::read_dir(prefix.join("conda-meta")) {
        let named = found.flatten().map(|entry| entry.file_name().as_bytes().to_vec());
        names.extend(named.filter(|name| name.ends_with(b".json")));
    }
    names.sort();
    let digest = seal::record::digest_of(&names.join(&b'\n'));
    (!names.is_empty()).then(|| format!("{} packages sha256:{}", names.len(), hex::encode(digest)))
}

fn digest_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.len() > MAX_FILE_LEN {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut buffer).ok()?;
        if got == 0 {
            return Some(format!("blake3:{}", hasher.finalize().to_hex()));
        }
        hasher.update(buffer.get(..got)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_so_that_it_can_be_run_again() {
        let words = ["python", "a b.py", "--x=1", "it's", ""].map(OsString::from);
        assert_eq!(shown(&words), r"python 'a b.py' --x=1 'it'\''s' ''");
        let long = [OsString::from("x".repeat(5000))];
        assert_eq!((shown(&long).len(), shown(&long).ends_with("...")), (MAX_COMMAND_LEN, true));
    }

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        assert!(program(OsStr::new("sh")).unwrap().is_absolute());
        assert!(program(OsStr::new("/bin/sh")).is_ok());
        for missing in ["no-such-program-here", "/etc/passwd", "./none", ""] {
            assert!(program(OsStr::new(missing)).is_err(), "{missing}");
        }
    }

    #[test]
    fn a_program_that_does_not_answer_is_ended() {
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(answered(sh("echo yes"), Duration::from_secs(60)).as_deref(), Some(&b"yes\n"[..]));
        assert_eq!(answered(sh("echo yes; exit 1"), Duration::from_secs(60)), None);
        assert_eq!(answered(sh("exec tail -f /dev/null"), Duration::from_millis(50)), None);
        assert_eq!(
            answered(sh("exec cat /dev/zero"), Duration::from_secs(60)),
            None,
            "it says more than anybody wants"
        );
    }

    #[test]
    fn the_same_environment_has_the_same_digest() {
        let command = ["sh", "-c", "true"].map(OsString::from);
        let program = program(&command[0]).unwrap();
        let (one, other) = (of(&command, &program), of(&command, &program));
        assert_eq!(one, other);
        assert!(one.parts["program"].contains("blake3:"));
        assert_eq!(one.environment.len(), 64);
    }
}
