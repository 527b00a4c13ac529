//! Where a bucket is and how to sign in, from explicit settings only.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::error::{Error, Result};

/// Where a bucket is and how to sign in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bucket's name.
    pub bucket: String,
    /// A folder in it, or empty.
    pub prefix: String,
    /// The region's name.
    pub region: String,
    /// The service's URL; `None` is AWS. `http` is for loopback addresses only.
    pub endpoint: Option<String>,
    /// How to sign in.
    pub credentials: Credentials,
}

/// How to sign in to a bucket. Secrets come from files or the environment, never from arguments.
#[derive(Clone)]
pub enum Credentials {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if set, `AWS_SESSION_TOKEN`.
    Environment,
    /// A file of at most 64 KiB with lines `access_key_id = ...`, `secret_access_key = ...` and, if needed, `session_token = ...`.
    File(PathBuf),
}

impl Settings {
    /// Reads `s3://bucket` or `s3://bucket/prefix`; the other settings start as us-east-1 on AWS with credentials from the environment.
    ///
    /// # Errors
    /// [`Error::Settings`] for any other text.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("s3://").ok_or_else(|| settings(format!("`{url}` does not start with s3://")))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
            return Err(settings(format!("`{bucket}` is no bucket name")));
        }
        Ok(Self {
            bucket: bucket.into(),
            prefix: prefix.trim_end_matches('/').into(),
            region: "us-east-1".into(),
            endpoint: None,
            credentials: Credentials::Environment,
        })
    }

    /// The client for these settings.
    pub(super) fn client(&self) -> Result<AmazonS3> {
        let keys = self.credentials.read()?;
        let http = ClientOptions::new()
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_allow_http(self.is_plain_loopback()?);
        let retry =
            RetryConfig { max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT, backoff: BackoffConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(http)
            .with_retry(retry)
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(keys.access_key_id)
            .with_secret_access_key(keys.secret_access_key)
            .with_disable_bulk_delete(true);
        if let Some(token) = keys.session_token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map_err(|error| settings(error.to_string()))
    }

    /// Whether the endpoint is plain HTTP, which is refused anywhere but on this machine.
    fn is_plain_loopback(&self) -> Result<bool> {
        let Some(endpoint) = &self.endpoint else { return Ok(false) };
        if endpoint.starts_with("https://") {
            return Ok(false);
        }
        let rest = endpoint.strip_prefix("http://").ok_or_else(|| settings(format!("`{endpoint}` is no https URL")))?;
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').map_or(v6, |(host, _)| host),
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        let loopback =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if loopback && !authority.contains('@') {
            Ok(true)
        } else {
            Err(settings(format!("`{endpoint}`: plain http is for this machine only, use https")))
        }
    }
}

struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Credentials {
    fn read(&self) -> Result<Keys> {
        match self {
            Self::Environment => self.found(|name| std::env::var(format!("AWS_{}", name.to_ascii_uppercase())).ok()),
            Self::File(path) => {
                let text = read_small(path).map_err(|error| settings(format!("{}: {error}", path.display())))?;
                self.found(|name| field(&text, name))
            }
        }
    }

    /// What looking up by name finds.
    fn found(&self, find: impl Fn(&str) -> Option<String>) -> Result<Keys> {
        let need = |name: &str| {
            find(name).filter(|value| !value.is_empty()).ok_or_else(|| settings(format!("no {name} ({self:?})")))
        };
        Ok(Keys {
            access_key_id: need("access_key_id")?,
            secret_access_key: need("secret_access_key")?,
            session_token: find("session_token").filter(|value| !value.is_empty()),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"),
            Self::File(path) => write!(f, "from {}", path.display()),
        }
    }
}

fn read_small(path: &PathBuf) -> std::io::Result<String> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let file = std::fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(std::io::Error::other("others may read or write it: chmod 600"));
    }
    let mut text = String::new();
    file.take(MAX_CREDENTIALS_LEN).read_to_string(&mut text)?;
    Ok(text)
}

/// The value of the line `name = value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().filter_map(|line| line.split_once('=')).find(|(left, _)| left.trim() == name);
    line.map(|(_, value)| value.trim().to_owned())
}

fn settings(what: String) -> Error {
    Error::Settings { what }
}

/// Parsers of outside bytes, for the crate `fuzz/` (feature `fuzz`).
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz {
    use super::{Credentials, Settings, field};

    /// Whether plain HTTP to this endpoint is accepted; none if the endpoint is refused.
    pub fn is_plain_loopback(endpoint: &str) -> Option<bool> {
        let settings = Settings { endpoint: Some(endpoint.into()), ..Settings::from_url("s3://bucket").ok()? };
        settings.is_plain_loopback().ok()
    }

    /// Key id, secret and session token of a credentials file.
    pub fn credentials(text: &str) -> Option<(String, String, Option<String>)> {
        let keys = Credentials::File("text".into()).found(|name| field(text, name)).ok()?;
        Some((keys.access_key_id, keys.secret_access_key, keys.session_token))
    }
}

const MAX_CREDENTIALS_LEN: u64 = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_TIMEOUT: Duration = Duration::from_secs(120);
const MAX_RETRIES: usize = 6;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn with_endpoint(endpoint: &str) -> Settings {
        Settings { endpoint: Some(endpoint.into()), ..Settings::from_url("s3://models/team").unwrap() }
    }

    #[test]
    fn url_names_bucket_and_prefix() {
        let settings = Settings::from_url("s3://models/team/a/").unwrap();
        assert_eq!((settings.bucket.as_str(), settings.prefix.as_str()), ("models", "team/a"));
        for bad in ["models", "http://models", "s3://", "s3://ab", "s3://UPPER", "s3://a_b_c"] {
            assert!(matches!(Settings::from_url(bad), Err(Error::Settings { .. })), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000/x"] {
            assert!(with_endpoint(good).is_plain_loopback().unwrap(), "{good}");
        }
        assert!(!with_endpoint("https://storage.example").is_plain_loopback().unwrap());
        for bad in [
            "http://storage.example",
            "http://127.0.0.1.example",
            "http://localhost@evil.example",
            "http://127.0.0.1:80@evil.example",
            "ftp://localhost",
            "localhost",
        ] {
            assert!(with_endpoint(bad).is_plain_loopback().is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_come_from_a_file_and_never_show() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "access_key_id = AKID\nsecret_access_key=canary-4711\n").unwrap();
        let credentials = Credentials::File(file.path().into());
        let keys = credentials.read().unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.as_str()), ("AKID", "canary-4711"));
        assert!(keys.session_token.is_none());
        let settings = Settings { credentials, ..with_endpoint("http://127.0.0.1:9") };
        assert!(!format!("{settings:?}").contains("canary"));
        assert!(!format!("{:?}", crate::Bucket::connect(&settings).unwrap()).contains("canary"));
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(crate::Bucket::connect(&settings).is_err(), "others may read it");
    }

    #[test]
    fn missing_credentials_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Credentials::File(file.path().into()).read().err().unwrap();
        assert!(error.to_string().contains("access_key_id"), "{error}");
    }
}
