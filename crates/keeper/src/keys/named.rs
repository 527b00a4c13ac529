//! Named keys: found, made, given another version, opened. The bytes of their versions never leave the keeper.

use super::domains::{OfNamed, wrap_of, wraps_of};
use super::rotate::AHEAD_MILLIS;
use super::{drift, fingerprint, sealed, uses};
use crate::acts::{Act, Wanted, act};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts;
use crate::journal::{Event, Logged};
use crate::keys::Domains;
use crate::keys::domains::next_key;
use crate::rows::{Change, Domain, Key, NamedKey, NamedVersion, Purpose, Table, Workspace};
use crate::session::Session;
use crate::{show, system};
use api::terms::{Action, ArtifactId, KeyId, KeyState, Kind, Name, Timestamp, WorkspaceId};
use api::wire::{KeyItem, NamedKeyMade, NamedKeyMake};
use policy::Resource;
use seal::secret::ValueKey;
use seal::value::Place;

/// The most named keys that one command looks through.
const MAX_KEYS: i64 = 100_000;

/// A named key with what stands above it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) workspace: Workspace,
    pub(crate) row: NamedKey,
    pub(crate) newest: NamedVersion,
}

impl Named {
    /// The key of this name, if there is one.
    pub(crate) fn find(
        engine: &Engine,
        tx: &mut dyn Transaction,
        workspace: &Name,
        name: &Name,
    ) -> Result<Option<Self>> {
        let guard = &engine.keys.guard;
        let Some(workspace) = facts::workspace_named(engine, tx, workspace)? else { return Ok(None) };
        let values = [workspace.id.as_bytes().into(), name.as_str().into()];
        let row: Option<NamedKey> = guard.select(tx, "WHERE workspace = $1 AND name = $2", &values)?.pop();
        row.map(|row| Self::with(engine, tx, workspace, row)).transpose()
    }

    /// The key with this id.
    pub(crate) fn by_id(engine: &Engine, tx: &mut dyn Transaction, id: ArtifactId) -> Result<Self> {
        let row: NamedKey = engine.keys.guard.expect(tx, id.as_bytes())?;
        let workspace = engine.keys.guard.expect(tx, row.domain.workspace.as_bytes())?;
        Self::with(engine, tx, workspace, row)
    }

    fn with(engine: &Engine, tx: &mut dyn Transaction, workspace: Workspace, row: NamedKey) -> Result<Self> {
        let tail = "WHERE named = $1 ORDER BY number DESC LIMIT 1";
        let newest = engine.keys.guard.select(tx, tail, &[row.id.as_bytes().into()])?.pop();
        let newest = newest.ok_or_else(|| Error::Altered { table: NamedVersion::NAME, row: row.id.to_string() })?;
        Ok(Self { workspace, row, newest })
    }

    /// A version by its number.
    pub(crate) fn version(
        &self,
        engine: &Engine,
        tx: &mut dyn Transaction,
        number: u32,
    ) -> Result<Option<NamedVersion>> {
        let values = [self.row.id.as_bytes().into(), i64::from(number).into()];
        Ok(engine.keys.guard.select(tx, "WHERE named = $1 AND number = $2", &values)?.pop())
    }

    /// All its versions, in order.
    pub(crate) fn versions(&self, engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<NamedVersion>> {
        let values = [self.row.id.as_bytes().into(), MAX_KEYS.into()];
        engine.keys.guard.select(tx, "WHERE named = $1 ORDER BY number LIMIT $2", &values)
    }

    /// In the policy's words.
    pub(crate) fn resource(&self) -> Resource {
        Resource::Artifact(policy::Artifact {
            id: self.row.id,
            workspace: self.row.domain.workspace,
            class: self.row.domain.class,
            env: self.row.domain.environment,
            kind: Kind::Other,
            owner: Some(self.row.creator),
            quarantined: false,
            held: false,
            residency: Vec::new(),
        })
    }

    /// `workspace/name`.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.workspace.name, self.row.name)
    }

