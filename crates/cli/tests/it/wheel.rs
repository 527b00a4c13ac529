//! The wheel: what `pip install` puts there is the binary, and it works.

use super::sandbox::{Sandbox, end};
use std::path::Path;
use std::process::Command;

fn wheel(sandbox: &Sandbox, folder: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/wheel.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(env!("CARGO_BIN_EXE_strongroom")).arg(sandbox.at(folder));
    String::from_utf8(end(command).exits(0).stdout).unwrap().trim().to_owned()
}

/// Every file of the archive against RECORD, and the words that installers read.
const CHECKED: &str = r#"
import base64, hashlib, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
names = archive.namelist()
record = next(name for name in names if name.endswith(".dist-info/RECORD"))
rows = [line.split(",") for line in archive.read(record).decode().splitlines()]
assert sorted(row[0] for row in rows) == sorted(names), names
for path, digest, size in rows:
    if path != record:
        data = archive.read(path)
        found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert digest == "sha256=" + found and int(size) == len(data), path
programs = [name for name in names if ".dist-info/" not in name]
assert len(programs) == 1 and programs[0].endswith(".data/scripts/strongroom"), programs
assert archive.getinfo(programs[0]).external_attr >> 16 & 0o777 == 0o755
assert any(name.endswith("/licenses/LICENSE") for name in names)
assert b"Tag: py3-none-linux_" in archive.read(record.replace("RECORD", "WHEEL"))
"#;

#[test]
fn pip_installs_the_binary_and_nothing_else_and_it_works() {
    let sandbox = Sandbox::new();
    let path = wheel(&sandbox, "one");
    let again = wheel(&sandbox, "two");
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(again).unwrap(), "the same binary gives the same bytes");
    let python = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(sandbox.path());
        end(command).exits(0)
    };
    python("python3", &["-c", CHECKED, &path]);
    python("python3", &["-m", "venv", "env"]);
    let pip = sandbox.at("env/bin/pip");
    let options = ["install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check", &path];
    python(pip.to_str().unwrap(), &options);
    let installed = sandbox.at("env/bin/strongroom");
    let run = |args: &[&str]| {
        let plain = sandbox.command(args);
        let mut command = Command::new(&installed);
        command.args(args).current_dir(sandbox.path()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        end(command).exits(0)
    };
    let version = concat!("strongroom ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(&["--version"]).stdout, version.as_bytes());
    run(&["init", "--no-recovery"]);
    sandbox.write("f", b"data");
    run(&["put", "f", "lab/a"]);
    assert_eq!(run(&["cat", "lab/a"]).stdout, b"data");
}
