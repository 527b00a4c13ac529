//! The file as it is written: sealed as it comes, summed up, whole or not there at all.

use super::BLOCK_LEN;
use crate::error::{Error, Result};
use crate::system;
use aws_lc_rs::digest::{Context, SHA256};
use seal::backup::{BodySealer, Header, Item, ItemKind};
use seal::secret::MacKey;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A backup that is being written beside the place where it goes. What is dropped leaves nothing.
pub(super) struct Output {
    path: PathBuf,
    partial: Partial,
    file: File,
    sum: Context,
    sealer: BodySealer,
    /// Sealed, and not written yet.
    waiting: Vec<u8>,
    written: u64,
    /// What the item under way still lacks.
    lacks: u64,
}

impl Output {
    /// Begins the file that is to be at `path`, where nothing may be.
    pub(super) fn begin(path: &Path, header: &Header, mac: &MacKey) -> Result<Self> {
        refuse_existing(path)?;
        sweep(path);
        let partial = partial(path, &hex::encode(system::random::<4>()?))?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let file = made.map_err(|error| io(path, &error))?;
        let partial = Partial(Some(partial));
        let front = header.encode().map_err(|_| Error::Internal("a backup with a header out of bounds"))?;
        let mut waiting = Vec::with_capacity(2 * BLOCK_LEN);
        waiting.extend_from_slice(&front);
        let sealer = BodySealer::new(mac, header, &front, &mut waiting).map_err(failed)?;
        let path = path.to_owned();
        Ok(Self { path, partial, file, sum: Context::new(&SHA256), sealer, waiting, written: 0, lacks: 0 })
    }

    /// A whole item.
    pub(super) fn item(&mut self, kind: ItemKind, name: &str, bytes: &[u8]) -> Result<()> {
        self.head(kind, name, bytes.len() as u64)?;
        self.push(bytes)
    }

    /// An item of so many bytes, read from somewhere.
    pub(super) fn item_from(&mut self, kind: ItemKind, mut from: impl Read, len: u64, source: &Path) -> Result<()> {
        self.head(kind, "", len)?;
        let mut block = vec![0; BLOCK_LEN];
        while self.lacks > 0 {
            let most = usize::try_from(self.lacks).unwrap_or(BLOCK_LEN).min(BLOCK_LEN);
            let into = block.get_mut(..most).ok_or(Error::Internal("a block that is too short"))?;
            let read = match from.read(into) {
                Ok(0) => return Err(Error::Internal("the copy of the database became shorter")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("the copy of the database cannot be read", source, &error)),
            };
            self.push(block.get(..read).unwrap_or_default())?;
        }
        Ok(())
    }

    fn head(&mut self, kind: ItemKind, name: &str, len: u64) -> Result<()> {
        let head = Item { kind, name: name.to_owned(), len }.encode();
        let head = head.map_err(|_| Error::Internal("an item of a backup with too long a name"))?;
        self.lacks = head.len() as u64;
        self.push(&head)?;
        self.lacks = len;
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let lacks = self.lacks.checked_sub(bytes.len() as u64);
        self.lacks = lacks.ok_or(Error::Internal("an item that is longer than it said"))?;
        self.sealer.push(bytes, &mut self.waiting).map_err(failed)?;
        if self.waiting.len() >= BLOCK_LEN { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.sum.update(&self.waiting);
        self.file.write_all(&self.waiting).map_err(|error| io(&self.path, &error))?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Ends the file, makes it durable and puts it in its place, which nothing else may have taken meanwhile; its length.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.item(ItemKind::End, "", &[])?;
        let Self { path, mut partial, mut file, mut sum, sealer, mut waiting, written, .. } = self;
        sealer.finish(&mut waiting).map_err(failed)?;
        sum.update(&waiting);
        waiting.extend_from_slice(sum.finish().as_ref());
        let io = |error: std::io::Error| io(&path, &error);
        file.write_all(&waiting).and_then(|()| file.sync_all()).map_err(io)?;
        if let Some(partial) = &partial.0 {
            rename_new(partial, &path)?;
        }
        partial.0 = None;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(written + waiting.len() as u64)
    }
}

/// A file without its name, removed when it is dropped.
struct Partial(Option<PathBuf>);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Refuses a place that is taken, or has no folder.
pub(super) fn refuse_existing(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(Error::FileExists(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(path, &error)),
    }
}

/// Where the file is before it is whole: beside its place, so that it can be moved there.
fn partial(path: &Path, random: &str) -> Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| Error::bad("the backup", "its place has no name"))?.to_owned();
    name.push(format!(".{random}{PARTIAL}"));
    Ok(path.with_file_name(name))
}

/// Removes what a backup to this place left that was killed: no other one is under way, and nothing of it opens.
fn sweep(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(name), Ok(listing)) = (path.file_name().and_then(|name| name.to_str()), std::fs::read_dir(folder)) else {
        return;
    };
    for file in listing.flatten() {
        let found = file.file_name();
        let random =
            found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(PARTIAL));
        if random.is_some_and(|random| random.len() == 8 && random.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Moves a file to a place where nothing is.
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(Error::FileExists(to.to_owned())),
        // A file system that cannot tell: looked for once more, and moved.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            refuse_existing(to)?;
            std::fs::rename(from, to).map_err(|error| io(to, &error))
        }
        Err(error) => Err(io(to, &error.into())),
    }
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::io("the backup cannot be written", path, error)
}

fn failed(error: seal::chunked::Error) -> Error {
    match error {
        seal::chunked::Error::Entropy(_) => Error::Random,
        _ => Error::Internal("a backup could not be sealed"),
    }
}

const PARTIAL: &str = ".partial";
