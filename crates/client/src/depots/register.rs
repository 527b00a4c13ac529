//! `depot add`, `ls`, `rm`: which depots a vault has.

use super::copy::lacking;
use super::listed;
use super::needs::held;
use super::place::Place;
use crate::seat::{Seat, unexpected};
use crate::watch::Watch;
use crate::{Client, fault};
use api::terms::{Code, DepotId, ObjectId};
use api::wire::{Answer, Command, DepotAdd, DepotItem, DepotMoved, DepotRemove, Problem};
use depot::{Key, Store};
use std::collections::HashSet;

/// Objects told by the keeper at a time.
const PAGE: u32 = 10_000;
/// What a new depot is tried with.
const PROBE_LEN: usize = 4_096;

/// A depot to take into use.
#[derive(Debug, Clone)]
pub struct NewDepot {
    /// Where it is.
    pub place: Place,
    /// Whether it becomes the primary.
    pub which: Which,
}

/// What a new depot becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that is written to.
    Primary,
    /// A copy.
    Copy,
}

/// What becomes of what a depot alone holds, when it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Then it does not go.
    Needed,
    /// It is lost anyway.
    Lost,
}

/// A depot, and whether it answers now.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Reached {
    /// What the vault knows of it.
    #[serde(flatten)]
    pub item: DepotItem,
    /// It answers.
    pub reachable: bool,
    /// Why it does not.
    pub why: Option<String>,
}

impl Place {
    /// What the keeper is told.
    fn addition(&self, which: Which) -> DepotAdd {
        let (kind, place, first) = (self.kind(), self.text(), which == Which::Primary);
        match self {
            Self::Folder(_) => DepotAdd { kind, place, endpoint: None, region: None, credentials: None, first },
            Self::Bucket { endpoint, region, credentials, .. } => {
                let (endpoint, region) = (endpoint.clone(), region.clone());
                let credentials = credentials.as_ref().map(|path| path.display().to_string());
                DepotAdd { kind, place, endpoint, region, credentials, first }
            }
        }
    }
}

impl Client {
    /// The depots, each asked whether it answers.
    ///
    /// # Errors
    /// The keeper's.
    pub fn depot_list(&self) -> Result<Vec<Reached>, Problem> {
        let vault = *self.vault().as_bytes();
        let items = listed(self.seat())?.items;
        let reached = |item: DepotItem| {
            let depot = self.depots().all().iter().find(|depot| depot.item.id == item.id);
            let asked = depot.map(|depot| depot.member.store().and_then(|store| store.list(&vault, None, 1)).map(drop));
            let why = asked.and_then(Result::err).map(|error| fault::chain(&error));
            Reached { reachable: why.is_none(), item, why }
        };
        Ok(items.into_iter().map(reached).collect())
    }

    /// Refuses a place that lies in the vault or in another depot, or in which one of them lies.
    ///
    /// # Errors
    /// `conflict`.
    pub fn depot_fits(&self, place: &Place) -> Result<(), Problem> {
        let refused = |why: String| {
            let problem = Problem::new(Code::Conflict, format!("`{}` cannot be a depot", place.text()), why);
            Err(problem.with_try("strongroom depot ls"))
        };
        let vault = Place::Folder(self.dir.clone());
        if place.overlaps(&vault) {
            return refused(format!("it lies in the vault {}, or the vault in it", vault.text()));
        }
        for depot in self.depots().all() {
            if place.overlaps(&depot.place) {
                let other = depot.place.text();
                return refused(format!("it lies in the depot {other}, or that in it, or they are the same"));
            }
        }
        Ok(())
    }

