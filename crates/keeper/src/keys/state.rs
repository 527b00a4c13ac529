//! The states of keys: who moves them, and what each still allows (`api::terms::TRANSITIONS`, `spec/keys.md#states`).

use super::domains::{Belongs, newest, place_of, wrap_of};
use super::named::Named;
use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs::{self, Subject};
use crate::error::{Error, Result};
use crate::facts::Found;
use crate::journal::{Event, Logged};
use crate::rows::{
    Artifact, Change, Domain, Guard, Key, NamedVersion, Purpose, Table as _, Version, Workspace, Wrap, WrapKind,
};
use crate::session::Session;
use api::terms::{Action, KeyId, KeyState, WorkspaceId};
use api::wire::{KeyMove, KeyMoved};
use policy::Resource;
use seal::secret::VersionKey;

/// The longest reason, in bytes.
pub(crate) const MAX_REASON_LEN: usize = 1024;

/// The keys on whose states it rests whether a version opens: the one that wraps its key, and the newest of its domain, which speaks
/// for the domain also while a rotation is under way.
#[derive(Debug)]
pub(crate) struct Above {
    pub(crate) wraps: Key,
    pub(crate) newest: Key,
}

/// What a version is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    /// For whoever asked.
    Open,
    /// To be sealed anew under another key.
    Move,
    /// To be wrapped under another key: nothing leaves.
    Wrap,
}

impl From<Action> for Towards {
    fn from(action: Action) -> Self {
        if action == Action::Reencrypt { Self::Move } else { Self::Open }
    }
}

impl Above {
    pub(crate) fn of(tx: &mut dyn Transaction, guard: &Guard, under: KeyId) -> Result<Self> {
        let wraps: Key = guard.expect(tx, under.as_bytes())?;
        let altered = || Error::Altered { table: Key::NAME, row: under.to_string() };
        let newest = newest(tx, guard, &wraps.domain.ok_or_else(altered)?, wraps.purpose)?.ok_or_else(altered)?;
        Ok(Self { wraps, newest })
    }

    /// The wrap of a version's key and what stands above it. What is archived lies under an archive key and nothing else does: a wrap
    /// that was put elsewhere opens nothing.
    pub(crate) fn of_version(tx: &mut dyn Transaction, guard: &Guard, version: &Version) -> Result<(Wrap, Self)> {
        let wrap = wrap_of(tx, guard, version.key)?;
        let above = Self::of(tx, guard, wrap.under)?;
        let purpose = if version.archived.is_some() { Purpose::Archive } else { Purpose::Domain };
        if above.wraps.purpose != purpose {
            return Err(Error::Altered { table: Wrap::NAME, row: wrap.id.to_string() });
        }
        Ok((wrap, above))
    }

    /// Refuses a version whose key opens nothing now, or one of these.
    pub(crate) fn refuse(&self, version: &Version, of: &str, towards: Towards) -> Result<()> {
        let may = |state: KeyState| match towards {
            Towards::Open => state.opens(),
            Towards::Move | Towards::Wrap => state.moves(),
        };
        // What is sealed anew is in use, and leaves for whoever does that.
        if towards == Towards::Move && version.archived.is_some() {
            return Err(Error::Conflict {
                what: "the version",
                why: format!("the key of {of} is in the archive: it is sealed anew when it was brought back"),
                hint: Some(format!("strongroom key unarchive {of} --reason REASON")),
            });
        }
        let mut states = vec![(version.key, version.key_state), (self.wraps.id, self.wraps.state)];
        // One that was destroyed speaks for what it wrapped, and for nothing else of its domain.
        if self.newest.state != KeyState::Destroyed {
            states.push((self.newest.id, self.newest.state));
        }
        for (key, state) in states {
            if !may(state) {
                return Err(Error::KeyShut { key, of: of.to_owned(), state });
            }
        }
        match &self.wraps.ending {
            Some(ending) => Err(Error::KeyEnding { key: self.wraps.id, of: of.to_owned(), until: ending.until }),
            None => Ok(()),
        }
    }
}

/// Refuses to finish what was begun under a domain key that somebody else may have since, or that is to go. One that is set aside only
/// keeps shut what is finished under it.
pub(crate) fn refuse_begun(tx: &mut dyn Transaction, guard: &Guard, under: KeyId, of: &str) -> Result<()> {
    let key: Key = guard.expect(tx, under.as_bytes())?;
    if matches!(key.state, KeyState::Compromised | KeyState::Destroyed) {
        return Err(Error::KeyShut { key: key.id, of: of.to_owned(), state: key.state });
    }
    match key.ending {
        Some(ending) => Err(Error::KeyEnding { key: key.id, of: of.to_owned(), until: ending.until }),
        None => Ok(()),
    }
}

