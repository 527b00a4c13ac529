//! Names of workspaces, artifacts, aliases and principals.

use std::fmt;
use std::str::FromStr;

/// A name: 1 to 100 bytes of `a-z A-Z 0-9 . _ -`, first and last a letter or digit.
///
/// Narrow on purpose: a name is printed in terminals, put in URLs and compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: 1 to 100 of a-z A-Z 0-9 . _ -, first and last a letter or digit")]
pub struct NameError(pub String);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN_BYTES: usize = 100;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse = || NameError(text.chars().take(64).collect());
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Err(refuse()) };
        let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let ok = bytes.len() <= Self::MAX_LEN_BYTES
            && bytes.iter().all(inner)
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric();
        if ok { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_that_could_mislead_are_refused() {
        for bad in ["", ".", "..", "-x", "x-", "a/b", "a b", "ä", "a\n", "@v1", &"x".repeat(101)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        for good in ["a", "resnet-50", "v1.2_rc", "9lives"] {
            assert_eq!(good.parse::<Name>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
    }
}
