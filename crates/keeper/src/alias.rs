//! Aliases: moved and taken away under a right of their own, which is asked for at the version that one comes to and at the one that
//! it leaves; listed; their past read from the log.

mod past;

pub(crate) use past::history;

use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Circumstances, Found};
use crate::journal::{By, Event, Logged};
use crate::removal;
use crate::rows::{Alias, Artifact, Change, PolicySet, Table, Version, Workspace};
use crate::session::Session;
use crate::show::{self, Seen};
use crate::write::{Outcome, denied_as, named};
use api::terms::{Action, DecisionId, Name, Reference, Selector, Timestamp};
use api::wire::{AliasItem, AliasMoved, AliasRemove, AliasSet};
use log::entry::Kind;

/// Under which an entry names the version that an alias left.
pub(crate) const LEFT: &str = "left";
/// Under which an entry names the alias.
pub(crate) const ALIAS: &str = "alias";
/// Under which a refusal names the alias.
const ASKED: &str = "asked";
/// The acts.
const SET: &str = "alias.set";
const REMOVE: &str = "alias.remove";
/// The entry of the second decision, on the version that is left.
const LEAVE: &str = "alias.leave";

/// Moves an alias to a version, or makes it.
pub(crate) fn set(engine: &Engine, session: &Session, command: &AliasSet) -> Result<AliasMoved> {
    let reference = show::parsed(&command.reference)?;
    Call::new(engine, session, SET, reference, &command.alias, command.expect)?.answer()
}

/// Takes an alias away.
pub(crate) fn remove(engine: &Engine, session: &Session, command: &AliasRemove) -> Result<AliasMoved> {
    let reference = show::parsed(&command.reference)?;
    let reference = Reference { selector: Selector::Alias(command.alias.clone()), ..reference };
    Call::new(engine, session, REMOVE, reference, &command.alias, command.expect)?.answer()
}

/// The aliases of an artifact, by name.
pub(crate) fn list(engine: &Engine, session: &Session, reference: &str) -> Result<Vec<AliasItem>> {
    let reference = Reference { selector: Selector::Latest, ..show::parsed(reference)? };
    Seen::reference(&reference).guarded(engine, session, |tx, actor| {
        let guard = &engine.keys.guard;
        let (workspace, artifact) = show::listable(engine, tx, session, actor, &reference)?;
        let values = [artifact.id.as_bytes().into(), named::MAX_ALIASES.into()];
        let mut aliases: Vec<Alias> = guard.select(tx, "WHERE artifact = $1 ORDER BY id LIMIT $2", &values)?;
        aliases.sort_by(|a, b| a.name.cmp(&b.name));
        let item = |alias: Alias| {
            let version: Version = guard.expect(tx, alias.version.as_bytes())?;
            together(&artifact, &version)?;
            Ok(AliasItem {
                alias: alias.name,
                version: format!("{}/{}@v{}", workspace.name, artifact.name, version.number),
                id: version.id,
                number: version.number,
                class: version.class,
                environment: version.environment,
                created: version.created,
            })
        };
        aliases.into_iter().map(item).collect()
    })
}

/// Writes an alias over what was there.
pub(crate) fn put(
    engine: &Engine,
    tx: &mut dyn Transaction,
    alias: &Alias,
    before: Option<&Alias>,
    ticket: i64,
) -> Result<Change> {
    let guard = &engine.keys.guard;
    if before.is_some() {
        return guard.update(tx, alias, ticket);
    }
    named::room_for_alias(tx, alias.artifact)?;
    guard.insert(tx, alias, ticket)
}

/// Refuses a version that is not of the artifact.
fn together(artifact: &Artifact, version: &Version) -> Result<()> {
    let same = version.artifact == artifact.id && version.workspace == artifact.workspace;
    if same { Ok(()) } else { Err(Error::Altered { table: Version::NAME, row: version.id.to_string() }) }
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    act: &'static str,
    /// Where it comes to; of a removal the alias itself.
    reference: Reference,
    name: &'a Name,
    expect: Option<u64>,
    now: Timestamp,
    decisions: [DecisionId; 2],
}

