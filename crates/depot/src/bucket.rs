//! A depot in an object store: `<prefix>/<vault id>/<object id>`.
//!
//! The rest of the crate blocks, so each bucket owns one thread with a small event loop; this module is the only place with async code. Retries and
//! time-outs are those of the `object_store` client. Nothing relies on conditional writes: names are random and used once, so a store that ignores
//! `If-None-Match` does no harm. Objects of up to one part are put in one request; longer ones become a multipart upload.
//!
//! Unfinished multipart uploads cost storage until the bucket aborts them: give it a life-cycle rule for that.

mod event_loop;
pub mod settings;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use seal::Id;

use crate::error::{Error, Place, Result};
use crate::key::{Hex, Key, parse_id};
use crate::store::{Entry, Object, Store, Sweep, Swept, Taken, Upload};
use event_loop::EventLoop;
pub use settings::{Credentials, Settings};

/// What a bucket is made of: a client of `object_store` that can also put parts in any order.
pub trait Client: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Client for T {}

/// A depot in an object store.
#[derive(Clone)]
pub struct Bucket {
    shared: Arc<Shared>,
    /// How long a read waits for its answer; none for as long as the client tries.
    patience: Option<Duration>,
}

struct Shared {
    client: Arc<dyn Client>,
    prefix: Path,
    part_len: usize,
    events: EventLoop,
}

impl Bucket {
    /// Connects to an S3-compatible bucket. No request is made yet.
    ///
    /// # Errors
    /// [`Error::Settings`] for settings that cannot be used.
    pub fn connect(settings: &Settings) -> Result<Self> {
        let client = settings.client()?;
        Self::with_client(Arc::new(client), &settings.prefix, PART_LEN_BYTES)
    }

    /// A bucket in this process's memory, for tests and trials.
    ///
    /// # Errors
    /// [`Error::Failed`] when the event loop cannot be started.
    pub fn in_memory() -> Result<Self> {
        Self::with_client(Arc::new(object_store::memory::InMemory::new()), "", PART_LEN_BYTES)
    }

    /// A bucket over any client; `part_len_bytes` is at least 5 MiB on real services.
    ///
    /// # Errors
    /// [`Error::Settings`] for a prefix that is no path or a part length of 0; [`Error::Failed`] when the event loop cannot be started.
    pub fn with_client(client: Arc<dyn Client>, prefix: &str, part_len_bytes: usize) -> Result<Self> {
        if part_len_bytes == 0 {
            return Err(Error::Settings { what: "parts of 0 bytes".into() });
        }
        let prefix = Path::parse(prefix).map_err(|_| Error::Settings { what: format!("`{prefix}` is no prefix") })?;
        let shared = Shared { client, prefix, part_len: part_len_bytes, events: EventLoop::start()? };
        Ok(Self { shared: Arc::new(shared), patience: None })
    }

