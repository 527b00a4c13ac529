//! A hundred thousand files, and a file that is larger than the memory there is: the bound on memory is asserted.

use super::sandbox::{Dice, Ended, Sandbox, end};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

const FILES: u64 = 100_000;
/// The most that a command may hold at once, whatever the number of files.
const PEAK_LIMIT_KIB: u64 = 64 << 10;
/// All the address space a command gets for a file more than ten times as large.
const ADDRESS_SPACE_KIB: u64 = 96 << 10;

/// Runs the binary to its end within [`PEAK_LIMIT_KIB`].
#[track_caller]
fn bounded<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peak_memory.py");
    let ended = end(wrapped(sandbox, "python3", &[script.display().to_string()], &args)).exits(0);
    let peak = ended.stderr.lines().last().and_then(|line| line.parse::<u64>().ok());
    let peak = peak.unwrap_or_else(|| panic!("no measurement: {}", ended.stderr));
    assert!(peak > 1 << 10, "{args:?}: {peak} KiB is no measurement");
    assert!(peak <= PEAK_LIMIT_KIB, "{args:?} held {peak} KiB at once");
    ended
}

/// Runs the binary to its end with this much address space. One arena: the C library sets 64 MiB of it aside for each thread that it
/// can, unused, and what is left then depends on how the threads run.
fn confined(sandbox: &Sandbox, kib: u64, args: &[&str]) -> Ended {
    let limit = format!("ulimit -v {kib}; export MALLOC_ARENA_MAX=1; exec \"$0\" \"$@\"");
    end(wrapped(sandbox, "sh", &["-c".to_owned(), limit], args))
}

/// The sandbox's command, run by another program.
fn wrapped(sandbox: &Sandbox, program: &str, before: &[String], args: &[&str]) -> Command {
    let inner = sandbox.command(args);
    let mut command = Command::new(program);
    command.args(before).arg(inner.get_program()).args(inner.get_args()).current_dir(sandbox.path()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn a_hundred_thousand_files_come_back_in_little_memory_and_are_not_sent_twice() {
    let sandbox = Sandbox::solo();
    for folder in 0..1_000 {
        std::fs::create_dir_all(sandbox.at(format!("in/{}/{}", folder / 10, folder % 10))).unwrap();
    }
    for n in 0..FILES {
        let path = sandbox.at(format!("in/{}/{}/file-{n:06}", n % 100, n / 100 % 10));
        std::fs::write(path, format!("{n:08} ").repeat(1 + (n % 37) as usize)).unwrap();
    }
    let put = ["--format", "json", "put", "in", "lab/many", "--class", "internal"];
    let first = bounded(&sandbox, put).json();
    assert_eq!(first["files"], FILES);
    assert!(first["uploaded_bytes"].as_u64().unwrap() > 16_000_000, "{first}");

    let page = bounded(&sandbox, ["--format", "json", "ls", "lab/many/"]).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1_000);
    let near_the_end = ["--format", "json", "ls", "lab/many/", "--after", "99/9/file-098999"];
    let last = bounded(&sandbox, near_the_end).json();
    assert_eq!((last["items"][0]["path"].as_str(), last["next"].as_str()), (Some("99/9/file-099999"), None), "{last}");

    assert_eq!(bounded(&sandbox, ["--format", "json", "get", "lab/many", "back"]).json()["files"], FILES);
    let same = Command::new("diff").args(["-r", "in", "back"]).current_dir(sandbox.path()).status().unwrap();
    assert!(same.success(), "the folders differ");

    let second = bounded(&sandbox, put).json();
    assert_eq!((&second["files"], &second["uploaded_bytes"]), (&FILES.into(), &0.into()), "{second}");
    // The copy has other identities and the same bytes: it is read, and still not sent.
    let copy = bounded(&sandbox, ["--format", "json", "put", "back", "lab/many", "--class", "internal"]).json();
    assert_eq!((&copy["files"], &copy["uploaded_bytes"]), (&FILES.into(), &0.into()), "{copy}");
    bounded(&sandbox, ["verify", "--all", "--state"]);
}

#[test]
fn a_file_larger_than_memory_goes_in_and_comes_back() {
    let sandbox = Sandbox::solo();
    let size = (1u64 << 30) + (5 << 20) + 77;
    let file = std::fs::File::create(sandbox.at("large")).unwrap();
    file.set_len(size).unwrap();
    let mut dice = Dice(31);
    for at in (0..size).step_by(50 << 20) {
        file.write_all_at(&dice.bytes(70_000), at).unwrap();
    }
    file.set_len(size).unwrap();
    let put = ["--format", "json", "put", "large", "lab/large", "--class", "internal"];
    // The limit is one: with a quarter of it the same command cannot even begin.
    assert_ne!(confined(&sandbox, ADDRESS_SPACE_KIB / 4, &put).code, 0);
    assert_eq!(confined(&sandbox, ADDRESS_SPACE_KIB, &put).exits(0).json()["bytes"], size);
    let got = confined(&sandbox, ADDRESS_SPACE_KIB, &["--format", "json", "get", "lab/large", "back"]).exits(0).json();
    assert_eq!(got["bytes"], size);
    let same = Command::new("cmp").args(["large", "back"]).current_dir(sandbox.path()).status().unwrap();
    assert!(same.success(), "the files differ");
    let (at, mut expected) = (1000 << 20, vec![0; 80_000]);
    std::fs::File::open(sandbox.at("large")).unwrap().read_exact_at(&mut expected, at).unwrap();
    let range = format!("{at}-{}", at + 79_999);
    assert!(sandbox.run(["cat", "lab/large", "--bytes", &range]).exits(0).stdout == expected, "{range}");
    confined(&sandbox, ADDRESS_SPACE_KIB, &["verify", "--all"]).exits(0);
}
