//! The version record: what a version is made of, without names or keys (`spec/format.md#version-record`).

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::segment::{MAX_PLAINTEXT_LEN, SegmentInfo};
use crate::tree::Digest;
use crate::{Fault, Id, Suite};

/// The record format this crate writes and reads.
pub const FORMAT: u64 = 1;
/// Longest record, in bytes.
pub const MAX_LEN: usize = 8 << 20;
/// Most packs that a version names.
pub const MAX_PACKS: usize = 4_096;
/// Most segments of all packs together.
pub const MAX_SEGMENTS: usize = 65_536;
/// Longest plaintext of a list or a map, in bytes.
pub const MAX_MANIFEST_LEN: u64 = 1 << 40;

/// SHA-256 of a record's bytes: what log, lineage and envelopes name.
pub type VersionDigest = [u8; 32];

/// What a version is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRecord {
    /// Algorithms of everything in this version.
    pub suite: Suite,
    /// The vault.
    pub vault: Id,
    /// The artifact.
    pub artifact: Id,
    /// This version.
    pub version: Id,
    /// The version before it, if there is one.
    pub previous: Option<Id>,
    /// Number of the classification, 0 to 3.
    pub class: u8,
    /// Number of the environment, 0 to 2.
    pub environment: Option<u8>,
    /// Packs, in the order of the map's pack table.
    pub packs: Vec<Pack>,
    /// The depot object that holds list, map and this record.
    pub object: Id,
    /// The sealed list.
    pub list: Manifest,
    /// The sealed map.
    pub map: Manifest,
}

/// One pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its id.
    pub id: Id,
    /// The version that wrote it: this one or an earlier one of the same artifact.
    pub owner: Id,
    /// Its segments in order; at least one.
    pub segments: Vec<Segment>,
}

/// One segment of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The depot object.
    pub object: Id,
    /// Length of its plaintext, 1 to 2^30 bytes.
    pub plaintext_len: u64,
    /// Length of the object.
    pub stored_len: u64,
    /// Root of its tree.
    pub digest: [u8; 32],
}

/// A sealed list or map: a range of the version object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Where it starts.
    pub offset: u64,
    /// Length of the plaintext, padding included.
    pub plaintext_len: u64,
    /// Length in the object.
    pub stored_len: u64,
    /// Root of its tree.
    pub digest: [u8; 32],
}

/// A record that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a record.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Written by a newer Strongroom, with something this one must not ignore.
    #[error("the version record needs a newer strongroom")]
    Newer,
    /// Longer than [`MAX_LEN`] allows.
    #[error("the version record is larger than 8 MiB")]
    TooLong,
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed(_) | Self::Newer | Self::TooLong => Fault::Hostile,
        }
    }
}

/// The version digest of a record's bytes.
pub fn digest_of(record: &[u8]) -> VersionDigest {
    crate::hash::sha256(&[record])
}

