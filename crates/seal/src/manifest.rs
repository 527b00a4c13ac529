//! What lists and maps share: one sealed stream, laid out like a segment, with a footer at its end (`spec/format.md#manifests`).

use zeroize::Zeroizing;

use crate::blocks::{MAX_DEPTH, MAX_ENTRIES, Root};
use crate::cbor::Malformed;
use crate::chunked::{self, CHUNK_LEN, Cipher, HEADER_LEN, Header, TAG_LEN};
use crate::padme::Padding;
use crate::record::{MAX_MANIFEST_LEN, Manifest};
use crate::segment::{self, GROUP_CHUNKS, GROUP_LEN, Outboard, SegmentInfo, SegmentOpener, build, sealed_groups_len};
use crate::tree::{Digest, leaf};
use crate::{Corrupt, Fault, Suite, entropy};

/// Reads sealed bytes of the version object.
pub trait Source {
    /// Why a read failed.
    type Error;

    /// Fills `out` with the bytes of the version object from `offset` on.
    ///
    /// # Errors
    /// The source's, also when the object ends before `out` is full.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Self::Error>;
}

/// The whole version object in memory.
impl Source for &[u8] {
    type Error = Corrupt;

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Corrupt> {
        let start = usize::try_from(offset).map_err(|_| Corrupt::at(offset))?;
        let end = start.checked_add(out.len()).ok_or(Corrupt::at(offset))?;
        out.copy_from_slice(self.get(start..end).ok_or(Corrupt::at(offset))?);
        Ok(())
    }
}

/// Where sealed bytes go, in order. Whoever gives it remembers why it failed.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), SinkFailed>;

/// The sink did not take the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes could not be written")]
pub struct SinkFailed;

/// A list or map that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The source failed.
    #[error("the version object cannot be read")]
    Source(E),
    /// Not what was sealed here, with the place in the version object.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// Sealed by a holder of the key, and still not what the format says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A bug, or the cipher failed.
    #[error("the cipher failed")]
    Failed,
}

impl<E> Error<E> {
    /// Whose fault this is; the source's errors count as the environment's.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(_) => Fault::Environment,
            Self::Corrupt(_) | Self::Malformed(_) => Fault::Hostile,
            Self::Failed => Fault::Bug,
        }
    }
}

/// A list or map that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Not sorted, or the same path twice.
    #[error("entries are not in the order of their path bytes")]
    Order,
    /// More entries or packs than a version has.
    #[error("too many entries or packs for one version")]
    TooMany,
    /// An entry or the whole is too large.
    #[error("an entry or the whole is too large for one version")]
    TooLarge,
    /// An entry that breaks a rule.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The sink failed.
    #[error(transparent)]
    Sink(#[from] SinkFailed),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// A bug, or the cipher failed.
    #[error("the cipher failed")]
    Bug,
}

impl WriteError {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Order | Self::TooMany | Self::TooLarge | Self::Malformed(_) => Fault::Misuse,
            Self::Sink(_) | Self::Entropy(_) => Fault::Environment,
            Self::Bug => Fault::Bug,
        }
    }
}

impl From<chunked::Error> for WriteError {
    fn from(error: chunked::Error) -> Self {
        match error {
            chunked::Error::Entropy(error) => Self::Entropy(error),
            _ => Self::Bug,
        }
    }
}

/// What the version record says about a list or map, its place apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Length of the plaintext, padding included.
    pub plaintext_len: u64,
    /// Length of what the sink got.
    pub stored_len: u64,
    /// Root of the tree.
    pub digest: [u8; 32],
}

impl Sealed {
    /// For a stream that starts at `offset` of the version object.
    pub fn at(self, offset: u64) -> Manifest {
        let Self { plaintext_len, stored_len, digest } = self;
        Manifest { offset, plaintext_len, stored_len, digest }
    }
}

/// Seals one stream group by group.
pub(crate) struct Sealer<'a> {
    suite: Suite,
    cipher: Cipher,
    header: Header,
    out: Sink<'a>,
    buffer: Zeroizing<Vec<u8>>,
    leaves: Vec<Digest>,
    position: u64,
}

impl<'a> Sealer<'a> {
    pub(crate) fn new(suite: Suite, key: &[u8; 32], context: &[u8], out: Sink<'a>) -> Result<Self, WriteError> {
        let (cipher, header) = Cipher::fresh(key, context)?;
        let buffer = Zeroizing::new(Vec::with_capacity(GROUP_LEN));
        Ok(Self { suite, cipher, header, out, buffer, leaves: Vec::new(), position: 0 })
    }

