//! A store that fails on command, for the tests of this crate and of those above it (feature `fault`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use seal::Id;

use crate::error::{Error, Place, Result};
use crate::key::Key;
use crate::store::{Entry, Object, Store, Sweep, Swept, Taken, Upload};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The call fails and does nothing.
    Refuse,
    /// A write meets a full disk.
    Full,
    /// The call does its work and then fails.
    LoseAck,
    /// `finish` fails and leaves an object that was cut.
    Torn,
    /// A read gives one wrong bit.
    Flip,
    /// A read says that the object ends earlier.
    Short,
    /// A listing lacks some of the objects.
    StaleList,
}

impl Kind {
    /// A name for plans and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Full => "full",
            Self::LoseAck => "lose-ack",
            Self::Torn => "torn",
            Self::Flip => "flip",
            Self::Short => "short",
            Self::StaleList => "stale-list",
        }
    }
}

/// Decides whether a fault strikes now; the number shapes it (which bit, where the cut is).
pub type Script = dyn Fn(Kind) -> Option<u64> + Send + Sync;

/// A store that does what its script says to every call.
pub struct FaultStore {
    inner: Arc<dyn Store>,
    script: Arc<Script>,
}

impl FaultStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>, script: impl Fn(Kind) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self { inner, script: Arc::new(script) }
    }

    /// The wrapped store, to look at what is really there.
    #[must_use]
    pub fn inner(&self) -> &dyn Store {
        &*self.inner
    }
}

impl FaultStore {
    fn upload(&self, key: &Key, upload: Box<dyn Upload>, taken: Taken) -> Box<dyn Upload> {
        let (again, script) = (Arc::clone(&self.inner), Arc::clone(&self.script));
        Box::new(FaultUpload { key: *key, upload, again, taken, copy: Mutex::default(), script })
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl Store for FaultStore {
    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        refuse(&*self.script, key.into())?;
        Ok(self.upload(key, self.inner.create(key)?, Taken::Refused))
    }

    fn replace(&self, key: &Key) -> Result<Box<dyn Upload>> {
        refuse(&*self.script, key.into())?;
        Ok(self.upload(key, self.inner.replace(key)?, Taken::Replaced))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Object>> {
        refuse(&*self.script, key.into())?;
        Ok(Box::new(FaultObject { object: self.inner.open(key)?, script: Arc::clone(&self.script) }))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        refuse(&*self.script, key.into())?;
        self.inner.delete(key)?;
        lose(&*self.script, key.into())
    }

    fn list(&self, vault: &Id, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        refuse(&*self.script, Place::Vault(*vault))?;
        let mut entries = self.inner.list(vault, after, limit)?;
        if let Some(shape) = (self.script)(Kind::StaleList) {
            entries.retain(|entry| entry.key.object().first().is_some_and(|byte| u64::from(*byte) & 1 == shape & 1));
        }
        Ok(entries)
    }

    fn sweep(&self, vault: &Id, before: SystemTime, what: Sweep) -> Result<Swept> {
        refuse(&*self.script, Place::Vault(*vault))?;
        self.inner.sweep(vault, before, what)
    }
}

struct FaultUpload {
    key: Key,
    upload: Box<dyn Upload>,
    again: Arc<dyn Store>,
    taken: Taken,
    copy: Mutex<Vec<u8>>,
    script: Arc<Script>,
}

impl Upload for FaultUpload {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let place = Place::from(self.key);
        refuse(&*self.script, place)?;
        if (self.script)(Kind::Full).is_some() {
            return Err(Error::Full { place });
        }
        self.upload.write_at(offset, bytes)?;
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).map_err(|_| Error::Full { place })?;
        if copy.len() < start + bytes.len() {
            copy.resize(start + bytes.len(), 0);
        }
        if let Some(target) = copy.get_mut(start..start + bytes.len()) {
            target.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let place = Place::from(self.key);
        let Self { key, upload, again, taken, copy, script } = *self;
        refuse(&*script, place)?;
        if let Some(shape) = script(Kind::Torn) {
            drop(upload);
            let copy = copy.into_inner().unwrap_or_else(PoisonError::into_inner);
            let cut = usize::try_from(shape).unwrap_or(0).checked_rem(copy.len()).unwrap_or(0);
            let torn = if taken == Taken::Refused { again.create(&key)? } else { again.replace(&key)? };
            torn.write_at(0, copy.get(..cut).unwrap_or_default())?;
            torn.finish()?;
            return Err(unavailable(place));
        }
        upload.finish()?;
        lose(&*script, place)
    }
}

struct FaultObject {
    object: Box<dyn Object>,
    script: Arc<Script>,
}

impl fmt::Debug for FaultObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultObject({:?})", self.object)
    }
}

impl Object for FaultObject {
    fn key(&self) -> &Key {
        self.object.key()
    }

    fn len_bytes(&self) -> u64 {
        self.object.len_bytes()
    }

    fn step_bytes(&self) -> usize {
        self.object.step_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let key = *self.object.key();
        refuse(&*self.script, key.into())?;
        if (self.script)(Kind::Short).is_some() {
            return Err(Error::PastEnd { key, offset, len: buf.len() as u64, object_len: offset });
        }
        self.object.read_at(offset, buf)?;
        if let Some(shape) = (self.script)(Kind::Flip) {
            let at = usize::try_from(shape >> 3).unwrap_or(0).checked_rem(buf.len());
            if let Some(byte) = at.and_then(|at| buf.get_mut(at)) {
                *byte ^= 1 << (shape & 7);
            }
        }
        Ok(())
    }
}

fn refuse(script: &Script, place: Place) -> Result<()> {
    script(Kind::Refuse).map_or(Ok(()), |_| Err(unavailable(place)))
}

fn lose(script: &Script, place: Place) -> Result<()> {
    script(Kind::LoseAck).map_or(Ok(()), |_| Err(unavailable(place)))
}

fn unavailable(place: Place) -> Error {
    Error::Unavailable { place, source: Box::new(Struck) }
}

/// The cause named by struck calls.
#[derive(Debug, thiserror::Error)]
#[error("a fault of the test's plan struck")]
struct Struck;