impl VersionRecord {
    /// The record's bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a rule of the format is broken, [`Error::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let bytes = self.write();
        if bytes.len() > MAX_LEN { Err(Error::TooLong) } else { Ok(bytes) }
    }

    /// The version digest.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn digest(&self) -> Result<VersionDigest, Error> {
        self.encode().map(|bytes| digest_of(&bytes))
    }

    /// Reads a record; there is one encoding of each.
    ///
    /// # Errors
    /// [`Error`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Error::TooLong);
        }
        let mut reader = Reader::new(bytes);
        reader.array(13, "record: array of 13")?;
        if reader.uint("record: format")? != FORMAT {
            return Err(Error::Newer);
        }
        let suite = Suite::from_number(reader.u16("record: suite")?).map_err(|_| Error::Newer)?;
        if reader.uint("record: features")? != 0 {
            return Err(Error::Newer);
        }
        let record = Self {
            suite,
            vault: reader.fixed("record: vault")?,
            artifact: reader.fixed("record: artifact")?,
            version: reader.fixed("record: version")?,
            previous: reader.optional_fixed("record: previous version")?,
            class: reader.byte_up_to(3, "record: class")?,
            environment: reader.optional_byte_up_to(2, "record: environment")?,
            packs: read_packs(&mut reader)?,
            object: reader.fixed("record: object")?,
            list: read_manifest(&mut reader)?,
            map: read_manifest(&mut reader)?,
        };
        reader.end()?;
        record.check()?;
        same(bytes, &record.write())?;
        Ok(record)
    }

    fn check(&self) -> Result<(), Malformed> {
        let rule = |holds: bool, what| if holds { Ok(()) } else { Err(Malformed(what)) };
        rule(self.class <= 3 && self.environment.is_none_or(|e| e <= 2), "record: class or environment")?;
        rule(self.previous != Some(self.version), "record: previous version is itself")?;
        rule(self.packs.len() <= MAX_PACKS, "record: packs")?;
        let segments: usize = self.packs.iter().map(|pack| pack.segments.len()).sum();
        rule(segments <= MAX_SEGMENTS, "record: segments")?;
        rule(self.packs.iter().all(|pack| !pack.segments.is_empty()), "record: pack without segments")?;
        let mut ids: Vec<&Id> = self.packs.iter().map(|pack| &pack.id).collect();
        ids.sort_unstable();
        rule(ids.array_windows().all(|[a, b]| a != b), "record: the same pack twice")?;
        let mut objects: Vec<&Id> = self.packs.iter().flat_map(|p| &p.segments).map(|s| &s.object).collect();
        objects.push(&self.object);
        objects.sort_unstable();
        rule(objects.array_windows().all(|[a, b]| a != b), "record: the same object twice")?;
        for segment in self.packs.iter().flat_map(|pack| &pack.segments) {
            let len = segment.plaintext_len;
            rule((1..=MAX_PLAINTEXT_LEN).contains(&len), "record: segment length")?;
            let info = SegmentInfo::new(self.suite, len, segment.stored_len, Digest::from_bytes(segment.digest));
            rule(info.is_ok(), "record: stored length of a segment")?;
        }
        for manifest in [&self.list, &self.map] {
            let len = manifest.plaintext_len;
            rule((1..=MAX_MANIFEST_LEN).contains(&len), "record: manifest length")?;
            let info = SegmentInfo::manifest(self.suite, len, Digest::from_bytes(manifest.digest));
            let stored = info.is_ok_and(|info| info.stored_len() == manifest.stored_len);
            rule(stored, "record: stored length of a manifest")?;
        }
        rule(self.list.offset == 0 && self.map.offset == self.list.stored_len, "record: place of a manifest")
    }

    fn write(&self) -> Vec<u8> {
        let segments: usize = self.packs.iter().map(|pack| pack.segments.len()).sum();
        let mut writer = Writer::with_capacity(512 + 48 * self.packs.len() + 80 * segments);
        writer.array(13).uint(FORMAT).uint(self.suite.number().into()).uint(0);
        writer.bytes(&self.vault).bytes(&self.artifact).bytes(&self.version);
        writer.optional_bytes(self.previous.as_ref().map(|id| id.as_slice()));
        writer.uint(self.class.into()).optional_uint(self.environment.map(u64::from));
        writer.array(self.packs.len());
        for pack in &self.packs {
            writer.array(3).bytes(&pack.id).bytes(&pack.owner).array(pack.segments.len());
            for segment in &pack.segments {
                writer.array(4).bytes(&segment.object).uint(segment.plaintext_len);
                writer.uint(segment.stored_len).bytes(&segment.digest);
            }
        }
        writer.bytes(&self.object);
        for manifest in [&self.list, &self.map] {
            writer.array(4).uint(manifest.offset).uint(manifest.plaintext_len);
            writer.uint(manifest.stored_len).bytes(&manifest.digest);
        }
        writer.into_bytes()
    }
}

fn read_packs(reader: &mut Reader<'_>) -> Result<Vec<Pack>, Malformed> {
    let count = reader.array_up_to(MAX_PACKS, "record: packs")?;
    let mut left = MAX_SEGMENTS;
    (0..count)
        .map(|_| {
            reader.array(3, "record: pack")?;
            let id = reader.fixed("record: pack id")?;
            let owner = reader.fixed("record: pack owner")?;
            let count = reader.array_up_to(left, "record: segments")?;
            left -= count;
            let segments = (0..count).map(|_| read_segment(reader)).collect::<Result<_, _>>()?;
            Ok(Pack { id, owner, segments })
        })
        .collect()
}

fn read_segment(reader: &mut Reader<'_>) -> Result<Segment, Malformed> {
    reader.array(4, "record: segment")?;
    Ok(Segment {
        object: reader.fixed("record: segment object")?,
        plaintext_len: reader.uint("record: segment length")?,
        stored_len: reader.uint("record: stored length of a segment")?,
        digest: reader.fixed("record: segment digest")?,
    })
}

fn read_manifest(reader: &mut Reader<'_>) -> Result<Manifest, Malformed> {
    reader.array(4, "record: manifest")?;
    Ok(Manifest {
        offset: reader.uint("record: manifest offset")?,
        plaintext_len: reader.uint("record: manifest length")?,
        stored_len: reader.uint("record: stored length of a manifest")?,
        digest: reader.fixed("record: manifest digest")?,
    })
}
