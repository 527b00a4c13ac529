//! Where a recovery code goes: onto the terminal, once, or into a new file outside of the vault.

use crate::args::RecoveryArgs;
use crate::output::{Failure, on_terminal};
use api::terms::Code;
use api::wire::Problem;
use client::vault::{Kept, RecoveryCode};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A code that was drawn, and how it is handed out.
pub struct Prepared {
    /// For the vault.
    pub code: Option<RecoveryCode>,
    /// For the person.
    pub shown: Shown,
    /// `terminal`, `file`, or nothing.
    pub word: Option<&'static str>,
}

/// A code on its way to a person.
pub enum Shown {
    /// There is none.
    Nothing,
    /// It is written already, and taken away again if nothing comes of it.
    File(PathBuf),
    /// It goes to the terminal once it opens something.
    Terminal(Zeroizing<String>),
}

/// Draws a code unless none is wanted, and writes it if it goes to a file.
pub fn prepared(args: &RecoveryArgs, vault: &Path) -> Result<Prepared, Failure> {
    if args.no_recovery {
        return Ok(Prepared { code: None, shown: Shown::Nothing, word: None });
    }
    if let Some(path) = &args.recovery_file {
        refuse_inside(path, vault)?;
        let code = RecoveryCode::draw(Kept::File)?;
        write(path, &code.expose_text())?;
        return Ok(Prepared { code: Some(code), shown: Shown::File(path.clone()), word: Some("file") });
    }
    if !on_terminal() {
        refuse_nowhere()?;
    }
    let code = RecoveryCode::draw(Kept::Paper)?;
    let text = code.expose_text();
    Ok(Prepared { code: Some(code), shown: Shown::Terminal(text), word: Some("terminal") })
}

/// Says that a code would be shown to nobody.
pub fn refuse_nowhere() -> Result<(), Failure> {
    let why = "there is no terminal to show the recovery code on; give --recovery-file FILE or --no-recovery";
    Err(Failure::usage("no place for the recovery code", why))
}

impl Shown {
    /// Hands the code out if what it is for was made; else nobody needs it.
    pub fn finish<T>(&self, made: Result<T, Problem>) -> Result<T, Failure> {
        let made = made.inspect_err(|_| {
            if let Self::File(path) = self {
                let _ = std::fs::remove_file(path);
            }
        })?;
        match self {
            Self::Nothing => {}
            Self::File(path) => crate::output::stderr(&format!(
                "recovery  {}  (whoever has it opens the vault: take it off this machine)",
                path.display()
            )),
            Self::Terminal(text) => {
                let lines = in_lines(text);
                crate::output::stderr(&format!(
                    "recovery code, shown this once (write it down, away from this machine; `strongroom recover` takes it):\n\n{}",
                    lines.as_str()
                ));
            }
        }
        Ok(made)
    }
}

/// Groups in lines of five, for paper.
fn in_lines(text: &str) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + 32));
    for (n, group) in text.split('-').enumerate() {
        lines.push_str(if n % 5 == 0 { if n > 0 { "\n    " } else { "    " } } else { "-" });
        lines.push_str(group);
    }
    lines.push('\n');
    lines
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Problem::new(Code::Conflict, "a file is in the way", format!("`{}` exists already", path.display()))
                .with_try("choose another path; nothing is overwritten")
                .into()
        }
        _ => Failure::from_io(&format!("cannot write `{}`", path.display()), e),
    };
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| failed(&e))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.map_err(|e| failed(&e))
}

/// A code, a share, a key file beside what it opens protects from nothing.
pub fn refuse_inside(path: &Path, vault: &Path) -> Result<(), Failure> {
    let real = |path: &Path| {
        let whole = std::path::absolute(path)?;
        // As far as it exists, without links.
        let there = whole.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
        Ok(match there {
            Some((above, real)) => real.join(whole.strip_prefix(above).unwrap_or(Path::new(""))),
            None => whole,
        })
    };
    let failed = |e: std::io::Error| Failure::from_io("cannot tell where it goes", &e);
    if real(path).map_err(failed)?.starts_with(real(vault).map_err(failed)?) {
        let why = format!("`{}` is inside of the vault that it opens", path.display());
        return Err(Failure::usage("bad place for what opens a vault", why));
    }
    Ok(())
}
