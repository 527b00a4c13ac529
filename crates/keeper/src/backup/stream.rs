//! The file as it is written: sealed as it comes, summed up and written by a thread of its own, whole or not there at all.

use super::BLOCK_LEN;
use crate::error::{Error, Result};
use crate::system;
use aws_lc_rs::digest::{Context, SHA256};
use seal::backup::{BodySealer, Header, Item, ItemKind};
use seal::secret::MacKey;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::num::NonZeroU64;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A backup that is being written beside the place where it goes. What is dropped leaves nothing.
pub(super) struct Output {
    path: PathBuf,
    partial: Partial,
    sealer: BodySealer,
    /// Sealed, and not handed to the writer yet.
    waiting: Vec<u8>,
    writer: Writer,
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
        Ok(Self { path, partial, sealer, waiting, writer: Writer::start(file)?, lacks: 0 })
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
                Ok(0) => return Err(Error::Internal("the database became shorter")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("the database cannot be read", source, &error)),
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
        let full = std::mem::replace(&mut self.waiting, Vec::with_capacity(2 * BLOCK_LEN));
        self.writer.push(full).map_err(|error| io(&self.path, &error))
    }

    /// Ends the file, makes it durable and puts it in its place, which nothing else may have taken meanwhile; its length.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.item(ItemKind::End, "", &[])?;
        let Self { path, mut partial, sealer, mut waiting, mut writer, .. } = self;
        let io = |error: std::io::Error| io(&path, &error);
        sealer.finish(&mut waiting).map_err(failed)?;
        let written = writer.push(waiting).and_then(|()| writer.finish()).map_err(io)?;
        if let Some(partial) = &partial.0 {
            rename_new(partial, &path)?;
        }
        partial.0 = None;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(written)
    }
}

/// Sums up and writes what it is handed, in its order, while more is sealed.
struct Writer {
    /// Blocks, and then the end; without that end the file is given up.
    send: Option<SyncSender<Option<Vec<u8>>>>,
    thread: Option<JoinHandle<std::io::Result<u64>>>,
}

impl Writer {
    fn start(mut file: File) -> Result<Self> {
        let (send, receive) = sync_channel::<Option<Vec<u8>>>(WAITING);
        let write = move || {
            let (mut sum, mut written, mut told) = (Context::new(&SHA256), 0, 0);
            while let Some(bytes) = receive.recv().map_err(|_| ErrorKind::BrokenPipe)? {
                sum.update(&bytes);
                file.write_all(&bytes)?;
                written += bytes.len() as u64;
                if written - told >= STRIDE {
                    not_needed(&file, told.saturating_sub(BEHIND), written);
                    told = written;
                }
            }
            let sum = sum.finish();
            file.write_all(sum.as_ref())?;
            file.sync_all()?;
            not_needed(&file, 0, written);
            Ok(written + sum.as_ref().len() as u64)
        };
        let thread =
            std::thread::Builder::new().spawn(write).map_err(|_| Error::Internal("no thread to write with"))?;
        Ok(Self { send: Some(send), thread: Some(thread) })
    }

    fn push(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        match self.send.as_ref().map(|send| send.send(Some(bytes))) {
            Some(Ok(())) => Ok(()),
            // It takes nothing more: it failed, and says how.
            Some(Err(_)) | None => self.ended().and(Err(ErrorKind::BrokenPipe.into())),
        }
    }

    /// All that was handed over is durable; how much it was, with the sum.
    fn finish(&mut self) -> std::io::Result<u64> {
        if let Some(send) = &self.send {
            let _ = send.send(None);
        }
        self.ended()
    }

    fn ended(&mut self) -> std::io::Result<u64> {
        self.send = None;
        let thread = self.thread.take().ok_or(ErrorKind::BrokenPipe)?;
        thread.join().map_err(|_| std::io::Error::from(ErrorKind::BrokenPipe))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.ended();
    }
}

/// Nobody reads it soon: what is on the disk gives its memory back, to what others read of the vault, and the rest goes to the disk now.
fn not_needed(file: &File, from: u64, until: u64) {
    // Where that is not known, it is not done.
    let _ = rustix::fs::fadvise(file, from, NonZeroU64::new(until - from), rustix::fs::Advice::DontNeed);
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

/// Blocks on their way to the writer.
const WAITING: usize = 4;

/// Bytes written between two times that the system is told of it, and how far behind them some may not be on the disk yet.
const STRIDE: u64 = 64 << 20;
const BEHIND: u64 = 256 << 20;

const PARTIAL: &str = ".partial";
