//! Walking a folder in the order of path bytes, holding one folder's names per level.

use super::tree::Tree;
use super::{Error, Filter, Found, Identity, MAX_DEPTH, MAX_ENTRIES, MAX_PATH_LEN_BYTES, What};
use rustix::fs::{Dir, FileType, Stat};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Iterates over a folder, sorted by path bytes: a folder comes before what is in it, `a.txt` before `a/b`.
#[derive(Debug)]
pub struct Walk {
    tree: Arc<Tree>,
    filter: Filter,
    /// A folder that is never entered: the vault, if it lies in the source.
    skip: Option<(u64, u64)>,
    levels: Vec<Level>,
    count: u64,
    begun: bool,
}

#[derive(Debug)]
struct Level {
    folder: OwnedFd,
    prefix: Vec<u8>,
    /// Names in falling order, so that `pop` yields the smallest. A trailing slash marks the descent into a folder.
    names: Vec<Vec<u8>>,
}

impl Walk {
    /// A walk over everything below the root of `tree` that `filter` lets through.
    pub fn new(tree: Arc<Tree>, filter: Filter, skip: Option<(u64, u64)>) -> Self {
        Self { tree, filter, skip, levels: Vec::new(), count: 0, begun: false }
    }

    fn step(&mut self) -> Result<Option<Found>, Error> {
        if !self.begun {
            self.begun = true;
            let stat = self.tree.stat()?;
            self.enter(Vec::new())?;
            return Ok(Some(found(Vec::new(), What::Folder, &stat)));
        }
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                if self.levels.is_empty() && self.count == 0 && self.filter.chooses() {
                    return Err(Error::NothingMatches(self.tree.shown(b"")));
                }
                continue;
            };
            let mut path = level.prefix.clone();
            path.extend_from_slice(&name);
            if let Some(folder) = path.strip_suffix(b"/") {
                let folder = folder.to_vec();
                self.enter(folder)?;
            } else if let Some(found) = self.look(&name, path)? {
                return Ok(Some(found));
            }
        }
    }

    /// Reads the names of a folder; folders appear twice, as themselves and with a slash.
    fn enter(&mut self, path: Vec<u8>) -> Result<(), Error> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(Error::TooMuch { path: self.tree.shown(&path), limit: "256 nested folders" });
        }
        let failed = |e: rustix::io::Errno| Error::Io { path: self.tree.shown(&path), source: e.into() };
        let folder = self.tree.folder(&path)?;
        if let Some(skip) = self.skip {
            let identity = Identity::of(&rustix::fs::fstat(&folder).map_err(failed)?);
            if (identity.dev, identity.ino) == skip {
                return Ok(());
            }
        }
        let mut prefix = path.clone();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let full = [prefix.as_slice(), name].concat();
            if self.filter.excludes(&full) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => FileType::from_raw_mode(self.tree.stat_at(folder.as_fd(), name, &full)?.st_mode),
                known => known,
            };
            if kind == FileType::Directory {
                names.push([name, b"/"].concat());
            }
            names.push(name.to_vec());
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push(Level { folder, prefix, names });
        Ok(())
    }

    fn look(&mut self, name: &[u8], path: Vec<u8>) -> Result<Option<Found>, Error> {
        let Some(level) = self.levels.last() else { return Ok(None) };
        if !self.filter.includes(&path) {
            return Ok(None);
        }
        let stat = self.tree.stat_at(level.folder.as_fd(), name, &path)?;
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => What::File,
            FileType::Directory if self.skip == Some((Identity::of(&stat).dev, Identity::of(&stat).ino)) => {
                return Ok(None);
            }
            FileType::Directory => What::Folder,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&level.folder, name, Vec::new());
                What::Link(
                    target.map_err(|e| Error::Io { path: self.tree.shown(&path), source: e.into() })?.into_bytes(),
                )
            }
            other => {
                return Err(Error::Special { path: self.tree.shown(&path), kind: special(other), below: Some(path) });
            }
        };
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(Error::TooMuch { path: self.tree.shown(&path), limit: "2^30 entries" });
        }
        if path.len() > MAX_PATH_LEN_BYTES {
            return Err(Error::TooMuch { path: self.tree.shown(&path), limit: "4,096 bytes of path" });
        }
        Ok(Some(found(path, what, &stat)))
    }
}

impl Iterator for Walk {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn found(path: Vec<u8>, what: What, stat: &Stat) -> Found {
    Found { path, what, mode: stat.st_mode & 0o7777, identity: Identity::of(stat) }
}

fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "special file",
    }
}

#[cfg(test)]
mod tests;
