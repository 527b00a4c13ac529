//! Principals and their grants. What takes rights away is linearizable: it announces itself, then locks, and no release that it
//! forbids has a later ticket (DESIGN 7, 9).

mod change;
pub(crate) mod erase;
mod told;

use crate::acts::{Act, Wanted, act, look};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Actor};
use crate::rows::{Change, Grant, Principal, Table as _, Workspace};
use crate::session::Session;
use crate::{show, subject, system};
use api::terms::{Action, GrantId, Mode, Name, PrincipalId, WorkspaceId};
use api::wire::{GrantSpec, PrincipalAdd, PrincipalItem};
use change::Becomes;
use policy::{Held, Role, Scope};

/// The workspace name that means the whole vault in a grant; no workspace may have it.
pub(crate) const VAULT_WIDE: &str = "vault";
/// The most grants of a principal, and in one command.
const MAX_GRANTS: usize = 256;
/// The most principals in one answer.
const MAX_PRINCIPALS: i64 = 100_000;

/// Adds a principal, or changes what is named of one. In solo nobody acts as them, but `policy explain --as` asks about them, and a
/// vault that becomes a team's knows them already.
pub(crate) fn add(engine: &Engine, session: &Session, command: &PrincipalAdd) -> Result<PrincipalItem> {
    check(command)?;
    let now = engine.now()?;
    if let Some(grant) = command.grants.iter().find(|grant| grant.until.is_some_and(|until| until <= now)) {
        let why = format!("`{}={}` would have ended already: its end is no time to come", grant.workspace, grant.role);
        return Err(Error::bad("the grant", why));
    }
    let name = if command.change { "principal.change" } else { "principal.add" };
    let wanted = Wanted::vault(Action::ManagePrincipals, name);
    // Before it is told who is there and who is not.
    look(engine, session, &wanted)?;
    let known = engine.store.read(|tx| facts::principal_named(engine, tx, &command.name))?;
    let id = match (&known, command.change) {
        (None, false) => PrincipalId::from_bytes(system::random()?),
        (Some(row), true) => row.id,
        (Some(_), false) => {
            return Err(Error::Conflict {
                what: "the principal",
                why: format!("`{}` exists already", command.name),
                hint: Some(format!("strongroom principal add {} --change", command.name)),
            });
        }
        (None, true) => return Err(Error::NoPrincipal(command.name.clone())),
    };
    let mut announced = false;
    if command.change {
        // What cannot be done is told before anything is announced: an announcement that an earlier, killed command left stays.
        engine.store.read(|tx| becomes(engine, tx, command, id).map(|_| ()))?;
        announced = announce(engine, session, id)?;
    }
    let seized: &[[u8; 16]] = if command.change { &[*id.as_bytes()] } else { &[] };
    let done = act(engine, session, &wanted, seized, |tx, act| write(engine, tx, act, command, id));
    match done {
        Ok(item) => Ok(item),
        Err(error) => {
            if announced {
                // Nothing was changed, so nothing stays closed but what an earlier command announced.
                engine.store.write(|tx| epochs::conclude(tx, id.as_bytes()))?;
            }
            Err(error)
        }
    }
}

/// Announces a change: from here on releases to the principal refuse. Whether no other command had announced one.
fn announce(engine: &Engine, session: &Session, id: PrincipalId) -> Result<bool> {
    if id == session.principal {
        // One's own change is decided on one's own rows: it cannot be announced before.
        return Ok(false);
    }
    let now = engine.now()?;
    engine.store.write(|tx| epochs::announce(tx, id.as_bytes(), now))
}

