//! A backup as it is read: its header without a key, its items with one, in order or by their places.

use super::{BLOCK_LEN, damaged};
use crate::error::{Error, Result};
use crate::keys::sealed;
use crate::roots::{self, RootProvider, Secret, unlock_escrow};
use crate::vault::file::VaultFile;
use crate::vault::{Recovering, RootMeans, open};
use api::terms::{BackupId, KeyId, Timestamp};
use aws_lc_rs::digest::{Context, SHA256};
use seal::backup::{self, CHECKSUM_LEN, FRONT_LEN, Header, Item, ItemKind, MAX_HEAD_LEN};
use seal::chunked::{self, CHUNK_LEN, HEADER_LEN, Opener, SEALED_CHUNK_LEN, TAG_LEN};
use seal::secret::MacKey;
use seal::wrap::Kind;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opens a backup.
#[derive(Debug)]
pub enum Opening {
    /// Roots of the vault; they are tried in the order in which the backup names them.
    Roots(Vec<Arc<RootMeans>>),
    /// What brings a vault back when its roots are gone.
    Recovering(Recovering),
}

/// A backup without a key.
#[derive(Debug)]
pub(super) struct Sealed {
    path: PathBuf,
    file: File,
    len: u64,
    /// Every byte before the message.
    front: Vec<u8>,
    pub(super) header: Header,
}

/// A backup that opens.
pub(super) struct Opened<'s> {
    sealed: &'s Sealed,
    opener: Opener,
    /// Plaintext bytes of the message.
    len: u64,
}

impl Sealed {
    /// Reads the header, and whether the file is as long as a backup can be.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Error::NoFile(path.to_owned()),
            _ => Error::io("the backup cannot be read", path, &error),
        };
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(damaged("it is no file"));
        }
        let cut = || damaged("it is cut short");
        let mut start = [0; FRONT_LEN];
        if about.len() < FRONT_LEN as u64 {
            return Err(damaged("this is no backup of a vault"));
        }
        file.read_exact_at(&mut start, 0).map_err(io)?;
        let malformed = |error: seal::Malformed| damaged(error.to_string());
        let mut front = vec![0; Header::front_len(&start).map_err(malformed)?];
        let least = front.len() as u64 + (HEADER_LEN + TAG_LEN + CHECKSUM_LEN) as u64;
        if about.len() < least {
            return Err(cut());
        }
        file.read_exact_at(&mut front, 0).map_err(io)?;
        let (header, _) = Header::decode(&front).map_err(malformed)?;
        let sealed = Self { path: path.to_owned(), file, len: about.len(), front, header };
        chunked::plaintext_len(sealed.message_len()).map_err(|_| cut())?;
        Ok(sealed)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Which backup it says it is.
    pub(super) fn id(&self) -> BackupId {
        BackupId::from_bytes(self.header.backup)
    }

    /// When it says that it was made.
    pub(super) fn made(&self) -> Timestamp {
        Timestamp::from_millis(self.header.made_ms)
    }

    fn message_len(&self) -> u64 {
        self.len - self.front.len() as u64 - CHECKSUM_LEN as u64
    }

    /// The file of the vault that it is of, as the header has it.
    pub(super) fn vault_file(&self) -> Result<VaultFile> {
        let file = VaultFile::parse(&self.header.description)?;
        let same = (*file.vault.as_bytes(), sealed(file.suite)) == (self.header.vault, self.header.suite);
        if same { Ok(file) } else { Err(damaged("its header speaks of two vaults")) }
    }

    /// Whether the checksum holds: nothing was damaged by accident. Says nothing about who wrote it.
    pub(super) fn sum_holds(&self) -> Result<bool> {
        let mut sum = Context::new(&SHA256);
        let mut block = vec![0; BLOCK_LEN];
        let end = self.len - CHECKSUM_LEN as u64;
        let mut at = 0;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(BLOCK_LEN).min(BLOCK_LEN);
            let into = block.get_mut(..most).ok_or(Error::Internal("a block that is too short"))?;
            self.read_at(into, at)?;
            sum.update(into);
            at += most as u64;
        }
        Ok(sum.finish().as_ref() == self.checksum()?)
    }

    fn checksum(&self) -> Result<[u8; CHECKSUM_LEN]> {
        let mut kept = [0; CHECKSUM_LEN];
        self.read_at(&mut kept, self.len - CHECKSUM_LEN as u64)?;
        Ok(kept)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(into, at).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged("it became shorter while it was read"),
            _ => Error::io("the backup cannot be read", &self.path, &error),
        })
    }

    /// The first root that opens it, and the vault's MAC key.
    ///
    /// # Errors
    /// What the first of them said, if none does.
    pub(super) fn unlock(&self, file: &VaultFile, with: &Opening) -> Result<(Arc<dyn RootProvider>, MacKey)> {
        let roots = match with {
            Opening::Recovering(Recovering::Code(code)) => {
                let root: Arc<dyn RootProvider> =
                    Arc::new(open::unlock_recovery(file, &roots::recovery::parse(code)?)?);
                return self.mac_key(file, root.as_ref()).map(|key| (root, key));
            }
            Opening::Recovering(Recovering::Shares(shares)) => {
                let root: Arc<dyn RootProvider> = Arc::new(unlock_escrow(file, shares)?);
                return self.mac_key(file, root.as_ref()).map(|key| (root, key));
            }
            Opening::Roots(roots) => roots,
        };
        let mut refused = None;
        for entry in &file.roots {
            for means in roots.iter().filter(|means| means.fits(entry)) {
                let opened = open::with(file, entry.id, means).and_then(|root| {
                    let key = self.mac_key(file, root.as_ref())?;
                    Ok((Arc::from(root), key))
                });
                match opened {
                    Ok(opened) => return Ok(opened),
                    Err(error) => {
                        refused.get_or_insert(error);
                    }
                }
            }
        }
        Err(refused.unwrap_or(Error::RootRefused("the backup has no root of this kind")))
    }

    fn mac_key(&self, file: &VaultFile, root: &dyn RootProvider) -> Result<MacKey> {
        let wrap = self.header.wraps.iter().find(|wrap| wrap.root == *root.id().as_bytes());
        let wrap = wrap.ok_or(Error::RootRefused("the backup is not under this root"))?;
        let key = KeyId::from_bytes(self.header.mac_key);
        match root.unwrap(&roots::context(file.suite, file.vault, Kind::Mac, key, root.id()), &wrap.sealed)? {
            Secret::Mac(key) => Ok(key),
            _ => Err(Error::Wrap { key: key.to_string() }),
        }
    }

    /// Opens the message.
    pub(super) fn opened(&self, mac: &MacKey) -> Result<Opened<'_>> {
        let mut start = [0; HEADER_LEN];
        self.read_at(&mut start, self.front.len() as u64)?;
        let opener = backup::opener(mac, &self.header, &self.front, &start)
            .map_err(|_| damaged("its header was altered, or it was sealed by somebody else"))?;
        let len = chunked::plaintext_len(self.message_len()).map_err(|_| damaged("it is cut short"))?;
        Ok(Opened { sealed: self, opener, len })
    }
}

