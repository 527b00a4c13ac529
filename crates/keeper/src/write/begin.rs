//! Opening a version for writing.

use super::{Classed, LEASE_MILLIS, Outcome, Wished, class_of, denied, named, objects, renew};
use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Found};
use crate::journal::{By, Event, Logged};
use crate::keys::domains::{Belongs, NewDomainKey, wrap_of};
use crate::keys::{Domains, Minted, drift, sealed, state, uses};
use crate::release::{Sealing, envelope};
use crate::rows::{Artifact, Change, Domain, Draft, Key, PolicySet, Purpose, Workspace};
use crate::session::{Asked, Session, verified};
use crate::{prints, show};
use api::terms::{
    Action, ArtifactId, Class, DecisionId, EntryId, Environment, KeyId, Kind, ReleaseId, Suite, Timestamp, VersionId,
    WorkspaceId,
};
use api::wire::{Begin, Begun, Command, MadeBy, Released, RunOutput};
use log::entry::Kind as Entry;
use seal::record::VersionRecord;
use seal::secret::VersionKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Opens a version for writing, or takes up one that the same principal left.
pub(crate) fn begin(engine: &Engine, session: &Session, command: &Begin) -> Result<Begun> {
    objects::check_count(&command.objects)?;
    named::place(&command.workspace)?;
    named::form(command.alias.as_ref(), &command.from)?;
    let now = engine.now()?;
    let wrapped = Command::Begin(command.clone());
    let asked = verified(engine.vault, session, &engine.nonces, &command.request, &wrapped, now)?;
    let (version, previous) = match asked.versions.as_slice() {
        _ if asked.action != Action::Write => return Err(bad("the signed request is for another action")),
        [version] => (*version, None),
        [version, previous] => (*version, Some(*previous)),
        _ => return Err(bad("the signed request names the new version, and the one before it or none")),
    };
    let at_least = command.at_least.max(floor(engine, session, command, now)?);
    let asks = asked.signed.unverified().suite;
    let call = Call { engine, session, command, at_least, now, version, previous, asks, ids: Ids::draw()? };
    let (outcome, placed) = drift::mended(engine, || engine.store.write(|tx| call.run(tx)))?;
    let opened = outcome.told(&call.about(placed))?;
    // Keys leave again and no row tells of it: the entry is looked for, before that if the class asks for the anchor.
    if let Some(logged) = &opened.resumed {
        if opened.draft.class == Class::Restricted {
            engine.anchored(logged)?;
        } else {
            engine.ledger.owe(logged.id, logged.leaf);
        }
    }
    call.answer(&asked, opened)
}

fn bad(why: &str) -> Error {
    Error::bad("the new version", why)
}

/// The class that an output of a run is not below. Refused for what is no output of it.
fn floor(engine: &Engine, session: &Session, command: &Begin, now: Timestamp) -> Result<Option<Class>> {
    let Some(id) = command.run else { return Ok(None) };
    engine.store.read(|tx| {
        let run = crate::run::own(engine, tx, session, id, now)?;
        let is_this = |output: &RunOutput| {
            (&output.workspace, &output.artifact) == (&command.workspace, &command.artifact)
                && output.environment == command.environment
        };
        if !run.outputs.iter().any(is_this) {
            return Err(bad("it is no output of the run"));
        }
        run.floor(engine, tx)
    })
}

/// Ids that the transaction may need, drawn outside because it may run again.
struct Ids {
    workspace: WorkspaceId,
    artifact: ArtifactId,
    key: KeyId,
    intent: EntryId,
    decision: DecisionId,
    release: ReleaseId,
}

impl Ids {
    fn draw() -> Result<Self> {
        use crate::system::random;
        Ok(Self {
            workspace: WorkspaceId::from_bytes(random()?),
            artifact: ArtifactId::from_bytes(random()?),
            key: KeyId::from_bytes(random()?),
            intent: EntryId::from_bytes(random()?),
            decision: DecisionId::from_bytes(random()?),
            release: ReleaseId::from_bytes(random()?),
        })
    }
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a Begin,
    /// Whatever the class would be, it is not below this one.
    at_least: Option<Class>,
    now: Timestamp,
    version: VersionId,
    previous: Option<VersionId>,
    /// The suite that the request is made for.
    asks: seal::Suite,
    ids: Ids,
}

