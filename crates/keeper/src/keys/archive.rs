//! `key archive`, `key unarchive`: the keys of versions that are out of use lie apart, under the archive key of their domain, and what they
//! open is opened under a right of its own. A key is moved in one transaction with the row that says where it is: there is no moment when
//! it is in both sets or in neither.

use super::domains::{Domains, next_key};
use super::drift;
use super::state::{Above, MAX_REASON_LEN, Towards};
use super::uses;
use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Found};
use crate::journal::{Event, Logged};
use crate::keys::domains::Belongs;
use crate::removal;
use crate::rows::{Archived, Change, Domain, Purpose, Version, Wrap};
use crate::session::Session;
use api::terms::{Action, KeyId, KeyState, VersionId, WorkspaceId};
use api::wire::{KeyArchive, KeyArchived};
use policy::Resource;
use std::collections::{BTreeMap, BTreeSet};

/// The most versions of one command.
const MAX_VERSIONS: usize = 1024;
/// Of so many versions it is told with which ones in use they share packs, and of so many of those.
const MAX_TOLD: usize = 64;
/// Version keys moved in one transaction: with the rows of their versions and a new key under its roots their changes fit one entry.
const BATCH: usize = 96;

/// Where keys are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    /// The act, in the log.
    const fn act(self) -> &'static str {
        match self {
            Self::In => "key.archive",
            Self::Out => "key.unarchive",
        }
    }

    /// What they lie under then.
    const fn purpose(self) -> Purpose {
        match self {
            Self::In => Purpose::Archive,
            Self::Out => Purpose::Domain,
        }
    }

    /// Whether a version is there already.
    fn is_done(self, version: &Version) -> bool {
        version.archived.is_some() == (self == Self::In)
    }
}

/// Moves the keys of versions to the archive.
pub(crate) fn archive(engine: &Engine, session: &Session, command: &KeyArchive) -> Result<KeyArchived> {
    moved(engine, session, command, Way::In)
}

/// Takes them back into use. Their state stays: nothing leads back from deactivated, and what they sealed opens as before.
pub(crate) fn unarchive(engine: &Engine, session: &Session, command: &KeyArchive) -> Result<KeyArchived> {
    moved(engine, session, command, Way::Out)
}

fn moved(engine: &Engine, session: &Session, command: &KeyArchive, way: Way) -> Result<KeyArchived> {
    if command.reason.trim().is_empty() || command.reason.len() > MAX_REASON_LEN {
        return Err(Error::bad("the archive", "what is moved to it or from it has a reason of at most 1024 bytes"));
    }
    if command.versions.is_empty() || command.versions.len() > MAX_VERSIONS {
        return Err(Error::bad("the archive", "name 1 to 1024 versions"));
    }
    let mut done = KeyArchived { moved: Vec::new(), already: 0, shared_with: Vec::new(), receipts: Vec::new() };
    let meant = engine.store.read(|tx| by_workspace(engine, tx, &command.versions))?;
    for (&workspace, versions) in &meant {
        for batch in versions.chunks(BATCH) {
            let (moved, logged) = one(engine, session, command, way, workspace, batch)?;
            done.already += (batch.len() - moved.len()) as u64;
            done.moved.extend(moved);
            for logged in &logged {
                done.receipts.push(engine.settled(logged)?);
            }
        }
    }
    if way == Way::In && command.versions.len() <= MAX_TOLD {
        let all: Vec<&Found> = meant.values().flatten().collect();
        done.shared_with = engine.store.read(|tx| sharing(engine, tx, &all))?;
    }
    Ok(done)
}

/// The versions in use that name packs of these: what they share with them opens by those.
fn sharing(engine: &Engine, tx: &mut dyn Transaction, archived: &[&Found]) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for together in archived.chunk_by(|one, other| one.artifact.id == other.artifact.id) {
        let Some(first) = together.first() else { continue };
        let records = removal::living_records(engine, tx, &first.artifact)?;
        let named: BTreeSet<VersionId> = together.iter().map(|found| found.version.id).collect();
        let of_these = records.iter().filter(|(version, _)| named.contains(&version.id));
        let packs: BTreeSet<[u8; 16]> = of_these.flat_map(|(_, record)| &record.packs).map(|pack| pack.id).collect();
        for (version, record) in &records {
            let in_use = version.archived.is_none() && version.removed.is_none();
            if in_use && record.packs.iter().any(|pack| packs.contains(&pack.id)) && told.len() < MAX_TOLD {
                told.push(format!("{}@v{}", first.path(), version.number));
            }
        }
    }
    Ok(told)
}

/// The versions by their workspaces, each once, those of one artifact together.
fn by_workspace(
    engine: &Engine,
    tx: &mut dyn Transaction,
    versions: &[VersionId],
) -> Result<BTreeMap<WorkspaceId, Vec<Found>>> {
    let mut found: BTreeMap<WorkspaceId, Vec<Found>> = BTreeMap::new();
    let distinct: BTreeSet<VersionId> = versions.iter().copied().collect();
    for id in distinct {
        let version = facts::found_by_id(engine, tx, id)?.ok_or_else(|| Error::NotFound(id.to_string()))?;
        facts::coherent(&version)?;
        found.entry(version.workspace.id).or_default().push(version);
    }
    for versions in found.values_mut() {
        versions.sort_by_key(|found| (found.artifact.id, found.version.number));
    }
    Ok(found)
}

type Done = (Vec<String>, Vec<Logged>);