impl<'s> Opened<'s> {
    /// The file.
    pub(super) fn sealed(&self) -> &'s Sealed {
        self.sealed
    }

    /// Reads its items in their order.
    pub(super) fn items(&self) -> Items<'_, 's> {
        let mut sum = Context::new(&SHA256);
        sum.update(&self.sealed.front);
        Items { of: self, sum, next: 0, plain: Vec::new(), used: 0, offset: 0 }
    }

    /// Plaintext bytes from a place on.
    pub(super) fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(len);
        let (mut chunk, mut skip) =
            (offset / CHUNK_LEN as u64, usize::try_from(offset % CHUNK_LEN as u64).unwrap_or(0));
        while out.len() < len {
            let (plain, _) = self.chunks(chunk, 1)?;
            let rest = plain.get(skip..).unwrap_or_default();
            if rest.is_empty() {
                return Err(damaged("an item goes beyond its end"));
            }
            out.extend(rest.iter().take(len - out.len()));
            (chunk, skip) = (chunk + 1, 0);
        }
        Ok(out)
    }

    /// Some chunks, opened, and as they lie in the file.
    fn chunks(&self, first: u64, count: u64) -> Result<(Vec<u8>, Vec<u8>)> {
        let message = self.sealed.message_len();
        let from = chunked::chunk_offset(first);
        let to = chunked::chunk_offset(first.saturating_add(count)).min(message);
        let Some(len) = to.checked_sub(from) else { return Ok((Vec::new(), Vec::new())) };
        let mut raw = vec![0; usize::try_from(len).map_err(|_| Error::Internal("more chunks than memory"))?];
        self.sealed.read_at(&mut raw, self.sealed.front.len() as u64 + from)?;
        let mut plain = vec![0; raw.chunks(SEALED_CHUNK_LEN).map(|chunk| chunk.len().saturating_sub(TAG_LEN)).sum()];
        for ((at, sealed), out) in (first..).zip(raw.chunks(SEALED_CHUNK_LEN)).zip(plain.chunks_mut(CHUNK_LEN)) {
            let opened = self.opener.open_chunk(at, sealed, out);
            opened.map_err(|_| damaged(format!("chunk {at} was altered")))?;
        }
        // The last chunk may be of nothing but its tag: then there is no room in which to open it.
        if let (0, Some(last)) = (plain.len() % CHUNK_LEN, raw.chunks(SEALED_CHUNK_LEN).last())
            && last.len() == TAG_LEN
        {
            let at = first + (raw.len() / SEALED_CHUNK_LEN) as u64;
            let opened = self.opener.open_chunk(at, last, &mut []);
            opened.map_err(|_| damaged(format!("chunk {at} was altered")))?;
        }
        Ok((plain, raw))
    }
}

