//! Sealing a version anew: a draft beside the version that it will be. Until the switch ([`super::switch`]) the version is what it was.

use super::{LEASE_MILLIS, Outcome, denied_as, give_up, objects, renew};
use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found, Stated};
use crate::journal::{By, Event};
use crate::keys::domains::{Belongs, next_key, wrap_of};
use crate::keys::state::{Above, Towards};
use crate::keys::{Domains, drift, sealed, uses};
use crate::release::{Sealing, envelope};
use crate::rows::{Draft, Key, PolicySet, Purpose, Renews};
use crate::session::{Asked, Session, verified};
use crate::{prints, removal, show};
use api::terms::{Action, DecisionId, EntryId, KeyId, Reference, ReleaseId, Suite, Timestamp, VersionId};
use api::wire::{Command, ReencryptBegin, ReencryptBegun, VersionItem};
use log::entry::Kind;
use seal::secret::VersionKey;

/// The act, in the log.
pub(super) const ACT: &str = "version.reencrypt";
/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;

/// Opens a version for sealing it anew, or takes up what the same principal left unfinished.
pub(crate) fn begin(engine: &Engine, session: &Session, command: &ReencryptBegin) -> Result<ReencryptBegun> {
    objects::check_count(&command.objects)?;
    let bad = |why: &str| Error::bad("the re-encryption", why);
    if command.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_LEN) {
        return Err(bad("a reason has at most 1024 bytes"));
    }
    let reference = show::parsed(&command.reference)?;
    let now = engine.now()?;
    let wrapped = Command::ReencryptBegin(command.clone());
    let asked = verified(engine.vault, session, &engine.nonces, &command.request, &wrapped, now)?;
    let version = match asked.versions.as_slice() {
        [version] if asked.action == Action::Reencrypt => *version,
        [_] => return Err(bad("the signed request is for another action")),
        _ => return Err(bad("the signed request must name one version")),
    };
    let ids = Ids {
        key: KeyId::from_bytes(crate::system::random()?),
        intent: EntryId::from_bytes(crate::system::random()?),
        decision: DecisionId::from_bytes(crate::system::random()?),
    };
    let call = Call { engine, session, command, reference, now, version, suite: asked.signed.unverified().suite, ids };
    let outcome = drift::mended(engine, || engine.store.write(|tx| call.run(tx)))?;
    let opened = outcome.told(&About::version(&call.reference, &session.name))?;
    engine.ledger.owe(opened.logged.id, opened.logged.leaf);
    call.answer(&asked, opened)
}

/// Ids that the transaction may need, drawn outside because it may run again.
struct Ids {
    key: KeyId,
    intent: EntryId,
    decision: DecisionId,
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a ReencryptBegin,
    reference: Reference,
    now: Timestamp,
    version: VersionId,
    /// The suite that the request is made for.
    suite: seal::Suite,
    ids: Ids,
}

/// What the transaction made.
struct Opened {
    draft: Draft,
    key: VersionKey,
    item: VersionItem,
    prints: Vec<u8>,
    logged: crate::journal::Logged,
    lease_secs: u64,
}