    /// Bytes of plaintext so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let room = GROUP_LEN - self.buffer.len();
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            self.position += now.len() as u64;
            if self.buffer.len() == GROUP_LEN {
                self.seal_group()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Pads, so that the footer ends at a padded length, and ends the stream.
    pub(crate) fn finish(mut self, footer: &[u8; FOOTER_LEN], padding: Padding) -> Result<Sealed, WriteError> {
        let len = self.position + FOOTER_LEN as u64;
        let padded = padding.apply(len);
        if padded > MAX_MANIFEST_LEN {
            return Err(WriteError::TooLarge);
        }
        let mut pad = padded - len;
        while pad > 0 {
            let now = pad.min(ZEROS.len() as u64);
            self.write(ZEROS.get(..now as usize).ok_or(WriteError::Bug)?)?;
            pad -= now;
        }
        self.write(footer)?;
        self.seal_group()?;
        let (tail, digest) = build(self.suite, &self.leaves);
        (self.out)(&tail)?;
        let info = SegmentInfo::manifest(self.suite, padded, digest).map_err(|_| WriteError::Bug)?;
        Ok(Sealed { plaintext_len: padded, stored_len: info.stored_len(), digest: *digest.as_bytes() })
    }

    /// Seals what is buffered: a whole group, or the last, shorter and possibly empty one.
    fn seal_group(&mut self) -> Result<(), WriteError> {
        let group = self.leaves.len() as u64;
        let mut sealed = vec![0; sealed_groups_len(group, self.buffer.len())];
        let mut rest = sealed.as_mut_slice();
        if group == 0 {
            let (header, body) = rest.split_first_chunk_mut::<HEADER_LEN>().ok_or(WriteError::Bug)?;
            *header = self.header;
            rest = body;
        }
        let mut plain = self.buffer.as_slice();
        for index in group * GROUP_CHUNKS.. {
            if rest.is_empty() {
                break;
            }
            let (now, later) = plain.split_at(plain.len().min(CHUNK_LEN));
            let (chunk, after) = rest.split_at_mut_checked(now.len() + TAG_LEN).ok_or(WriteError::Bug)?;
            self.cipher.seal_at(index, now, chunk)?;
            (plain, rest) = (later, after);
        }
        self.leaves.push(leaf(self.suite, &sealed));
        self.buffer.clear();
        Ok((self.out)(&sealed)?)
    }
}

/// Opens ranges of one stream. Every group is verified against the record's digest before it is decrypted.
pub(crate) struct Opener<S> {
    source: S,
    base: u64,
    info: SegmentInfo,
    opener: SegmentOpener,
    /// The last group that was opened, and its plaintext: blocks are not aligned to groups.
    group: Option<(u64, Zeroizing<Vec<u8>>)>,
}

impl<S: Source> Opener<S> {
    pub(crate) fn new(
        suite: Suite,
        key: &[u8; 32],
        context: &[u8],
        manifest: &Manifest,
        source: S,
    ) -> Result<Self, Error<S::Error>> {
        let base = manifest.offset;
        let digest = Digest::from_bytes(manifest.digest);
        let info = SegmentInfo::manifest(suite, manifest.plaintext_len, digest).map_err(|_| Corrupt::at(base))?;
        if info.stored_len() != manifest.stored_len {
            return Err(Corrupt::at(base).into());
        }
        let tops = read_stored(&source, base, info.tops_range())?;
        let outboard = Outboard::from_tops(info, &tops).map_err(|error| placed(base, error))?;
        let header = read_stored(&source, base, info.header_range())?;
        let header = header.as_slice().try_into().map_err(|_| Error::Failed)?;
        let opener = chunked::Opener::new(key, context, header).map_err(|error| placed(base, error.into()))?;
        let opener = SegmentOpener::with_opener(opener, outboard);
        Ok(Self { source, base, info, opener, group: None })
    }

    pub(crate) fn plaintext_len(&self) -> u64 {
        self.info.plaintext_len()
    }

