//! What a principal becomes: what a command names, and everything else as it was.

use super::{MAX_GRANTS, VAULT_WIDE};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::facts::{self, Actor};
use crate::rows::Grant;
use api::terms::{Class, Name, PrincipalKind, WorkspaceId};
use api::wire::{GrantSpec, PrincipalAdd, Revocation};
use policy::Role;

/// A principal after a command.
pub(super) struct Becomes {
    pub(super) kind: PrincipalKind,
    pub(super) clearance: Class,
    pub(super) suspended: bool,
    /// Grants that it keeps.
    pub(super) kept: Vec<Grant>,
    /// Grants that it loses, also those that come again with another end.
    pub(super) lost: Vec<Grant>,
    /// Grants that it gets.
    pub(super) new: Vec<GrantSpec>,
}

impl Becomes {
    /// Of nobody yet, or of somebody as they are.
    ///
    /// # Errors
    /// `not-found` for a revocation of what is not held: a slip of the keyboard must not pass for a revocation.
    pub(super) fn of(
        engine: &Engine,
        tx: &mut dyn Transaction,
        before: Option<&Actor>,
        command: &PrincipalAdd,
    ) -> Result<Self> {
        let row = before.map(|actor| &actor.row);
        let mut becomes = Self {
            kind: command.kind.or(row.map(|row| row.kind)).unwrap_or(PrincipalKind::User),
            clearance: command.clearance.or(row.map(|row| row.clearance)).unwrap_or(Class::Internal),
            suspended: command.suspended.or(row.map(|row| row.suspended)).unwrap_or(false),
            kept: before.map(|actor| actor.grants.clone()).unwrap_or_default(),
            lost: Vec::new(),
            new: Vec::new(),
        };
        for revocation in &command.revoke {
            becomes.revoke(engine, tx, &command.name, revocation)?;
        }
        for grant in &command.grants {
            becomes.grant(engine, tx, grant)?;
        }
        if becomes.kept.len() + becomes.new.len() > MAX_GRANTS {
            return Err(Error::bad("the principal", "at most 256 grants"));
        }
        Ok(becomes)
    }

    fn revoke(
        &mut self,
        engine: &Engine,
        tx: &mut dyn Transaction,
        who: &Name,
        Revocation { workspace, role }: &Revocation,
    ) -> Result<()> {
        let held = match place(engine, tx, workspace)? {
            Some(place) => {
                self.lose(|grant| grant.workspace == place && role.as_ref().is_none_or(|role| *role == grant.role))
            }
            None => false,
        };
        let role = role.as_deref().unwrap_or("any role");
        if held { Ok(()) } else { Err(Error::NotFound(format!("{role} of {who} in {workspace}"))) }
    }

    fn grant(&mut self, engine: &Engine, tx: &mut dyn Transaction, new: &GrantSpec) -> Result<()> {
        self.new.retain(|other| (&other.workspace, &other.role) != (&new.workspace, &new.role));
        if let Some(place) = place(engine, tx, &new.workspace)? {
            let same = |grant: &Grant| grant.workspace == place && grant.role == new.role;
            if self.kept.iter().any(|grant| same(grant) && grant.until == new.until) {
                return Ok(());
            }
            self.lose(same);
        }
        self.new.push(new.clone());
        Ok(())
    }

    /// Whether any went.
    fn lose(&mut self, which: impl Fn(&Grant) -> bool) -> bool {
        let (lost, kept): (Vec<Grant>, Vec<Grant>) = std::mem::take(&mut self.kept).into_iter().partition(which);
        self.kept = kept;
        let any = !lost.is_empty();
        self.lost.extend(lost);
        any
    }

    /// Whether it is active and owns the vault without an end.
    pub(super) fn owns_the_vault(&self) -> bool {
        let owner = Role::Owner.word();
        let held = |grant: &Grant| grant.workspace.is_none() && grant.role == owner && grant.until.is_none();
        let comes =
            |grant: &GrantSpec| grant.workspace.as_str() == VAULT_WIDE && grant.role == owner && grant.until.is_none();
        !self.suspended && (self.kept.iter().any(held) || self.new.iter().any(comes))
    }
}

/// Where a grant counts: the vault (`None` inside), or a workspace that there is.
fn place(engine: &Engine, tx: &mut dyn Transaction, name: &Name) -> Result<Option<Option<WorkspaceId>>> {
    if name.as_str() == VAULT_WIDE {
        return Ok(Some(None));
    }
    Ok(facts::workspace_named(engine, tx, name)?.map(|workspace| Some(workspace.id)))
}
