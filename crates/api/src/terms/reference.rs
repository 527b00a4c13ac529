//! References: `workspace/artifact[@v3|@alias][/path]` and `strongroom://...` (DESIGN 3, 12).

use super::{Name, VersionId};
use std::fmt;
use std::str::FromStr;

/// Which version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// No `@`, or `@latest`: the highest committed version.
    Latest,
    /// `@v3`: by number, from 1.
    Number(u64),
    /// `@name`: by alias.
    Alias(Name),
    /// `@id:<32 hex>`: by identity.
    Id(VersionId),
}

/// A parsed reference. The path is raw bytes: names of files need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The workspace.
    pub workspace: Name,
    /// The artifact.
    pub artifact: Name,
    /// The version.
    pub selector: Selector,
    /// A path inside the version, without leading or trailing slash.
    pub path: Option<Vec<u8>>,
}

/// A text that is no [`Reference`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Longer than [`Reference::MAX_LEN_BYTES`].
    #[error("a reference has at most {} bytes", Reference::MAX_LEN_BYTES)]
    TooLong,
    /// Not of the form at all.
    #[error("`{0}` is not a reference: WORKSPACE/ARTIFACT[@v3|@alias][/path]")]
    Form(String),
    /// A bad percent-escape in the URL form.
    #[error("a bad percent-escape in `{0}`")]
    Escape(String),
}

impl Reference {
    /// The longest reference, in bytes.
    pub const MAX_LEN_BYTES: usize = 8192;
    const SCHEME: &'static [u8] = b"strongroom://";

    /// Parses either form from raw bytes, as a shell hands them over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReferenceError> {
        if bytes.len() > Self::MAX_LEN_BYTES {
            return Err(ReferenceError::TooLong);
        }
        match bytes.strip_prefix(Self::SCHEME) {
            Some(rest) => parse(&percent_decoded(rest)?),
            None => parse(bytes),
        }
    }

    /// The same artifact and version without the path.
    #[must_use]
    pub fn without_path(&self) -> Self {
        Self { path: None, ..self.clone() }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(64).collect()
}

fn parse(bytes: &[u8]) -> Result<Reference, ReferenceError> {
    let form = || ReferenceError::Form(shown(bytes));
    let word = |b: &[u8]| std::str::from_utf8(b).map_err(|_| form()).map(str::to_owned);
    let mut parts = bytes.splitn(3, |b| *b == b'/');
    let workspace = word(parts.next().ok_or_else(form)?)?.parse().map_err(|_| form())?;
    let named = word(parts.next().ok_or_else(form)?)?;
    let (artifact, selector) = match named.split_once('@') {
        None => (named.as_str(), Selector::Latest),
        Some((artifact, text)) => (artifact, selector(text).ok_or_else(form)?),
    };
    let path = match parts.next() {
        None | Some([]) => None,
        Some(path) => Some(clean_path(path).ok_or_else(form)?),
    };
    Ok(Reference { workspace, artifact: artifact.parse().map_err(|_| form())?, selector, path })
}

fn selector(text: &str) -> Option<Selector> {
    if text == "latest" {
        return Some(Selector::Latest);
    }
    if let Some(id) = text.strip_prefix("id:") {
        return id.parse().ok().map(Selector::Id);
    }
    if let Some(digits) = text.strip_prefix('v')
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        // One way to write a number, so that one text names one version.
        return digits.parse().ok().filter(|_| !digits.starts_with('0')).map(Selector::Number);
    }
    text.parse().ok().map(Selector::Alias)
}

fn clean_path(path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let sound = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
    path.split(|b| *b == b'/').all(sound).then(|| path.to_vec())
}

fn percent_decoded(text: &[u8]) -> Result<Vec<u8>, ReferenceError> {
    let bad = || ReferenceError::Escape(shown(text));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
        out.extend(hex::decode(digits).map_err(|_| bad())?);
        rest = tail;
    }
    Ok(out)
}

impl FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Reference {
    /// The plain form; bytes of the path that are not UTF-8 are shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.artifact)?;
        match &self.selector {
            Selector::Latest => {}
            Selector::Number(n) => write!(f, "@v{n}")?,
            Selector::Alias(name) => write!(f, "@{name}")?,
            Selector::Id(id) => write!(f, "@id:{id}")?,
        }
        match &self.path {
            None => Ok(()),
            Some(path) => write!(f, "/{}", String::from_utf8_lossy(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_parse() -> Result<(), ReferenceError> {
        for text in ["lab/net", "lab/net@v3", "lab/net@prod/a/b.bin", "lab/net@id:000102030405060708090a0b0c0d0e0f"] {
            assert_eq!(text.parse::<Reference>()?.to_string(), text);
        }
        assert_eq!("lab/net@latest".parse::<Reference>()?.selector, Selector::Latest);
        let url = "strongroom://lab/net@v1/a%20%ff".parse::<Reference>()?;
        assert_eq!(url.path.as_deref(), Some(&b"a \xff"[..]));
        assert_eq!("lab/net/a%20".parse::<Reference>()?.path.as_deref(), Some(&b"a%20"[..]));
        Ok(())
    }

    #[test]
    fn references_that_could_escape_are_refused() {
        let long = format!("lab/net/{}", "x".repeat(9000));
        for bad in [
            "",
            "lab",
            "/net",
            "lab/",
            "lab/net@",
            "lab/net@v0",
            "lab/net/../x",
            "lab/net//x",
            "lab/net/a\0",
            "strongroom://lab/net/%2e%2e/x",
            "strongroom://lab/net/%zz",
            "strongroom://lab/net/%f",
            &long,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
