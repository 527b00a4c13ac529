//! A version that is going to be opened somewhere: onto the disk, or into a room in memory.

use super::feed::Feed;
use super::out::{Medium, OutFile};
use super::{Getting, Wanted, disagree, threads, wanted};
use crate::dest::{LastFolder, Stage};
use crate::fault;
use crate::opened::{List, Map, Opened};
use crate::seat::Grant;
use crate::source::split;
use crate::watch::Watch;
use api::wire::Problem;
use depot::Store;
use seal::list::Entry;
use std::sync::Arc;

/// A version with its list and map, and what of it is wanted.
pub(crate) struct Packed<'a> {
    pub(crate) opened: Opened<'a>,
    pub(crate) grant: &'a Grant,
    pub(crate) list: List,
    pub(crate) map: Map,
    pub(crate) wanted: Wanted,
}

impl<'a> Packed<'a> {
    /// Opens list and map, and finds what `path` names in them.
    ///
    /// # Errors
    /// `not-found`; `bad-request` for a link; `integrity` with the place.
    pub(crate) fn open(store: &'a dyn Store, grant: &'a Grant, path: Option<&[u8]>) -> Result<Self, Problem> {
        let opened = Opened::new(store, grant)?;
        let mut list = opened.list()?;
        let map = opened.map()?;
        if list.entries() != map.entries() || list.total_len() != map.total_len() {
            return Err(disagree(grant));
        }
        let wanted = wanted(&mut list, path, grant)?;
        Ok(Self { opened, grant, list, map, wanted })
    }

    /// The name of the file, if it is one.
    pub(crate) fn file_name(&self) -> Option<&[u8]> {
        match &self.wanted {
            Wanted::File(_, entry) => Some(split(entry.path()).1),
            Wanted::Folder(_) => None,
        }
    }

    /// The most bytes that it takes.
    pub(crate) fn len(&self) -> u64 {
        match &self.wanted {
            Wanted::File(_, entry) => entry.size(),
            Wanted::Folder(_) => self.list.total_len(),
        }
    }

    /// Opens it into a folder; answers bytes and files. Nothing is made durable, and each group is verified as for `cat`: the folder
    /// lies in memory.
    ///
    /// # Errors
    /// `integrity` with the place; `disk-full`; `interrupted`. What is there by then stays.
    pub(crate) fn unpack(self, stage: &Stage, watch: &dyn Watch) -> Result<(u64, u64), Problem> {
        let Self { opened, grant, list, map, wanted } = self;
        let getting = Getting { opened: &opened, grant, watch, medium: Medium::Memory };
        match wanted {
            Wanted::Folder(prefix) => getting.staged(list, map, stage, &prefix),
            Wanted::File(ordinal, entry) => getting.one(list, map, ordinal, &entry, stage),
        }
    }
}

impl Getting<'_> {
    fn one(&self, list: List, mut map: Map, ordinal: u64, entry: &Entry, stage: &Stage) -> Result<(u64, u64), Problem> {
        let place = map.find(ordinal).map_err(|e| fault::manifest("cannot read the map", &self.grant.record, &e))?;
        let place = place.filter(|mapped| mapped.size() == Some(entry.size()) && mapped.digest.is_some());
        let mapped = place.ok_or_else(|| disagree(self.grant))?;
        let file = Arc::new(stage.file(split(entry.path()).1, &mut LastFolder::default())?);
        let out = OutFile::new(self.making(stage.granted()), entry, &mapped, Some(Arc::clone(&file)));
        out.lay_out(&file)?;
        let out = Arc::new(out);
        let done = self.run(Feed::one(self.opened, list, map, out, mapped), None, threads(entry.size()))?;
        Ok((done.bytes, 1))
    }
}
