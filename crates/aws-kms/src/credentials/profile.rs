//! A profile of the shared credentials file.
//!
//! Lines `name = value` under `[profile]`; `#` and `;` begin a comment line, an indented line belongs to the one above and is
//! passed over.

use super::super::{Error, Result};
use super::{Credentials, NOWHERE};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads one profile of a file that others cannot read.
pub(super) fn read(path: &Path, profile: &str) -> Result<Credentials> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Error::NoCredentials(NOWHERE),
        _ => Error::Credentials("the credentials file cannot be read"),
    };
    // A pipe would be waited for.
    let before = std::fs::metadata(path).map_err(failed)?;
    if !before.is_file() {
        return Err(Error::Credentials("the credentials file is not a file"));
    }
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(Error::Credentials("the credentials file can be read by others: chmod 600"));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN + 1));
    file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    parse(&text, profile)
}

/// Reads one profile of a text.
pub(in super::super) fn parse(text: &[u8], profile: &str) -> Result<Credentials> {
    if text.len() > MAX_FILE_LEN {
        return Err(Error::Credentials("the credentials file is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(text).map_err(|_| Error::Credentials("the credentials file is not text"))?;
    let mut found = Found::default();
    let mut inside = false;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or(Error::Credentials(NOT_ONE))?.trim();
            inside = name == profile;
            if inside && std::mem::replace(&mut found.seen, true) {
                return Err(Error::Credentials("the profile stands twice in the credentials file"));
            }
        } else {
            let (name, value) = line.split_once('=').ok_or(Error::Credentials(NOT_ONE))?;
            if inside {
                found.take(name.trim(), value.trim())?;
            }
        }
    }
    found.finish()
}

/// What was found of the profile.
#[derive(Default)]
struct Found {
    seen: bool,
    elsewhere: bool,
    access_key: Option<String>,
    secret: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
}

impl Found {
    fn take(&mut self, name: &str, value: &str) -> Result<()> {
        let twice = match name.to_ascii_lowercase().as_str() {
            "aws_access_key_id" => self.access_key.replace(value.to_owned()).is_some(),
            "aws_secret_access_key" => self.secret.replace(Zeroizing::new(value.to_owned())).is_some(),
            "aws_session_token" => self.token.replace(Zeroizing::new(value.to_owned())).is_some(),
            "role_arn"
            | "source_profile"
            | "credential_source"
            | "credential_process"
            | "web_identity_token_file"
            | "sso_session"
            | "sso_start_url"
            | "login_session" => {
                self.elsewhere = true;
                false
            }
            _ => false,
        };
        if twice { Err(Error::Credentials("a name stands twice in the profile")) } else { Ok(()) }
    }

    fn finish(self) -> Result<Credentials> {
        if !self.seen {
            return Err(Error::NoCredentials("the credentials file has no such profile"));
        }
        if self.elsewhere {
            return Err(Error::Credentials("the profile names a role, a program or a sign-on, which is not supported"));
        }
        match (self.access_key, self.secret) {
            (Some(access_key), Some(secret)) => Credentials::new(access_key, secret, self.token),
            _ => Err(Error::Credentials("the profile has no aws_access_key_id or no aws_secret_access_key")),
        }
    }
}

/// The longest file.
const MAX_FILE_LEN: usize = 64 * 1024;
const NOT_ONE: &str = "the credentials file is not one";