    /// Where values of a version stand.
    pub(crate) fn place<'a>(&'a self, engine: &Engine, version: &NamedVersion) -> Place<'a> {
        Place {
            suite: sealed(version.suite),
            vault: *engine.vault.as_bytes(),
            named: *self.row.id.as_bytes(),
            key: *version.key.as_bytes(),
            number: version.number,
            workspace: self.workspace.name.as_str(),
            name: self.row.name.as_str(),
        }
    }

    /// Opens a version.
    pub(crate) fn open(&self, engine: &Engine, tx: &mut dyn Transaction, version: &NamedVersion) -> Result<ValueKey> {
        let wrap = wrap_of(tx, &engine.keys.guard, version.key)?;
        if wrap.fingerprint != version.fingerprint {
            return Err(Error::Wrap { key: version.key.to_string() });
        }
        let with = engine.domains.open(tx, &engine.keys.guard, wrap.under)?;
        engine.domains.unwrap_value(&self.of(version), &wrap, &with)
    }

    fn of(&self, version: &NamedVersion) -> OfNamed {
        OfNamed { domain: self.row.domain, named: self.row.id, key: version.key, suite: version.suite }
    }

    /// One version for an answer.
    pub(crate) fn item(&self, tx: &mut dyn Transaction, engine: &Engine, version: &NamedVersion) -> Result<KeyItem> {
        Ok(KeyItem {
            id: version.key,
            purpose: "named".to_owned(),
            name: Some(self.row.name.to_string()),
            workspace: Some(self.workspace.name.to_string()),
            environment: Some(self.row.domain.environment),
            class: Some(self.row.domain.class),
            version: version.number,
            state: version.state.word().to_owned(),
            fingerprint: version.fingerprint.clone(),
            created: version.created,
            since: version.since,
            due: version.due,
            wraps: wraps_of(tx, &engine.keys.guard, version.key)?.len() as u64,
            uses: None,
            uses_early: None,
            uses_max: None,
            renewed: version.due.filter(|_| version.state.protects()).map(renewed),
            ends: None,
        })
    }
}

/// When a job makes the next version of one that is due then.
fn renewed(due: Timestamp) -> Timestamp {
    Timestamp::from_millis(due.as_millis().saturating_sub(AHEAD_MILLIS))
}

