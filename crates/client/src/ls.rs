//! `ls` inside a version: names by prefix and page, with the list key only.

use crate::opened::Opened;
use crate::seat::Why;
use crate::{Client, fault};
use api::terms::{Action, Code, Reference, ReleaseId};
use api::wire::Problem;
use seal::list::{Entry, Node};

/// A name inside a version.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FileItem {
    /// Its path; bytes that are not UTF-8 are shown as U+FFFD.
    pub path: String,
    /// The path's bytes in hexadecimal, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// `file`, `folder` or `link`.
    #[serde(rename = "type")]
    pub what: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits in octal.
    pub mode: String,
    /// Where a link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A page of names.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FilePage {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Sorted by the bytes of their paths.
    pub items: Vec<FileItem>,
    /// Where to go on: the last path, percent-encoded.
    pub next: Option<String>,
    /// The release in the log.
    pub release: ReleaseId,
}

impl Client {
    /// Lists names inside a version, those below the reference's path.
    ///
    /// # Errors
    /// `denied`, `not-found`, `integrity` with the place.
    pub fn files(
        &self,
        reference: &Reference,
        after: Option<&str>,
        limit: usize,
        why: &Why,
    ) -> Result<FilePage, Problem> {
        let prefix = reference.path.clone().unwrap_or_default();
        let after = after.map(decoded).transpose()?;
        let grant = self.seat().release(&reference.without_path().to_string(), Action::List, why)?;
        let mut list = Opened::new(self.store(), &grant)?.list()?;
        let read = |e| fault::manifest("cannot read the list", &grant.record, &e);
        let from = after.as_deref().filter(|after| *after > prefix.as_slice()).unwrap_or(&prefix);
        list.seek_path(from).map_err(read)?;
        let (mut items, mut next, mut last) = (Vec::new(), None, None);
        while let Some((_, entry)) = list.next_entry().map_err(read)? {
            if !inside(entry.path(), &prefix) {
                if entry.path() > [prefix.as_slice(), b"0"].concat().as_slice() {
                    break;
                }
                continue;
            }
            if entry.path().is_empty() || after.as_deref() == Some(entry.path()) {
                continue;
            }
            if items.len() == limit {
                next = last;
                break;
            }
            last = Some(encoded(entry.path()));
            items.push(item(&entry));
        }
        if items.is_empty() && !prefix.is_empty() && after.is_none() {
            let shown = String::from_utf8_lossy(&prefix);
            let why = format!("{} holds nothing of this name", grant.version.reference);
            return Err(Problem::new(Code::NotFound, format!("no file `{shown}`"), why));
        }
        Ok(FilePage { version: grant.version.reference.clone(), items, next, release: grant.release })
    }
}

fn inside(path: &[u8], prefix: &[u8]) -> bool {
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn item(entry: &Entry) -> FileItem {
    let (what, target) = match entry.node() {
        Node::File { .. } => ("file", None),
        Node::Folder => ("folder", None),
        Node::Symlink { target } => ("link", Some(String::from_utf8_lossy(target).into_owned())),
    };
    let plain = std::str::from_utf8(entry.path()).is_ok();
    FileItem {
        path: String::from_utf8_lossy(entry.path()).into_owned(),
        path_hex: (!plain).then(|| hex::encode(entry.path())),
        what,
        size: entry.size(),
        mode: format!("{:04o}", entry.mode()),
        target,
    }
}

/// Everything but letters, digits and `._-/` becomes `%XX`.
pub(crate) fn encoded(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/' => out.push(char::from(*byte)),
            other => out.push_str(&format!("%{other:02x}")),
        }
    }
    out
}

pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, Problem> {
    let bad = || Problem::new(Code::BadRequest, "bad `--after`", "it is not the `next` of a page");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
            out.extend(hex::decode(digits).map_err(|_| bad())?);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded, inside};

    #[test]
    fn a_page_mark_round_trips() {
        for path in [&b"a/b.c"[..], b"\xff\0%", "ä b".as_bytes()] {
            assert_eq!(decoded(&encoded(path)).ok().as_deref(), Some(path));
        }
        assert!(decoded("%").is_err() && decoded("%zz").is_err());
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert!(inside(b"a/b", b"a") && inside(b"a", b"a") && inside(b"x", b""));
        assert!(!inside(b"ab", b"a") && !inside(b"a.b", b"a"));
    }
}