/// What the command makes of the principal. The vault keeps its owner: nobody else could put it right.
fn becomes(
    engine: &Engine,
    tx: &mut dyn Transaction,
    command: &PrincipalAdd,
    id: PrincipalId,
) -> Result<(Option<Actor>, Becomes)> {
    let before = if command.change { Some(facts::actor(engine, tx, id)?) } else { None };
    let becomes = Becomes::of(engine, tx, before.as_ref(), command)?;
    if id == engine.owner && !becomes.owns_the_vault() {
        let why = format!("`{}` owns the vault: it stays active with the grant vault=owner", command.name);
        return Err(Error::conflict("the principal", why));
    }
    Ok((before, becomes))
}

fn check(command: &PrincipalAdd) -> Result<()> {
    if command.grants.len() + command.revoke.len() > MAX_GRANTS {
        return Err(Error::bad("the principal", "at most 256 grants"));
    }
    if !command.change && !command.revoke.is_empty() {
        return Err(Error::bad("the principal", "nothing is taken away from somebody who is new"));
    }
    let revoked = command.revoke.iter().filter_map(|revocation| revocation.role.as_ref());
    for role in command.grants.iter().map(|grant| &grant.role).chain(revoked) {
        let role: Role =
            role.parse().map_err(|error: api::terms::WordError| Error::bad("the role", error.to_string()))?;
        if role == Role::Member {
            return Err(Error::bad("the role", "everybody with a role is a member; it is not granted"));
        }
    }
    let named = command.kind.is_some() || command.clearance.is_some() || command.suspended.is_some();
    if command.change && !named && command.grants.is_empty() && command.revoke.is_empty() {
        return Err(Error::bad("the principal", "nothing to change was named"));
    }
    Ok(())
}

fn write(
    engine: &Engine,
    tx: &mut dyn Transaction,
    act: &Act<'_>,
    command: &PrincipalAdd,
    id: PrincipalId,
) -> Result<PrincipalItem> {
    let guard = &engine.keys.guard;
    let ticket = act.ticket;
    let mut changes = Vec::new();
    let (before, becomes) = becomes(engine, tx, command, id)?;
    let before = before.map(|actor| actor.row);
    let row = Principal {
        id,
        kind: becomes.kind,
        clearance: becomes.clearance,
        suspended: becomes.suspended,
        created: before.as_ref().map_or(act.now, |before| before.created),
        erased: None,
    };
    match &before {
        Some(_) => {
            changes.push(guard.update(tx, &row, ticket)?);
            for grant in &becomes.lost {
                changes.push(guard.remove::<Grant>(tx, &grant.id())?);
            }
            epochs::bump(tx, id.as_bytes())?;
            epochs::conclude(tx, id.as_bytes())?;
        }
        None => {
            changes.push(guard.insert(tx, &row, ticket)?);
            let who = subject::drawn(&engine.keys.fields, engine.vault, id, &command.name, act.now)?;
            changes.push(guard.insert(tx, &who, ticket)?);
            epochs::create(tx, id.as_bytes(), "principal")?;
        }
    }
    let new = grants(engine, tx, act, &becomes.new, id, ticket, &mut changes)?;
    for grant in &new {
        changes.push(guard.insert(tx, grant, ticket)?);
    }
    let mut grants = becomes.kept;
    grants.extend(new);
    refuse_conflicts(engine, tx, &grants)?;
    let event = act
        .event(if command.change { "principal.change" } else { "principal.add" })
        .on("principal", id)
        .with("kind", row.kind)
        .with("clearance", row.clearance)
        .with("suspended", if row.suspended { "yes" } else { "no" })
        .with("grants", grants.len())
        .naming(id, command.name.as_str())?
        .changing(changes);
    engine.log(tx, ticket, &act.by, &[event])?;
    item(engine, tx, &Actor { row, grants })
}

