//! The vault's own keys: log, releases, row MACs, fields. Each is random and wrapped by every root.

use super::domains::wrap_under;
use super::{check_fingerprint, fingerprint};
use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::field::Fields;
use crate::ledger::EntryMac;
use crate::roots::{self, RootProvider, Secret, Wrapper};
use crate::rows::{Guard, Key, Purpose, Wrap, WrapKind};
use crate::system;
use api::terms::{KeyId, KeyState, Suite, Timestamp, VaultId};
use seal::secret::{MacKey, PrintKey, SigningSeed};
use seal::sign::SigningKey;

/// The purposes of the vault's own keys.
const PURPOSES: [Purpose; 5] =
    [Purpose::RowMac, Purpose::Field, Purpose::Release, Purpose::LogEd25519, Purpose::LogMldsa44];

/// The vault's own keys, opened.
#[derive(Debug)]
pub(crate) struct VaultKeys {
    pub(crate) guard: Guard,
    pub(crate) entry_mac: EntryMac,
    mac: MacKey,
    pub(crate) fields: Fields,
    pub(crate) release: SigningKey,
    pub(crate) log_ed25519: SigningSeed,
    pub(crate) log_mldsa44: SigningSeed,
}

/// A new key with its wraps.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) key: Key,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) secret: Secret,
}

/// Draws a key of the vault and wraps it under every root.
pub(crate) fn draw(
    suite: Suite,
    vault: VaultId,
    purpose: Purpose,
    roots: &[&dyn Wrapper],
    now: Timestamp,
) -> Result<NewKey> {
    let id = KeyId::from_bytes(system::random()?);
    let secret = Secret::generate(purpose.kind())?;
    let fingerprint = fingerprint(suite, vault, id, secret.expose_bytes())?;
    let key = Key {
        id,
        purpose,
        domain: None,
        version: 1,
        suite,
        state: KeyState::Active,
        fingerprint,
        created: now,
        since: now,
        due: None,
        ending: None,
    };
    let wraps = roots.iter().map(|root| {
        let sealed = root.wrap(&roots::context(suite, vault, purpose.kind(), id, root.id()), &secret)?;
        wrap_under(&key, root.id(), sealed)
    });
    let wraps = wraps.collect::<Result<_>>()?;
    Ok(NewKey { key, wraps, secret })
}

/// Draws all of the vault's own keys.
pub(crate) fn draw_all(suite: Suite, vault: VaultId, roots: &[&dyn Wrapper], now: Timestamp) -> Result<Vec<NewKey>> {
    PURPOSES.iter().map(|purpose| draw(suite, vault, *purpose, roots, now)).collect()
}

impl VaultKeys {
    /// Puts opened secrets into their places.
    pub(crate) fn assemble(vault: VaultId, secrets: Vec<(Key, Secret)>) -> Result<Self> {
        let (mut guard, mut fields, mut release, mut ed25519, mut mldsa44) = (None, None, None, None, None);
        for (row, secret) in secrets {
            match (row.purpose, secret) {
                (Purpose::RowMac, Secret::Mac(key)) => {
                    guard = Some((Guard::new(&key), EntryMac::new(key.expose_bytes()), key));
                }
                (Purpose::Field, Secret::Field(key)) => fields = Some(Fields::new(vault, key, row.version)),
                (Purpose::Release, Secret::Seed(seed)) => {
                    let key = SigningKey::from_seed(&seed);
                    release = Some(key.map_err(|_| Error::Internal("the release key is no key"))?);
                }
                (Purpose::LogEd25519, Secret::Seed(seed)) => ed25519 = Some(seed),
                (Purpose::LogMldsa44, Secret::Seed(seed)) => mldsa44 = Some(seed),
                _ => return Err(Error::Internal("a key of the vault has the wrong type")),
            }
        }
        let missing = || Error::Altered { table: "crypto_key", row: "a key of the vault is missing".into() };
        let (guard, entry_mac, mac) = guard.ok_or_else(missing)?;
        Ok(Self {
            guard,
            entry_mac,
            mac,
            fields: fields.ok_or_else(missing)?,
            release: release.ok_or_else(missing)?,
            log_ed25519: ed25519.ok_or_else(missing)?,
            log_mldsa44: mldsa44.ok_or_else(missing)?,
        })
    }

