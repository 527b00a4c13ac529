//! Making a version exist.

use super::answered::{remember, remembered};
use super::check::{self, Checked};
use super::{Outcome, denied, ending, named, objects};
use crate::alias;
use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::depots::uncopied;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Actor, Circumstances, Found};
use crate::hash;
use crate::journal::{By, Event, Logged};
use crate::keys::state;
use crate::rows::{Alias, Artifact, Change, Draft, Edge, Made, Table, Version, Workspace};
use crate::session::Session;
use crate::{prints, retention, show, subject, suites};
use api::terms::{Action, Class, DecisionId, EntryId, Environment, KeyState, Timestamp, VersionId};
use api::wire::{Commit, Committed, LineageKind, Provenance};
use log::entry::Kind;
use seal::record::VersionRecord;

/// Makes a version exist. The same commit again gives the same answer: its outcome may have been unknown.
pub(crate) fn commit(engine: &Engine, session: &Session, command: &Commit) -> Result<Committed> {
    check::form(command)?;
    let record =
        VersionRecord::decode(&command.record).map_err(|error| Error::bad("the version record", error.to_string()))?;
    let now = engine.now()?;
    let call = Call {
        engine,
        session,
        command,
        record,
        digest: hex::encode(hash::sha256(&command.record)),
        now,
        entry: EntryId::from_bytes(crate::system::random()?),
        decisions: [decision()?, decision()?, decision()?, decision()?],
    };
    let (about, outcome) = engine.store.write(|tx| call.run(tx))?;
    let done = outcome.told(&about)?;
    Ok(Committed { receipt: engine.settled(&done.logged)?, version: done.item })
}

fn decision() -> Result<DecisionId> {
    Ok(DecisionId::from_bytes(crate::system::random()?))
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a Commit,
    record: VersionRecord,
    digest: String,
    now: Timestamp,
    entry: EntryId,
    decisions: [DecisionId; 4],
}

struct Done {
    logged: Logged,
    item: api::wire::VersionItem,
}