/// The rows of the grants; workspaces that are not there yet are made, so that people can be put in place before data.
fn grants(
    engine: &Engine,
    tx: &mut dyn Transaction,
    act: &Act<'_>,
    specs: &[GrantSpec],
    principal: PrincipalId,
    ticket: i64,
    changes: &mut Vec<Change>,
) -> Result<Vec<Grant>> {
    let mut rows = Vec::with_capacity(specs.len());
    for GrantSpec { workspace, role, until } in specs {
        let workspace = match workspace.as_str() {
            VAULT_WIDE => None,
            _ => Some(place(engine, tx, act, workspace, ticket, changes)?),
        };
        let id = GrantId::from_bytes(system::random()?);
        rows.push(Grant { id, principal, workspace, role: role.clone(), until: *until, created: act.now });
    }
    Ok(rows)
}

fn place(
    engine: &Engine,
    tx: &mut dyn Transaction,
    act: &Act<'_>,
    name: &Name,
    ticket: i64,
    changes: &mut Vec<Change>,
) -> Result<WorkspaceId> {
    if let Some(workspace) = facts::workspace_named(engine, tx, name)? {
        return Ok(workspace.id);
    }
    let workspace = Workspace {
        id: WorkspaceId::from_bytes(system::random()?),
        name: name.clone(),
        default_class: None,
        created: act.now,
        creator: act.by.principal,
    };
    changes.push(engine.keys.guard.insert(tx, &workspace, ticket)?);
    epochs::create(tx, workspace.id.as_bytes(), "workspace")?;
    show::count(tx, "workspaces")?;
    Ok(workspace.id)
}

/// Duties that should be apart are not brought together; in solo there is nobody to keep apart.
fn refuse_conflicts(engine: &Engine, tx: &mut dyn Transaction, grants: &[Grant]) -> Result<()> {
    if engine.mode == Mode::Solo {
        return Ok(());
    }
    let rules = engine.rules(tx)?;
    let held: Vec<Held> = grants
        .iter()
        .filter_map(|grant| {
            let scope = grant.workspace.map_or(Scope::Vault, Scope::Workspace);
            Some(Held { role: grant.role.parse().ok()?, scope, until: grant.until })
        })
        .collect();
    match rules.conflicts(&held).first() {
        None => Ok(()),
        Some(conflict) => Err(Error::Conflict {
            what: "the change of grants",
            why: format!("{} and {} must be apart: {}", conflict.one, conflict.other, conflict.reason),
            hint: None,
        }),
    }
}

/// All principals, by name.
pub(crate) fn list(engine: &Engine, session: &Session) -> Result<Vec<PrincipalItem>> {
    look(engine, session, &Wanted::vault(Action::List, "principal.list"))?;
    let mut items = engine.store.read(|tx| {
        let rows: Vec<Principal> = engine.keys.guard.select(tx, "ORDER BY id LIMIT $1", &[MAX_PRINCIPALS.into()])?;
        rows.iter()
            .map(|row| {
                let actor = facts::actor(engine, tx, row.id)?;
                item(engine, tx, &actor)
            })
            .collect::<Result<Vec<_>>>()
    })?;
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// A principal for an answer.
pub(crate) fn item(engine: &Engine, tx: &mut dyn Transaction, actor: &Actor) -> Result<PrincipalItem> {
    let mut grants = Vec::with_capacity(actor.grants.len());
    for grant in &actor.grants {
        let workspace: Name = match grant.workspace {
            None => VAULT_WIDE.parse().map_err(|_| Error::Internal("a reserved name is no name"))?,
            Some(id) => engine.keys.guard.expect::<Workspace>(tx, id.as_bytes())?.name,
        };
        grants.push(GrantSpec { workspace, role: grant.role.clone(), until: grant.until });
    }
    grants.sort_by(|a, b| (&a.workspace, &a.role).cmp(&(&b.workspace, &b.role)));
    Ok(PrincipalItem {
        id: actor.row.id,
        name: facts::name_of(engine, tx, actor.row.id)?,
        kind: actor.row.kind,
        clearance: actor.row.clearance,
        suspended: actor.row.suspended,
        erased: actor.row.erased.map(|erased| erased.at),
        grants,
    })
}