/// One transaction.
fn one(
    engine: &Engine,
    session: &Session,
    command: &KeyArchive,
    way: Way,
    workspace: WorkspaceId,
    batch: &[Found],
) -> Result<Done> {
    let Some(first) = batch.first() else { return Ok((Vec::new(), Vec::new())) };
    let resource = Resource::Workspace(policy::Workspace { id: workspace });
    let path = first.workspace.name.to_string();
    let wanted = Wanted { resource, path, ..Wanted::vault(Action::ManageKeys, way.act()) };
    let artifacts: BTreeSet<[u8; 16]> = batch.iter().map(|found| *found.artifact.id.as_bytes()).collect();
    let seized: Vec<[u8; 16]> = artifacts.into_iter().collect();
    let body = |tx: &mut dyn Transaction, act: &Act<'_>| {
        Batch { act, way, workspace, reason: &command.reason }.write(tx, batch)
    };
    let moved = drift::mended(engine, || act(engine, session, &wanted, &seized, body));
    // Whoever does not see the place does not learn that there is such a version.
    moved.map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound(first.version.id.to_string()),
        other => other,
    })
}

/// Some versions of one workspace, inside of their transaction.
struct Batch<'a> {
    act: &'a Act<'a>,
    way: Way,
    workspace: WorkspaceId,
    reason: &'a str,
}

/// The version keys that are moved together: those of one domain that lie under one key.
type Groups = BTreeMap<(Domain, KeyId), Vec<(Version, Wrap)>>;

impl Batch<'_> {
    fn write(&self, tx: &mut dyn Transaction, batch: &[Found]) -> Result<Done> {
        let (mut groups, mut named) = (Groups::new(), Vec::new());
        for found in batch {
            let version: Version = self.act.engine.keys.guard.expect(tx, found.version.id.as_bytes())?;
            if self.way.is_done(&version) {
                continue;
            }
            let wrap = self.admitted(tx, &version, &found.named())?;
            groups.entry((Belongs::from(&version).domain, wrap.under)).or_default().push((version, wrap));
            named.push(found.named());
        }
        let mut events = Vec::with_capacity(groups.len());
        for ((domain, from), group) in &groups {
            events.push(self.group(tx, domain, *from, group)?);
        }
        let logged = match events.is_empty() {
            true => Vec::new(),
            false => self.act.engine.log(tx, self.act.ticket, &self.act.by, &events)?,
        };
        Ok((named, logged))
    }

    /// The wrap of a version whose key may be moved. What opens nothing now is not put away as if it did; what is compromised comes back,
    /// to be sealed anew.
    fn admitted(&self, tx: &mut dyn Transaction, version: &Version, named: &str) -> Result<Wrap> {
        removal::refuse_version(version, named.to_owned())?;
        let (wrap, above) = Above::of_version(tx, &self.act.engine.keys.guard, version)?;
        let towards = if self.way == Way::In { Towards::Open } else { Towards::Wrap };
        above.refuse(version, named, towards)?;
        Ok(wrap)
    }

    /// Wraps the keys of some versions again and says so in their rows.
    fn group(
        &self,
        tx: &mut dyn Transaction,
        domain: &Domain,
        from: KeyId,
        group: &[(Version, Wrap)],
    ) -> Result<Event> {
        let Act { engine, now, ticket, .. } = *self.act;
        let guard = &engine.keys.guard;
        let purpose = self.way.purpose();
        let mut changes: Vec<Change> = Vec::new();
        let to = match Domains::active(tx, guard, domain, purpose)? {
            Some(key) => {
                drift::refuse(engine, tx, &key, now)?;
                key
            }
            None => {
                let (key, made) = next_key(engine, tx, (domain, purpose), (ticket, now))?;
                changes.extend(made);
                key
            }
        };
        epochs::hold(tx, &[*from.as_bytes(), *to.id.as_bytes()])?;
        let (old, new) = (engine.domains.open(tx, guard, from)?, engine.domains.open(tx, guard, to.id)?);
        for (version, wrap) in group {
            let again = engine.domains.wrap_again(wrap, domain, &old, (&to, &new))?;
            changes.push(guard.replace(tx, wrap, &again, ticket)?);
            let archived = (self.way == Way::In).then_some(Archived { at: now, by: self.act.by.principal });
            let key_state = match version.key_state {
                KeyState::Active if self.way == Way::In => KeyState::Deactivated,
                state => state,
            };
            let row = Version { archived, key_state, ..version.clone() };
            changes.push(guard.update(tx, &row, ticket)?);
            epochs::bump(tx, version.artifact.as_bytes())?;
        }
        changes.extend(uses::used(engine, tx, (&to, group.len() as u64), now, ticket)?);
        let event = self.act.event(self.way.act()).on("workspace", self.workspace).on("from", from).on("to", to.id);
        let event = event
            .with("class", domain.class)
            .with("environment", domain.environment)
            .with("versions", group.len())
            .changing(changes);
        self.about(event, group).hiding("reason", self.reason)
    }

    /// Names the artifact, if they are of one, and the version, if it is one.
    fn about(&self, event: Event, group: &[(Version, Wrap)]) -> Event {
        let mut group = group.iter().map(|(version, _)| version);
        let Some(first) = group.next() else { return event };
        let (mut alone, mut together) = (true, true);
        for other in group {
            alone = false;
            together &= other.artifact == first.artifact;
        }
        let event = if together { event.on("artifact", first.artifact) } else { event };
        if alone { event.on("version", first.id).on("key", first.key) } else { event }
    }
}