/// Every version of every named key.
pub(crate) fn items(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<KeyItem>> {
    let mut items = Vec::new();
    for named in all(engine, tx)? {
        for version in &named.versions(engine, tx)? {
            items.push(named.item(tx, engine, version)?);
        }
    }
    Ok(items)
}

/// Every named key.
pub(crate) fn all(engine: &Engine, tx: &mut dyn Transaction) -> Result<Vec<Named>> {
    let rows: Vec<NamedKey> = engine.keys.guard.select(tx, "ORDER BY id LIMIT $1", &[MAX_KEYS.into()])?;
    rows.into_iter().map(|row| Named::by_id(engine, tx, row.id)).collect()
}

/// The named keys of a domain whose newest version seals.
pub(crate) fn in_domain(engine: &Engine, tx: &mut dyn Transaction, domain: &Domain) -> Result<Vec<Named>> {
    let values = [domain.workspace.as_bytes().into(), MAX_KEYS.into()];
    let rows: Vec<NamedKey> = engine.keys.guard.select(tx, "WHERE workspace = $1 ORDER BY id LIMIT $2", &values)?;
    let mut found = Vec::new();
    for row in rows.into_iter().filter(|row| row.domain == *domain) {
        let named = Named::by_id(engine, tx, row.id)?;
        found.extend(named.newest.state.protects().then_some(named));
    }
    Ok(found)
}

/// The named key whose newest version's time is over first, if it is over by then.
pub(crate) fn soonest(engine: &Engine, tx: &mut dyn Transaction, until: i64, limit: i64) -> Result<Vec<NamedVersion>> {
    let tail = "WHERE state = $1 AND due <= $2 ORDER BY due, id LIMIT $3";
    engine.keys.guard.select(tx, tail, &[KeyState::Active.word().into(), until.into(), limit.into()])
}

/// Makes a named key with its first version.
pub(crate) fn make(engine: &Engine, session: &Session, command: &NamedKeyMake) -> Result<NamedKeyMade> {
    let workspace = workspace_for(engine, session, command)?;
    let resource = Resource::Workspace(policy::Workspace { id: workspace.id });
    let path = command.workspace.to_string();
    let wanted = Wanted { resource, path, ..Wanted::vault(Action::ManageKeys, "key.create") };
    let id = ArtifactId::from_bytes(system::random()?);
    let made = |tx: &mut dyn Transaction, act: &Act<'_>| {
        if Named::find(engine, tx, &command.workspace, &command.name)?.is_some() {
            return Err(Error::Conflict {
                what: "the key",
                why: format!("`{}/{}` is there already", command.workspace, command.name),
                hint: Some("strongroom key ls".to_owned()),
            });
        }
        let class = command.class.unwrap_or_else(|| policy::default_class(workspace.default_class));
        let domain = Domain { workspace: workspace.id, environment: command.environment, class };
        let (name, created, creator) = (command.name.clone(), act.now, session.principal);
        let row = NamedKey { id, name, domain, created, creator };
        let mut changes = vec![engine.keys.guard.insert(tx, &row, act.ticket)?];
        let (newest, made) = mint(engine, tx, &row, 1, (act.ticket, act.now))?;
        changes.extend(made);
        epochs::create(tx, id.as_bytes(), "named-key")?;
        let event = told(act.event("key.create"), &row, &newest).changing(changes);
        let logged = engine.log(tx, act.ticket, &act.by, &[event])?;
        let logged = logged.first().copied().ok_or(Error::Internal("an entry was lost"))?;
        Ok((Named { workspace: workspace.clone(), row, newest }, logged))
    };
    let seized = [*workspace.id.as_bytes()];
    let (named, logged) = drift::mended(engine, || act(engine, session, &wanted, &seized, made))?;
    Ok(NamedKeyMade {
        name: named.path(),
        key: named.newest.key,
        version: named.newest.number,
        environment: named.row.domain.environment,
        class: named.row.domain.class,
        suite: named.newest.suite,
        due: named.newest.due,
        receipt: engine.settled(&logged)?,
    })
}

/// The workspace, which whoever manages principals makes along with its first key.
fn workspace_for(engine: &Engine, session: &Session, command: &NamedKeyMake) -> Result<Workspace> {
    if let Some(found) = engine.store.read(|tx| facts::workspace_named(engine, tx, &command.workspace))? {
        return Ok(found);
    }
    crate::write::named::place(&command.workspace)?;
    let id = WorkspaceId::from_bytes(system::random()?);
    let wanted = Wanted::vault(Action::ManagePrincipals, "workspace.create");
    let made = act(engine, session, &wanted, &[], |tx, act| {
        let (name, creator) = (command.workspace.clone(), session.principal);
        let row = Workspace { id, name, default_class: None, created: act.now, creator };
        let changes = vec![engine.keys.guard.insert(tx, &row, act.ticket)?];
        epochs::create(tx, id.as_bytes(), "workspace")?;
        show::count(tx, "workspaces")?;
        let event = act.event("workspace.create").on("workspace", id).changing(changes);
        engine.log(tx, act.ticket, &act.by, &[event])?;
        Ok(row)
    });
    // Whoever may not make it does not learn that it is missing.
    made.map_err(|error| match error {
        Error::Refused { .. } => Error::NotFound(command.workspace.to_string()),
        other => other,
    })
}

/// Gives a named key another version, which seals from now on, and closes the one before; with what the log is to say of it.
pub(crate) fn succeed(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (ticket, now): (i64, Timestamp),
    named: &Named,
    event: Event,
) -> Result<(NamedVersion, Event)> {
    let old = &named.newest;
    let number = old.number.checked_add(1);
    let number = number.ok_or_else(|| Error::Altered { table: NamedVersion::NAME, row: old.key.to_string() })?;
    let (new, mut changes) = mint(engine, tx, &named.row, number, (ticket, now))?;
    if old.state.may_become(KeyState::Deactivated) {
        let closed = NamedVersion { state: KeyState::Deactivated, since: now, due: None, ..old.clone() };
        changes.push(engine.keys.guard.update(tx, &closed, ticket)?);
    }
    epochs::bump(tx, named.row.id.as_bytes())?;
    let event = told(event, &named.row, &new).on("replaces", old.key).changing(changes);
    Ok((new, event))
}

