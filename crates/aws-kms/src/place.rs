//! Where a key is: its ARN and the endpoint that serves it.

use super::{Error, Result};
use reqwest::Url;
use std::net::IpAddr;
use std::str::FromStr;

/// The ARN of a key: `arn:<partition>:kms:<region>:<account>:key/<id>`.
///
/// An alias is refused: whoever may move it chooses the key, and an answer could not be held against the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn {
    text: String,
    partition: String,
    region: String,
}

impl KeyArn {
    /// The longest ARN, in bytes.
    pub const MAX_LEN: usize = 160;

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The region that holds the key, which signatures name as well.
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl std::fmt::Display for KeyArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for KeyArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > Self::MAX_LEN {
            return Err(Error::Arn("it is too long"));
        }
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(Error::Arn(SHAPE));
        let (arn, partition, service, region, account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() || arn != "arn" || service != "kms" {
            return Err(Error::Arn(SHAPE));
        }
        if resource.starts_with("alias/") {
            return Err(Error::Arn("it names an alias, which can be moved to another key: give the key's own ARN"));
        }
        let id = resource.strip_prefix("key/").ok_or(Error::Arn(SHAPE))?;
        if !is_name(partition) || !is_name(region) || !is_account(account) || !is_key_id(id) {
            return Err(Error::Arn(SHAPE));
        }
        Ok(Self { text: text.to_owned(), partition: partition.to_owned(), region: region.to_owned() })
    }
}

/// An endpoint given by hand: `https://<host>[:<port>]`, or `http://` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The longest endpoint, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The endpoint, as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > Self::MAX_LEN {
            return Err(Error::Endpoint("it is too long"));
        }
        let url = Url::parse(text).map_err(|_| Error::Endpoint("it is no URL"))?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(Error::Endpoint("it begins with neither `https://` nor `http://`")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Endpoint("it holds a name or a password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::Endpoint("it has more than a host and a port"));
        }
        // What the parser would repair is not taken: capitals, short addresses, a port that goes without saying.
        if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
            return Err(Error::Endpoint("it is not written in its plain form"));
        }
        if plain && !is_loopback(&url) {
            return Err(Error::Endpoint("`http://` is for this machine only"));
        }
        Ok(Self(url))
    }
}

/// A key and the endpoint that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    key: KeyArn,
    endpoint: Endpoint,
    host: String,
}

impl Place {
    /// Puts them together; without an endpoint, the public one of the key's region.
    ///
    /// # Errors
    /// [`Error::Endpoint`] in a partition whose domain is not known here.
    pub fn new(key: KeyArn, endpoint: Option<Endpoint>) -> Result<Self> {
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => public(&key)?,
        };
        let name = endpoint.0.host_str().ok_or(Error::Endpoint("it has no host"))?;
        let host = endpoint.0.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Self { key, endpoint, host })
    }

    /// The key.
    pub fn key(&self) -> &KeyArn {
        &self.key
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The value of the header `host`.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn url(&self) -> &Url {
        &self.endpoint.0
    }

    /// Without TLS, on this machine.
    pub(super) fn is_plain(&self) -> bool {
        self.endpoint.0.scheme() == "http"
    }
}

fn public(key: &KeyArn) -> Result<Endpoint> {
    let domain = PARTITIONS.iter().find(|(partition, _)| *partition == key.partition);
    let (_, domain) = domain.ok_or(Error::Endpoint("the key's partition is not known: name its endpoint"))?;
    format!("https://kms.{}.{domain}", key.region).parse()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == LOCALHOST || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Letters, digits and single hyphens inside: a label of a domain name.
fn is_name(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (2..=32).contains(&text.len()) && text.split('-').all(word)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A UUID, or `mrk-` and 32 hexadecimal digits for a key of several regions.
fn is_key_id(text: &str) -> bool {
    let digits =
        |text: &str, len: usize| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if let Some(rest) = text.strip_prefix("mrk-") {
        return digits(rest, 32);
    }
    let lens = [8, 4, 4, 4, 12];
    text.split('-').count() == lens.len() && text.split('-').zip(lens).all(|(part, len)| digits(part, len))
}

/// The one name that stands for this machine; it is never looked up.
pub(super) const LOCALHOST: &str = "localhost";
const SHAPE: &str = "it is not `arn:aws:kms:<region>:<account>:key/<id>`";
const PARTITIONS: [(&str, &str); 8] = [
    ("aws", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
    ("aws-eusc", "amazonaws.eu"),
    ("aws-iso", "c2s.ic.gov"),
    ("aws-iso-b", "sc2s.sgov.gov"),
    ("aws-iso-e", "cloud.adc-e.uk"),
    ("aws-iso-f", "csp.hci.ic.gov"),
    ("aws-us-gov", "amazonaws.com"),
];

#[cfg(test)]
mod tests;
