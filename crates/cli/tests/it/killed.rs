//! What a `get` leaves beside its destination when it is killed, and who removes it.

use super::sandbox::{Dice, Sandbox, end};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FILE_LEN: u64 = 48 << 20;

/// A vault with a folder of large files and a single one, and an empty folder `to`.
fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    let mark = Dice(71).bytes(4096);
    for number in 0..6 {
        let path = sandbox.write(&format!("in/{number}"), &mark);
        std::fs::File::options().write(true).open(path).unwrap().set_len(FILE_LEN).unwrap();
    }
    sandbox.write("small", b"small");
    for (source, artifact) in [("in", "lab/folder"), ("in/0", "lab/file"), ("small", "lab/small")] {
        sandbox.run(["put", source, artifact, "--class", "internal"]).exits(0);
    }
    std::fs::create_dir(sandbox.at("to")).unwrap();
    sandbox
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Starts `get lab/folder to/out`, and waits until plaintext is in its staging, which is not the one that was left.
fn staging(sandbox: &Sandbox, left: &Path) -> (Child, PathBuf) {
    let mut get: Command = sandbox.command(["get", "lab/folder", "to/out"]);
    let mut child = get.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    loop {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was seen");
        let hidden = names(&sandbox.at("to")).into_iter().filter(|name| name.starts_with(".strongroom-staging-"));
        let mut staged = hidden.map(|name| sandbox.at("to").join(name)).filter(|path| path != left);
        let written = |path: &PathBuf| std::fs::metadata(path.join("0")).is_ok_and(|found| found.len() > 0);
        if let Some(staged) = staged.next().filter(written) {
            return (child, staged);
        }
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn what_a_killed_get_left_is_removed_by_the_next_and_a_living_one_is_left_alone() {
    let sandbox = filled();
    let (mut killed, left) = staging(&sandbox, Path::new(""));
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9), "it was killed in the middle");
    assert!(!sandbox.at("to/out").exists());
    let mode = std::fs::metadata(&left).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "nobody else can look into what is left");

    let (mut stopped, living) = staging(&sandbox, &left);
    signal(&stopped, Signal::STOP);
    sandbox.run(["get", "lab/small", "to/small"]).exits(0);
    assert!(!left.exists(), "what the dead left is gone");
    assert!(living.exists(), "what lives is not");
    signal(&stopped, Signal::CONT);
    assert!(stopped.wait().unwrap().success(), "and ends as if nothing had been");
    assert_eq!(names(&sandbox.at("to")), ["out", "small"]);
    let same = Command::new("cmp").arg(sandbox.at("in/5")).arg(sandbox.at("to/out/5")).status().unwrap();
    assert!(same.success());
}

#[test]
fn a_single_file_leaves_nothing_when_it_is_killed() {
    let sandbox = filled();
    // The file size limit ends the process in the middle of a write, by a signal that nobody handles.
    let get = sandbox.command(["get", "lab/file", "to/out"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 32768; exec \"$@\"", "sh"]).arg(get.get_program()).args(get.get_args());
    limited.current_dir(sandbox.path()).env_clear();
    limited.envs(get.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = limited.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), Some(Signal::XFSZ.as_raw()));
    assert_eq!(names(&sandbox.at("to")), Vec::<String>::new(), "no name, no plaintext");
    end(get).exits(0);
    assert_eq!(names(&sandbox.at("to")), ["out"]);
}
