//! `key reencrypt`: a version sealed anew, under another key and in other packs.
//!
//! Segment by segment the plaintext goes through the memory of this process and never to a disk; places of files stay, so list and map
//! are the same but for what they are sealed with. The new version is read back to the last byte, and every file held to the digest that
//! the old map names, before the keeper puts it in the place of the old one. Until then readers have the old one.

mod again;
mod back;
mod pass;

use super::cache;
use super::draft::{Ended, Journal, Record, Resume};
use super::run::{commitment_key, copy, segment};
use super::target::{Target, random, random_object};
use crate::opened::{Map, Opened};
use crate::seat::{Grant, Keys, Why, sealed, unexpected};
use crate::watch::{Watch, check};
use crate::{Client, fault};
use api::terms::{Action, Code, EntryId, KeyId, KeyState, ObjectId, Suite, VersionId};
use api::wire::{
    Answer, Command, KeyItem, Problem, ReencryptBegin, ReencryptBegun, ReencryptCommit, Reencrypted, VersionItem,
};
use seal::record::{Pack, Segment, VersionRecord, digest_of};
use seal::secret::{MapKey, PackKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is said when somebody stops it.
const DOING: &str = "key reencrypt";

/// A version that was sealed anew.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReencryptReport {
    /// `workspace/artifact@vN`.
    pub version: String,
    /// Its identity, which stays.
    pub id: VersionId,
    /// SHA-256 of the version record, hexadecimal.
    pub digest: String,
    /// The same before.
    pub old_digest: String,
    /// Its suite now, and before.
    pub suite: Suite,
    /// See `suite`.
    pub old_suite: Suite,
    /// Its key.
    pub key: KeyId,
    /// Its key before, which is destroyed.
    pub old_key: KeyId,
    /// Plaintext bytes of its files, each held to its digest.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Segment bytes that were uploaded.
    pub uploaded_bytes: u64,
    /// Segments that an earlier try had finished.
    pub resumed_segments: u64,
    /// Objects that nothing names any more: `gc` deletes them.
    pub garbage: u64,
    /// Versions that still name packs of before: what the old key opened of them, it goes on opening.
    pub shared_with: Vec<String>,
    /// The entry in the log.
    pub entry: EntryId,
    /// Its index, once integrated.
    pub log_index: Option<u64>,
}

/// A part of a pack, by their numbers in a record.
type Part = (u32, u32);

/// A version that is open for sealing it anew.
struct Draft<'a> {
    client: &'a Client,
    watch: &'a dyn Watch,
    old: &'a Grant,
    /// The one that is written there now.
    suite: seal::Suite,
    begun: ReencryptBegun,
    keys: Keys,
    segment: ObjectId,
    object: ObjectId,
}

impl Client {
    /// Seals a version anew under another key, or goes on where an earlier try was stopped.
    ///
    /// # Errors
    /// `denied`; `gone`; `conflict` while somebody else is at it, or came first; `integrity` with the place where the depot is damaged;
    /// `disk-full`, `unavailable`, `interrupted`: then the version is what it was.
    pub fn reencrypt(&self, reference: &str, why: &Why, watch: &dyn Watch) -> Result<ReencryptReport, Problem> {
        let done = self.reencrypt_unless(reference, None, why, watch)?;
        done.ok_or_else(|| fault::internal("cannot re-encrypt", "nothing was done and nothing said"))
    }

    /// The same, unless it is of a suite already when nobody else can be at it any more.
    pub(crate) fn reencrypt_unless(
        &self,
        reference: &str,
        is: Option<Suite>,
        why: &Why,
        watch: &dyn Watch,
    ) -> Result<Option<ReencryptReport>, Problem> {
        let item = self.seat().show(reference)?;
        let drafts = self.dir.join("drafts");
        let journal =
            Journal::anew(&drafts, &item.id).map_err(|error| fault::io("cannot write in", &drafts, &error))?;
        let mut journal = journal.ok_or_else(|| {
            let why = format!("another command seals {} anew", item.reference);
            Problem::new(Code::Conflict, "cannot re-encrypt", why).with_try("run the command again in a moment")
        })?;
        // Somebody else may have ended it before this one had the draft.
        let item = self.seat().show(reference)?;
        if is == Some(item.suite) {
            journal.remove();
            return Ok(None);
        }
        let old = self.seat().release_item(&item, Action::Reencrypt, why)?;
        if is == Some(old.version.suite) {
            journal.remove();
            return Ok(None);
        }
        let draft = self.begin_anew(&old, why, watch)?;
        let done = draft.run(&mut journal);
        match &done {
            // A repeated command goes on from here.
            Err(_) if journal.is_useful() => {}
            result => {
                if result.is_err() {
                    let _ = self.seat().call(Command::Abandon { version: item.id });
                }
                journal.remove();
            }
        }
        let (report, item) = done?;
        // No key of it stays for as long as a copy takes.
        drop(old);
        self.copy_new(&item, watch);
        Ok(Some(report))
    }