/// Refuses a version of a named key: to seal, what does not protect; to open, what does not open. As for versions, the newest speaks
/// for all of them.
pub(crate) fn refuse_named(
    engine: &Engine,
    tx: &mut dyn Transaction,
    named: &Named,
    version: &NamedVersion,
    (seals, opens): (bool, bool),
) -> Result<()> {
    let guard = &engine.keys.guard;
    let newest = &named.newest;
    let of = |version: &NamedVersion| format!("{} v{}", named.path(), version.number);
    if seals && !newest.state.protects() {
        return Err(Error::KeyShut { key: newest.key, of: of(newest), state: newest.state });
    }
    let checked: &[&NamedVersion] = if opens { &[version, newest] } else { &[newest] };
    for version in checked {
        // The wraps of what was destroyed are gone.
        if !version.state.opens() {
            return Err(Error::KeyShut { key: version.key, of: of(version), state: version.state });
        }
        let under = wrap_of(tx, guard, version.key)?.under;
        let above = Above::of(tx, guard, under)?;
        let mut states = vec![(version.key, version.state), (above.wraps.id, above.wraps.state)];
        if above.newest.state != KeyState::Destroyed {
            states.push((above.newest.id, above.newest.state));
        }
        for (key, state) in states {
            if !state.opens() {
                return Err(Error::KeyShut { key, of: of(version), state });
            }
        }
        if let Some(ending) = &above.wraps.ending {
            return Err(Error::KeyEnding { key: above.wraps.id, of: of(version), until: ending.until });
        }
    }
    Ok(())
}

/// The same of a version that is there, by its rows.
pub(crate) fn refuse_shut(
    engine: &Engine,
    tx: &mut dyn Transaction,
    version: &Version,
    of: &str,
    towards: Towards,
) -> Result<()> {
    Above::of_version(tx, &engine.keys.guard, version)?.1.refuse(version, of, towards)
}

/// Whether it would be refused.
pub(crate) fn is_shut(engine: &Engine, tx: &mut dyn Transaction, version: &Version) -> Result<bool> {
    let (table, now) = (engine.crypto(tx)?, engine.suites.reached());
    if !table.reads(version.class, version.environment, version.suite, now) {
        return Ok(true);
    }
    match refuse_shut(engine, tx, version, "", Towards::Open) {
        Err(Error::KeyShut { .. } | Error::KeyEnding { .. }) => Ok(true),
        other => other.map(|()| false),
    }
}

/// Opens the key of a version inside of a transaction that hands it out: no state of its keys changes before that is over.
pub(crate) fn opened(engine: &Engine, tx: &mut dyn Transaction, found: &Found) -> Result<VersionKey> {
    let guard = &engine.keys.guard;
    let (_, above) = Above::of_version(tx, guard, &found.version)?;
    epochs::hold(tx, &[*above.wraps.id.as_bytes(), *above.newest.id.as_bytes()])?;
    // As they are now that nobody moves them.
    let (wrap, above) = Above::of_version(tx, guard, &found.version)?;
    above.refuse(&found.version, &found.named(), Towards::Open)?;
    let with = engine.domains.open(tx, guard, wrap.under)?;
    engine.domains.unwrap(&Belongs::from(&found.version), &wrap, &with)
}

/// Moves a key to another state.
pub(crate) fn change(engine: &Engine, session: &Session, command: &KeyMove) -> Result<KeyMoved> {
    if command.reason.trim().is_empty() || command.reason.len() > MAX_REASON_LEN {
        return Err(Error::bad("the key", "a change of its state has a reason of at most 1024 bytes"));
    }
    let Some(name) = name_of(command.to) else {
        return Err(Error::bad("the key", format!("nobody makes a key {}", command.to)));
    };
    let not_found = || Error::NotFound(command.key.to_string());
    let target = engine.store.read(|tx| Target::find(engine, tx, command.key))?.ok_or_else(not_found)?;
    let wanted = target.wanted(engine, Action::ManageKeys, name)?;
    let done = act(engine, session, &wanted, &target.seized(), |tx, act| target.write(tx, act, command));
    // Whoever does not see the place learns neither its name nor that there is such a key.
    let (from, logged) = done.map_err(|error| if matches!(error, Error::NotFound(_)) { not_found() } else { error })?;
    let receipt = logged.map(|logged| engine.settled(&logged)).transpose()?;
    Ok(KeyMoved { key: command.key, from, to: command.to, of: target.of(engine)?, receipt })
}

