//! The switch: from one transaction to the next a version lies under another key, in other packs, with the same number, the same files
//! and the same names. Its old key is destroyed in it, and objects that nothing names any more are garbage from then on.

use super::answered::{remember, remembered};
use super::check::{self, Checked};
use super::{Outcome, denied, ending, reencrypt};
use crate::datastore::Transaction;
use crate::decide::{About, Verdict, judge};
use crate::depots::uncopied;
use crate::engine::Engine;
use crate::epochs;
use crate::error::{Error, Result};
use crate::facts::{self, Found};
use crate::hash;
use crate::journal::{By, Event, Logged};
use crate::keys::state::{self, Towards};
use crate::removal::{self, living_records, objects_of};
use crate::rows::{Artifact, Draft, Reencryption, Table, Version, Workspace, Wrap};
use crate::session::Session;
use crate::write::objects;
use crate::{prints, show};
use api::terms::{Action, DecisionId, EntryId, KeyState, ObjectId, Timestamp};
use api::wire::{ReencryptCommit, Reencrypted};
use log::entry::Kind;
use seal::record::VersionRecord;
use std::collections::BTreeSet;

/// Versions that are named of those that hold packs of before.
const MAX_NAMED: usize = 1_000;

/// Puts what was sealed anew in the place of what was there. The same again gives the same answer: its outcome may have been unknown.
pub(crate) fn commit(engine: &Engine, session: &Session, command: &ReencryptCommit) -> Result<Reencrypted> {
    check::sealed_parts(&command.plaintext_commitment, &command.prints)?;
    let record =
        VersionRecord::decode(&command.record).map_err(|error| Error::bad("the version record", error.to_string()))?;
    let call = Call {
        engine,
        session,
        command,
        record,
        digest: hex::encode(hash::sha256(&command.record)),
        now: engine.now()?,
        entry: EntryId::from_bytes(crate::system::random()?),
        decision: DecisionId::from_bytes(crate::system::random()?),
    };
    let (about, outcome) = engine.store.write(|tx| call.run(tx))?;
    let (logged, done) = outcome.told(&about)?;
    Ok(Reencrypted { receipt: engine.settled(&logged)?, ..done })
}

struct Call<'a> {
    engine: &'a Engine,
    session: &'a Session,
    command: &'a ReencryptCommit,
    record: VersionRecord,
    digest: String,
    now: Timestamp,
    entry: EntryId,
    decision: DecisionId,
}

type Done = (Logged, Reencrypted);