    /// Plaintext of `len` bytes from `offset` on; the caller has bounded `len`.
    pub(crate) fn read(&mut self, offset: u64, len: usize) -> Result<Zeroizing<Vec<u8>>, Error<S::Error>> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.plaintext_len());
        let end = end.ok_or(Malformed("manifest: outside the stream"))?;
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        let mut at = offset;
        while at < end {
            let group = at / GROUP_LEN as u64;
            let start = group * GROUP_LEN as u64;
            let plain = self.open_group(group)?;
            let until = end.min(start + plain.len() as u64);
            let part = plain.get((at - start) as usize..(until - start) as usize).filter(|part| !part.is_empty());
            out.extend_from_slice(part.ok_or(Error::Failed)?);
            at = until;
        }
        Ok(out)
    }

    fn open_group(&mut self, group: u64) -> Result<&[u8], Error<S::Error>> {
        if self.group.as_ref().is_none_or(|(held, _)| *held != group) {
            self.group = None;
            let groups = group..group + 1;
            let missing: Vec<u64> = self.opener.outboard().missing_blocks(&groups).collect();
            for block in missing {
                let leaves = read_stored(&self.source, self.base, self.info.block_range(block))?;
                self.opener.outboard().load_block(block, &leaves).map_err(|error| placed(self.base, error))?;
            }
            let start = group * GROUP_LEN as u64;
            let range = start..self.plaintext_len().min(start + GROUP_LEN as u64);
            let sealed = read_stored(&self.source, self.base, self.info.groups_range(&groups))?;
            let mut plain = Zeroizing::new(vec![0; range.end.saturating_sub(range.start) as usize]);
            self.opener.open_range(range, &sealed, &mut plain).map_err(|error| placed(self.base, error))?;
            self.group = Some((group, plain));
        }
        self.group.as_ref().map(|(_, plain)| plain.as_slice()).ok_or(Error::Failed)
    }
}

/// Ranges come from [`SegmentInfo`] and are at most a group or the tops of 1 TiB.
fn read_stored<S: Source>(source: &S, base: u64, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error<S::Error>> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| Error::Failed)?;
    let offset = base.checked_add(range.start).ok_or(Error::Failed)?;
    let mut out = vec![0; len];
    source.read_at(offset, &mut out).map_err(Error::Source)?;
    Ok(out)
}

/// An error of the stream as one of the version object it lies in.
fn placed<E>(base: u64, error: segment::Error) -> Error<E> {
    match error {
        segment::Error::Corrupt(corrupt) => Corrupt::at(base.saturating_add(corrupt.offset())).into(),
        _ => Error::Failed,
    }
}

/// Length of the footer, in bytes.
pub(crate) const FOOTER_LEN: usize = 64;
/// Starts a list's footer.
pub(crate) const LIST_MAGIC: &[u8; 8] = b"SRLIST\0\x01";
/// Starts a map's footer.
pub(crate) const MAP_MAGIC: &[u8; 8] = b"SRMAP\0\0\x01";

const ZEROS: [u8; 4_096] = [0; 4_096];

/// The last bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) root: Root,
    /// Length of all files together.
    pub(crate) total: u64,
    /// Where the pack table is; a map has one.
    pub(crate) packs_offset: u64,
    pub(crate) packs_len: u32,
}

impl Footer {
    /// Big endian: magic, entries, root offset, total, pack table offset (u64 each), root length, pack table length (u32 each), depth
    /// (u8), zeros.
    pub(crate) fn encode(&self, magic: &[u8; 8]) -> [u8; FOOTER_LEN] {
        let root = &self.root;
        let fields = magic
            .iter()
            .copied()
            .chain(root.entries.to_be_bytes())
            .chain(root.offset.to_be_bytes())
            .chain(self.total.to_be_bytes())
            .chain(self.packs_offset.to_be_bytes())
            .chain(root.len.to_be_bytes())
            .chain(self.packs_len.to_be_bytes())
            .chain([root.depth]);
        let mut out = [0; FOOTER_LEN];
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    fn decode(magic: &[u8; 8], bytes: &[u8; FOOTER_LEN]) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(magic.as_slice()).ok_or(Malformed("footer: magic"))?;
        let word =
            |index: usize| rest.get(index * 8..).and_then(|at| at.first_chunk()).copied().map(u64::from_be_bytes);
        let half =
            |index: usize| rest.get(index * 4..).and_then(|at| at.first_chunk()).copied().map(u32::from_be_bytes);
        let fields = || {
            let root = Root { entries: word(0)?, offset: word(1)?, len: half(8)?, depth: *rest.get(40)? };
            Some(Self { root, total: word(2)?, packs_offset: word(3)?, packs_len: half(9)? })
        };
        let footer = fields().ok_or(Malformed("footer"))?;
        if footer.encode(magic) != *bytes {
            return Err(Malformed("footer: reserved bytes"));
        }
        if footer.root.entries > MAX_ENTRIES || usize::from(footer.root.depth) > MAX_DEPTH {
            return Err(Malformed("footer: entries or depth"));
        }
        Ok(footer)
    }

    pub(crate) fn read<S: Source>(magic: &[u8; 8], from: &mut Opener<S>) -> Result<Self, Error<S::Error>> {
        let start = from.plaintext_len().checked_sub(FOOTER_LEN as u64).ok_or(Malformed("footer: too short"))?;
        let bytes = from.read(start, FOOTER_LEN)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| Error::Failed)?;
        Ok(Self::decode(magic, bytes)?)
    }
}
