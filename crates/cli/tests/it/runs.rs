//! `run`: what the command finds, what is sealed, and that nothing of it is left, however it ends.

use super::faults::on_small_disk;
use super::sandbox::{Ended, Sandbox, end};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::suites;

/// Both places where files can be kept.
const ROOMS: [&str; 2] = ["namespace", "folder"];
/// The longest that anything is waited for.
const LONG: Duration = Duration::from_secs(60);

/// What every input of a sandbox holds, and nothing else in the world: other tests run beside this one.
fn canary(sandbox: &Sandbox) -> String {
    let name = sandbox.path().file_name().unwrap().to_str().unwrap();
    format!("canary-{}-of-the-runs", name.chars().rev().collect::<String>())
}

/// A solo vault with a folder, a single file and a restricted version, whose sources are gone.
fn filled() -> Sandbox {
    let sandbox = Sandbox::solo();
    let canary = canary(&sandbox);
    sandbox.write("src/a/table.csv", format!("id,value\n1,{canary}\n"));
    sandbox.write("src/b.txt", &canary);
    sandbox.write("model.bin", &canary);
    for (source, artifact, class) in
        [("src", "lab/data", "internal"), ("model.bin", "lab/model", "internal"), ("src", "lab/secret", "restricted")]
    {
        sandbox.run(["put", source, artifact, "--class", class]).exits(0);
    }
    std::fs::remove_dir_all(sandbox.at("src")).unwrap();
    std::fs::remove_file(sandbox.at("model.bin")).unwrap();
    sandbox
}

/// `run` with these flags over this shell script.
fn run(sandbox: &Sandbox, flags: &[&str], script: &str) -> Ended {
    sandbox.run([&["run"], flags, &["--", "sh", "-c", script]].concat())
}

/// Files of the sandbox, and of file systems in memory, that hold its canary.
fn spills(sandbox: &Sandbox) -> Vec<PathBuf> {
    let canary = canary(sandbox);
    let mut found = Vec::new();
    let mut open = vec![sandbox.path().to_owned(), PathBuf::from("/dev/shm")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() => {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    let holds = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                    found.extend(holds.then_some(path));
                }
                _ => {}
            }
        }
    }
    found
}

/// Processes that carry a run's mark and work in the sandbox, whatever became of their parents.
fn processes(sandbox: &Sandbox) -> Vec<i32> {
    let home = format!("HOME={}", sandbox.at("home").display());
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = |number: &i32| {
        let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        let has = |wanted: &[u8]| environment.split(|b| *b == 0).any(|variable| variable.starts_with(wanted));
        has(b"STRONGROOM_RUN=") && has(home.as_bytes())
    };
    numbers.filter(ours).collect()
}

/// Mounts anywhere that cover something in the sandbox.
fn mounts(sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let place = sandbox.vault().display().to_string();
        found.extend(text.lines().filter(|line| line.contains(&place)).map(str::to_owned));
    }
    found
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::yield_now();
    }
}

/// Nothing of a run is left: no file, no mount, no process.
#[track_caller]
fn nothing_is_left(sandbox: &Sandbox) {
    until("its processes end", || processes(sandbox).is_empty());
    until("its mounts go", || mounts(sandbox).is_empty());
    until("its files go", || spills(sandbox).is_empty());
    let scratch = sandbox.vault().join("scratch");
    until("its folder goes", || std::fs::read_dir(&scratch).map_or(true, |mut listing| listing.next().is_none()));
}

/// A run that says `ready` and then reads its standard input, with that and itself.
struct Started {
    child: Child,
    stdin: ChildStdin,
}

