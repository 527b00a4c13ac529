//! The Python that `scripts/test-deps.sh` makes for the independent decryptor.

#![expect(clippy::panic, reason = "for tests: it fails, it does not skip")]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Output};

/// Which it is.
#[must_use]
pub fn program() -> OsString {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python").into_os_string();
    std::env::var_os("STRONGROOM_PYTHON").unwrap_or_else(default)
}

/// Runs it to its end.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn python<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let mut command = command();
    let run = command.args(args).output();
    run.unwrap_or_else(|error| panic!("{}: {error}: run scripts/test-deps.sh", command.get_program().display()))
}

/// It, not started yet.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(program());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