impl Call<'_> {
    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<Done>)> {
        let engine = self.engine;
        let guard = &engine.keys.guard;
        if let Some(done) = self.done_before(tx)? {
            return Ok((About::new(String::new(), &self.session.name), Outcome::Done(done)));
        }
        let (draft, under) = ending(engine, tx, self.session, (self.command.version, self.command.depot))?;
        let workspace: Workspace = guard.expect(tx, draft.workspace.as_bytes())?;
        let artifact = draft.makes(guard.expect(tx, draft.artifact.as_bytes())?, self.now);
        let path = format!("{}/{}", workspace.name, artifact.name);
        let actor = facts::actor(engine, tx, self.session.principal)?;
        let by = By::session(self.session, self.now);
        let verdicts = self.decide(tx, &actor, &artifact, &draft)?;
        let here = (draft.class, draft.environment);
        let refused = verdicts.iter().find(|(verdict, _)| !verdict.answer.allowed);
        let place = refused.map_or(here, |(_, place)| *place);
        let about = About::placed(path, &self.session.name, place);
        if let Some((refused, _)) = refused {
            return Ok((about, denied(engine, tx, &by, refused.clone(), "version.commit")?));
        }
        state::refuse_begun(tx, guard, under, &about.path)?;
        // What is under way ends as it was begun, unless nobody could open it then.
        let (table, place) = (engine.crypto(tx)?, (draft.class, draft.environment));
        suites::refuse_unread(&table, place, draft.suite, self.now, || "run the command again".to_owned())?;
        if artifact.latest > 0 && draft.class < artifact.class {
            let why = format!("the artifact's class has become {} since this version was begun", artifact.class);
            return Err(Error::conflict("the new version", why));
        }
        if draft.kind.is_some_and(|kind| kind != artifact.kind) {
            let why = format!("the artifact's kind has become `{}` since this version was begun", artifact.kind);
            return Err(Error::conflict("the new version", why));
        }
        let checked = check::record(engine, tx, &draft, &self.record)?;
        let mut from = named::lineage(engine, self.session, tx, (&actor, self.now), &self.command.from)?;
        self.run_inputs(tx, &draft, &mut from)?;
        let verdicts: Vec<Verdict> = verdicts.into_iter().map(|(verdict, _)| verdict).collect();
        let done = self.write(tx, draft, workspace, artifact, &checked, from, &by, &verdicts)?;
        Ok((about, Outcome::Done(done)))
    }

    /// The right to write may have gone since the version was begun; an alias is a right of its own, on the version that it
    /// leaves as on the one that it comes to; and who takes over packs must be allowed to read what is in them.
    fn decide(
        &self,
        tx: &mut dyn Transaction,
        actor: &Actor,
        artifact: &Artifact,
        draft: &Draft,
    ) -> Result<Vec<(Verdict, (Class, Environment))>> {
        let rules = self.engine.rules(tx)?;
        let here = (draft.class, draft.environment);
        let mut wanted = vec![(Action::Write, here)];
        if let Some(name) = &self.command.alias {
            let places = named::alias_places(self.engine, tx, artifact, name, here)?;
            wanted.extend(places.into_iter().map(|place| (Action::Alias, place)));
        }
        // Of whichever version they are: it must be in the same place. Restricted ones are taken over by nobody.
        let borrows = self.record.packs.iter().any(|pack| pack.owner != self.record.version);
        if borrows && draft.class != Class::Restricted {
            wanted.push((Action::Read, here));
        }
        let mut verdicts = Vec::with_capacity(wanted.len());
        for ((action, (class, environment)), id) in wanted.into_iter().zip(self.decisions) {
            let resource = facts::resource_of(artifact, class, environment);
            let circumstances = Circumstances::plain(self.now)?;
            let query = facts::query(self.engine, self.session, actor, action, resource, &circumstances);
            verdicts.push((judge(&rules, id, &query), (class, environment)));
        }
        Ok(verdicts)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one commit, each read by another step")]
    fn write(
        &self,
        tx: &mut dyn Transaction,
        draft: Draft,
        workspace: Workspace,
        artifact: Artifact,
        checked: &Checked,
        from: Vec<VersionId>,
        by: &By,
        verdicts: &[Verdict],
    ) -> Result<Done> {
        let (engine, command) = (self.engine, self.command);
        let guard = &engine.keys.guard;
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let made = self.made(tx, &draft)?;
        let version = self.version(&draft, artifact.latest + 1, checked, (from, made));
        let first = artifact.latest == 0;
        let artifact = Artifact {
            latest: version.number,
            current: version.number,
            class: artifact.class.max(draft.class),
            retention: retention::after_commit(artifact.retention.clone(), self.now),
            ..artifact
        };
        let mut changes = vec![guard.insert(tx, &version, ticket)?, guard.update(tx, &artifact, ticket)?];
        let (moved, left) = self.move_alias(tx, &version, ticket)?;
        changes.extend(moved);
        let kind = if draft.run.is_some() { LineageKind::Run } else { LineageKind::From };
        for &source in &version.from {
            let edge = Edge { source, made: version.id, kind };
            changes.push(guard.insert(tx, &edge, ticket)?);
        }
        tx.query(
            "INSERT INTO record (version, bytes) VALUES ($1, $2)",
            &[version.id.as_bytes().into(), (&command.record).into()],
        )?;
        prints::store(tx, version.id, &command.prints)?;
        objects::commit(tx, version.id, &checked.own, self.now)?;
        uncopied::note(tx, guard, (version.object, checked.own.len()), by.principal)?;
        guard.remove::<Draft>(tx, draft.version.as_bytes())?;
        epochs::bump(tx, artifact.id.as_bytes())?;
        show::count(tx, "versions")?;
        if first {
            show::count(tx, "artifacts")?;
        }
        for verdict in verdicts {
            engine.keep(tx, ticket, verdict)?;
        }
        let event = self.event(&version, &draft, verdicts, changes);
        let mut events = vec![left.into_iter().fold(event, |event, id| event.on(alias::LEFT, id))];
        // Each decision has an entry that commits to what it rests on.
        events.extend(verdicts.iter().skip(1).map(|verdict| {
            let act = if verdict.action == Action::Alias { "version.alias" } else { "version.reuse" };
            let event = Event { decision: Some(verdict.logged()), ..Event::new(Kind::State, act) };
            event.on("artifact", version.artifact).on("version", version.id)
        }));
        let logged = engine.log(tx, ticket, by, &events)?;
        let logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
        remember(engine, tx, &self.command_key(), &logged, self.now)?;
        let item = show::described(engine, tx, Found { workspace, artifact, version })?;
        Ok(Done { logged, item })
    }

    /// What its run opened, it is made from.
    fn run_inputs(&self, tx: &mut dyn Transaction, draft: &Draft, from: &mut Vec<VersionId>) -> Result<()> {
        let Some(id) = draft.run else {
            return match self.command.made {
                Some(_) => Err(Error::bad("the commit", "it was not begun for a run")),
                None => Ok(()),
            };
        };
        let run = crate::run::own(self.engine, tx, self.session, id, self.now)?;
        for input in run.inputs {
            if !from.contains(&input) {
                from.push(input);
            }
        }
        Ok(())
    }

    /// How it was made, with the command sealed.
    fn made(&self, tx: &mut dyn Transaction, draft: &Draft) -> Result<Option<Made>> {
        let (Some(run), Some(made)) = (draft.run, &self.command.made) else { return Ok(None) };
        let Provenance { command, code, environment, parts } = made.clone();
        let personal = subject::acting(self.engine, tx, self.session.principal)?;
        let command = personal.seal(Made::place(&draft.version), &command)?;
        Ok(Some(Made { run, command, code, environment, parts }))
    }

    fn version(
        &self,
        draft: &Draft,
        number: u64,
        checked: &Checked,
        (from, made): (Vec<VersionId>, Option<Made>),
    ) -> Version {
        let command = self.command;
        Version {
            id: draft.version,
            artifact: draft.artifact,
            workspace: draft.workspace,
            number,
            class: draft.class,
            environment: draft.environment,
            suite: draft.suite,
            key: draft.key,
            key_state: KeyState::Active,
            digest: self.digest.clone(),
            object: checked.object,
            plaintext: hex::encode(&command.plaintext_commitment),
            bytes: command.bytes,
            files: command.files,
            created: self.now,
            creator: self.session.principal,
            tags: command.tags.clone(),
            from,
            made,
            removed: None,
            reencrypted: None,
            archived: None,
        }
    }

    fn event(&self, version: &Version, draft: &Draft, verdicts: &[Verdict], changes: Vec<Change>) -> Event {
        let event = Event {
            id: Some(self.entry),
            decision: verdicts.first().map(Verdict::logged),
            ..Event::new(Kind::State, "version.commit")
        };
        let mut event = event
            .on("workspace", version.workspace)
            .on("artifact", version.artifact)
            .on("version", version.id)
            .on("digest", &version.digest)
            .on("intent", draft.intent)
            .with("number", version.number)
            .with("class", version.class)
            .with("environment", version.environment)
            .changing(changes);
        if let Some(run) = draft.run {
            event = event.on("run", run);
        }
        for (at, source) in version.from.iter().enumerate().take(32) {
            event = event.on(&format!("from.{at}"), source);
        }
        match &self.command.alias {
            Some(name) => event.with(alias::ALIAS, name),
            None => event,
        }
    }

    /// Moves the alias; also which version it left.
    fn move_alias(
        &self,
        tx: &mut dyn Transaction,
        version: &Version,
        ticket: i64,
    ) -> Result<(Option<Change>, Option<VersionId>)> {
        let Some(name) = &self.command.alias else { return Ok((None, None)) };
        let alias = Alias { artifact: version.artifact, name: name.clone(), version: version.id };
        let before = self.engine.keys.guard.find::<Alias>(tx, &alias.id())?;
        let change = alias::put(self.engine, tx, &alias, before.as_ref(), ticket)?;
        Ok((Some(change), before.map(|before| before.version)))
    }

    fn command_key(&self) -> [u8; 32] {
        hash::sha256(&hash::lp(&[
            b"strongroom/v1/command/commit",
            self.session.principal.as_bytes(),
            self.command.version.as_bytes(),
            self.digest.as_bytes(),
        ]))
    }

    /// The answer that was given before, if this very commit was made.
    fn done_before(&self, tx: &mut dyn Transaction) -> Result<Option<Done>> {
        let Some(found) = facts::found_by_id(self.engine, tx, self.command.version)? else { return Ok(None) };
        let same = found.version.creator == self.session.principal && found.version.digest == self.digest;
        let of = self.command.version.to_string();
        let logged = if same { remembered(self.engine, tx, &self.command_key(), &of)? } else { None };
        let Some(logged) = logged else {
            return Err(Error::conflict("the commit", "the version exists with another record"));
        };
        let item = show::described(self.engine, tx, found)?;
        Ok(Some(Done { logged, item }))
    }
}