    /// With reads that give up after this time, because what they look for is elsewhere too.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    fn path(&self, key: &Key) -> Path {
        self.vault_path(key.vault()).join(Hex(key.object()).to_string())
    }

    fn vault_path(&self, vault: &Id) -> Path {
        self.shared.prefix.clone().join(Hex(vault).to_string())
    }

    /// As [`Self::run`], for what only looks.
    fn look<T, F, R>(&self, place: Place, request: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn Client>) -> R,
        R: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let future = request(Arc::clone(&self.shared.client));
        self.shared.events.run_within(future, place, self.patience)?.map_err(|e| map(e, place))
    }

    /// Runs one request on the event loop and waits for it.
    fn run<T, F, R>(&self, place: Place, request: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn Client>) -> R,
        R: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let future = request(Arc::clone(&self.shared.client));
        self.shared.events.run(future, place)?.map_err(|e| map(e, place))
    }

    /// The length of an object, or `None` when it is not there.
    fn length(&self, key: &Key) -> Result<Option<u64>> {
        let path = self.path(key);
        match self.look(key.into(), |client| async move { client.head(&path).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Up to `len` bytes from `offset`, and the object's length.
    fn range(&self, key: &Key, offset: u64, len: u64) -> Result<(Bytes, u64)> {
        let path = self.path(key);
        let end = offset.checked_add(len).ok_or(Error::Misuse { what: "a range past 2^64" })?;
        self.look(key.into(), move |client| async move {
            let options = GetOptions { range: Some(GetRange::Bounded(offset..end)), ..GetOptions::default() };
            let answer = client.get_opts(&path, options).await?;
            let object_len = answer.meta.size;
            if answer.range.start != offset {
                return Ok((Bytes::new(), object_len));
            }
            let bytes = take(answer.into_stream(), len).await?;
            Ok((bytes, object_len))
        })
    }
}

impl Store for Bucket {
    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(upload::BucketUpload::start(self.clone(), *key, Taken::Refused)))
    }

    fn replace(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(upload::BucketUpload::start(self.clone(), *key, Taken::Replaced)))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Object>> {
        let len_bytes = self.length(key)?.ok_or(Error::NotFound { place: key.into() })?;
        Ok(Box::new(BucketObject { bucket: self.clone(), key: *key, len_bytes }))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let path = self.path(key);
        match self.run(key.into(), |client| async move { client.delete(&path).await }) {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    fn list(&self, vault: &Id, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        let folder = self.vault_path(vault);
        let offset = after.map(|key| self.path(key));
        let metas = self.look(Place::Vault(*vault), move |client| async move {
            let mut stream = match &offset {
                Some(offset) => client.list_with_offset(Some(&folder), offset),
                None => client.list(Some(&folder)),
            };
            let mut found = Vec::new();
            while found.len() < limit {
                let Some(meta) = stream.try_next().await? else { break };
                found.extend(object_id(&folder, &meta.location).map(|id| (id, meta.size)));
            }
            Ok(found)
        })?;
        Ok(metas.into_iter().map(|(id, len_bytes)| Entry { key: Key::new(*vault, id), len_bytes }).collect())
    }

    fn sweep(&self, _vault: &Id, _before: SystemTime, _what: Sweep) -> Result<Swept> {
        Ok(Swept::default())
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<()> {
        if buf.is_empty() {
            return self.open(key)?.read_at(offset, buf);
        }
        let len = buf.len() as u64;
        let (bytes, object_len) = self.range(key, offset, len)?;
        if bytes.len() != buf.len() {
            return Err(Error::PastEnd { key: *key, offset, len, object_len });
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }

    fn len_bytes(&self, key: &Key) -> Result<u64> {
        self.length(key)?.ok_or(Error::NotFound { place: key.into() })
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}, `{}`)", self.shared.client, self.shared.prefix)
    }
}

#[derive(Debug)]
struct BucketObject {
    bucket: Bucket,
    key: Key,
    len_bytes: u64,
}

impl Object for BucketObject {
    fn key(&self) -> &Key {
        &self.key
    }

    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn step_bytes(&self) -> usize {
        STEP_BYTES
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.len_bytes) {
            return Err(Error::PastEnd { key: self.key, offset, len, object_len: self.len_bytes });
        }
        if buf.is_empty() { Ok(()) } else { self.bucket.read_at(&self.key, offset, buf) }
    }
}

/// Collects a body, but never more than was asked for, whatever the server sends.
async fn take<S>(mut stream: S, len: u64) -> object_store::Result<Bytes>
where
    S: futures::Stream<Item = object_store::Result<Bytes>> + Unpin,
{
    let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
    let wanted = usize::try_from(len).unwrap_or(usize::MAX);
    if first.len() >= wanted {
        return Ok(first.slice(..wanted));
    }
    let mut bytes = Vec::with_capacity(wanted);
    bytes.extend_from_slice(&first);
    while bytes.len() < wanted {
        let Some(more) = stream.try_next().await? else { break };
        let room = wanted - bytes.len();
        bytes.extend_from_slice(more.get(..room).unwrap_or(&more));
    }
    Ok(bytes.into())
}

/// The id in a listed path, or `None` for names that are not of our making.
fn object_id(folder: &Path, location: &Path) -> Option<Id> {
    let rest = location.as_ref().strip_prefix(folder.as_ref())?.strip_prefix('/')?;
    parse_id(rest)
}

/// Turns an error of the client into ours.
fn map(error: object_store::Error, place: Place) -> Error {
    use object_store::Error as Theirs;
    match error {
        Theirs::NotFound { .. } => Error::NotFound { place },
        Theirs::AlreadyExists { .. } | Theirs::Precondition { .. } => Error::AlreadyExists { place },
        Theirs::PermissionDenied { .. } | Theirs::Unauthenticated { .. } => Error::Denied { place },
        error @ (Theirs::Generic { .. } | Theirs::JoinError { .. }) => {
            Error::Unavailable { place, source: Box::new(error) }
        }
        error => Error::Failed { place, source: Box::new(error) },
    }
}

/// Bytes in each part of a multipart upload but the last. Services allow 10,000 parts, so an object may have 78 GiB.
pub const PART_LEN_BYTES: usize = 8 << 20;

/// Bytes asked for at a time in a long read: a round trip costs as much as 1 or 2 MiB.
const STEP_BYTES: usize = 4 << 20;