/// Renews the named keys whose time is over by then, each in a transaction of its own; how many. As for domain keys.
pub(crate) fn renew_one(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (ticket, now): (i64, Timestamp),
    due: &NamedVersion,
) -> Result<Option<Event>> {
    let named = Named::by_id(engine, tx, due.named)?;
    // Another keeper may have been faster, or a custodian has suspended it.
    if named.newest != *due {
        return Ok(None);
    }
    let event = Event::new(log::entry::Kind::State, "key.rotate").with("why", "its time is nearly over");
    Ok(Some(succeed(engine, tx, (ticket, now), &named, event)?.1))
}

/// Rotates one named key by hand.
pub(crate) fn rotated(tx: &mut dyn Transaction, act: &Act<'_>, named: &Named) -> Result<(NamedVersion, Vec<Logged>)> {
    let engine = act.engine;
    let current = Named::by_id(engine, tx, named.row.id)?;
    if current.newest.key != named.newest.key {
        return Err(Error::conflict("the rotation", "somebody else rotated meanwhile"));
    }
    // One that was destroyed with its domain's key is followed like any other; one that is set aside is not.
    if !current.newest.state.protects() && current.newest.state != KeyState::Destroyed {
        let of = format!("{} v{}", current.path(), current.newest.number);
        return Err(Error::KeyShut { key: current.newest.key, of, state: current.newest.state });
    }
    let (new, event) = succeed(engine, tx, (act.ticket, act.now), &current, act.event("key.rotate"))?;
    Ok((new, engine.log(tx, act.ticket, &act.by, &[event])?))
}

/// Draws a version and wraps it under its domain's key, which is made if there is none yet.
fn mint(
    engine: &Engine,
    tx: &mut dyn Transaction,
    row: &NamedKey,
    number: u32,
    (ticket, now): (i64, Timestamp),
) -> Result<(NamedVersion, Vec<Change>)> {
    let (guard, domain) = (&engine.keys.guard, row.domain);
    let mut changes = Vec::new();
    let under: Key = match Domains::active(tx, guard, &domain, Purpose::Domain)? {
        Some(key) => {
            drift::refuse(engine, tx, &key, now)?;
            key
        }
        None => {
            let (key, made) = next_key(engine, tx, (&domain, Purpose::Domain), (ticket, now))?;
            changes.extend(made);
            key
        }
    };
    changes.extend(uses::used(engine, tx, (&under, 1), now, ticket)?);
    let rotation_days = engine.rules(tx)?.class_rules(domain.class).rotation_days;
    let suite = engine.crypto(tx)?.writes(domain.class, domain.environment, now);
    let with = engine.domains.open(tx, guard, under.id)?;
    let key = KeyId::from_bytes(system::random()?);
    let secret = ValueKey::generate().map_err(|_| Error::Random)?;
    let wrap = engine.domains.wrap_value(&OfNamed { domain, named: row.id, key, suite }, &under, &with, &secret)?;
    let version = NamedVersion {
        key,
        named: row.id,
        number,
        suite,
        state: KeyState::Active,
        fingerprint: fingerprint(suite, engine.vault, key, secret.expose_bytes())?,
        created: now,
        since: now,
        due: Some(now.plus_millis(u64::from(rotation_days) * 86_400_000)),
    };
    changes.push(guard.insert(tx, &version, ticket)?);
    changes.push(guard.insert(tx, &wrap, ticket)?);
    Ok((version, changes))
}

fn told(event: Event, row: &NamedKey, version: &NamedVersion) -> Event {
    event
        .on("workspace", row.domain.workspace)
        .on("artifact", row.id)
        .on("key", version.key)
        .with("name", &row.name)
        .with("class", row.domain.class)
        .with("environment", row.domain.environment)
        .with("version", version.number)
        .with("suite", version.suite)
}