/// A class in an environment.
type Placed = (Class, Environment);

/// Where the version goes; rows that are new are written once it is allowed.
struct Site {
    workspace: Workspace,
    artifact: Artifact,
    new_workspace: bool,
    new_artifact: bool,
    class: Class,
    class_why: &'static str,
    /// What stands against the version, told to whoever may write it.
    conflict: Option<Error>,
}

/// What a new draft is made with.
struct With<'a> {
    by: By,
    rules: &'a policy::Set,
    verdict: &'a Verdict,
    domain: Domain,
    suite: Suite,
    /// The domain's key, held; none before its first version.
    under: Option<Key>,
    ticket: i64,
}

/// What the transaction made.
struct Opened {
    draft: Draft,
    key: VersionKey,
    previous: Option<Previous>,
    /// The entry of a draft that was taken up again.
    resumed: Option<Logged>,
    lease_secs: u64,
}

struct Previous {
    found: Found,
    key: VersionKey,
    decision: DecisionId,
    release: ReleaseId,
    logged: Logged,
    record: Vec<u8>,
    prints: Vec<u8>,
    creator_and_aliases: (String, Vec<String>),
    made: Option<MadeBy>,
    lease_secs: u64,
}

impl Call<'_> {
    fn about(&self, placed: Placed) -> About {
        let Begin { workspace, artifact, .. } = self.command;
        let path = format!("{workspace}/{artifact}");
        About::placed(path, &self.session.name, placed)
    }

    fn run(&self, tx: &mut dyn Transaction) -> Result<(Outcome<Opened>, Placed)> {
        let engine = self.engine;
        let guard = &engine.keys.guard;
        if guard.find::<crate::rows::Version>(tx, self.version.as_bytes())?.is_some() {
            return Err(Error::conflict("the new version", "it is committed already"));
        }
        let existing: Option<Draft> = guard.find(tx, self.version.as_bytes())?;
        let site = self.site(tx, existing.as_ref())?;
        let mut subjects = vec![*self.session.principal.as_bytes(), PolicySet::row_id()];
        subjects.extend((!site.new_workspace).then_some(*site.workspace.id.as_bytes()));
        subjects.extend((!site.new_artifact).then_some(*site.artifact.id.as_bytes()));
        epochs::hold(tx, &subjects)?;
        if !epochs::closing(tx, &subjects)?.is_empty() {
            return Err(Error::Stale);
        }
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let rules = engine.rules(tx)?;
        let here = (site.class, self.command.environment);
        let verdict = self.decide(&rules, &actor, &site, Action::Write, here)?;
        let by = By::session(self.session, self.now);
        if !verdict.answer.allowed {
            return Ok((denied(engine, tx, &by, verdict, "version.begin")?, here));
        }
        if let Some(conflict) = site.conflict {
            return Err(conflict);
        }
        let suite = engine.crypto(tx)?.writes(site.class, self.command.environment, self.now);
        if sealed(suite) != self.asks {
            return Err(Error::Suite { what: "the new version", suite });
        }
        if existing.as_ref().is_some_and(|draft| draft.suite != suite) {
            return Err(Error::conflict("the new version", "it was begun under another suite"));
        }
        if let Some((refused, place)) = self.refused_alias(tx, &rules, &actor, &site)? {
            return Ok((denied(engine, tx, &by, refused, "version.begin")?, place));
        }
        named::lineage(engine, self.session, tx, (&actor, self.now), &self.command.from)?;
        let domain = Domain { workspace: site.workspace.id, environment: self.command.environment, class: site.class };
        let under = Domains::active(tx, guard, &domain, Purpose::Domain)?;
        if let Some(key) = &under {
            epochs::hold(tx, &[*key.id.as_bytes()])?;
            drift::refuse(engine, tx, key, self.now)?;
        }
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let lease_secs = rules.class_rules(site.class).lease_secs;
        let until = self.now.plus_millis(LEASE_MILLIS);
        let mut resumed = None;
        let (draft, key) = match existing {
            Some(draft) => {
                let key = self.reopen(tx, &draft)?;
                renew(engine, tx, draft.clone(), until)?;
                resumed = Some(self.log_resumed(tx, &draft, &by, &verdict, ticket)?);
                (draft, key)
            }
            None => {
                objects::check_unused(tx, self.version)?;
                let with = With { by, rules: &rules, verdict: &verdict, domain, suite, under, ticket };
                self.open(tx, &site, &with)?
            }
        };
        objects::register(tx, guard, self.version, &self.command.objects, until)?;
        let previous = self.release_previous(tx, &actor, &rules, &site, &by, ticket)?;
        let draft = Draft { lease_until: until, ..draft };
        Ok((Outcome::Done(Opened { draft, key, previous, resumed, lease_secs }), here))
    }

    fn site(&self, tx: &mut dyn Transaction, existing: Option<&Draft>) -> Result<Site> {
        let (engine, command) = (self.engine, self.command);
        let found = facts::workspace_named(engine, tx, &command.workspace)?;
        let new_workspace = found.is_none();
        let workspace = found.unwrap_or_else(|| Workspace {
            id: self.ids.workspace,
            name: command.workspace.clone(),
            default_class: None,
            created: self.now,
            creator: self.session.principal,
        });
        let found =
            if new_workspace { None } else { facts::artifact_named(engine, tx, &workspace, &command.artifact)? };
        let wished = Wished { class: command.class, at_least: self.at_least, kind: command.kind };
        let Classed { class, why: class_why, conflict } = class_of(Some(&workspace), found.as_ref(), wished);
        let new_artifact = found.is_none();
        let kind = existing.map_or(command.kind, |draft| draft.kind);
        let artifact = found.map(|found| found.begun_by(self.session.principal, kind, class, self.now));
        let artifact = artifact.unwrap_or_else(|| Artifact {
            id: self.ids.artifact,
            workspace: workspace.id,
            name: command.artifact.clone(),
            kind: kind.unwrap_or(Kind::Other),
            class,
            created: self.now,
            creator: self.session.principal,
            latest: 0,
            current: 0,
            retention: None,
            holds: std::collections::BTreeMap::new(),
        });
        let site = Site { workspace, artifact, new_workspace, new_artifact, class, class_why, conflict };
        match existing {
            None => Ok(site),
            Some(draft) => self.resumed(site, draft),
        }
    }

    /// A draft is taken up by its principal, for the same artifact and class.
    fn resumed(&self, site: Site, draft: &Draft) -> Result<Site> {
        if draft.principal != self.session.principal {
            return Err(Error::conflict("the new version", "its id is taken"));
        }
        let same = draft.artifact == site.artifact.id
            && draft.environment == self.command.environment
            && self.command.class.is_none_or(|class| class == draft.class)
            && self.at_least.is_none_or(|least| least <= draft.class)
            && self.command.run == draft.run
            && self.command.kind.is_none_or(|kind| draft.kind == Some(kind));
        if !same {
            let why = "it was begun for another artifact, class, environment or kind";
            return Err(Error::conflict("the new version", why));
        }
        Ok(Site { class: draft.class, class_why: "resumed", ..site })
    }

    fn decide(
        &self,
        rules: &Arc<policy::Set>,
        actor: &Actor,
        site: &Site,
        action: Action,
        (class, environment): Placed,
    ) -> Result<Verdict> {
        let resource = facts::resource_of(&site.artifact, class, environment);
        let circumstances = Circumstances::plain(self.now)?;
        let query = facts::query(self.engine, self.session, actor, action, resource, &circumstances);
        Ok(judge(rules, self.ids.decision, &query))
    }

    /// The commit decides on the alias and counts; what it would refuse is refused before anything is uploaded.
    fn refused_alias(
        &self,
        tx: &mut dyn Transaction,
        rules: &Arc<policy::Set>,
        actor: &Actor,
        site: &Site,
    ) -> Result<Option<(Verdict, Placed)>> {
        let Some(name) = &self.command.alias else { return Ok(None) };
        let here = (site.class, self.command.environment);
        for place in named::alias_places(self.engine, tx, &site.artifact, name, here)? {
            let verdict = self.decide(rules, actor, site, Action::Alias, place)?;
            if !verdict.answer.allowed {
                return Ok(Some((verdict, place)));
            }
        }
        Ok(None)
    }

    /// Writes the rows of a new draft, and the intent.
    fn open(&self, tx: &mut dyn Transaction, site: &Site, with: &With<'_>) -> Result<(Draft, VersionKey)> {
        let engine = self.engine;
        let (guard, ticket, verdict) = (&engine.keys.guard, with.ticket, with.verdict);
        let mut changes = self.place(tx, site, ticket)?;
        let minted = self.mint(tx, site, with, &mut changes)?;
        let under = minted.wrap.under;
        changes.push(guard.insert(tx, &minted.wrap, ticket)?);
        let draft = Draft {
            version: self.version,
            artifact: site.artifact.id,
            workspace: site.workspace.id,
            principal: self.session.principal,
            class: site.class,
            class_why: site.class_why.to_owned(),
            environment: self.command.environment,
            kind: self.command.kind,
            suite: with.suite,
            key: minted.id,
            intent: self.ids.intent,
            run: self.command.run,
            begun: self.now,
            lease_until: self.now.plus_millis(LEASE_MILLIS),
            renews: None,
        };
        guard.insert(tx, &draft, ticket)?;
        engine.keep(tx, ticket, verdict)?;
        let event = Event {
            id: Some(self.ids.intent),
            decision: Some(verdict.logged()),
            ..Event::new(Entry::Intent, "version.begin")
        };
        let event = event
            .on("workspace", site.workspace.id)
            .on("artifact", site.artifact.id)
            .on("version", self.version)
            .on("key", minted.id)
            .on("under", under)
            .with("class", site.class)
            .with("class_why", site.class_why)
            .with("environment", self.command.environment)
            .with("suite", with.suite)
            .changing(changes);
        engine.log(tx, ticket, &with.by, &[event])?;
        Ok((draft, minted.key))
    }

    /// The keys of a draft are handed out again: that is an entry of its own.
    fn log_resumed(
        &self,
        tx: &mut dyn Transaction,
        draft: &Draft,
        by: &By,
        verdict: &Verdict,
        ticket: i64,
    ) -> Result<Logged> {
        self.engine.keep(tx, ticket, verdict)?;
        let event = Event {
            id: Some(self.ids.intent),
            decision: Some(verdict.logged()),
            ..Event::new(Entry::Intent, "version.resume")
        };
        let event = event
            .on("workspace", draft.workspace)
            .on("artifact", draft.artifact)
            .on("version", draft.version)
            .on("intent", draft.intent)
            .with("class", draft.class)
            .with("environment", draft.environment)
            .with("suite", draft.suite);
        let logged = self.engine.log(tx, ticket, by, &[event])?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    }

    /// Makes workspace and artifact if they are new.
    fn place(&self, tx: &mut dyn Transaction, site: &Site, ticket: i64) -> Result<Vec<Change>> {
        let guard = &self.engine.keys.guard;
        let mut changes = Vec::new();
        if site.new_workspace {
            changes.push(guard.insert(tx, &site.workspace, ticket)?);
            epochs::create(tx, site.workspace.id.as_bytes(), "workspace")?;
            show::count(tx, "workspaces")?;
        }
        if site.new_artifact {
            changes.push(guard.insert(tx, &site.artifact, ticket)?);
            epochs::create(tx, site.artifact.id.as_bytes(), "artifact")?;
        }
        Ok(changes)
    }

    fn mint(
        &self,
        tx: &mut dyn Transaction,
        site: &Site,
        with: &With<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Minted> {
        let engine = self.engine;
        let (guard, domain) = (&engine.keys.guard, with.domain);
        let under = match &with.under {
            Some(key) => key.clone(),
            None => {
                let rotation_days = with.rules.class_rules(site.class).rotation_days;
                let (purpose, suite) = (Purpose::Domain, with.suite);
                let version = Domains::next_number(tx, guard, &domain, purpose)?;
                let new = NewDomainKey { purpose, domain, version, suite, rotation_days, now: self.now };
                let (key, made) = engine.domains.make(tx, guard, &new, with.ticket)?;
                changes.extend(made);
                key
            }
        };
        let opened = engine.domains.open(tx, guard, under.id)?;
        let (artifact, version) = (site.artifact.id, self.version);
        let belongs = Belongs { domain, artifact, version, key: self.ids.key, suite: with.suite };
        changes.extend(uses::used(engine, tx, (&under, 1), self.now, with.ticket)?);
        engine.domains.mint(&belongs, &under, &opened)
    }

    /// The key of a draft that was begun before.
    fn reopen(&self, tx: &mut dyn Transaction, draft: &Draft) -> Result<VersionKey> {
        let guard = &self.engine.keys.guard;
        let wrap = wrap_of(tx, guard, draft.key)?;
        if state::refuse_begun(tx, guard, wrap.under, "").is_err() {
            // Whoever hears that begins anew, under the domain's next key.
            return Err(Error::conflict("the unfinished version", "the key above its own is not used any more"));
        }
        let with = self.engine.domains.open(tx, guard, wrap.under)?;
        self.engine.domains.unwrap(&Belongs::from(draft), &wrap, &with)
    }

    /// The version before, for a writer that named it, may read it, and may share its packs.
    fn release_previous(
        &self,
        tx: &mut dyn Transaction,
        actor: &Actor,
        rules: &policy::Set,
        site: &Site,
        by: &By,
        ticket: i64,
    ) -> Result<Option<Previous>> {
        let (engine, Some(id)) = (self.engine, self.previous) else { return Ok(None) };
        if site.class == Class::Restricted || site.artifact.current == 0 {
            return Ok(None);
        }
        let latest = facts::numbered(engine, tx, &site.artifact, site.artifact.current)?;
        let place = (site.class, self.command.environment);
        let shares = |version: &crate::rows::Version| {
            let in_use = version.id == id && version.archived.is_none();
            in_use && (version.class, version.environment) == place && sealed(version.suite) == self.asks
        };
        let Some(version) = latest.filter(shares) else {
            return Ok(None);
        };
        let found = Found { workspace: site.workspace.clone(), artifact: site.artifact.clone(), version };
        facts::coherent(&found)?;
        if state::is_shut(engine, tx, &found.version)? {
            return Ok(None);
        }
        if names_packs_of_before(engine, tx, &found.version)? {
            return Ok(None);
        }
        let circumstances = Circumstances::plain(self.now)?;
        let query = facts::query(engine, self.session, actor, Action::Read, found.resource(), &circumstances);
        let decision = DecisionId::from_bytes(crate::system::random()?);
        let verdict = judge(rules, decision, &query);
        engine.keep(tx, ticket, &verdict)?;
        let about = |event: Event| {
            event
                .on("workspace", found.workspace.id)
                .on("artifact", found.artifact.id)
                .on("version", found.version.id)
                .with("for", self.version)
        };
        if !verdict.answer.allowed {
            engine.log(tx, ticket, by, &[about(verdict.denial("release.read"))])?;
            return Ok(None);
        }
        let event = Event { decision: Some(verdict.logged()), ..Event::new(Entry::Release, "release.read") };
        let event = about(event).on("release", self.ids.release).on("digest", &found.version.digest);
        let logged = engine.log(tx, ticket, by, &[event])?;
        let logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
        let key = state::opened(engine, tx, &found)?;
        let record = show::record_of(tx, &found.version)?;
        let prints = prints::of(tx, found.version.id)?;
        let item = show::described(engine, tx, found.clone())?;
        let lease_secs = rules.class_rules(found.version.class).lease_secs;
        let (creator_and_aliases, made) = ((item.creator, item.aliases), item.made);
        let release = self.ids.release;
        Ok(Some(Previous {
            found,
            key,
            decision,
            release,
            logged,
            record,
            prints,
            creator_and_aliases,
            made,
            lease_secs,
        }))
    }

    /// Seals one envelope for both versions, after the commit.
    fn answer(&self, asked: &Asked, opened: Opened) -> Result<Begun> {
        let Opened { draft, key, previous, lease_secs, .. } = opened;
        let lease_secs = previous.as_ref().map_or(lease_secs, |p| p.lease_secs.min(lease_secs));
        let expires = self.now.plus_millis(lease_secs.saturating_mul(1000));
        let mut versions =
            vec![Sealing { version: self.version, suite: draft.suite, digest: None, key: &key, action: Action::Write }];
        if let Some(previous) = &previous {
            let version = &previous.found.version;
            let digest = Some(show::digest_bytes(version)?);
            let (suite, action) = (version.suite, Action::Read);
            versions.push(Sealing { version: version.id, suite, digest, key: &previous.key, action });
        }
        let envelope = envelope(self.engine, asked, self.ids.release, expires, &versions)?;
        let list = seal::derive::list_key(
            &key,
            crate::keys::sealed(draft.suite),
            self.engine.vault.as_bytes(),
            self.version.as_bytes(),
        );
        let list = list.map_err(|_| Error::Internal("a key could not be derived"))?;
        let print_key = prints::key_for(self.engine, self.version, &list)?;
        let previous_prints = previous.as_ref().map(|previous| previous.prints.clone()).unwrap_or_default();
        let previous = previous.map(|previous| {
            Ok::<_, Error>(Released {
                release: previous.release,
                decision: previous.decision,
                version: show::item(&previous.found, previous.creator_and_aliases, previous.made),
                record: previous.record,
                envelope: Vec::new(),
                expires,
                receipt: self.engine.receipt(&previous.logged)?,
            })
        });
        Ok(Begun {
            artifact: draft.artifact,
            class: draft.class,
            class_why: draft.class_why,
            envelope,
            previous: previous.transpose()?,
            print_key,
            previous_prints,
            lease_until: draft.lease_until,
            entry: draft.intent,
        })
    }
}

