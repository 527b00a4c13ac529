//! The depots of a vault: which there are, and what is done with all of them.
//!
//! New objects are written to the primary, and brought to the others before `put` is answered. What one of those did not take is brought by
//! `depot copy` and its job. Whatever is read is read from the first that has it right. Every object is checked against the digest that
//! its version's record tells, for which no key is needed; so copies and repairs never spread damage.

mod check;
mod copy;
mod needs;
mod place;
mod register;

pub use check::{CheckReport, Finding, Passed, Repair};
pub use copy::{Copied, CopyReport, NotCopied};
pub use place::{BucketAt, Place, parse as parse_place};
pub use register::{Held, NewDepot, Reached, Which};
#[cfg(feature = "embedded")]
pub(crate) use register::{begin_with, tried};

use crate::fault;
use crate::seat::{Seat, unexpected};
use api::terms::{Code, DepotId, DepotKind, ObjectId};
use api::wire::{Answer, Command, DepotItem, DepotList, Problem};
use depot::{Member, Several, Store};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The job that copies to the other depots what they lack.
pub(crate) const JOB: &str = "copy";

/// A depot in use.
#[derive(Debug, Clone)]
pub(crate) struct Depot {
    pub(crate) item: DepotItem,
    pub(crate) place: Place,
    pub(crate) member: Arc<Member>,
}

/// Depots in use, the primary first.
#[derive(Debug)]
pub(crate) struct Depots {
    all: Vec<Depot>,
    store: Arc<dyn Store>,
    several: Option<Several>,
    behind: Mutex<Vec<NotCopied>>,
}

/// A copy of an object that was passed over while something was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// The depot.
    pub depot: String,
    /// Where it is.
    pub place: String,
    /// The object.
    pub object: String,
    /// What was wrong with it there.
    pub what: String,
}

impl Depots {
    /// One depot that no keeper names.
    pub(crate) fn alone(store: Arc<dyn Store>) -> Self {
        Self { all: Vec::new(), store, several: None, behind: Mutex::default() }
    }

    /// Those that the keeper names. None is asked for anything yet.
    pub(crate) fn of(seat: &Seat, dir: &Path) -> Result<Self, Problem> {
        let told = seat.connection().depots().cloned();
        let items = match told.map_or_else(|| listed(seat), Ok) {
            Ok(list) => list.items,
            // With a clock out of bounds nothing is read or written: a command on the clock needs no depot.
            Err(problem) if matches!(problem.code, Code::ClockBack | Code::ClockAhead) => {
                return Ok(Self::alone(Arc::new(Several::new(Vec::new()))));
            }
            Err(problem) => return Err(problem),
        };
        let several = items.len() > 1;
        let open = |item: DepotItem| {
            let (place, name) = (Place::of(&item, dir)?, item.id.to_string());
            let opened = place.clone();
            let member = Member::new(name, move || opened.open(several));
            Ok(Depot { item, place, member: Arc::new(member) })
        };
        let all = items.into_iter().map(open).collect::<Result<Vec<_>, Problem>>()?;
        if let [only] = all.as_slice()
            && only.item.kind == DepotKind::Folder
        {
            let store = only.place.open(several).map_err(|e| {
                let problem = fault::depot("cannot open the depot", &e);
                problem.with_try("put the folder `depot` back from a copy of the vault")
            })?;
            return Ok(Self { all, store, several: None, behind: Mutex::default() });
        }
        let several = Several::new(all.iter().map(|depot| Arc::clone(&depot.member)).collect());
        Ok(Self { all, store: Arc::new(several.clone()), several: Some(several), behind: Mutex::default() })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn primary(&self) -> Option<DepotId> {
        self.all.first().map(|depot| depot.item.id)
    }

    pub(crate) fn all(&self) -> &[Depot] {
        &self.all
    }

    /// All of them read as one, this one last: what is right of a damaged object may be all that there is.
    fn for_the_sake_of(&self, depot: DepotId) -> Several {
        let (own, others): (Vec<&Depot>, Vec<&Depot>) = self.all.iter().partition(|other| other.item.id == depot);
        Several::new(others.into_iter().chain(own).map(|other| Arc::clone(&other.member)).collect())
    }

    /// Copies that were passed over since this was asked last.
    pub(crate) fn take_missed(&self) -> Vec<Seen> {
        let missed = self.several.as_ref().map(Several::take_missed).unwrap_or_default();
        missed.into_iter().map(|missed| self.seen(missed)).collect()
    }

    fn not_copied(&self, one: NotCopied) {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// Why a depot took nothing of an earlier version.
    fn away(&self, depot: &Depot) -> Option<String> {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let id = depot.item.id.to_string();
        behind.iter().find(|one| one.away && one.depot == id).map(|one| one.what.clone())
    }

    fn seen(&self, missed: depot::Missed) -> Seen {
        let named = self.all.iter().find(|depot| depot.member.name() == missed.depot);
        let place = named.map(|depot| depot.place.text()).unwrap_or_default();
        let object = ObjectId::from_bytes(*missed.key.object()).to_string();
        Seen { depot: missed.depot, place, object, what: missed.why }
    }
}

impl crate::Client {
    /// The depots in use, the primary first.
    pub fn depot_ids(&self) -> Vec<DepotId> {
        self.depots().all().iter().map(|depot| depot.item.id).collect()
    }

    /// New versions that not every depot has, since this was asked last.
    pub fn not_copied(&self) -> Vec<NotCopied> {
        std::mem::take(&mut *self.depots().behind.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies of objects that were passed over in one depot and read from another, since this was asked last.
    pub fn read_elsewhere(&self) -> Vec<Seen> {
        self.depots().take_missed()
    }
}

/// What the keeper names.
fn listed(seat: &Seat) -> Result<DepotList, Problem> {
    match seat.call(Command::Depots)? {
        Answer::Depots(list) => Ok(list),
        other => Err(unexpected(&other)),
    }
}