    /// The MAC key, from which the key of a backup is derived.
    pub(crate) fn mac(&self) -> &MacKey {
        &self.mac
    }

    /// The key of the vault's prints.
    pub(crate) fn print_key(&self, vault: VaultId) -> Result<PrintKey> {
        seal::prints::vault_key(&self.mac, vault.as_bytes()).map_err(|_| Error::Internal("a key could not be derived"))
    }

    /// The MAC of waiting entries, for the ledger.
    pub(crate) fn ledger_mac(&self) -> EntryMac {
        EntryMac::new(self.mac.expose_bytes())
    }

    /// Opens the vault's keys from the database with one root.
    ///
    /// The row-MAC key comes first: its own wrap is proven by the root alone. Every row is then checked under it.
    pub(crate) fn open(
        tx: &mut dyn Transaction,
        suite: Suite,
        vault: VaultId,
        root: &dyn RootProvider,
    ) -> Result<Self> {
        let guard = Guard::new(&bootstrap_mac_key(tx, suite, vault, root)?);
        let mut secrets = Vec::with_capacity(PURPOSES.len());
        for purpose in PURPOSES {
            let keys: Vec<Key> = guard.select(
                tx,
                "WHERE purpose = $1 AND state = $2",
                &[purpose.word().into(), KeyState::Active.word().into()],
            )?;
            let missing = || Error::Altered { table: "crypto_key", row: purpose.word().into() };
            let key = keys.into_iter().next().ok_or_else(missing)?;
            let wraps: Vec<Wrap> = guard.select(
                tx,
                "WHERE wrapped = $1 AND under = $2",
                &[key.id.as_bytes().into(), root.id().as_bytes().into()],
            )?;
            let wrap = wraps.first().ok_or_else(missing)?;
            let secret = opened(suite, vault, root, &key, wrap)?;
            secrets.push((key, secret));
        }
        Self::assemble(vault, secrets)
    }
}

/// Opens one of the vault's keys; the wrap must stand where its context says.
fn opened(suite: Suite, vault: VaultId, root: &dyn RootProvider, key: &Key, wrap: &Wrap) -> Result<Secret> {
    let refuse = || Error::Wrap { key: key.id.to_string() };
    if (key.suite, wrap.suite) != (suite, suite) {
        return Err(refuse());
    }
    if wrap.kind != WrapKind::Vault || wrap.purpose != Some(key.purpose) || wrap.key != key.id {
        return Err(refuse());
    }
    let sealed = hex::decode(&wrap.sealed).map_err(|_| refuse())?;
    let secret = root.unwrap(&roots::context(suite, vault, key.purpose.kind(), key.id, root.id()), &sealed)?;
    check_fingerprint(suite, vault, key.id, secret.expose_bytes(), &key.fingerprint)?;
    Ok(secret)
}

/// Finds the row-MAC key before any MAC can be checked: the wrap that opens as one is it.
fn bootstrap_mac_key(
    tx: &mut dyn Transaction,
    suite: Suite,
    vault: VaultId,
    root: &dyn RootProvider,
) -> Result<MacKey> {
    let rows = tx.query(
        "SELECT k.id, w.body FROM crypto_key k JOIN wrap w ON w.wrapped = k.id \
         WHERE k.purpose = $1 AND k.state = $2 AND w.under = $3",
        &[Purpose::RowMac.word().into(), KeyState::Active.word().into(), root.id().as_bytes().into()],
    )?;
    let refuse = || Error::Wrap { key: Purpose::RowMac.word().into() };
    let row = rows.optional()?.ok_or_else(refuse)?;
    mac_key(row.bytes(1)?, suite, vault, KeyId::from_bytes(row.array(0)?), root)
}

/// The row-MAC key from the body of its wrap, which nothing but the root vouches for.
pub(crate) fn mac_key(body: &[u8], suite: Suite, vault: VaultId, id: KeyId, root: &dyn RootProvider) -> Result<MacKey> {
    let refuse = || Error::Wrap { key: Purpose::RowMac.word().into() };
    let wrap: Wrap = serde_json::from_slice(body).map_err(|_| refuse())?;
    let sealed = hex::decode(&wrap.sealed).map_err(|_| refuse())?;
    match root.unwrap(&roots::context(suite, vault, Purpose::RowMac.kind(), id, root.id()), &sealed)? {
        Secret::Mac(key) => Ok(key),
        _ => Err(refuse()),
    }
}