/// The items of a backup, one after the other. Nothing is given out that was not authenticated; that it is whole is known at
/// [`Items::finish`] alone.
pub(super) struct Items<'o, 's> {
    of: &'o Opened<'s>,
    sum: Context,
    /// The next chunk to read.
    next: u64,
    plain: Vec<u8>,
    /// How much of it was given out.
    used: usize,
    /// Where that is in the message.
    offset: u64,
}

impl Items<'_, '_> {
    /// The head of the next item, whose bytes have to be read before the one after it; and where they begin.
    pub(super) fn head(&mut self) -> Result<(Item, u64)> {
        self.fill(MAX_HEAD_LEN)?;
        let waiting = self.plain.get(self.used..).unwrap_or_default();
        let decoded = Item::decode(waiting).map_err(|error| damaged(error.to_string()))?;
        let (item, len) = decoded.ok_or_else(|| damaged("it ends before its end"))?;
        self.used += len;
        self.offset += len as u64;
        if item.len > self.of.len.saturating_sub(self.offset) {
            return Err(damaged("an item goes beyond its end"));
        }
        Ok((item, self.offset))
    }

    /// Gives the bytes of an item piece by piece.
    pub(super) fn read(&mut self, item: &Item, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut left = item.len;
        while left > 0 {
            self.fill(1)?;
            let waiting = self.plain.get(self.used..).unwrap_or_default();
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(waiting.len());
            let piece = waiting.get(..most).filter(|piece| !piece.is_empty());
            let piece = piece.ok_or_else(|| damaged("an item goes beyond its end"))?;
            let len = piece.len();
            each(piece)?;
            self.used += len;
            self.offset += len as u64;
            left -= len as u64;
        }
        Ok(())
    }

    /// A short item as a whole.
    pub(super) fn whole(&mut self, item: &Item, max: u64) -> Result<Vec<u8>> {
        if item.len > max {
            return Err(damaged("an item is longer than it may be"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(item.len).unwrap_or(0));
        self.read(item, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// The head of the first item, which says what the others are.
    pub(super) fn first(&mut self) -> Result<Item> {
        match self.head()?.0 {
            item if item.kind == ItemKind::Manifest => Ok(item),
            _ => Err(damaged("it does not begin with its manifest")),
        }
    }

    /// After the last item: the message ends here, and the checksum is that of the file.
    pub(super) fn finish(mut self) -> Result<()> {
        self.fill(1)?;
        if self.offset != self.of.len || self.used < self.plain.len() {
            return Err(damaged("something follows its end"));
        }
        if self.sum.finish().as_ref() == self.of.sealed.checksum()? {
            Ok(())
        } else {
            Err(damaged("its checksum does not hold"))
        }
    }

    /// Opens more, until so much waits or the message is over.
    fn fill(&mut self, len: usize) -> Result<()> {
        while self.plain.len() - self.used < len {
            let (plain, raw) = self.of.chunks(self.next, (BLOCK_LEN / CHUNK_LEN) as u64)?;
            if raw.is_empty() {
                return Ok(());
            }
            if self.next == 0 {
                let mut start = [0; HEADER_LEN];
                self.of.sealed.read_at(&mut start, self.of.sealed.front.len() as u64)?;
                self.sum.update(&start);
            }
            self.sum.update(&raw);
            self.next += (BLOCK_LEN / CHUNK_LEN) as u64;
            self.plain.drain(..self.used);
            self.used = 0;
            self.plain.extend_from_slice(&plain);
        }
        Ok(())
    }
}