/// The act, in the log, that leads to a state by hand.
const fn name_of(to: KeyState) -> Option<&'static str> {
    match to {
        KeyState::Suspended => Some("key.suspend"),
        KeyState::Active => Some("key.resume"),
        KeyState::PreActive | KeyState::Deactivated | KeyState::Compromised | KeyState::Destroyed => None,
    }
}

/// A key whose state somebody changes.
pub(crate) enum Target {
    /// A domain key or an archive key.
    Domain {
        key: KeyId,
        domain: Domain,
        purpose: Purpose,
    },
    Version(Box<Version>),
    /// A version of a named key.
    Named(Box<Named>, Box<NamedVersion>),
    /// One of the vault's own.
    Vault,
}

impl Target {
    pub(crate) fn find(engine: &Engine, tx: &mut dyn Transaction, id: KeyId) -> Result<Option<Self>> {
        let guard = &engine.keys.guard;
        if let Some(key) = guard.find::<Key>(tx, id.as_bytes())? {
            return Ok(Some(match key.domain {
                Some(domain) => Self::Domain { key: id, domain, purpose: key.purpose },
                None => Self::Vault,
            }));
        }
        if let Some(version) = guard.find::<NamedVersion>(tx, id.as_bytes())? {
            let named = Named::by_id(engine, tx, version.named)?;
            return Ok(Some(Self::Named(Box::new(named), Box::new(version))));
        }
        let wraps: Vec<Wrap> = guard.select(tx, "WHERE wrapped = $1", &[id.as_bytes().into()])?;
        let version = wraps.first().filter(|wrap| wrap.kind == WrapKind::Version).and_then(|wrap| wrap.version);
        // Of a version that is being written there is no row yet.
        let Some(version) = version else { return Ok(None) };
        let version: Option<Version> = guard.find(tx, version.as_bytes())?;
        // Nor is a key its version's while that is being sealed anew under it.
        Ok(version.filter(|version| version.key == id).map(|version| Self::Version(Box::new(version))))
    }