    fn begin_anew<'a>(&'a self, old: &'a Grant, why: &Why, watch: &'a dyn Watch) -> Result<Draft<'a>, Problem> {
        let item = &old.version;
        let (segment, object) = (random_object()?, random_object()?);
        let mut begin = ReencryptBegin {
            reference: item.reference.clone(),
            objects: vec![segment, object],
            request: Vec::new(),
            reason: why.reason.clone(),
            confirm: why.confirm.clone(),
        };
        let (suite, begun, keys) = match self.ask_anew(item.suite, item.id, &mut begin) {
            // Its class writes another one by now: it gets that.
            Err(Problem { suite: Some(suite), .. }) if suite != item.suite => {
                self.ask_anew(suite, item.id, &mut begin)?
            }
            asked => asked?,
        };
        if begun.version.digest != item.digest {
            let why = format!("{} was sealed anew by somebody else meanwhile", item.reference);
            return Err(Problem::new(Code::Conflict, "cannot re-encrypt", why));
        }
        Ok(Draft { client: self, watch, old, suite, begun, keys, segment, object })
    }

    /// Asks under a suite.
    fn ask_anew(
        &self,
        suite: Suite,
        version: VersionId,
        begin: &mut ReencryptBegin,
    ) -> Result<(seal::Suite, ReencryptBegun, Keys), Problem> {
        begin.request = Vec::new();
        let command = Command::ReencryptBegin(begin.clone());
        let (request, one_time) = self.seat().sign(suite, Action::Reencrypt, &[version], &command)?;
        begin.request = request.encode();
        let answer = self.seat().call(Command::ReencryptBegin(begin.clone()))?;
        let Answer::ReencryptBegun(begun) = answer else { return Err(unexpected(&answer)) };
        let (keys, _) = self.seat().open(&begun.envelope, &request, one_time)?.take(version)?;
        Ok((sealed(suite), *begun, keys))
    }
}