    /// Tries a place and takes it into use. It is empty of this vault's objects, or holds such as the vault knows.
    ///
    /// # Errors
    /// `conflict` for a place that overlaps the vault or another depot, or holds other objects under the vault's id; `denied`;
    /// `unavailable` for one that does not give back what was written.
    pub fn depot_add(&self, new: &NewDepot, watch: &dyn Watch) -> Result<DepotMoved, Problem> {
        self.depot_fits(&new.place)?;
        let store = new.place.made().map_err(|e| unusable(&new.place, &e))?;
        self.probe(&new.place, &*store)?;
        self.refuse_strange(&new.place, &*store, watch)?;
        match self.seat().call(Command::DepotAdd(new.place.addition(new.which)))? {
            Answer::DepotMoved(moved) => Ok(*moved),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes a depot out of use, if every object is in another one, or although it is lost with what it alone held. What lies in it
    /// stays there.
    ///
    /// # Errors
    /// `conflict` if it is the last, or alone holds something; `not-found`; `denied`.
    pub fn depot_remove(&self, depot: DepotId, held: Held, watch: &dyn Watch) -> Result<DepotMoved, Problem> {
        let checked = self.now()?;
        // Of the only one, the keeper says that it is.
        let only = self.depots().all().len() < 2;
        let alone = if only || held == Held::Lost { 0 } else { self.alone_in(depot, watch)? };
        let damaged = self.depots().all().iter().filter(|other| other.item.id != depot && other.item.seen.damaged > 0);
        if held == Held::Needed && damaged.count() > 0 {
            let why = "another one had damage when it was checked last, and this one may have it right";
            let problem = Problem::new(Code::Conflict, "the depot is needed", why);
            return Err(problem.with_try("strongroom depot check --repair"));
        }
        if alone > 0 {
            let why = format!("{alone} objects are in no other depot that answers");
            let problem = Problem::new(Code::Conflict, "the depot is needed", why);
            return Err(problem.with_try("strongroom depot copy"));
        }
        match self.seat().call(Command::DepotRemove(DepotRemove { depot, checked }))? {
            Answer::DepotMoved(moved) => Ok(*moved),
            other => Err(unexpected(&other)),
        }
    }

    /// How many objects no other depot holds, by name and length.
    fn alone_in(&self, depot: DepotId, watch: &dyn Watch) -> Result<u64, Problem> {
        let vault = *self.vault().as_bytes();
        let others = self.depots().all().iter().filter(|other| other.item.id != depot);
        let mut needs = self.needs(watch)?;
        if let Some(lost) = needs.lost.first() {
            let why = format!(
                "what {} versions need is not known, of which this one may hold a good copy: {}",
                needs.lost.len(),
                lost.reference
            );
            let problem = Problem::new(Code::Conflict, "the depot is needed", why);
            return Err(problem.with_try("strongroom depot check --repair"));
        }
        for other in others {
            let Ok(store) = other.member.store() else { continue };
            let held = match held(store, &vault, watch) {
                Ok(held) => held,
                Err(problem) if problem.code == Code::Interrupted => return Err(problem),
                Err(_) => continue,
            };
            let lacking: HashSet<Key> = lacking(&needs, &held).into_iter().map(|(need, _)| need.key).collect();
            needs.items.retain(|need| lacking.contains(&need.key));
        }
        Ok(needs.items.len() as u64)
    }

    /// Writes, reads back and deletes an object of this vault's, and looks that no other depot shows it: two names of one place are one
    /// depot.
    fn probe(&self, place: &Place, store: &dyn Store) -> Result<(), Problem> {
        probe(place, *self.vault().as_bytes(), store, |key| {
            let shows = |depot: &&super::Depot| depot.member.store().and_then(|other| other.len_bytes(key)).is_ok();
            match self.depots().all().iter().find(shows) {
                None => Ok(()),
                Some(other) => {
                    let why =
                        format!("what is written there shows in the depot {}: they are the same", other.item.place);
                    Err(Problem::new(Code::Conflict, format!("`{}` cannot be a depot", place.text()), why))
                }
            }
        })
    }

    /// Refuses a place that holds objects under this vault's id which the vault does not know.
    fn refuse_strange(&self, place: &Place, store: &dyn Store, watch: &dyn Watch) -> Result<(), Problem> {
        let mut held = held(store, self.vault().as_bytes(), watch)?;
        let mut after: Option<ObjectId> = None;
        while !held.is_empty() {
            let (items, next) = match self.seat().call(Command::Objects { after, limit: PAGE })? {
                Answer::Objects { items, next } => (items, next),
                other => return Err(unexpected(&other)),
            };
            for item in &items {
                held.remove(item.object.as_bytes());
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        let (count, vault) = (held.len(), self.vault());
        let why =
            format!("it holds {count} objects that the vault does not know: empty `{vault}` in it, or name another");
        Err(Problem::new(Code::Conflict, format!("`{}` cannot be a depot", place.text()), why))
    }
}

/// Tries a place that nothing else uses yet.
///
/// # Errors
/// `unavailable` for one that does not give back what was written.
#[cfg(feature = "embedded")]
pub(crate) fn tried(place: &Place, vault: [u8; 16]) -> Result<(), Problem> {
    let store = place.made().map_err(|e| unusable(place, &e))?;
    probe(place, vault, &*store, |_| Ok(()))
}

/// Gives a new vault its first depot, in the place of its own folder.
///
/// # Errors
/// The keeper's.
#[cfg(feature = "embedded")]
pub(crate) fn begin_with(seat: &Seat, place: &Place) -> Result<(), Problem> {
    let list = listed(seat)?;
    seat.call(Command::DepotAdd(place.addition(Which::Primary)))?;
    for own in list.items {
        seat.call(Command::DepotRemove(DepotRemove { depot: own.id, checked: list.now }))?;
    }
    Ok(())
}

fn probe(
    place: &Place,
    vault: [u8; 16],
    store: &dyn Store,
    meanwhile: impl FnOnce(&Key) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (mut id, mut bytes) = ([0; 16], vec![0; PROBE_LEN]);
    seal::entropy::fill(&mut id).map_err(|e| fault::internal("cannot try the depot", e))?;
    seal::entropy::fill(&mut bytes).map_err(|e| fault::internal("cannot try the depot", e))?;
    let key = Key::new(vault, id);
    store.put_small(&key, &bytes).map_err(|e| unusable(place, &e))?;
    let mut back = vec![0; PROBE_LEN];
    let read = store.read_at(&key, 0, &mut back).map_err(|e| unusable(place, &e));
    let seen = meanwhile(&key);
    store.delete(&key).map_err(|e| unusable(place, &e))?;
    read?;
    seen?;
    let wrong = |why: &str| Err(Problem::new(Code::Unsupported, format!("`{}` cannot be a depot", place.text()), why));
    if back != bytes {
        return wrong("it gives back other bytes than were written");
    }
    match store.len_bytes(&key) {
        Err(depot::Error::NotFound { .. }) => Ok(()),
        Ok(_) => wrong("what was deleted is still there"),
        Err(error) => Err(unusable(place, &error)),
    }
}

fn unusable(place: &Place, error: &depot::Error) -> Problem {
    let problem = fault::depot(&format!("cannot use `{}` as a depot", place.text()), error);
    // What is not there is no damage here: nothing was put yet.
    if problem.code == Code::Integrity { Problem { code: Code::Unavailable, ..problem } } else { problem }
}
