//! Several depots of one vault: written to the first, read from whichever holds what is asked for.
//!
//! An object of the first depot knows its copies in the others ([`Object::other`]). [`crate::sealed`] asks for the next copy when one is not
//! there, or is not what its digest says: group by group, so that two damaged copies may still make a whole one. A depot that did not
//! answer once is left out from then on.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use seal::Id;

use crate::error::{Error, Place, Result, told};
use crate::key::Key;
use crate::store::{Entry, Object, Store, Sweep, Swept, Upload};

/// Opens a depot when it is first needed.
pub type Opening = dyn Fn() -> Result<Arc<dyn Store>> + Send + Sync;

/// One depot among several.
pub struct Member {
    name: String,
    opening: Box<Opening>,
    store: OnceLock<std::result::Result<Arc<dyn Store>, Arc<Error>>>,
    silent: AtomicBool,
}

impl Member {
    /// A depot by the name under which it is told, opened by the first call that needs it.
    pub fn new(name: impl Into<String>, opening: impl Fn() -> Result<Arc<dyn Store>> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), opening: Box::new(opening), store: OnceLock::new(), silent: AtomicBool::new(false) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The depot itself.
    ///
    /// # Errors
    /// [`Error::Closed`] if it could not be opened.
    pub fn store(&self) -> Result<&dyn Store> {
        match self.store.get_or_init(|| (self.opening)().map_err(Arc::new)) {
            Ok(store) => Ok(&**store),
            Err(source) => Err(Error::Closed { depot: self.name.clone(), source: Arc::clone(source) }),
        }
    }

    /// What a reading call answers, unless the depot stayed silent before.
    fn asked<T>(&self, place: Place, call: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::Unavailable { place, source: Box::new(Silent) });
        }
        let answer = call();
        if matches!(answer, Err(Error::Unavailable { .. })) {
            self.silent.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({})", self.name)
    }
}

/// The cause of what a silent depot is not asked any more.
#[derive(Debug, thiserror::Error)]
#[error("it did not answer before")]
struct Silent;

/// A copy that was not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The depot.
    pub depot: String,
    /// The object.
    pub key: Key,
    /// What was wrong with it there.
    pub why: String,
}

/// Several depots that are read as one.
#[derive(Debug, Clone)]
pub struct Several {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    members: Vec<Arc<Member>>,
    missed: Mutex<Vec<Missed>>,
}

impl Several {
    /// The first of them is written to.
    #[must_use]
    pub fn new(members: Vec<Arc<Member>>) -> Self {
        Self { shared: Arc::new(Shared { members, missed: Mutex::default() }) }
    }

    /// Copies that were passed over since this was asked last, each once, the first 1,000 of them.
    pub fn take_missed(&self) -> Vec<Missed> {
        std::mem::take(&mut *self.shared.lock())
    }

    fn first(&self) -> Result<&dyn Store> {
        self.shared.members.first().ok_or(NONE)?.store()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Missed>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, member: &Member, key: &Key, why: &dyn std::error::Error) {
        // Alone, it is told by the error.
        if self.members.len() < 2 {
            return;
        }
        let mut missed = self.lock();
        let known = missed.iter().any(|one| one.key == *key && one.depot == member.name);
        if !known && missed.len() < MAX_MISSED {
            missed.push(Missed { depot: member.name.clone(), key: *key, why: told(why) });
        }
    }

    /// The first copy in a member from this one on.
    fn open(self: &Arc<Self>, key: &Key, first: usize) -> Result<Copy> {
        let mut failed = None;
        for (at, member) in self.members.iter().enumerate().skip(first) {
            let opened = member.store().and_then(|store| member.asked(key.into(), || store.open(key)));
            match opened {
                Ok(object) => {
                    let (shared, member, next) = (Arc::clone(self), Arc::clone(member), OnceLock::new());
                    return Ok(Copy { object, shared, member, at, next });
                }
                Err(error) => {
                    self.note(member, key, &error);
                    failed.get_or_insert(error);
                }
            }
        }
        Err(failed.unwrap_or(Error::NotFound { place: key.into() }))
    }
}

impl Store for Several {
    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.first()?.create(key)
    }

    fn replace(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.first()?.replace(key)
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Object>> {
        Ok(Box::new(self.shared.open(key, 0)?))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        // One that fails keeps no other from being asked.
        let mut outcome = Ok(());
        for member in &self.shared.members {
            outcome = outcome.and(member.store().and_then(|store| store.delete(key)));
        }
        outcome
    }

    fn list(&self, vault: &Id, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>> {
        self.first()?.list(vault, after, limit)
    }

    fn sweep(&self, vault: &Id, before: SystemTime, what: Sweep) -> Result<Swept> {
        self.first()?.sweep(vault, before, what)
    }
}

/// A copy, and the way to the next one.
#[derive(Debug)]
struct Copy {
    object: Box<dyn Object>,
    shared: Arc<Shared>,
    member: Arc<Member>,
    at: usize,
    next: OnceLock<Option<Box<Copy>>>,
}

impl Object for Copy {
    fn key(&self) -> &Key {
        self.object.key()
    }

    fn len_bytes(&self) -> u64 {
        self.object.len_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.member.asked(self.key().into(), || self.object.read_at(offset, buf))
    }

    fn step_bytes(&self) -> usize {
        self.object.step_bytes()
    }

    fn is_copied(&self) -> bool {
        self.shared.members.len() > 1
    }

    fn other(&self, why: &dyn std::error::Error) -> Option<&dyn Object> {
        self.shared.note(&self.member, self.key(), why);
        let next = self.next.get_or_init(|| self.shared.open(self.key(), self.at + 1).ok().map(Box::new));
        next.as_deref().map(|copy| copy as &dyn Object)
    }
}

const NONE: Error = Error::Bug { what: "a vault without a depot" };

/// Copies passed over that are remembered.
const MAX_MISSED: usize = 1_000;
