//! A version record against its draft: nothing is believed that can be checked.

use super::{named, objects};
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::keys::sealed;
use crate::removal;
use crate::rows::{Artifact, Draft, Version};
use crate::show;
use api::terms::{Class, Name, ObjectId, VersionId};
use api::wire::{Commit, Provenance};
use seal::record::{Pack, VersionRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The most tags.
const MAX_TAGS: usize = 64;
/// The longest tag, in bytes.
const MAX_TAG_LEN: usize = 1024;

/// The longest command of a run, in bytes.
const MAX_COMMAND_LEN: usize = 4096;
/// The longest name of a commit, in bytes.
const MAX_CODE_LEN: usize = 128;
/// The longest part of an environment, in bytes.
const MAX_PART_LEN: usize = 512;

/// What the tables need from a record.
pub(super) struct Checked {
    /// The object with list, map and record.
    pub(super) object: ObjectId,
    /// Every object of this version, itself included.
    pub(super) own: Vec<ObjectId>,
}

/// Checks everything that needs no table.
pub(super) fn form(command: &Commit) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the commit", why));
    if command.tags.len() > MAX_TAGS {
        return bad("at most 64 tags");
    }
    for (key, value) in &command.tags {
        if key.parse::<Name>().is_err() || value.len() > MAX_TAG_LEN {
            return bad("a tag is a name with a value of at most 1,024 bytes");
        }
    }
    sealed_parts(&command.plaintext_commitment, &command.prints)?;
    if command.bytes > 1 << 53 || command.files > 1 << 53 {
        return bad("more than 2^53 bytes or files");
    }
    if let Some(made) = &command.made {
        provenance(made)?;
    }
    named::form(command.alias.as_ref(), &command.from)
}

/// Checks what comes beside the record.
pub(super) fn sealed_parts(commitment: &[u8], prints: &[u8]) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the commit", why));
    if commitment.len() != 32 {
        return bad("the commitment to the plaintext is 32 bytes");
    }
    if prints.len() > seal::prints::MAX_SEALED_LEN {
        return bad("its prints are longer than they can be");
    }
    Ok(())
}

/// Checks the form of how a version was made.
fn provenance(made: &Provenance) -> Result<()> {
    let bad = |why: &str| Err(Error::bad("the commit", why));
    if made.command.len() > MAX_COMMAND_LEN || made.code.as_ref().is_some_and(|code| code.len() > MAX_CODE_LEN) {
        return bad("a command has at most 4,096 bytes, the commit of its code 128");
    }
    let mut digest = [0; 32];
    if hex::decode_to_slice(&made.environment, &mut digest).is_err() {
        return bad("the digest of an environment is 64 hexadecimal digits");
    }
    let small = |(name, value): (&String, &String)| name.len() <= MAX_PART_LEN && value.len() <= MAX_PART_LEN;
    if made.parts.len() > MAX_TAGS || !made.parts.iter().all(small) {
        return bad("an environment has at most 64 parts of at most 512 bytes");
    }
    Ok(())
}

/// Checks a record against its draft and the objects and packs it names.
pub(super) fn record(
    engine: &Engine,
    tx: &mut dyn Transaction,
    draft: &Draft,
    record: &VersionRecord,
) -> Result<Checked> {
    let bad = |why: &str| Err(Error::bad("the version record", why));
    if record.vault != *engine.vault.as_bytes() || record.version != *draft.version.as_bytes() {
        return bad("it is of another vault or version");
    }
    if record.artifact != *draft.artifact.as_bytes() {
        return bad("it is of another artifact");
    }
    if record.class != draft.class.number() || record.environment != Some(draft.environment.number()) {
        return bad("it has another class or environment");
    }
    if record.suite != sealed(draft.suite) {
        return bad("it is of another suite than the version was begun with");
    }
    if let Some(previous) = record.previous {
        let previous = VersionId::from_bytes(previous);
        let found: Option<Version> = engine.keys.guard.find(tx, previous.as_bytes())?;
        if found.is_none_or(|version| version.artifact != draft.artifact) {
            return bad("the version before it is not one of this artifact");
        }
    }
    let leased = objects::leased(tx, &engine.keys.guard, draft.version)?;
    let object = ObjectId::from_bytes(record.object);
    let mut own = vec![object];
    let mut borrowed: BTreeMap<VersionId, Vec<&Pack>> = BTreeMap::new();
    for pack in &record.packs {
        let owner = VersionId::from_bytes(pack.owner);
        if owner == draft.version {
            own.extend(pack.segments.iter().map(|segment| ObjectId::from_bytes(segment.object)));
        } else {
            borrowed.entry(owner).or_default().push(pack);
        }
    }
    if !own.iter().all(|object| leased.contains(object)) {
        return bad("it names an object that is not registered for it");
    }
    if !borrowed.is_empty() && draft.class == Class::Restricted {
        return bad("restricted versions share no packs");
    }
    for (owner, packs) in borrowed {
        check_borrowed(engine, tx, draft, owner, &packs)?;
    }
    Ok(Checked { object, own })
}

