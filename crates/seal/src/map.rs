//! Maps: where the bytes of a version's files are, and the keys that open them (`spec/format.md#map`).
//!
//! One entry for each entry of the list, with the same ordinal; blocks and index as in a list.

use zeroize::Zeroizing;

use crate::blocks::{Builder, Item, Seek, Walker, decode_block};
use crate::cbor::{Malformed, Reader, Writer, same};
use crate::label::{Context, Label};
use crate::manifest::{Error, Footer, MAP_MAGIC, Opener, Sealed, Sealer, Sink, Source, WriteError};
use crate::padme::Padding;
use crate::record::{MAX_PACKS, MAX_SEGMENTS, VersionRecord};
use crate::secret::{MapKey, PackKey};
use crate::{Id, Suite};

/// Most extents of one file.
pub const MAX_EXTENTS: usize = 1_024;
/// Longest pack table, in bytes.
pub const MAX_PACK_TABLE_LEN: usize = MAX_PACKS * 64;

/// Bytes of a file, in a pack. Where a segment ends, an extent goes on at the start of the pack's next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which pack of the version record.
    pub pack: u32,
    /// Which segment of the pack it starts in.
    pub segment: u32,
    /// Where in the plaintext of that segment.
    pub offset: u64,
    /// How many bytes, at least one.
    pub len: u64,
}

/// The part of an extent that lies in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which pack of the version record.
    pub pack: u32,
    /// Which segment of the pack.
    pub segment: u32,
    /// Where in the plaintext of the segment.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// Where one file is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MapEntry {
    /// Its bytes in order; none for an empty file, a folder or a link.
    pub extents: Vec<Extent>,
    /// Tree digest of the plaintext; none for a folder or a link.
    pub digest: Option<[u8; 32]>,
}

impl MapEntry {
    /// Length of all extents together, if it is a length.
    pub fn size(&self) -> Option<u64> {
        self.extents.iter().try_fold(0u64, |sum, extent| sum.checked_add(extent.len))
    }

    fn check(&self) -> Result<(), Malformed> {
        let sane = |e: &Extent| e.len > 0 && e.pack < MAX_PACKS as u32 && e.segment < MAX_SEGMENTS as u32;
        if self.extents.len() > MAX_EXTENTS || !self.extents.iter().all(sane) || self.size().is_none() {
            return Err(Malformed("map: extent"));
        }
        if self.digest.is_none() && !self.extents.is_empty() {
            return Err(Malformed("map: bytes without a digest"));
        }
        Ok(())
    }
}

impl Item for MapEntry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array(2, "map: entry")?;
        let count = reader.array_up_to(MAX_EXTENTS, "map: extents")?;
        let extents = (0..count)
            .map(|_| {
                reader.array(4, "map: extent")?;
                Ok(Extent {
                    pack: reader.u32("map: pack")?,
                    segment: reader.u32("map: segment")?,
                    offset: reader.uint("map: offset")?,
                    len: reader.uint("map: length")?,
                })
            })
            .collect::<Result<_, Malformed>>()?;
        let entry = Self { extents, digest: reader.optional_fixed("map: digest")? };
        entry.check()?;
        Ok(entry)
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(2).array(self.extents.len());
        for extent in &self.extents {
            writer.array(4).uint(extent.pack.into()).uint(extent.segment.into());
            writer.uint(extent.offset).uint(extent.len);
        }
        writer.optional_bytes(self.digest.as_ref().map(|digest| digest.as_slice()));
    }

    fn key(&self) -> &[u8] {
        &[]
    }
}

/// Reads one decrypted block of entries, checking everything but its place: what a fuzzer feeds.
///
/// # Errors
/// [`Malformed`].
pub fn decode_entries(block: &[u8]) -> Result<Vec<MapEntry>, Malformed> {
    decode_block(block)
}

fn context(suite: Suite, vault: &Id, version: &Id) -> Vec<u8> {
    Context::new(Label::Map, suite).field(vault).field(version).into_bytes()
}

/// Seals a map, entry by entry.
#[must_use = "an unfinished map does not open"]
pub struct MapWriter<'a> {
    blocks: Builder,
    sealer: Sealer<'a>,
    total: u64,
}

impl<'a> MapWriter<'a> {
    /// Starts the map of `version`; sealed bytes go to `out` as they are made.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn new(key: &MapKey, suite: Suite, vault: &Id, version: &Id, out: Sink<'a>) -> Result<Self, WriteError> {
        let sealer = Sealer::new(suite, key.expose_bytes(), &context(suite, vault, version), out)?;
        Ok(Self { blocks: Builder::default(), sealer, total: 0 })
    }

    /// Adds the entry of the next entry of the list; answers its ordinal.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn push(&mut self, entry: &MapEntry) -> Result<u64, WriteError> {
        entry.check()?;
        let ordinal = self.blocks.entries();
        self.blocks.push(entry, &mut self.sealer)?;
        let total = entry.size().and_then(|size| self.total.checked_add(size));
        self.total = total.ok_or(WriteError::TooLarge)?;
        Ok(ordinal)
    }

    /// Writes the pack table, in the order of the version record, then index, padding and footer.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self, packs: &[(Id, PackKey)], padding: Padding) -> Result<Sealed, WriteError> {
        if packs.len() > MAX_PACKS {
            return Err(WriteError::TooMany);
        }
        let root = self.blocks.finish(&mut self.sealer)?;
        let table = write_packs(packs);
        let packs_offset = self.sealer.position();
        self.sealer.write(&table)?;
        let packs_len = u32::try_from(table.len()).map_err(|_| WriteError::Bug)?;
        let footer = Footer { root, total: self.total, packs_offset, packs_len };
        self.sealer.finish(&footer.encode(MAP_MAGIC), padding)
    }
}

