//! Who signs: an access key, its secret, and a session token for temporary ones.
//!
//! From the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), else from the shared credentials
//! file (`AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`), profile `AWS_PROFILE` or `default`. They are read once: who
//! renews them makes a new client.
//!
//! # Not here
//! Instance and container metadata, single sign-on, web identity, assumed roles, `credential_process`, and `~/.aws/config`. A
//! tool that speaks these can put what it gets into the environment or the file. A process cannot wipe its own environment:
//! secrets that come from there stay in it.

mod profile;

#[cfg(test)]
pub(super) use profile::parse as parse_profile;

#[cfg(test)]
mod tests;

use super::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Credentials. Wiped when dropped.
pub struct Credentials {
    access_key: String,
    secret: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.access_key)
    }
}

impl Credentials {
    /// The longest access key.
    pub const MAX_ACCESS_KEY_LEN: usize = 128;
    /// The longest secret.
    pub const MAX_SECRET_LEN: usize = 128;
    /// The longest session token.
    pub const MAX_TOKEN_LEN: usize = 8192;

    /// Checks and takes them.
    ///
    /// # Errors
    /// [`Error::Credentials`] for characters or lengths that AWS does not give out.
    pub fn new(access_key: String, secret: Zeroizing<String>, token: Option<Zeroizing<String>>) -> Result<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !(1..=Self::MAX_ACCESS_KEY_LEN).contains(&access_key.len()) || !access_key.bytes().all(word) {
            return Err(Error::Credentials("the access key is not one"));
        }
        if !is_printable(&secret, Self::MAX_SECRET_LEN) {
            return Err(Error::Credentials("the secret access key is not one"));
        }
        if token.as_ref().is_some_and(|token| !is_printable(token, Self::MAX_TOKEN_LEN)) {
            return Err(Error::Credentials("the session token is not one"));
        }
        Ok(Self { access_key, secret, token })
    }

    /// Finds them where this process was told.
    ///
    /// # Errors
    /// [`Error::NoCredentials`] if there are none, [`Error::Credentials`] if what there is cannot be used.
    pub fn find() -> Result<Self> {
        Self::find_in(|name| std::env::var_os(name))
    }

    /// The same with an environment of the caller. Half a pair in it is an error, not a reason to look on.
    pub(super) fn find_in(environment: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let text = |name: &str| match variable(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(Zeroizing::new(text))),
            Some(Err(_)) => Err(Error::Credentials("a variable of the environment is not text")),
        };
        match (text("AWS_ACCESS_KEY_ID")?, text("AWS_SECRET_ACCESS_KEY")?) {
            (Some(access_key), Some(secret)) => {
                Self::new(access_key.as_str().to_owned(), secret, text("AWS_SESSION_TOKEN")?)
            }
            (None, None) => {
                let named = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
                let usual = || variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
                let path = named.or_else(usual).ok_or(Error::NoCredentials(NOWHERE))?;
                let profile = text("AWS_PROFILE")?;
                profile::read(&path, profile.as_ref().map_or("default", |profile| profile.as_str()))
            }
            _ => Err(Error::Credentials("one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is missing")),
        }
    }

    /// The access key, which is not secret.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret access key.
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }

    /// The session token.
    pub fn expose_token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.as_str())
    }
}

fn is_printable(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const NOWHERE: &str = "neither AWS_ACCESS_KEY_ID nor a credentials file";
