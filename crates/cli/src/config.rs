//! Settings: flag, then environment, then `strongroom.toml`, then the user's configuration.
//!
//! `strongroom.toml` is found upwards from the working folder, so it may come from somebody else's repository. What could make this
//! program trust or act as somebody (key file, anchor, passphrase file, principal) is read from the user's own file only.

mod file;

pub use file::{Project, User};

use crate::args::{Format, Global, When};
use crate::output::Failure;
use api::terms::{Class, Environment};
use clap::ValueEnum as _;
use std::path::{Path, PathBuf};

/// Everything that is not on the command line.
#[derive(Debug, Default)]
pub struct Config {
    /// From `strongroom.toml`.
    pub project: Project,
    /// From `$XDG_CONFIG_HOME/strongroom/config.toml`.
    pub user: User,
}

/// The longest configuration file.
const MAX_LEN_BYTES: u64 = 1 << 20;

impl Project {
    /// What a new version is not to be below, for whoever asked for this class. A project's file may come from somebody else: it can
    /// ask for more protection, never for less.
    pub fn at_least(&self, asked: Option<Class>) -> Option<Class> {
        if asked.is_none() { self.class } else { None }
    }

    /// Where a new version goes, for whoever asked for this environment.
    pub fn environment(&self, asked: Option<Environment>) -> Environment {
        asked.or(self.env).unwrap_or(Environment::Dev)
    }
}

impl Config {
    /// Reads both files; absent ones are empty.
    pub fn load(from: &Path) -> Result<Self, Failure> {
        let mut project = Project::default();
        if let Some(path) = from.ancestors().map(|dir| dir.join("strongroom.toml")).find(|path| path.is_file()) {
            project = read(&path)?;
            if let (Some(vault), Some(dir)) = (&project.vault, path.parent()) {
                project.vault = Some(dir.join(vault));
            }
        }
        let user = match config_home().map(|home| home.join("strongroom/config.toml")).filter(|path| path.is_file()) {
            Some(path) => read(&path)?,
            None => User::default(),
        };
        Ok(Self { project, user })
    }

    /// Fills in what neither flag nor environment gave.
    pub fn fill(&self, global: &mut Global) -> Result<(), Failure> {
        let word = |text: &Option<String>, other: &Option<String>| text.clone().or_else(|| other.clone());
        if let (None, Some(text)) = (global.format, word(&self.project.format, &self.user.format)) {
            global.format = Some(
                Format::from_str(&text, false)
                    .map_err(|e| Failure::usage("bad `format` in a configuration file", e))?,
            );
        }
        if let (None, Some(text)) = (global.progress, word(&self.project.progress, &self.user.progress)) {
            global.progress = Some(
                When::from_str(&text, false)
                    .map_err(|e| Failure::usage("bad `progress` in a configuration file", e))?,
            );
        }
        let or = |value: &mut Option<PathBuf>, other: &Option<PathBuf>| {
            if value.is_none() {
                value.clone_from(other);
            }
        };
        or(&mut global.vault, &self.project.vault);
        or(&mut global.vault, &self.user.vault);
        or(&mut global.keyfile, &self.user.keyfile);
        or(&mut global.anchor, &self.user.anchor);
        or(&mut global.passphrase_file, &self.user.passphrase_file);
        if global.principal.is_none() {
            global.principal.clone_from(&self.user.principal);
        }
        Ok(())
    }
}

/// `$XDG_CONFIG_HOME`, else `~/.config`.
pub fn config_home() -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME`, else `~/.local/state`.
pub fn state_home() -> Option<PathBuf> {
    home("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_RUNTIME_DIR`, for what lives no longer than a login.
pub fn runtime_dir() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute())
}

fn home(variable: &str, below: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(below)).filter(|path| path.is_absolute()))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let what = format!("cannot read `{}`", path.display());
    let len = std::fs::metadata(path).map_err(|e| Failure::from_io(&what, &e))?.len();
    if len > MAX_LEN_BYTES {
        return Err(Failure::usage(&what, "it is longer than 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failure::from_io(&what, &e))?;
    file::parse(&text).map_err(|e| Failure::usage(&what, e.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_cannot_say_whom_to_trust() {
        for line in ["keyfile = 'x'", "as = 'bob'", "anchor = 'x'", "passphrase-file = 'x'"] {
            assert!(file::parse::<Project>(line).is_err(), "{line}");
            assert!(file::parse::<User>(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_project_comes_before_the_user() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("strongroom.toml"), "vault = 'v'\nclass = 'internal'").unwrap();
        let sub = dir.path().join("a/b");
        std::fs::create_dir_all(&sub).unwrap();
        let config = Config::load(&sub).unwrap();
        assert_eq!(config.project.vault, Some(dir.path().join("v")));
        assert_eq!(config.project.class, Some(Class::Internal));
    }
}
