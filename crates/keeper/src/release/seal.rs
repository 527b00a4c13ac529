//! Keys into envelopes, after the log holds the release.

use super::prepare::Prepared;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::Logged;
use crate::keys::domains::Belongs;
use crate::keys::sealed as suite_of;
use crate::session::Asked;
use api::terms::{Action, ReleaseId, Suite, Timestamp, VaultId, VersionId};
use api::wire::Released;
use seal::envelope::{self as sealed, Key, ReleasedKey};
use seal::secret::VersionKey;

/// A version whose keys go into an envelope.
#[derive(Debug)]
pub(crate) struct Sealing<'a> {
    pub(crate) version: VersionId,
    pub(crate) suite: Suite,
    /// None before the version is committed.
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) key: &'a VersionKey,
    pub(crate) action: Action,
}

/// Derives the keys that an action allows and seals them for the sender of the request.
pub(crate) fn envelope(
    engine: &Engine,
    asked: &Asked,
    release: ReleaseId,
    expires: Timestamp,
    versions: &[Sealing<'_>],
) -> Result<Vec<u8>> {
    let mut keys = Vec::with_capacity(2 * versions.len());
    for sealing in versions {
        keys.extend(derived(engine.vault, sealing)?);
    }
    let header = sealed::Release {
        id: *release.as_bytes(),
        versions: versions.iter().map(|sealing| (*sealing.version.as_bytes(), sealing.digest)).collect(),
        expiry_ms: expires.as_millis(),
    };
    sealed::seal(&asked.signed, &header, &keys, &engine.keys.release)
        .map_err(|error| Error::bad("the envelope", error.to_string()))
}

/// List: the list key. Read, export, write, reencrypt: list and map key.
fn derived(vault: VaultId, sealing: &Sealing<'_>) -> Result<Vec<ReleasedKey>> {
    let failed = |_| Error::Internal("a key could not be derived");
    let (suite, vault, version) = (suite_of(sealing.suite), vault.as_bytes(), *sealing.version.as_bytes());
    let list = seal::derive::list_key(sealing.key, suite, vault, &version).map_err(failed)?;
    let mut keys = vec![ReleasedKey { version, key: Key::List(list) }];
    if matches!(sealing.action, Action::Read | Action::Export | Action::Write | Action::Reencrypt) {
        let map = seal::derive::map_key(sealing.key, suite, vault, &version).map_err(failed)?;
        keys.push(ReleasedKey { version, key: Key::Map(map) });
    }
    Ok(keys)
}

/// The answer to a release that is in the log.
pub(crate) fn finish(engine: &Engine, asked: &Asked, prepared: &Prepared, logged: &Logged) -> Result<Released> {
    let known = &prepared.decided.known;
    let version = &known.found.version;
    let with = prepared.domain_key.as_ref().ok_or(Error::Internal("a release without its key"))?;
    let key = engine.domains.unwrap(&Belongs::from(version), &known.wrap, with)?;
    let rules = known.rules.class_rules(version.class);
    let receipt = if rules.waits_for_anchor { engine.anchored(logged)? } else { engine.receipt(logged)? };
    let lease = rules.lease_secs;
    let expires = prepared.decided.by.at.plus_millis(lease.saturating_mul(1000));
    let sealing = Sealing {
        version: version.id,
        suite: version.suite,
        digest: Some(crate::show::digest_bytes(version)?),
        key: &key,
        action: prepared.action,
    };
    let envelope = envelope(engine, asked, prepared.release, expires, &[sealing])?;
    Ok(Released {
        release: prepared.release,
        decision: prepared.decided.verdict.id,
        version: crate::show::item(&known.found, (known.creator.clone(), known.aliases.clone()), known.made.clone()),
        record: known.record.clone(),
        envelope,
        expires,
        receipt,
    })
}