impl Call<'_> {
    fn run(&self, tx: &mut dyn Transaction) -> Result<Outcome<Opened>> {
        let (engine, session) = (self.engine, self.session);
        let guard = &engine.keys.guard;
        let not_found = || Error::NotFound(self.reference.to_string());
        let found = facts::resolve(engine, tx, &self.reference)?.ok_or_else(not_found)?;
        facts::coherent(&found)?;
        let subjects = [
            *session.principal.as_bytes(),
            *found.workspace.id.as_bytes(),
            *found.artifact.id.as_bytes(),
            PolicySet::row_id(),
        ];
        epochs::hold(tx, &subjects)?;
        if !epochs::closing(tx, &subjects)?.is_empty() {
            return Err(Error::Stale);
        }
        let actor = facts::actor(engine, tx, session.principal)?;
        let rules = engine.rules(tx)?;
        let stated = Stated { reason: self.command.reason.as_deref(), confirm: self.command.confirm.as_deref() };
        let circumstances = Circumstances::stated(self.now, &stated, &found.path())?;
        let query = facts::query(engine, session, &actor, Action::Reencrypt, found.resource(), &circumstances);
        let verdict = judge(&rules, self.ids.decision, &query);
        let by = By::session(session, self.now);
        if !verdict.answer.allowed {
            let event = verdict.denial(ACT);
            let event = event.on("artifact", found.artifact.id).on("version", found.version.id);
            return denied_as(engine, tx, &by, verdict, event);
        }
        let (under, suite) = self.admitted(tx, &found)?;
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let existing = self.existing(tx, &found, (under.as_ref(), suite), (&by, ticket))?;
        let until = self.now.plus_millis(LEASE_MILLIS);
        let resumed = existing.is_some();
        let (draft, key, under, changes) = match existing {
            Some(draft) => {
                let wrap = wrap_of(tx, guard, draft.key)?;
                let with = engine.domains.open(tx, guard, wrap.under)?;
                let key = engine.domains.unwrap(&Belongs::from(&draft), &wrap, &with)?;
                renew(engine, tx, draft.clone(), until)?;
                (draft, key, None, Vec::new())
            }
            None => {
                let (under, mut changes) = match under {
                    Some(key) => (key, Vec::new()),
                    None => {
                        let domain = Belongs::from(&found.version).domain;
                        next_key(engine, tx, (&domain, Purpose::Domain), (ticket, self.now))?
                    }
                };
                let with = engine.domains.open(tx, guard, under.id)?;
                let belongs = Belongs { key: self.ids.key, suite, ..Belongs::from(&found.version) };
                let minted = engine.domains.mint(&belongs, &under, &with)?;
                changes.push(guard.insert(tx, &minted.wrap, ticket)?);
                changes.extend(uses::used(engine, tx, (&under, 1), self.now, ticket)?);
                let draft = self.draft(&found, suite, until);
                guard.insert(tx, &draft, ticket)?;
                (draft, minted.key, Some(under.id), changes)
            }
        };
        objects::register(tx, guard, self.version, &self.command.objects, until)?;
        engine.keep(tx, ticket, &verdict)?;
        let mut event = self.event(&found, &draft, &verdict, resumed)?;
        if let Some(under) = under {
            event = event.on("under", under).changing(changes);
        }
        let logged = engine.log(tx, ticket, &by, &[event])?;
        let logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
        let lease_secs = rules.class_rules(found.version.class).lease_secs;
        let prints = prints::of(tx, found.version.id)?;
        let item = show::described(engine, tx, found)?;
        Ok(Outcome::Done(Opened {
            draft: Draft { lease_until: until, ..draft },
            key,
            item,
            prints,
            logged,
            lease_secs,
        }))
    }

    /// Whether the version as it is now may be sealed anew; the key under which its new one is wrapped, held; and the suite that is
    /// written where it stands, which it gets.
    fn admitted(&self, tx: &mut dyn Transaction, found: &Found) -> Result<(Option<Key>, Suite)> {
        let guard = &self.engine.keys.guard;
        if found.version.id != self.version {
            return Err(Error::Conflict {
                what: "the re-encryption",
                why: format!("`{}` names another version than the signed request", self.command.reference),
                hint: Some("run the command again".into()),
            });
        }
        removal::refuse(found)?;
        let (class, environment) = (found.version.class, found.version.environment);
        let suite = self.engine.crypto(tx)?.writes(class, environment, self.now);
        if sealed(suite) != self.suite {
            return Err(Error::Suite { what: "the re-encryption", suite });
        }
        let (_, above) = Above::of_version(tx, guard, &found.version)?;
        above.refuse(&found.version, &found.named(), Towards::Move)?;
        let belongs = Belongs::from(&found.version);
        let under = Domains::active(tx, guard, &belongs.domain, Purpose::Domain)?;
        if let Some(under) = &under {
            epochs::hold(tx, &[*under.id.as_bytes()])?;
            drift::refuse(self.engine, tx, under, self.now)?;
        }
        Ok((under, suite))
    }

    /// What was begun before, by the same principal and of the version as it is now. What somebody else left is given up when its time is
    /// over, and what lies under an older key of the domain at once: that may be the one that is compromised.
    fn existing(
        &self,
        tx: &mut dyn Transaction,
        found: &Found,
        (under, suite): (Option<&Key>, Suite),
        (by, ticket): (&By, i64),
    ) -> Result<Option<Draft>> {
        let draft: Option<Draft> = self.engine.keys.guard.find(tx, self.version.as_bytes())?;
        let Some(draft) = draft else { return Ok(None) };
        let is_old = under.is_none_or(|under| draft.begun < under.created) || draft.suite != suite;
        if is_old || (draft.principal != self.session.principal && draft.lease_until <= self.now) {
            give_up(self.engine, tx, by, &draft, "begun anew", ticket)?;
            return Ok(None);
        }
        if draft.principal != self.session.principal {
            let why =
                "somebody else has begun to seal this version anew, and is given 24 hours from the last sign of life";
            return Err(Error::conflict("the re-encryption", why));
        }
        if draft.renews != Some(Renews::of(&found.version)) {
            return Err(Error::Altered { table: "draft", row: self.version.to_string() });
        }
        Ok(Some(draft))
    }

    fn draft(&self, found: &Found, suite: Suite, until: Timestamp) -> Draft {
        let version = &found.version;
        Draft {
            version: version.id,
            artifact: version.artifact,
            workspace: version.workspace,
            principal: self.session.principal,
            class: version.class,
            class_why: "the version's".to_owned(),
            environment: version.environment,
            kind: None,
            suite,
            key: self.ids.key,
            intent: self.ids.intent,
            run: None,
            begun: self.now,
            lease_until: until,
            renews: Some(Renews::of(version)),
        }
    }

    fn event(&self, found: &Found, draft: &Draft, verdict: &Verdict, resumed: bool) -> Result<Event> {
        let act = if resumed { "version.reencrypt.resume" } else { "version.reencrypt.begin" };
        let event =
            Event { id: Some(self.ids.intent), decision: Some(verdict.logged()), ..Event::new(Kind::Intent, act) };
        let event = event
            .on("workspace", draft.workspace)
            .on("artifact", draft.artifact)
            .on("version", draft.version)
            .on("digest", &found.version.digest)
            .on("replaces", found.version.key)
            .on("key", draft.key)
            .with("number", found.version.number)
            .with("class", draft.class)
            .with("environment", draft.environment)
            .with("suite", draft.suite);
        match &self.command.reason {
            Some(reason) => event.hiding("reason", reason),
            None => Ok(event),
        }
    }

    fn answer(&self, asked: &Asked, opened: Opened) -> Result<ReencryptBegun> {
        let Opened { draft, key, item, prints, lease_secs, .. } = opened;
        let expires = self.now.plus_millis(lease_secs.saturating_mul(1000));
        let action = Action::Reencrypt;
        let sealing = Sealing { version: draft.version, suite: draft.suite, digest: None, key: &key, action };
        let release = ReleaseId::from_bytes(crate::system::random()?);
        let envelope = envelope(self.engine, asked, release, expires, &[sealing])?;
        Ok(ReencryptBegun {
            version: item,
            envelope,
            prints,
            key: draft.key,
            lease_until: draft.lease_until,
            entry: draft.intent,
        })
    }
}

/// What was stated when it was begun holds for as long as it goes on.
pub(super) fn circumstances(now: Timestamp, path: &str) -> Result<Circumstances> {
    Circumstances::stated(now, &Stated { reason: Some("as begun"), confirm: Some(path) }, path)
}
