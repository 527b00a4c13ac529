//! A version that a release allows to open: its list, its map, its segments.

use crate::fault;
use crate::seat::Grant;
use api::terms::Code;
use api::wire::Problem;
use depot::sealed::{SegmentReader, VersionObject};
use depot::{Key, Store};
use seal::list::{Entry, ListReader, Node};
use seal::map::{MapEntry, MapReader};
use seal::record::VersionRecord;
use seal::secret::{ListKey, MapKey};
use seal::segment::{SegmentContext, SegmentInfo};
use seal::tree::Digest;

/// Reads names.
pub type List = ListReader<VersionObject>;
/// Reads places and keys.
pub type Map = MapReader<VersionObject>;

/// A version and the depot it lies in.
#[derive(Debug)]
pub struct Opened<'a> {
    store: &'a dyn Store,
    grant: &'a Grant,
}

impl<'a> Opened<'a> {
    /// Joins the two. The depot's copy of the record must be the one that the keeper released, so that a damaged version object is
    /// found by whoever opens the version, not only by `verify`.
    ///
    /// # Errors
    /// `integrity` with the place.
    pub fn new(store: &'a dyn Store, grant: &'a Grant) -> Result<Self, Problem> {
        let object = object(store, &grant.record)?;
        let digest = grant.record.digest().map_err(|e| fault::internal("cannot read the version record", e))?;
        object.record(&digest).map_err(|e| fault::sealed("cannot read the version record in the depot", &e))?;
        Ok(Self { store, grant })
    }

    /// The version record.
    pub fn record(&self) -> &'a VersionRecord {
        &self.grant.record
    }

    /// Opens the list.
    ///
    /// # Errors
    /// `integrity` with the place.
    pub fn list(&self) -> Result<List, Problem> {
        open_list(self.store, self.record(), &self.grant.keys.list)
    }

    /// Opens the map.
    ///
    /// # Errors
    /// `integrity` with the place; `denied` if the release holds no map key.
    pub fn map(&self) -> Result<Map, Problem> {
        let key = self.grant.keys.map.as_ref();
        let missing = || Problem::new(Code::BadSignature, "cannot open the map", "the release holds no map key");
        open_map(self.store, self.record(), key.ok_or_else(missing)?)
    }

    /// Opens a segment of a pack, by their numbers in the record.
    ///
    /// # Errors
    /// `integrity` with the place.
    pub fn segment(&self, map: &Map, pack: u32, segment: u32) -> Result<SegmentReader, Problem> {
        let what = "cannot open a segment";
        let lost =
            || Problem::new(Code::Integrity, what, format!("the version has no segment {segment} in pack {pack}"));
        let record = self.record();
        let named = record.packs.get(pack as usize).ok_or_else(lost)?;
        let place = named.segments.get(segment as usize).ok_or_else(lost)?;
        let info =
            SegmentInfo::new(record.suite, place.plaintext_len, place.stored_len, Digest::from_bytes(place.digest));
        let info = info.map_err(|_| lost())?;
        let context = SegmentContext { vault: record.vault, pack: named.id, index: segment };
        let key = Key::new(record.vault, place.object);
        let pack_key = map.pack_key(pack).ok_or_else(lost)?;
        SegmentReader::open(self.store, &key, pack_key, &context, info).map_err(|e| fault::sealed(what, &e))
    }

    /// The one file at `path`, or the only file of a version that is a single file.
    ///
    /// # Errors
    /// `not-found`, `bad-request` for a folder or link, `integrity`.
    pub fn file(&self, map: &mut Map, path: Option<&[u8]>) -> Result<(Entry, MapEntry), Problem> {
        let mut list = self.list()?;
        let what = format!("no file `{}`", String::from_utf8_lossy(path.unwrap_or_default()));
        let reference = &self.grant.version.reference;
        let whole = match path {
            Some(path) => format!("{reference}/{}", String::from_utf8_lossy(path)),
            None => reference.clone(),
        };
        let found = match path {
            Some(path) => list.find(path),
            None => list.next_entry(),
        };
        let found = found.map_err(|e| fault::manifest("cannot read the list", self.record(), &e))?;
        let Some((ordinal, entry)) = found else {
            let problem = Problem::new(Code::NotFound, what, format!("{reference} holds nothing of this name"));
            return Err(problem.with_try(format!("strongroom ls {reference}")));
        };
        match entry.node() {
            Node::File { .. } => {}
            Node::Folder => {
                let problem = Problem::new(Code::BadRequest, format!("cannot read `{whole}`"), "it is a folder");
                return Err(problem.with_try(format!("strongroom ls {whole}")));
            }
            Node::Symlink { .. } => {
                return Err(Problem::new(Code::BadRequest, what, "it is a symbolic link; links are never followed"));
            }
        }
        let place = map.find(ordinal).map_err(|e| fault::manifest("cannot read the map", self.record(), &e))?;
        let place = place.filter(|place| place.size() == Some(entry.size()));
        let place = place.ok_or_else(|| Problem::new(Code::Integrity, "list and map do not agree", what))?;
        Ok((entry, place))
    }
}

/// Opens the list of a version.
pub(crate) fn open_list(store: &dyn Store, record: &VersionRecord, key: &ListKey) -> Result<List, Problem> {
    let object = object(store, record)?;
    ListReader::open(key, record, object).map_err(|e| fault::manifest("cannot open the list", record, &e))
}

/// Opens the map of a version.
pub(crate) fn open_map(store: &dyn Store, record: &VersionRecord, key: &MapKey) -> Result<Map, Problem> {
    let object = object(store, record)?;
    MapReader::open(key, record, object).map_err(|e| fault::manifest("cannot open the map", record, &e))
}

fn object(store: &dyn Store, record: &VersionRecord) -> Result<VersionObject, Problem> {
    VersionObject::of(store, record).map_err(|e| fault::sealed("cannot open the version object", &e))
}