impl Call<'_> {
    fn run(&self, tx: &mut dyn Transaction) -> Result<(About, Outcome<Done>)> {
        let (engine, session) = (self.engine, self.session);
        let guard = &engine.keys.guard;
        if let Some(done) = self.done_before(tx)? {
            return Ok((About::new(String::new(), &session.name), Outcome::Done(done)));
        }
        let (draft, under) = ending(engine, tx, session, (self.command.version, self.command.depot))?;
        let workspace: Workspace = guard.expect(tx, draft.workspace.as_bytes())?;
        let artifact: Artifact = guard.expect(tx, draft.artifact.as_bytes())?;
        let version: Option<Version> = guard.find(tx, draft.version.as_bytes())?;
        let renewed = version.filter(|version| draft.renews.as_ref().is_some_and(|renews| renews.is(version)));
        let version = renewed.ok_or_else(|| Error::conflict("the re-encryption", "it was begun for something else"))?;
        let found = Found { workspace, artifact, version };
        removal::refuse(&found)?;
        let verdict = self.decide(tx, &found)?;
        let about = About::placed(found.path(), &session.name, (draft.class, draft.environment));
        let by = By::session(session, self.now);
        if !verdict.answer.allowed {
            return Ok((about, denied(engine, tx, &by, verdict, reencrypt::ACT)?));
        }
        // Of the key of before, what is set aside or is to go is not moved; of the new one, what it lies under must be there to stay.
        state::refuse_shut(engine, tx, &found.version, &found.named(), Towards::Move)?;
        state::refuse_begun(tx, guard, under, &found.named())?;
        let old = VersionRecord::decode(&show::record_of(tx, &found.version)?)
            .map_err(|_| Error::Altered { table: "record", row: draft.version.to_string() })?;
        let checked = check::record(engine, tx, &draft, &self.record)?;
        self.check_new(&old)?;
        let done = self.write(tx, &draft, found, (&old, &checked), &by, &verdict)?;
        Ok((about, Outcome::Done(done)))
    }

    fn decide(&self, tx: &mut dyn Transaction, found: &Found) -> Result<Verdict> {
        let (engine, session) = (self.engine, self.session);
        let actor = facts::actor(engine, tx, session.principal)?;
        let rules = engine.rules(tx)?;
        let circumstances = reencrypt::circumstances(self.now, &found.path())?;
        let query = facts::query(engine, session, &actor, Action::Reencrypt, found.resource(), &circumstances);
        Ok(judge(&rules, self.decision, &query))
    }

    /// Everything is new but what the version is: no pack of before, no object of before, none of another version.
    fn check_new(&self, old: &VersionRecord) -> Result<()> {
        let bad = |why: &str| Err(Error::bad("the version record", why));
        if self.record.previous != old.previous {
            return bad("the version before it is another one than before");
        }
        let before: BTreeSet<[u8; 16]> = old.packs.iter().map(|pack| pack.id).collect();
        if self.record.packs.iter().any(|pack| pack.owner != self.record.version || before.contains(&pack.id)) {
            return bad("it names a pack that was there before");
        }
        Ok(())
    }

    fn write(
        &self,
        tx: &mut dyn Transaction,
        draft: &Draft,
        found: Found,
        (old, checked): (&VersionRecord, &Checked),
        by: &By,
        verdict: &Verdict,
    ) -> Result<Done> {
        let (engine, guard) = (self.engine, &self.engine.keys.guard);
        let ticket = tx.ticket()?;
        engine.watch.mark(tx)?;
        let before = found.version.clone();
        let version = Version {
            suite: draft.suite,
            key: draft.key,
            key_state: KeyState::Active,
            digest: self.digest.clone(),
            object: checked.object,
            plaintext: hex::encode(&self.command.plaintext_commitment),
            reencrypted: Some(Reencryption { at: self.now, key: before.key, digest: before.digest.clone() }),
            ..before.clone()
        };
        let mut changes = vec![guard.update(tx, &version, ticket)?];
        let wraps: Vec<Wrap> = guard.select(tx, "WHERE wrapped = $1", &[before.key.as_bytes().into()])?;
        if wraps.is_empty() {
            return Err(Error::Altered { table: Wrap::NAME, row: before.key.to_string() });
        }
        for wrap in &wraps {
            changes.push(guard.remove::<Wrap>(tx, &wrap.id())?);
        }
        tx.query(
            "UPDATE record SET bytes = $2 WHERE version = $1",
            &[version.id.as_bytes().into(), (&self.command.record).into()],
        )?;
        prints::forget(tx, version.id)?;
        prints::store(tx, version.id, &self.command.prints)?;
        objects::commit(tx, version.id, &checked.own, self.now)?;
        uncopied::note(tx, guard, (version.object, checked.own.len()), by.principal)?;
        guard.remove::<Draft>(tx, draft.version.as_bytes())?;
        let (garbage, shared) = self.let_go(tx, &found.artifact, old)?;
        epochs::bump(tx, found.artifact.id.as_bytes())?;
        engine.keep(tx, ticket, verdict)?;
        let event =
            Event { id: Some(self.entry), decision: Some(verdict.logged()), ..Event::new(Kind::State, reencrypt::ACT) };
        let event = event
            .on("workspace", version.workspace)
            .on("artifact", version.artifact)
            .on("version", version.id)
            .on("digest", &version.digest)
            .on("digest.before", &before.digest)
            .on("key", version.key)
            .on("replaces", before.key)
            .on("intent", draft.intent)
            .with("number", version.number)
            .with("class", version.class)
            .with("environment", version.environment)
            .with("suite", version.suite)
            .with("suite_before", before.suite)
            .with("from", before.key_state)
            .with("to", KeyState::Destroyed)
            .with("wraps", wraps.len())
            .with("packs", self.record.packs.len())
            .with("objects", garbage)
            .with("versions_with_packs_of_before", shared.len())
            .changing(changes);
        let logged = engine.log(tx, ticket, by, &[event])?;
        let logged = *logged.first().ok_or(Error::Internal("an entry was lost"))?;
        remember(engine, tx, &self.command_key(), &logged, self.now)?;
        let path = found.path();
        let shared_with = shared.iter().take(MAX_NAMED).map(|number| format!("{path}@v{number}")).collect();
        Ok((logged, self.told(tx, Found { version, ..found }, (garbage, shared_with), &logged)?))
    }

    /// Gives objects that nothing names any more to the collection; how many, and the numbers of versions that still hold packs of before.
    fn let_go(&self, tx: &mut dyn Transaction, artifact: &Artifact, old: &VersionRecord) -> Result<(u64, Vec<u64>)> {
        let packs: BTreeSet<[u8; 16]> = old.packs.iter().map(|pack| pack.id).collect();
        let (mut needed, mut shared) = (BTreeSet::new(), Vec::new());
        for (version, record) in living_records(self.engine, tx, artifact)? {
            if record.packs.iter().any(|pack| packs.contains(&pack.id)) {
                shared.push(version.number);
            }
            needed.extend(objects_of(&record));
        }
        let free: Vec<ObjectId> = objects_of(old).filter(|object| !needed.contains(object)).collect();
        removal::release(tx, &free, self.now)?;
        Ok((free.len() as u64, shared))
    }

    fn told(
        &self,
        tx: &mut dyn Transaction,
        found: Found,
        (garbage, shared_with): (u64, Vec<String>),
        logged: &Logged,
    ) -> Result<Reencrypted> {
        let was = found.version.reencrypted.clone().ok_or(Error::Internal("a version that was not sealed anew"))?;
        Ok(Reencrypted {
            version: show::described(self.engine, tx, found)?,
            old_key: was.key,
            old_digest: was.digest,
            garbage,
            shared_with,
            receipt: self.engine.receipt(logged)?,
        })
    }

    /// The answer that was given before, if this very switch was made and nothing came after.
    fn done_before(&self, tx: &mut dyn Transaction) -> Result<Option<Done>> {
        let Some(found) = facts::found_by_id(self.engine, tx, self.command.version)? else { return Ok(None) };
        if found.version.digest != self.digest || found.version.reencrypted.is_none() {
            return Ok(None);
        }
        let logged = remembered(self.engine, tx, &self.command_key(), &self.command.version.to_string())?;
        let Some(logged) = logged else { return Ok(None) };
        let told = self.told(tx, found, (0, Vec::new()), &logged)?;
        Ok(Some((logged, told)))
    }

    fn command_key(&self) -> [u8; 32] {
        hash::sha256(&hash::lp(&[
            b"strongroom/v1/command/reencrypt",
            self.session.principal.as_bytes(),
            self.command.version.as_bytes(),
            self.digest.as_bytes(),
        ]))
    }
}