impl Draft<'_> {
    fn run(self, journal: &mut Journal) -> Result<(ReencryptReport, VersionItem), Problem> {
        let opened = Opened::new(self.client.store(), self.old)?;
        let mut map = opened.map()?;
        let parts = self.parts(&mut map)?;
        let (pack, resumed, uploaded) = self.segments(&opened, &map, &parts, journal)?;
        let places: BTreeMap<Part, u32> = parts.iter().copied().zip(0..).collect();
        let new_map = self.new_map()?;
        let manifests = self.manifests(&opened, &places, &pack)?;
        let (record, whole) = (manifests.record, manifests.whole);
        let checked = self.read_back(&opened, &record)?;
        if checked != whole {
            return Err(fault::internal("cannot re-encrypt", "what was read back is not what was written"));
        }
        let commitment = seal::mac::tag(&commitment_key(new_map)?, whole.finish().as_bytes());
        let prints = self.prints()?;
        let done = self.switch(&record, &commitment, prints)?;
        let _ = std::fs::remove_file(cache::path(&self.client.cache(), self.old.version.id.as_bytes()));
        let Reencrypted { version, old_key, old_digest, garbage, shared_with, receipt } = done;
        let item = version.clone();
        let report = ReencryptReport {
            version: version.reference,
            id: version.id,
            digest: version.digest,
            old_digest,
            suite: version.suite,
            old_suite: self.old.version.suite,
            key: version.key,
            old_key,
            bytes: version.bytes,
            files: version.files,
            uploaded_bytes: uploaded,
            resumed_segments: resumed,
            garbage,
            shared_with,
            entry: receipt.entry,
            log_index: receipt.log_index,
        };
        Ok((report, item))
    }

    fn ids(&self) -> ([u8; 16], VersionId) {
        (*self.client.vault().as_bytes(), self.old.version.id)
    }

    fn new_map(&self) -> Result<&MapKey, Problem> {
        let missing = || Problem::new(Code::BadSignature, "cannot re-encrypt", "the envelope holds no map key");
        self.keys.map.as_ref().ok_or_else(missing)
    }

    /// The segments that files lie in, in order. What an earlier version's packs hold besides stays behind.
    fn parts(&self, map: &mut Map) -> Result<Vec<Part>, Problem> {
        let record = &self.old.record;
        let mut parts = BTreeSet::new();
        let told = |e| fault::manifest("cannot read the map", record, &e);
        while let Some((_, entry)) = map.next_entry().map_err(told)? {
            check(self.watch, DOING)?;
            for extent in &entry.extents {
                parts.extend(map.pieces(extent).map(|piece| (piece.pack, piece.segment)));
            }
        }
        Ok(parts.into_iter().collect())
    }

    /// Seals every segment anew, or those that an earlier try did not finish; the new pack with its key, how many were finished, and how
    /// many bytes were uploaded.
    fn segments(
        &self,
        opened: &Opened<'_>,
        map: &Map,
        parts: &[Part],
        journal: &mut Journal,
    ) -> Result<(NewPack, u64, u64), Problem> {
        let (vault, version) = self.ids();
        let resume = self.resume(parts, journal)?;
        let (id, key, mut segments) = match resume {
            Some(resume) => (resume.pack, resume.key, resume.segments),
            None => (random()?, PackKey::generate().map_err(|e| fault::internal("cannot draw a key", e))?, Vec::new()),
        };
        let resumed = segments.len() as u64;
        let suite = self.suite;
        let todo = parts.get(segments.len()..).unwrap_or_default();
        self.watch.stage("sealing", Some(todo.iter().map(|part| self.len_of(*part)).sum()));
        let key = Arc::new(key);
        let mut target = Target {
            seat: self.client.seat(),
            store: self.client.store(),
            vault,
            version,
            suite,
            pack: id,
            key: Arc::clone(&key),
            first: Some(self.segment),
        };
        let mut uploaded = 0;
        for (index, part) in (segments.len() as u32..).zip(todo) {
            let reader = opened.segment(map, part.0, part.1)?;
            let (writer, object) = target.start(index)?;
            let len = reader.info().plaintext_len();
            pass::segment(&reader, &writer, len, self.watch)?;
            let info = writer.finish(len).map_err(|e| fault::sealed("cannot end a segment", &e))?;
            let segment = segment(object, &info);
            uploaded += info.stored_len();
            segments.push(segment);
            let record = Record { pack: &id, key: &key, segment: &segment, ended: &Ended::default(), partial: None };
            // Without a journal a kill costs time, nothing else.
            if journal.push(&record, self.new_map()?, &vault, &version).is_none() {
                journal.close();
            }
        }
        Ok((NewPack { id, key, segments }, resumed, uploaded))
    }

    /// What an earlier try finished, if the depot holds every byte of it.
    fn resume(&self, parts: &[Part], journal: &mut Journal) -> Result<Option<Resume>, Problem> {
        let (vault, version) = self.ids();
        if journal.version() != Some(version) {
            return Ok(None);
        }
        let resume = journal.resume(self.suite, self.new_map()?, &vault, &version);
        let lens = |resume: &Resume| {
            let finished = resume.segments.iter().map(|segment| segment.plaintext_len);
            resume.segments.len() <= parts.len()
                && finished.eq(parts.iter().take(resume.segments.len()).map(|p| self.len_of(*p)))
        };
        if let Some(resume) = resume.filter(lens) {
            self.watch.note(&format!("going on after {} finished segments", resume.segments.len()));
            if self.client.holds(&resume, self.watch)? {
                return Ok(Some(resume));
            }
            self.watch.note("what was finished is damaged in the depot or gone: starting over");
        }
        journal.remove();
        Ok(None)
    }

    fn len_of(&self, (pack, segment): Part) -> u64 {
        let pack = self.old.record.packs.get(pack as usize);
        pack.and_then(|pack| pack.segments.get(segment as usize)).map_or(0, |segment| segment.plaintext_len)
    }

    fn record(&self, pack: &NewPack, list: seal::record::Manifest, map: seal::record::Manifest) -> VersionRecord {
        let (vault, version) = self.ids();
        let old = &self.old.record;
        let named = Pack { id: pack.id, owner: *version.as_bytes(), segments: pack.segments.clone() };
        VersionRecord {
            suite: self.suite,
            vault,
            artifact: old.artifact,
            version: old.version,
            previous: old.previous,
            class: old.class,
            environment: old.environment,
            packs: if pack.segments.is_empty() { Vec::new() } else { vec![named] },
            object: *self.object.as_bytes(),
            list,
            map,
        }
    }

    /// What the version is recognised by, under its new key.
    fn prints(&self) -> Result<Vec<u8>, Problem> {
        if self.begun.prints.is_empty() {
            return Ok(Vec::new());
        }
        let (vault, version) = self.ids();
        let set = seal::prints::Set::open(&self.begun.prints, &self.old.keys.list, &vault, version.as_bytes());
        let Ok(set) = set else {
            self.watch.note("what recognises the version is damaged: copies of it are not found any more");
            return Ok(Vec::new());
        };
        set.seal(&self.keys.list, &vault, version.as_bytes())
            .map_err(|e| fault::internal("cannot seal what recognises the version", e))
    }

    fn switch(&self, record: &VersionRecord, commitment: &[u8], prints: Vec<u8>) -> Result<Reencrypted, Problem> {
        check(self.watch, DOING)?;
        let record = record.encode().map_err(|e| fault::internal("cannot write the version record", e))?;
        let digest = hex::encode(digest_of(&record));
        let answer = self.client.seat().call(Command::ReencryptCommit(ReencryptCommit {
            version: self.old.version.id,
            record,
            plaintext_commitment: commitment.to_vec(),
            prints,
            depot: self.client.primary(),
        }))?;
        match answer {
            Answer::Reencrypted(done) if done.version.digest == digest => Ok(*done),
            other => Err(unexpected(&other)),
        }
    }

    /// The version with its new record and keys, to be read.
    fn renewed(&self, record: &VersionRecord) -> Result<Grant, Problem> {
        let list = seal::secret::ListKey::from_slice(self.keys.list.expose_bytes());
        let map = MapKey::from_slice(self.new_map()?.expose_bytes());
        let told = |e| fault::internal("cannot keep a key", e);
        let keys = Keys { list: list.map_err(told)?, map: Some(map.map_err(told)?) };
        let version: VersionItem = self.old.version.clone();
        Ok(Grant { version, record: record.clone(), keys, release: self.old.release })
    }
}