/// Packs of an earlier version must be exactly those that it wrote.
fn check_borrowed(
    engine: &Engine,
    tx: &mut dyn Transaction,
    draft: &Draft,
    owner: VersionId,
    packs: &[&Pack],
) -> Result<()> {
    let bad = || Error::bad("the version record", "it names a pack that no earlier version of the artifact wrote");
    let version: Version = engine.keys.guard.find(tx, owner.as_bytes())?.ok_or_else(bad)?;
    let place = |version: &Version| (version.class, version.environment, version.suite);
    // Packs outlive who wrote them as long as another version names them.
    let mut lost = || {
        let artifact: Artifact = engine.keys.guard.expect(tx, draft.artifact.as_bytes())?;
        let needed = removal::living_objects(engine, tx, &artifact)?;
        let mut segments = packs.iter().flat_map(|pack| &pack.segments);
        Ok::<_, Error>(!segments.all(|segment| needed.contains_key(&ObjectId::from_bytes(segment.object))))
    };
    if removal::is_destroyed(&version) && lost()? {
        return Err(taken_away("the version whose files it takes over was destroyed meanwhile"));
    }
    // Of one that is gone, only archived versions may be left that name them.
    let in_use = version.archived.is_none() && version.removed.is_none();
    if !in_use && archived_alone(engine, tx, draft, packs)? {
        return Err(taken_away("the version whose files it takes over was archived or removed meanwhile"));
    }
    if version.artifact != draft.artifact
        || version.class == Class::Restricted
        || place(&version) != (draft.class, draft.environment, draft.suite)
    {
        return Err(bad());
    }
    let bytes = show::record_of(tx, &version)?;
    let record = VersionRecord::decode(&bytes).map_err(|_| bad())?;
    let written: BTreeMap<_, &Pack> = record.packs.iter().map(|pack| (pack.id, pack)).collect();
    let same = packs.iter().all(|pack| written.get(&pack.id).is_some_and(|known| known == pack));
    match (same, &version.reencrypted) {
        (true, _) => Ok(()),
        // Of before, when somebody else may have had its key: nothing new is made of those.
        (false, Some(_)) => Err(taken_away("the version whose files it takes over was sealed anew meanwhile")),
        (false, None) => Err(bad()),
    }
}

/// Whether no version that is in use names some of these packs: what is archived is taken over by nothing new.
fn archived_alone(engine: &Engine, tx: &mut dyn Transaction, draft: &Draft, packs: &[&Pack]) -> Result<bool> {
    let artifact: Artifact = engine.keys.guard.expect(tx, draft.artifact.as_bytes())?;
    let mut left: BTreeSet<[u8; 16]> = packs.iter().map(|pack| pack.id).collect();
    for (version, record) in removal::living_records(engine, tx, &artifact)? {
        if version.archived.is_none() && version.removed.is_none() {
            record.packs.iter().for_each(|pack| {
                left.remove(&pack.id);
            });
        }
    }
    Ok(!left.is_empty())
}

/// Packs that were there when the version was begun are not any more.
fn taken_away(why: &str) -> Error {
    Error::Conflict {
        what: "the new version",
        why: why.into(),
        hint: Some("run the command again: it sends them anew".into()),
    }
}
