//! One version of a comparison, read along in the order of paths.

use super::FileState;
use crate::fault;
use crate::opened::{List, Map};
use api::terms::Code;
use api::wire::Problem;
use seal::list::{Entry, Node};
use seal::record::VersionRecord;

/// A name of a version, with the digest of its bytes if they may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Below the path that was asked about; empty for that itself.
    pub(super) path: Vec<u8>,
    pub(super) mode: u16,
    pub(super) node: Node,
    pub(super) digest: Option<[u8; 32]>,
}

/// The names of a version below a path.
pub(super) struct Side {
    list: List,
    map: Option<Map>,
    record: VersionRecord,
    /// The path that was asked about, with a slash behind it unless it is empty.
    below: Vec<u8>,
    /// The ordinal that the map comes to next.
    at: u64,
    ahead: Option<Named>,
}

impl Named {
    pub(super) fn is_file(&self) -> bool {
        matches!(self.node, Node::File { .. })
    }

    /// In what the two differ, as far as it is known.
    pub(super) fn differs(&self, other: &Self) -> Vec<&'static str> {
        let mut differs = Vec::new();
        match (&self.node, &other.node) {
            (Node::File { size: one }, Node::File { size: two }) if one != two => differs.push("size"),
            (Node::Symlink { target: one }, Node::Symlink { target: two }) if one != two => differs.push("target"),
            (Node::File { .. }, Node::File { .. })
            | (Node::Symlink { .. }, Node::Symlink { .. })
            | (Node::Folder, Node::Folder) => {}
            _ => differs.push("type"),
        }
        if self.mode != other.mode {
            differs.push("mode");
        }
        if let (true, true, Some(one), Some(two)) = (self.is_file(), other.is_file(), self.digest, other.digest)
            && one != two
        {
            differs.push("content");
        }
        differs
    }

    pub(super) fn told(self) -> FileState {
        let (what, size, target) = match self.node {
            Node::File { size } => ("file", size, None),
            Node::Folder => ("folder", 0, None),
            Node::Symlink { target } => ("link", 0, Some(String::from_utf8_lossy(&target).into_owned())),
        };
        FileState { what, size, mode: format!("{:04o}", self.mode), target, digest: self.digest.map(hex::encode) }
    }
}

impl Side {
    /// Stands before the first name at or below `path` that comes after `after`.
    pub(super) fn open(
        list: List,
        map: Option<Map>,
        record: VersionRecord,
        path: Vec<u8>,
        after: Option<&[u8]>,
    ) -> Result<Self, Problem> {
        let below = if path.is_empty() { Vec::new() } else { [path.as_slice(), b"/"].concat() };
        let mut side = Self { list, map, record, below, at: 0, ahead: None };
        if after.is_none() && !path.is_empty() {
            let found = side.list.find(&path).map_err(|e| side.unread("list", &e))?;
            side.ahead = found.map(|(ordinal, entry)| side.named(ordinal, entry, Vec::new())).transpose()?;
        }
        let start = [side.below.as_slice(), after.unwrap_or_default()].concat();
        side.list.seek_path(&start).map_err(|e| side.unread("list", &e))?;
        if side.ahead.is_none() {
            side.ahead = side.next()?;
        }
        while let (Some(named), Some(after)) = (&side.ahead, after)
            && named.path.as_slice() <= after
        {
            side.ahead = side.next()?;
        }
        Ok(side)
    }

    /// Whether there is nothing left.
    pub(super) fn is_over(&self) -> bool {
        self.ahead.is_none()
    }

    /// What comes next.
    pub(super) fn ahead(&self) -> Option<&Named> {
        self.ahead.as_ref()
    }

    /// Takes it, and looks at what follows.
    pub(super) fn take(&mut self) -> Result<Option<Named>, Problem> {
        let next = if self.ahead.is_some() { self.next()? } else { None };
        Ok(std::mem::replace(&mut self.ahead, next))
    }

    fn next(&mut self) -> Result<Option<Named>, Problem> {
        let next = self.list.next_entry().map_err(|e| self.unread("list", &e))?;
        let Some((ordinal, entry)) = next else { return Ok(None) };
        let Some(path) = entry.path().strip_prefix(self.below.as_slice()) else { return Ok(None) };
        let path = path.to_vec();
        self.named(ordinal, entry, path).map(Some)
    }

    fn named(&mut self, ordinal: u64, entry: Entry, path: Vec<u8>) -> Result<Named, Problem> {
        let digest = self.digest(ordinal, &entry)?;
        Ok(Named { path, mode: entry.mode(), node: entry.node().clone(), digest })
    }

    /// The digest of a file's bytes, if the map may be read. List and map go in step.
    fn digest(&mut self, ordinal: u64, entry: &Entry) -> Result<Option<[u8; 32]>, Problem> {
        let Some(map) = &mut self.map else { return Ok(None) };
        let record = &self.record;
        let unread = |e| fault::manifest("cannot read the map", record, &e);
        if self.at != ordinal {
            map.seek(ordinal).map_err(unread)?;
        }
        let place = map.next_entry().map_err(unread)?;
        self.at = ordinal + 1;
        let is_file = matches!(entry.node(), Node::File { .. });
        let fits = place.filter(|(at, place)| {
            *at == ordinal && place.size() == Some(entry.size()) && place.digest.is_some() == is_file
        });
        let what = || String::from_utf8_lossy(entry.path()).into_owned();
        let (_, place) = fits.ok_or_else(|| Problem::new(Code::Integrity, "list and map do not agree", what()))?;
        Ok(place.digest)
    }

    fn unread(&self, what: &str, error: &seal::manifest::Error<depot::sealed::Error>) -> Problem {
        fault::manifest(&format!("cannot read the {what}"), &self.record, error)
    }
}