impl Started {
    fn over(sandbox: &Sandbox, flags: &[&str], script: &str) -> Self {
        let script = format!("{script}\necho ready; read line");
        let words = ["run"].iter().chain(flags).copied().chain(["--", "sh", "-c", &script]);
        Self::of(sandbox.command(words))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap() == "ready");
        let stdin = child.stdin.take().unwrap();
        if !ready {
            let said = child.wait_with_output().unwrap();
            panic!("it did not start: {}", String::from_utf8_lossy(&said.stderr));
        }
        Self { child, stdin }
    }

    /// Lets the command end.
    fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    fn ends(self) -> Ended {
        let Self { child, stdin } = self;
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
        Ended { code, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

#[test]
fn inputs_are_files_in_memory_and_outputs_are_sealed_with_what_they_were_made_from() {
    let sandbox = filled();
    for (number, room) in ROOMS.into_iter().enumerate() {
        let script = r#"
set -e
grep -q canary "$STRONGROOM_INPUT_DATA/a/table.csv"
grep -q canary "$STRONGROOM_INPUT_ONE_FILE"
grep -q canary "$STRONGROOM_INPUT_PART/table.csv"
test "$(basename "$STRONGROOM_INPUT_ONE_FILE")" = model.bin
for folder in "$STRONGROOM_INPUT_DATA" "$STRONGROOM_OUTPUT_MODEL" "$TMPDIR" "$XDG_CACHE_HOME"; do
    test "$(stat -f -c %T "$folder")" = tmpfs
done
case "$HF_HOME$TORCH_HOME$HF_DATASETS_CACHE$MLFLOW_TRACKING_URI" in *"$HOME"*) exit 9;; esac
cat > "$STRONGROOM_OUTPUT_MODEL/from-stdin"
echo said
"#;
        let flags = ["run", "-i", "data=lab/data", "-i", "one-file=lab/model", "-i", "part=lab/data/a"];
        let more = ["-o", "model=lab/out", "--kind", "model", "--room", room, "--", "sh", "-c", script];
        let mut child = sandbox.command(flags.into_iter().chain(more));
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"typed").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), b"said\n".as_slice()), "{room}: {said}");
        let reference = format!("lab/out@v{}", number + 1);
        assert!(said.contains(&format!("sealed {reference}")), "{said}");
        assert_eq!(sandbox.run(["cat", &format!("{reference}/from-stdin")]).exits(0).stdout, b"typed");
        let shown = sandbox.run(["--format", "json", "show", &reference]).exits(0).json();
        assert_eq!(shown["type"], "model");
        let id = |artifact: &str| sandbox.run(["--format", "json", "show", artifact]).json()["id"].clone();
        assert_eq!(shown["from"], Value::from(vec![id("lab/data"), id("lab/model")]), "{shown}");
        let made = &shown["made"];
        assert!(made["command"].as_str().unwrap().starts_with("sh -c '\nset -e"), "{made}");
        assert!(made["parts"]["program"].as_str().unwrap().contains("blake3:"), "{made}");
        assert_eq!((made["environment"].as_str().unwrap().len(), made["run"].as_str().unwrap().len()), (64, 32));
        nothing_is_left(&sandbox);
    }
    sandbox.run(["verify", "--all", "--state"]).exits(0);
    sandbox.run(["audit", "verify", "--replay"]).exits(0);
}