/// Reads a map, from any ordinal on.
pub struct MapReader<S> {
    opener: Opener<S>,
    footer: Footer,
    walker: Walker<MapEntry>,
    packs: Vec<(PackKey, Vec<u64>)>,
}

impl<S: Source> MapReader<S> {
    /// Opens the map that `record` names; `source` reads the version object.
    ///
    /// # Errors
    /// [`Error`], also when the pack table is not that of the record.
    pub fn open(key: &MapKey, record: &VersionRecord, source: S) -> Result<Self, Error<S::Error>> {
        let context = context(record.suite, &record.vault, &record.version);
        let mut opener = Opener::new(record.suite, key.expose_bytes(), &context, &record.map, source)?;
        let footer = Footer::read(MAP_MAGIC, &mut opener)?;
        let len = usize::try_from(footer.packs_len).ok().filter(|len| *len <= MAX_PACK_TABLE_LEN);
        let table = opener.read(footer.packs_offset, len.ok_or(Malformed("map: pack table"))?)?;
        let table = read_packs(&table)?;
        if !table.iter().map(|(id, _)| id).eq(record.packs.iter().map(|pack| &pack.id)) {
            return Err(Malformed("map: packs are not those of the record").into());
        }
        let lens = record.packs.iter().map(|pack| pack.segments.iter().map(|s| s.plaintext_len).collect());
        let packs = table.into_iter().zip(lens).map(|((_, key), lens)| (key, lens)).collect();
        let mut reader = Self { opener, footer, walker: Walker::new(footer.root), packs };
        reader.seek(0)?;
        Ok(reader)
    }

    /// How many entries there are: as many as in the list.
    pub fn entries(&self) -> u64 {
        self.footer.root.entries
    }

    /// Length of all files together.
    pub fn total_len(&self) -> u64 {
        self.footer.total
    }

    /// The key of pack number `pack` of the version record.
    pub fn pack_key(&self, pack: u32) -> Option<&PackKey> {
        self.packs.get(pack as usize).map(|(key, _)| key)
    }

    /// All pack keys, in the order of the version record; for the writer of the next version.
    pub fn into_pack_keys(self) -> Vec<PackKey> {
        self.packs.into_iter().map(|(key, _)| key).collect()
    }

    /// Moves before entry number `ordinal`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn seek(&mut self, ordinal: u64) -> Result<(), Error<S::Error>> {
        self.walker.seek(Seek::Ordinal(ordinal), &mut self.opener)
    }

    /// The next entry with its ordinal, or `None` after the last. Its extents lie within the record's segments.
    ///
    /// # Errors
    /// [`Error`].
    pub fn next_entry(&mut self) -> Result<Option<(u64, MapEntry)>, Error<S::Error>> {
        let Some((ordinal, entry)) = self.walker.next(&mut self.opener)? else { return Ok(None) };
        for extent in &entry.extents {
            self.check(extent)?;
        }
        Ok(Some((ordinal, entry)))
    }

    /// The entry with exactly this ordinal. Moves behind it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn find(&mut self, ordinal: u64) -> Result<Option<MapEntry>, Error<S::Error>> {
        if ordinal >= self.entries() {
            return Ok(None);
        }
        self.seek(ordinal)?;
        Ok(self.next_entry()?.map(|(_, entry)| entry))
    }

    /// The parts of an extent, segment by segment.
    pub fn pieces(&self, extent: &Extent) -> impl Iterator<Item = Piece> {
        let lens = self.packs.get(extent.pack as usize).map(|(_, lens)| lens.as_slice()).unwrap_or_default();
        let Extent { pack, segment, offset, len } = *extent;
        let mut left = len;
        let mut start = offset;
        (segment..).zip(lens.iter().skip(segment as usize)).map_while(move |(segment, segment_len)| {
            let len = segment_len.saturating_sub(start).min(left);
            let piece = Piece { pack, segment, offset: start, len };
            left -= len;
            start = 0;
            (len > 0).then_some(piece)
        })
    }

    fn check(&self, extent: &Extent) -> Result<(), Malformed> {
        let covered = self.pieces(extent).map(|piece| piece.len).sum::<u64>();
        if covered == extent.len { Ok(()) } else { Err(Malformed("map: extent outside its pack")) }
    }
}

/// An array of [pack id, pack key]. The buffer holds its capacity from the start, so nothing is left behind by growing.
fn write_packs(packs: &[(Id, PackKey)]) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::with_capacity(8 + 64 * packs.len());
    writer.array(packs.len());
    for (id, key) in packs {
        writer.array(2).bytes(id).bytes(key.expose_bytes());
    }
    Zeroizing::new(writer.into_bytes())
}

fn read_packs(bytes: &[u8]) -> Result<Vec<(Id, PackKey)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.array_up_to(MAX_PACKS, "map: packs")?;
    let packs = (0..count)
        .map(|_| {
            reader.array(2, "map: pack")?;
            let id = reader.fixed("map: pack id")?;
            let key = reader.bytes(32, "map: pack key")?;
            Ok((id, PackKey::from_slice(key).map_err(|_| Malformed("map: pack key"))?))
        })
        .collect::<Result<Vec<_>, _>>()?;
    reader.end()?;
    same(bytes, &write_packs(&packs))?;
    Ok(packs)
}

impl<S> std::fmt::Debug for MapReader<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapReader").field("entries", &self.footer.root.entries).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MapWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapWriter").field("entries", &self.blocks.entries()).finish_non_exhaustive()
    }
}