    pub(crate) fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Domain { domain, .. } => Some(domain.workspace),
            Self::Version(version) => Some(version.workspace),
            Self::Named(named, _) => Some(named.workspace.id),
            Self::Vault => None,
        }
    }

    /// The right to do it, where the key belongs.
    pub(crate) fn wanted(&self, engine: &Engine, action: Action, name: &'static str) -> Result<Wanted> {
        let whole = Wanted::vault(action, name);
        let Some(id) = self.workspace() else { return Ok(whole) };
        let row: Workspace = engine.store.read(|tx| engine.keys.guard.expect(tx, id.as_bytes()))?;
        Ok(Wanted { resource: Resource::Workspace(policy::Workspace { id }), path: row.name.to_string(), ..whole })
    }

    /// What releases hold while they rest on the state.
    pub(crate) fn seized(&self) -> Vec<Subject> {
        match self {
            Self::Domain { key, .. } => vec![*key.as_bytes()],
            Self::Version(version) => vec![*version.artifact.as_bytes()],
            Self::Named(named, _) => vec![*named.row.id.as_bytes()],
            Self::Vault => Vec::new(),
        }
    }

    /// What the key belongs to, in words.
    pub(crate) fn of(&self, engine: &Engine) -> Result<String> {
        engine.store.read(|tx| self.place(engine, tx))
    }

    /// The same inside of a transaction.
    pub(crate) fn place(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<String> {
        let guard = &engine.keys.guard;
        let workspace = |tx: &mut dyn Transaction, id: WorkspaceId| guard.expect::<Workspace>(tx, id.as_bytes());
        Ok(match self {
            Self::Domain { domain, purpose, .. } => place_of(tx, guard, domain, *purpose)?,
            Self::Version(version) => {
                let artifact: Artifact = guard.expect(tx, version.artifact.as_bytes())?;
                format!("{}/{}@v{}", workspace(tx, version.workspace)?.name, artifact.name, version.number)
            }
            Self::Named(named, version) => format!("{} v{}", named.path(), version.number),
            Self::Vault => "vault".to_owned(),
        })
    }

    /// The state from which it came, and the entry, if anything changed.
    fn write(&self, tx: &mut dyn Transaction, act: &Act<'_>, command: &KeyMove) -> Result<(KeyState, Option<Logged>)> {
        let (from, change) = self.moved(tx, act, command.to)?;
        let Some(change) = change else { return Ok((from, None)) };
        let event = self.event(act, command.key, (name_of(command.to).unwrap_or("key"), from, command.to));
        let event = event.hiding("reason", &command.reason)?.changing(vec![change]);
        let logged = act.engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok((from, logged.first().copied()))
    }

    /// Moves it to a state, from which it came; nothing if it is there.
    pub(crate) fn moved(
        &self,
        tx: &mut dyn Transaction,
        act: &Act<'_>,
        to: KeyState,
    ) -> Result<(KeyState, Option<Change>)> {
        let guard = &act.engine.keys.guard;
        match self {
            Self::Vault => Err(Error::conflict("the key", "it is one of the vault's own, without which nothing works")),
            Self::Domain { key, domain, purpose } => {
                let key: Key = guard.expect(tx, key.as_bytes())?;
                let next = step(key.state, to)?;
                // A domain has one key that writes: what was rotated meanwhile does not come back beside it.
                let first = newest(tx, guard, domain, *purpose)?.is_some_and(|newest| newest.id == key.id);
                if next.is_some_and(KeyState::protects) && !first {
                    return Err(Error::conflict("the key", "its domain has a newer one"));
                }
                // What is compromised has no cryptoperiod: it is over now.
                let due = key.due.filter(|_| to != KeyState::Compromised);
                let row = |state| Key { state, since: act.now, due, ..key.clone() };
                let change = next.map(|state| guard.update(tx, &row(state), act.ticket)).transpose()?;
                if change.is_some() {
                    epochs::bump(tx, key.id.as_bytes())?;
                }
                Ok((key.state, change))
            }
            Self::Version(version) => {
                let version: Version = guard.expect(tx, version.id.as_bytes())?;
                let next = step(version.key_state, to)?;
                let row = |state| Version { key_state: state, ..version.clone() };
                let change = next.map(|state| guard.update(tx, &row(state), act.ticket)).transpose()?;
                if change.is_some() {
                    epochs::bump(tx, version.artifact.as_bytes())?;
                }
                Ok((version.key_state, change))
            }
            Self::Named(named, version) => {
                let version: NamedVersion = guard.expect(tx, version.key.as_bytes())?;
                let next = step(version.state, to)?;
                let newest = Named::by_id(act.engine, tx, named.row.id)?.newest.key;
                if next.is_some_and(KeyState::protects) && newest != version.key {
                    return Err(Error::conflict("the key", "there is a newer version of it"));
                }
                let row = |state| NamedVersion { state, since: act.now, ..version.clone() };
                let change = next.map(|state| guard.update(tx, &row(state), act.ticket)).transpose()?;
                if change.is_some() {
                    epochs::bump(tx, named.row.id.as_bytes())?;
                }
                Ok((version.state, change))
            }
        }
    }

    /// What the log is to say of it.
    pub(crate) fn event(&self, act: &Act<'_>, key: KeyId, named: (&'static str, KeyState, KeyState)) -> Event {
        let (name, from, to) = named;
        let event = act.event(name).on("key", key).with("from", from).with("to", to);
        let event = self.workspace().into_iter().fold(event, |event, workspace| event.on("workspace", workspace));
        match self {
            Self::Version(version) => event.on("artifact", version.artifact).on("version", version.id),
            Self::Named(named, _) => event.on("artifact", named.row.id),
            Self::Domain { .. } | Self::Vault => event,
        }
    }
}

/// The step, if there is one to go; refused if the table has none.
fn step(from: KeyState, to: KeyState) -> Result<Option<KeyState>> {
    if from == to {
        return Ok(None);
    }
    // Only what was suspended is resumed: a key before its time is activated by its time.
    let by_hand = to != KeyState::Active || from == KeyState::Suspended;
    if by_hand && from.may_become(to) {
        return Ok(Some(to));
    }
    Err(Error::Conflict {
        what: "the key",
        why: format!("it is {from}, and a key that is {from} does not become {to} by this"),
        hint: Some("strongroom key states".to_owned()),
    })
}
