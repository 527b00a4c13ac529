//! Finished blocks, in order again, become list and map.

use super::cache::CacheWriter;
use super::draft::{self, Partial, Stored};
use super::feed::{Item, Piece, Planned};
use super::prints::Prints;
use super::work::{Finished, Looked};
use crate::digest::Growing;
use crate::fault;
use crate::source::{Found, What};
use api::wire::Problem;
use seal::Suite;
use seal::list::{Entry, ListWriter, Node};
use seal::manifest::WriteError;
use seal::map::{Extent, MapEntry, MapWriter};
use seal::tree::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Puts blocks back into order.
#[derive(Default)]
pub(super) struct Order {
    next: u64,
    waiting: BTreeMap<u64, Finished>,
}

impl Order {
    pub(super) fn push(&mut self, block: Finished) {
        self.waiting.insert(block.seq, block);
    }

    pub(super) fn pop(&mut self) -> Option<Finished> {
        let block = self.waiting.remove(&self.next)?;
        self.next += 1;
        Some(block)
    }
}

/// Writes list, map and cache.
pub(super) struct Collector<'a> {
    pub(super) list: ListWriter<'a>,
    pub(super) map: MapWriter<'a>,
    pub(super) cache: Option<CacheWriter>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Digests of all files, in order: what the commitment covers.
    pub(super) whole: Growing,
    /// Files that ended since the last record of the journal.
    pub(super) ended: draft::Ended,
    /// What the version is recognised by.
    pub(super) prints: Prints<'a>,
    growing: Growing,
    /// The file that goes on, and how much of it is done.
    under_way: Option<(Arc<Planned>, u64)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        suite: Suite,
        list: ListWriter<'a>,
        map: MapWriter<'a>,
        cache: Option<CacheWriter>,
        prints: Prints<'a>,
    ) -> Self {
        Self {
            list,
            map,
            cache,
            files: 0,
            bytes: 0,
            whole: Growing::new(suite),
            ended: draft::Ended::default(),
            growing: Growing::new(suite),
            prints,
            under_way: None,
        }
    }

    /// Takes one item of a block and what was made of its bytes.
    pub(super) fn take(&mut self, item: Item, looked: Looked) -> Result<(), Problem> {
        match item {
            Item::Ready(found, map, before) => {
                let size = found.identity.size;
                self.prints.ready(&found, map.digest.as_ref(), before);
                self.entry(&found, size, &map)
            }
            Item::Resumed(growing) => {
                self.growing = growing;
                Ok(())
            }
            Item::Piece(piece) => {
                looked.leaves.into_iter().for_each(|leaf| self.growing.push(leaf));
                self.prints.piece(looked.sampled, piece.len);
                match piece.ends {
                    None => {
                        self.under_way = Some((Arc::clone(&piece.file), piece.offset + piece.len as u64));
                        Ok(())
                    }
                    Some(size) => self.end(&piece, size),
                }
            }
        }
    }

    fn end(&mut self, piece: &Piece, size: u64) -> Result<(), Problem> {
        let digest = std::mem::replace(&mut self.growing, Growing::new(self.whole.suite())).finish();
        let file = &piece.file;
        self.under_way = None;
        self.prints.ended(&file.found, size, Some(digest.as_bytes()));
        self.ended.push(&Stored {
            path: file.found.path.clone(),
            identity: file.found.identity,
            segment: file.segment,
            offset: file.offset,
            digest: *digest.as_bytes(),
        });
        let extent = Extent { pack: file.pack, segment: file.segment, offset: file.offset, len: size };
        self.entry(&file.found, size, &MapEntry { extents: vec![extent], digest: Some(*digest.as_bytes()) })
    }

    /// The file that goes on behind the last block.
    pub(super) fn partial(&self) -> Option<Partial> {
        let (file, done) = self.under_way.as_ref()?;
        Some(Partial {
            path: file.found.path.clone(),
            identity: file.found.identity,
            segment: file.segment,
            offset: file.offset,
            done: *done,
            growing: self.growing.clone(),
        })
    }

    fn entry(&mut self, found: &Found, size: u64, map: &MapEntry) -> Result<(), Problem> {
        let node = match &found.what {
            What::File => Node::File { size },
            What::Folder => Node::Folder,
            What::Link(target) => Node::Symlink { target: target.clone() },
        };
        if found.what == What::File {
            self.files += 1;
            self.bytes += size;
            if let Some(digest) = map.digest {
                self.whole.push(Digest::from_bytes(digest));
            }
            let noted = self.cache.as_mut().map(|cache| cache.push(&found.path, &found.identity));
            if noted == Some(None) {
                self.cache.take().into_iter().for_each(CacheWriter::discard);
            }
        }
        let entry =
            Entry::new(found.path.clone(), (found.mode & 0o7777) as u16, node).map_err(|e| unstorable(found, &e))?;
        self.list.push(&entry).map_err(|e| failed(&e))?;
        self.map.push(map).map_err(|e| failed(&e))?;
        Ok(())
    }
}

fn unstorable(found: &Found, error: &seal::Malformed) -> Problem {
    let path = String::from_utf8_lossy(&found.path);
    Problem::new(api::terms::Code::Unsupported, format!("cannot store `{path}`"), error.to_string())
}

/// A list or map that cannot be written. What the sink failed with is told by whoever gave it.
pub(super) fn failed(error: &WriteError) -> Problem {
    let code = match error {
        WriteError::Sink(_) => api::terms::Code::Unavailable,
        WriteError::TooMany | WriteError::TooLarge => api::terms::Code::Unsupported,
        _ => api::terms::Code::Internal,
    };
    Problem::new(code, "cannot write list and map", fault::chain(error))
}