#[test]
fn the_commit_of_the_code_is_recorded_and_whether_files_differ_from_it() {
    let sandbox = filled();
    let git = |words: &[&str]| {
        let known = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
        let done = sandbox
            .command(["x"])
            .get_envs()
            .fold(Command::new("git"), |mut git, (name, value)| {
                git.envs(value.map(|value| (name, value)));
                git
            })
            .args(known)
            .args(words)
            .current_dir(sandbox.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    sandbox.write("train.py", b"print(1)");
    git(&["init", "-q"]);
    git(&["add", "train.py"]);
    git(&["commit", "-q", "-m", "first"]);
    let head = git(&["rev-parse", "HEAD"]);
    let made = || {
        run(&sandbox, &["-o", "o=lab/out"], "echo x > $STRONGROOM_OUTPUT_O/x").exits(0);
        sandbox.run(["--format", "json", "show", "lab/out"]).json()["made"].clone()
    };
    assert_eq!(made()["code"], head.as_str());
    sandbox.write("train.py", b"print(2)");
    assert_eq!(made()["code"], format!("{head}+"));
}

#[test]
fn exit_codes_and_signals_are_the_commands_and_only_success_seals() {
    let sandbox = filled();
    for room in ROOMS {
        let flags = ["-i", "data=lab/data", "-o", "o=lab/out", "--room", room];
        run(&sandbox, &flags, "echo x > $STRONGROOM_OUTPUT_O/x; exit 42").exits(42);
        let mut killed =
            sandbox.command(["run", "-i", "data=lab/data", "--room", room, "--", "sh", "-c", "kill -USR2 $$"]);
        assert_eq!(killed.output().unwrap().status.signal(), Some(12), "{room}: it ends as the command did");
        // A signal goes to the command, which may do something about it.
        let trapping = "trap 'echo trapped > $STRONGROOM_OUTPUT_O/x; exit 0' TERM";
        let started = Started::over(&sandbox, &["-o", "o=lab/trapped", "--room", room], trapping);
        started.signal(Signal::TERM);
        started.ends().exits(0);
        assert_eq!(sandbox.run(["cat", "lab/trapped/x"]).exits(0).stdout, b"trapped\n");
        // One that it does nothing about ends both.
        let started = Started::over(&sandbox, &["-i", "data=lab/data", "--room", room], "");
        started.signal(Signal::HUP);
        started.ends().exits(128 + 1);
        nothing_is_left(&sandbox);
    }
    sandbox.run(["show", "lab/out"]).exits(3);
}

#[test]
fn what_cannot_be_run_is_told_before_anything_is_released() {
    let sandbox = filled();
    let releases = || {
        let found = sandbox.run(["--format", "json", "audit", "query", "--act", "release.read"]).exits(0).json();
        found["items"].as_array().unwrap().len()
    };
    let before = releases();
    let missing = sandbox.run(["run", "-i", "d=lab/data", "--", "no-such-program"]).exits(3);
    assert!(missing.stderr.contains("no-such-program") && missing.stderr.contains("try:"), "{}", missing.stderr);
    for flags in [
        &["-i", "a-b=lab/data", "-i", "a.b=lab/model"][..],
        &["-i", "a/b=lab/data"],
        &["-i", "lab/data"],
        &["-o", "a=lab/out@v1"],
        &["-o", "a=lab/out", "-o", "b=lab/out"],
        &["-i", "a=lab/data", "--unattended", "0s"],
        &["-i", "a=lab/data", "--memory", "0"],
        &[],
    ] {
        run(&sandbox, flags, "true").exits(2);
    }
    run(&sandbox, &["-i", "a=lab/none"], "true").exits(3);
    run(&sandbox, &["-i", "a=lab/data/none"], "true").exits(3);
    // The last one had its version's keys before its path was looked for.
    assert_eq!(releases(), before + 1);
    let empty = run(&sandbox, &["-i", "d=lab/data", "-o", "o=lab/out"], "true").exits(1);
    assert!(empty.stderr.contains("STRONGROOM_OUTPUT_O"), "{}", empty.stderr);
    nothing_is_left(&sandbox);
}

#[test]
fn restricted_data_is_used_without_an_export_and_raises_the_class_of_what_comes_out() {
    let sandbox = filled();
    let asked = run(&sandbox, &["-i", "s=lab/secret"], "true").exits(2);
    assert!(asked.stderr.contains("confirmation-needed"), "{}", asked.stderr);
    let why = ["--reason", "trial 7", "--confirm", "lab/secret"];
    let flags =
        [&["-i", "s=lab/secret", "-i", "d=lab/data", "-o", "o=lab/out", "--class", "internal"][..], &why].concat();
    run(&sandbox, &flags, "cp $STRONGROOM_INPUT_S/b.txt $STRONGROOM_OUTPUT_O").exits(0);
    let made = sandbox.run(["--format", "json", "show", "lab/out"]).exits(0).json();
    assert_eq!(made["class"], "restricted");
    // Nothing in the log is called an export, for nothing was one.
    let exports = sandbox.run(["--format", "json", "audit", "query", "--act", "release.export"]).exits(0).json();
    assert_eq!(exports["items"], Value::Array(Vec::new()));
    let flags = [&["-i", "s=lab/secret", "--unattended", "73h"][..], &why].concat();
    let long = run(&sandbox, &flags, "true").exits(2);
    assert!(long.stderr.contains("72 h"), "{}", long.stderr);
    let flags = [&["-i", "s=lab/secret", "--unattended", "72h"][..], &why].concat();
    run(&sandbox, &flags, "true").exits(0);
    nothing_is_left(&sandbox);
}

#[test]
fn nothing_is_left_of_a_run_that_is_killed() {
    let sandbox = filled();
    for room in ROOMS {
        let copies = "cp -r $STRONGROOM_INPUT_DATA $TMPDIR; grep -q canary $TMPDIR/data/b.txt";
        let mut started = Started::over(&sandbox, &["-i", "data=lab/data", "--room", room], copies);
        assert!(!processes(&sandbox).is_empty(), "{room}: they are found when they are there");
        started.child.kill().unwrap();
        assert_eq!(started.child.wait().unwrap().signal(), Some(9));
        until("its processes end", || processes(&sandbox).is_empty());
        until("its mounts go", || mounts(&sandbox).is_empty());
        until("its files go", || spills(&sandbox).is_empty());
        run(&sandbox, &["-i", "d=lab/data", "--room", room], "true").exits(0);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn what_is_left_when_every_process_of_a_run_is_killed_is_wiped_at_the_next_start() {
    let sandbox = filled();
    // A place of this test's own: every run wipes what others of this user left.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let in_folder = |script: &str| {
        let mut command = sandbox.command(["run", "-i", "data=lab/data", "--room", "folder", "--", "sh", "-c", script]);
        command.env("XDG_RUNTIME_DIR", memory.path());
        command
    };
    let script = "cp -r $STRONGROOM_INPUT_DATA $TMPDIR; (setsid sleep 1000 > /dev/null 2>&1 &)";
    let mut started = Started::of(in_folder(&format!("{script}\necho ready; read line")));
    let sleeping =
        |number: &i32| std::fs::read_to_string(format!("/proc/{number}/comm")).is_ok_and(|name| name.trim() == "sleep");
    until("what forks away is there", || processes(&sandbox).iter().any(sleeping));
    // The process between them first, so that nobody is left who could clean up; `sleep` lives on.
    let others: Vec<i32> = processes(&sandbox).into_iter().filter(|number| !sleeping(number)).collect();
    started.signal(Signal::STOP);
    for number in others {
        let _ = kill_process(Pid::from_raw(number).unwrap(), Signal::KILL);
    }
    started.child.kill().unwrap();
    started.child.wait().unwrap();
    assert!(!spills(&sandbox).is_empty(), "this is what is left");
    assert!(processes(&sandbox).iter().any(sleeping), "and this");
    end(in_folder("true")).exits(0);
    nothing_is_left(&sandbox);
}

#[test]
fn what_forks_away_ends_with_the_command() {
    let sandbox = filled();
    for room in ROOMS {
        let script = "(setsid sh -c 'exec sleep 1000' < /dev/null > /dev/null 2>&1 &)
            nohup sleep 1000 > /dev/null 2>&1 &
            true";
        let began = Instant::now();
        run(&sandbox, &["-i", "data=lab/data", "--room", room], script).exits(0);
        assert!(began.elapsed() < LONG, "{room}: nobody waited for it");
        assert_eq!(processes(&sandbox), Vec::<i32>::new(), "{room}");
        nothing_is_left(&sandbox);
    }
}

#[test]
fn a_command_that_fills_its_memory_fails_and_leaves_nothing() {
    let sandbox = filled();
    let script = "cat $STRONGROOM_INPUT_DATA/b.txt > $TMPDIR/copy
        head -c 8M /dev/zero > $TMPDIR/large || exit 28";
    run(&sandbox, &["-i", "data=lab/data", "--room", "namespace", "--memory", "1MiB"], script).exits(28);
    nothing_is_left(&sandbox);
    // Killed for memory, as the kernel would: no core is dumped with what it read.
    let script = "ulimit -c; kill -SEGV $$";
    let mut command = sandbox.command(["run", "-i", "d=lab/data", "--", "sh", "-c", script]);
    let output = command.output().unwrap();
    assert_eq!((output.status.signal(), output.status.core_dumped(), &*output.stdout), (Some(11), false, &b"0\n"[..]));
    nothing_is_left(&sandbox);
    let large = run(&sandbox, &["-i", "data=lab/data", "--room", "namespace", "--memory", "4KiB"], "true");
    assert!([1, 9].contains(&large.code), "{}", large.stderr);
    nothing_is_left(&sandbox);
}

#[test]
fn access_that_goes_stops_the_command_with_the_reason() {
    let sandbox = Sandbox::rehearsal();
    sandbox.write("f", canary(&sandbox));
    sandbox.run(["principal", "add", "wanda", "--clearance", "confidential", "--grant", "lab=writer"]).exits(0);
    sandbox.run(["--as", "wanda", "put", "f", "lab/data", "--class", "internal"]).exits(0);
    std::fs::remove_file(sandbox.at("f")).unwrap();
    for room in ROOMS {
        let script = "echo x > $STRONGROOM_OUTPUT_O/x; trap 'exit 0' TERM";
        let flags = ["--as", "wanda", "-i", "d=lab/data", "-o", "o=lab/out", "--room", room];
        let started = Started::over(&sandbox, &flags, script);
        sandbox.run(["principal", "add", "wanda", "--change", "--suspended"]).exits(0);
        let ended = started.ends().exits(10);
        assert!(
            ended.stderr.contains("stopping the command") && ended.stderr.contains("suspended"),
            "{}",
            ended.stderr
        );
        sandbox.run(["principal", "add", "wanda", "--change", "--active"]).exits(0);
        sandbox.run(["--as", "wanda", "show", "lab/out"]).exits(3);
        nothing_is_left(&sandbox);
    }
    sandbox.run(["principal", "add", "aud", "--grant", "vault=auditor"]).exits(0);
    let log = sandbox.run(["--as", "aud", "--format", "json", "audit", "query", "--act", "run.renew"]).exits(0).json();
    let kinds: Vec<&str> =
        log["items"].as_array().unwrap().iter().filter_map(|item| item["entry"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["denial", "denial"], "{log}");
    sandbox.run(["--as", "aud", "verify", "--state"]).exits(0);
}

#[test]
fn a_run_opens_and_seals_under_either_suite() {
    suites::each(|| {
        let sandbox = filled();
        let script = "cp \"$STRONGROOM_INPUT_DATA/b.txt\" \"$STRONGROOM_OUTPUT_O/\"";
        for room in ROOMS {
            run(&sandbox, &["-i", "data=lab/data", "-o", "o=lab/out", "--room", room], script).exits(0);
            nothing_is_left(&sandbox);
        }
        assert_eq!(sandbox.run(["cat", "lab/out@v2/b.txt"]).exits(0).stdout, canary(&sandbox).as_bytes());
        let shown = sandbox.run(["--format", "json", "show", "lab/out"]).exits(0).json();
        assert_eq!(shown["suite"], suites::current());
        sandbox.run(["verify", "--all", "--state"]).exits(0);
    });
}

#[test]
fn a_locked_vault_stops_what_runs_in_it_but_not_what_was_to_go_on_alone() {
    let sandbox = super::agent::with_runtime(filled());
    let (flags, script) =
        (["-i", "d=lab/data", "-o", "o=lab/out"], "echo x > $STRONGROOM_OUTPUT_O/x; trap 'exit 0' TERM");
    sandbox.run(["unlock", "--for", "1h"]).exits(0);
    let started = Started::over(&sandbox, &flags, script);
    sandbox.run(["lock"]).exits(0);
    let ended = started.ends().exits(4);
    assert!(ended.stderr.contains("stopping the command: the vault is locked"), "{}", ended.stderr);
    sandbox.run(["show", "lab/out"]).exits(3);
    nothing_is_left(&sandbox);
    // Longer than the vault stays unlocked: it opens the vault itself. So long as that, it is the agent's.
    sandbox.run(["unlock", "--for", "1h"]).exits(0);
    let mut alone =
        Started::over(&sandbox, &[&flags[..], &["--unattended", "2h"]].concat(), "echo x > $STRONGROOM_OUTPUT_O/x");
    sandbox.run(["lock"]).exits(0);
    alone.go();
    alone.ends().exits(0);
    sandbox.run(["show", "lab/out"]).exits(0);
    nothing_is_left(&sandbox);
}

#[test]
fn where_nothing_can_be_kept_in_memory_nothing_is_run_and_no_disk_is_used() {
    let sandbox = filled();
    std::fs::create_dir(sandbox.at("disk")).unwrap();
    let place = |folder: &str| {
        // A disk where the file system in memory would be.
        let script = format!("mount --bind {} /dev/shm && exec \"$@\"", sandbox.at("disk").display());
        let run = sandbox.command(["run", "-i", "d=lab/data", "--room", folder, "--", "touch", "ran"]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(run.get_program()).args(run.get_args());
        command.current_dir(sandbox.path()).env_clear();
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        end(command)
    };
    let refused = place("folder").exits(1);
    assert!(refused.stderr.contains("cannot keep the inputs in memory"), "{}", refused.stderr);
    assert!(!sandbox.at("ran").exists() && std::fs::read_dir(sandbox.at("disk")).unwrap().next().is_none());
    place("namespace").exits(0);
    nothing_is_left(&sandbox);
}

#[test]
fn outputs_wait_in_memory_while_the_disk_is_full() {
    let sandbox = Sandbox::new();
    // The vault lies on a small disk, which a filler takes up until the first try has failed.
    let script = r#"
$SR init --no-recovery > /dev/null
code=0
$SR run -o o=lab/out --patience 0s -- sh -c 'head -c 64M /dev/urandom > $STRONGROOM_OUTPUT_O/x' 2> ../lost.txt || code=$?
echo lost=$code
$SR verify --all --state > /dev/null 2>&1 && echo verified
code=0; $SR show lab/out > /dev/null 2>&1 || code=$?
echo shown=$code
$SR gc --yes --grace 0s > /dev/null
head -c 30M /dev/urandom > filler
mkfifo ../said
$SR run -o o=lab/out --patience 1m -- sh -c 'head -c 24M /dev/urandom > $STRONGROOM_OUTPUT_O/x' 2> ../said &
while read -r line; do
    case "$line" in *"tried again"*) rm -f filler; echo waited;; esac
done < ../said
wait $!
echo bytes=$($SR cat lab/out/x | wc -c)
$SR verify --all --state > /dev/null && echo whole
"#;
    let done = on_small_disk(&sandbox, 48, script).exits(0);
    let lost = std::fs::read_to_string(sandbox.at("lost.txt")).unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    for line in ["lost=9", "verified", "shown=3", "waited", "bytes=25165824", "whole"] {
        assert!(said.lines().any(|told| told == line), "no `{line}` in: {said}{lost}{}", done.stderr);
    }
    assert!(lost.contains("the output `o` is lost"), "{lost}");
}

#[test]
fn a_dry_run_says_what_would_be_refused_and_runs_nothing() {
    let sandbox = filled();
    let words = ["run", "-n", "-i", "s=lab/secret", "--", "touch", "ran"];
    let told = sandbox.run(words).exits(0);
    assert!(told.text().contains("no"), "{}", told.text());
    assert!(!sandbox.at("ran").exists());
}

#[test]
fn a_plain_user_runs_as_well() {
    let sandbox = Sandbox::new();
    let script = format!(
        "umask 077; {sr} init --no-recovery > /dev/null && echo {canary} > f && {sr} put f lab/data -q --class internal && rm f && \
         for room in namespace folder; do {sr} run -i d=lab/data -o o=lab/out --room $room -- \
         sh -c 'id -u; cp $STRONGROOM_INPUT_D $STRONGROOM_OUTPUT_O/x; (setsid sleep 1000 > /dev/null 2>&1 &)' || exit; done",
        sr = "\"$SR\"",
        canary = canary(&sandbox),
    );
    let plain = sandbox.command(["x"]);
    let copy = sandbox.at("strongroom");
    std::fs::copy(plain.get_program(), &copy).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let handed = Command::new("chown").args(["-R", "65534:65534"]).arg(sandbox.path()).status().unwrap();
        assert!(handed.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", &script]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    command.current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("SR", &copy);
    let done = end(command).exits(0);
    let user = if rustix::process::geteuid().is_root() { "65534" } else { "" };
    assert_eq!(String::from_utf8_lossy(&done.stdout).matches(user).count().min(2), 2, "{}", done.text());
    nothing_is_left(&sandbox);
}

#[test]
fn a_cat_into_a_file_on_a_disk_is_an_export_and_into_anything_else_is_not() {
    let sandbox = filled();
    let acts = || {
        let found = sandbox.run(["--format", "json", "audit", "tail", "--limit", "1"]).exits(0).json();
        found["items"][0]["entry"]["act"].clone()
    };
    let into = |path: &std::path::Path| {
        let mut cat = sandbox.command(["cat", "lab/model"]);
        assert!(cat.stdout(std::fs::File::create(path).unwrap()).status().unwrap().success());
    };
    sandbox.run(["cat", "lab/model"]).exits(0);
    assert_eq!(acts(), "release.read");
    into(&sandbox.at("copy"));
    assert_eq!(
        (acts(), std::fs::read_to_string(sandbox.at("copy")).unwrap()),
        ("release.export".into(), canary(&sandbox))
    );
    into(std::path::Path::new("/dev/null"));
    assert_eq!(acts(), "release.read");
    let memory = tempfile::Builder::new().tempfile_in("/dev/shm").unwrap();
    into(memory.path());
    assert_eq!(acts(), "release.read", "memory is no disk");
    // Inside a run nothing is a disk but what the command makes one.
    let flags = ["-i", "d=lab/data"];
    let script = "$SR cat lab/model > $TMPDIR/copy && $SR cat lab/model > elsewhere";
    let mut command = sandbox.command([&["run"], &flags[..], &["--", "sh", "-c", script]].concat());
    let program = command.get_program().to_owned();
    end({
        command.env("SR", program);
        command
    })
    .exits(0);
    let found = sandbox.run(["--format", "json", "audit", "tail", "--limit", "5"]).exits(0).json();
    let found = found["items"].as_array().unwrap().iter().filter_map(|item| item["entry"]["act"].as_str());
    let mut found: Vec<&str> = found.collect();
    found.sort_unstable();
    assert_eq!(found, ["release.export", "release.read", "release.read", "run.end", "run.start"]);
}