/// The alias as it stands, and what is to become of it.
struct Site {
    workspace: Workspace,
    artifact: Artifact,
    alias: Option<Alias>,
    left: Option<Version>,
    comes: Option<Version>,
}

/// What the transaction did.
struct Done {
    version: Option<String>,
    before: Option<String>,
    /// None if it pointed there already.
    logged: Option<Logged>,
}

impl<'a> Call<'a> {
    fn new(
        engine: &'a Engine,
        session: &'a Session,
        act: &'static str,
        reference: Reference,
        name: &'a Name,
        expect: Option<u64>,
    ) -> Result<Self> {
        named::form(Some(name), &[])?;
        let decision = || crate::system::random().map(DecisionId::from_bytes);
        let (now, decisions) = (engine.now()?, [decision()?, decision()?]);
        Ok(Self { engine, session, act, reference, name, expect, now, decisions })
    }

    fn answer(&self) -> Result<AliasMoved> {
        let (about, outcome) = self.engine.store.write(|tx| self.run(tx))?;
        let done = outcome.told(&about)?;
        Ok(AliasMoved {
            alias: self.name.clone(),
            version: done.version,
            before: done.before,
            changed: done.logged.is_some(),
            receipt: done.logged.map(|logged| self.engine.settled(&logged)).transpose()?,
        })
    }

    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<Done>)> {
        let engine = self.engine;
        let site = self.site(tx)?;
        let by = By::session(self.session, self.now);
        let mut verdicts = Vec::new();
        for (version, about) in self.wanted(&site) {
            let verdict = self.decide(tx, &site, version, verdicts.len())?;
            if !verdict.answer.allowed {
                // Not under the name of a move: a refusal is none.
                let event = verdict.denial(self.act).on("version", version.id).with(ASKED, self.name);
                return Ok((about, denied_as(engine, tx, &by, verdict, event)?));
            }
            verdicts.push((verdict, version));
        }
        let path = format!("{}/{}", site.workspace.name, site.artifact.name);
        if let Some(comes) = &site.comes {
            removal::refuse_version(comes, format!("{path}@v{}", comes.number))?;
        }
        let numbered = |version: &Option<Version>| version.as_ref().map(|v| format!("{path}@v{}", v.number));
        let (version, before) = (numbered(&site.comes), numbered(&site.left));
        let about = About::version(&self.reference, &self.session.name);
        // Said again it is done already, whatever it was expected to leave.
        if version == before {
            return Ok((about, Outcome::Done(Done { version, before, logged: None })));
        }
        self.expected(&site, &path)?;
        let logged = self.write(tx, &site, &by, &verdicts)?;
        Ok((about, Outcome::Done(Done { version, before, logged: Some(logged) })))
    }

    /// Names first, then the locks, then what they protect.
    fn site(&self, tx: &mut dyn Transaction) -> Result<Site> {
        let engine = self.engine;
        let guard = &engine.keys.guard;
        let not_found = || Error::NotFound(self.reference.to_string());
        let workspace = facts::workspace_named(engine, tx, &self.reference.workspace)?.ok_or_else(not_found)?;
        let artifact =
            facts::artifact_named(engine, tx, &workspace, &self.reference.artifact)?.ok_or_else(not_found)?;
        let held = [*self.session.principal.as_bytes(), *workspace.id.as_bytes(), PolicySet::row_id()];
        epochs::hold(tx, &held)?;
        epochs::seize(tx, &[*artifact.id.as_bytes()])?;
        if !epochs::closing(tx, &[held.as_slice(), &[*artifact.id.as_bytes()]].concat())?.is_empty() {
            return Err(Error::Stale);
        }
        let alias: Option<Alias> = guard.find(tx, &Alias::id_of(artifact.id, self.name))?;
        let left: Option<Version> = match &alias {
            Some(alias) => Some(guard.expect(tx, alias.version.as_bytes())?),
            None => None,
        };
        // The artifact again: which version is the latest one, and what it is, may have changed before the lock.
        let artifact: Artifact = guard.expect(tx, artifact.id.as_bytes())?;
        let named = facts::selected(engine, tx, &artifact, &self.reference.selector)?.ok_or_else(not_found)?;
        for version in left.iter().chain([&named]) {
            together(&artifact, version)?;
        }
        let comes = (self.act == SET).then_some(named);
        Ok(Site { workspace, artifact, alias, left, comes })
    }

    /// Where the right is asked for, and in which words.
    fn wanted<'s>(&self, site: &'s Site) -> Vec<(&'s Version, About)> {
        let who = &self.session.name;
        let leaving = Reference { selector: Selector::Alias(self.name.clone()), ..self.reference.clone() };
        let comes = site.comes.iter().map(|version| (version, About::version(&self.reference, who)));
        let left = site.left.iter().filter(|left| site.comes.as_ref().is_none_or(|comes| comes.id != left.id));
        comes.chain(left.map(|version| (version, About::version(&leaving, who)))).collect()
    }

    fn decide(&self, tx: &mut dyn Transaction, site: &Site, version: &Version, nth: usize) -> Result<Verdict> {
        let engine = self.engine;
        let rules = engine.rules(tx)?;
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let (workspace, artifact) = (site.workspace.clone(), site.artifact.clone());
        let resource = Found { workspace, artifact, version: version.clone() }.resource();
        let circumstances = Circumstances::plain(self.now)?;
        let query = facts::query(engine, self.session, &actor, Action::Alias, resource, &circumstances);
        let id = self.decisions.get(nth).ok_or(Error::Internal("an alias of more than two versions"))?;
        Ok(judge(&rules, *id, &query))
    }

    /// Refuses to move what somebody else moved meanwhile.
    fn expected(&self, site: &Site, path: &str) -> Result<()> {
        let stands = site.left.as_ref().map_or(0, |version| version.number);
        let Some(expect) = self.expect.filter(|expect| *expect != stands) else { return Ok(()) };
        let said = |number: u64| if number == 0 { "no version".to_owned() } else { format!("v{number}") };
        Err(Error::Conflict {
            what: "the alias",
            why: format!("`{}` points to {}, not to {}", self.name, said(stands), said(expect)),
            hint: Some(format!("strongroom alias history {path} {}", self.name)),
        })
    }

    fn write(
        &self,
        tx: &mut dyn Transaction,
        site: &Site,
        by: &By,
        verdicts: &[(Verdict, &Version)],
    ) -> Result<Logged> {
        let engine = self.engine;
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let change = match &site.comes {
            Some(version) => {
                let alias = Alias { artifact: site.artifact.id, name: self.name.clone(), version: version.id };
                put(engine, tx, &alias, site.alias.as_ref(), ticket)?
            }
            None => engine.keys.guard.remove::<Alias>(tx, &Alias::id_of(site.artifact.id, self.name))?,
        };
        // What is in memory under the alias is old.
        epochs::bump(tx, site.artifact.id.as_bytes())?;
        let mut events = Vec::with_capacity(verdicts.len());
        for (verdict, version) in verdicts {
            engine.keep(tx, ticket, verdict)?;
            let act = if events.is_empty() { self.act } else { LEAVE };
            let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, act) };
            let event = event.on("workspace", site.workspace.id).on("artifact", site.artifact.id);
            events.push(event.on("version", version.id).with(ALIAS, self.name).with("number", version.number));
        }
        if let Some(first) = events.first_mut() {
            let event = std::mem::replace(first, Event::new(Kind::State, self.act)).changing(vec![change]);
            *first = site.left.iter().fold(event, |event, left| event.on(LEFT, left.id));
        }
        let logged = engine.log(tx, ticket, by, &events)?;
        logged.first().copied().ok_or(Error::Internal("an entry was lost"))
    }
}