/// Whether a version names packs of one that was sealed anew since: nothing new is made of those, because somebody else may have had
/// their keys.
fn names_packs_of_before(engine: &Engine, tx: &mut dyn Transaction, version: &crate::rows::Version) -> Result<bool> {
    let altered = |id: VersionId| Error::Altered { table: "record", row: id.to_string() };
    let record = VersionRecord::decode(&show::record_of(tx, version)?).map_err(|_| altered(version.id))?;
    let mut owners: BTreeMap<VersionId, BTreeSet<[u8; 16]>> = BTreeMap::new();
    for pack in record.packs.iter().filter(|pack| pack.owner != record.version) {
        owners.entry(VersionId::from_bytes(pack.owner)).or_default().insert(pack.id);
    }
    for (owner, packs) in owners {
        let owner: crate::rows::Version = engine.keys.guard.expect(tx, owner.as_bytes())?;
        if owner.reencrypted.is_none() {
            continue;
        }
        let now = VersionRecord::decode(&show::record_of(tx, &owner)?).map_err(|_| altered(owner.id))?;
        let now: BTreeSet<[u8; 16]> = now.packs.iter().map(|pack| pack.id).collect();
        if !packs.is_subset(&now) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl From<&Draft> for Belongs {
    fn from(draft: &Draft) -> Self {
        let domain = Domain { workspace: draft.workspace, environment: draft.environment, class: draft.class };
        Self { domain, artifact: draft.artifact, version: draft.version, key: draft.key, suite: draft.suite }
    }
}