/// The one pack of the version from now on.
struct NewPack {
    id: [u8; 16],
    key: Arc<PackKey>,
    segments: Vec<Segment>,
}

impl NewPack {
    fn keys(&self) -> Result<Vec<([u8; 16], PackKey)>, Problem> {
        if self.segments.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![(self.id, copy(&self.key)?)])
    }
}

impl Client {
    /// The versions whose keys a domain key wrapped that is out of use, by reference: those of its domain that were not sealed anew since;
    /// and how many of them are in the archive, which are brought back before.
    ///
    /// # Errors
    /// `bad-request` for another key; `conflict` for one in use, because what is sealed anew would lie under it again.
    pub fn wrapped_by(&self, key: &KeyItem) -> Result<(Vec<String>, u64), Problem> {
        let what = "cannot re-encrypt";
        let (Some(workspace), Some(environment), Some(class)) = (&key.workspace, key.environment, key.class) else {
            return Err(Problem::new(Code::BadRequest, what, format!("{} is no domain key", key.id)));
        };
        if !["deactivated", "compromised"].contains(&key.state.as_str()) {
            let why = format!("the key {} is {}: what is sealed anew would lie under it again", key.id, key.state);
            let hint = format!("strongroom key rotate --workspace {workspace}");
            return Err(Problem::new(Code::Conflict, what, why).with_try(hint));
        }
        let (mut named, mut archived) = (Vec::new(), 0);
        self.each_version(&mut |item| {
            let of = item.reference.split_once('/').is_some_and(|(name, _)| name == workspace);
            let since = item.reencrypted.is_none_or(|at| at <= key.since);
            // Under an archive key are, or were, those that are deactivated: what is sealed anew is not.
            let since = since && (key.purpose != "archive" || item.key_state != KeyState::Active);
            if of && (item.environment, item.class) == (environment, class) && item.removed.is_none() && since {
                match item.archived {
                    Some(_) => archived += 1,
                    None => named.push(item.reference.clone()),
                }
            }
            Ok(())
        })?;
        Ok((named, archived))
    }
}
