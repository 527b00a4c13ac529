//! Domain keys and archive keys, and the keys of versions and of small values that they wrap.

use super::{check_fingerprint, fingerprint};
use crate::clock::Watch;
use crate::datastore::Transaction;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash;
use crate::roots::{self, Roots, Secret, Wrapped};
use crate::rows::{Change, Domain, Guard, Key, Purpose, Version, Workspace, Wrap, WrapKind};
use crate::suites::Stamp;
use crate::{epochs, system};
use api::terms::{ArtifactId, Class, KeyId, KeyState, Suite, Timestamp, VaultId, VersionId};
use seal::secret::{ArchiveKey, DomainKey, ValueKey, VersionKey};
use seal::wrap::{self, Kind, WrapContext, Wrappable, WrappingKey};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The most opened domain keys kept in memory.
const MAX_OPEN: usize = 1024;

/// Opens, makes and remembers domain keys and archive keys.
#[derive(Debug)]
pub(crate) struct Domains {
    vault: VaultId,
    pub(crate) roots: Roots,
    watch: Arc<Watch>,
    open: RwLock<HashMap<KeyId, Opened>>,
}

/// A key that wraps the keys of versions, opened.
#[derive(Debug)]
pub(crate) enum OpenedKey {
    Domain(DomainKey),
    Archive(ArchiveKey),
}

impl<'a> From<&'a OpenedKey> for WrappingKey<'a> {
    fn from(opened: &'a OpenedKey) -> Self {
        match opened {
            OpenedKey::Domain(key) => Self::Domain(key),
            OpenedKey::Archive(key) => Self::Archive(key),
        }
    }
}

/// A domain key or an archive key in memory.
#[derive(Debug)]
struct Opened {
    key: Arc<OpenedKey>,
    /// When it is forgotten, by [`Watch::uptime_secs`].
    until: u64,
    /// Under which table, and between which of its dates, it was opened.
    stamp: Stamp,
}

/// A version key that was just made.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) id: KeyId,
    pub(crate) key: VersionKey,
    pub(crate) wrap: Wrap,
}

/// Where a version key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Belongs {
    pub(crate) domain: Domain,
    pub(crate) artifact: ArtifactId,
    pub(crate) version: VersionId,
    pub(crate) key: KeyId,
    pub(crate) suite: Suite,
}

impl From<&Version> for Belongs {
    fn from(version: &Version) -> Self {
        let domain = Domain { workspace: version.workspace, environment: version.environment, class: version.class };
        Self { domain, artifact: version.artifact, version: version.id, key: version.key, suite: version.suite }
    }
}

impl Domains {
    /// Over the roots of an opened vault.
    pub(crate) fn new(vault: VaultId, roots: Roots, watch: Arc<Watch>) -> Self {
        Self { vault, roots, watch, open: RwLock::new(HashMap::new()) }
    }

    /// The key under which a domain writes, or its archive: if it has one. After one that is spent, the next one is made when something
    /// is written.
    ///
    /// # Errors
    /// [`Error::KeyShut`] if it has one that protects nothing now.
    pub(crate) fn active(
        tx: &mut dyn Transaction,
        guard: &Guard,
        domain: &Domain,
        purpose: Purpose,
    ) -> Result<Option<Key>> {
        let Some(key) = newest(tx, guard, domain, purpose)? else { return Ok(None) };
        match key.state {
            KeyState::Active => return Ok(Some(key)),
            KeyState::Deactivated | KeyState::Destroyed => return Ok(None),
            KeyState::PreActive | KeyState::Suspended | KeyState::Compromised => {}
        }
        let of = place_of(tx, guard, domain, purpose)?;
        Err(Error::KeyShut { key: key.id, of, state: key.state })
    }

    /// The number of the next key of a domain, or of its archive.
    pub(crate) fn next_number(
        tx: &mut dyn Transaction,
        guard: &Guard,
        domain: &Domain,
        purpose: Purpose,
    ) -> Result<u32> {
        let last = newest(tx, guard, domain, purpose)?.map_or(0, |key| key.version);
        last.checked_add(1).ok_or(Error::Internal("more keys of a domain than there can be"))
    }

    /// Makes the next version of a domain's key and wraps it under every root that its class admits. One that does not answer is behind from
    /// then on; one at least opens it again.
    pub(crate) fn make(
        &self,
        tx: &mut dyn Transaction,
        guard: &Guard,
        new: &NewDomainKey,
        ticket: i64,
    ) -> Result<(Key, Vec<Change>)> {
        let id = KeyId::from_bytes(system::random()?);
        let secret = Secret::generate(new.purpose.kind())?;
        let key = Key {
            id,
            purpose: new.purpose,
            domain: Some(new.domain),
            version: new.version,
            suite: new.suite,
            state: KeyState::Active,
            fingerprint: fingerprint(new.suite, self.vault, id, secret.expose_bytes())?,
            created: new.now,
            since: new.now,
            due: Some(new.now.plus_millis(u64::from(new.rotation_days) * 86_400_000)),
            ending: None,
        };
        let mut changes = vec![guard.insert(tx, &key, ticket)?];
        // Another process may have added or removed one.
        self.roots.refresh(tx, guard)?;
        let (mut opens, mut refused) = (false, None);
        for root in
            self.roots.members().iter().filter(|root| self.roots.suites.may_wrap(key.domain.as_ref(), root.term))
        {
            let context = self.context(&key, root.id);
            match self.roots.wrap(root, &context, &secret) {
                Ok(sealed) => {
                    changes.push(guard.insert(tx, &wrap_under(&key, root.id, sealed)?, ticket)?);
                    opens |= root.is_at_hand();
                }
                // It may not, as one of a kind that is not admitted; it is not behind for that.
                Err(error @ Error::RootOutdated { .. }) => refused = Some(error),
                Err(error) => {
                    changes.extend(roots::fell_behind(tx, guard, root.id, ticket)?);
                    refused = Some(error);
                }
            }
        }
        if !opens {
            return Err(
                refused.unwrap_or(Error::NoRoot { class: new.domain.class, environment: new.domain.environment })
            );
        }
        epochs::create(tx, id.as_bytes(), "key")?;
        Ok((key, changes))
    }

    /// The bytes of a domain key or an archive key, from memory or from its wrap.
    pub(crate) fn open(&self, tx: &mut dyn Transaction, guard: &Guard, id: KeyId) -> Result<Arc<OpenedKey>> {
        if let Some(key) = self.remembered(id) {
            return Ok(key);
        }
        let key: Key = guard.expect(tx, id.as_bytes())?;
        let domain = key.domain.ok_or_else(|| Error::Wrap { key: id.to_string() })?;
        // Another process may have put another table in force.
        self.roots.suites.of(tx, guard)?;
        let wraps = wraps_of(tx, guard, id)?;
        // Of before: what changes while a root is asked shuts it.
        let stamp = self.roots.suites.stamp();
        match self.secret(&key, &wraps)? {
            Secret::Domain(opened) => Ok(self.remember(id, (domain.class, stamp), OpenedKey::Domain(opened))),
            Secret::Archive(opened) => Ok(self.remember(id, (domain.class, stamp), OpenedKey::Archive(opened))),
            _ => Err(Error::Wrap { key: id.to_string() }),
        }
    }

    /// A key that roots wrap, opened by the first of them that does. Each wrap must stand where its context says.
    pub(crate) fn secret(&self, key: &Key, wraps: &[Wrap]) -> Result<Secret> {
        let kind = if key.domain.is_some() { WrapKind::Domain } else { WrapKind::Vault };
        let purpose = Some(key.purpose);
        let in_place = |wrap: &&Wrap| {
            (wrap.kind, wrap.key, wrap.domain, wrap.suite, wrap.purpose)
                == (kind, key.id, key.domain, key.suite, purpose)
        };
        let wraps: Vec<Wrap> = wraps.iter().filter(in_place).cloned().collect();
        let wrapped = Wrapped { key: key.id, place: key.domain.as_ref(), wraps: &wraps };
        let check =
            |secret: &Secret| check_fingerprint(key.suite, self.vault, key.id, secret.expose_bytes(), &key.fingerprint);
        self.roots.unwrap(&wrapped, |root| self.context(key, root), check)
    }

    /// Where a key stands under a root.
    pub(crate) fn context(&self, key: &Key, root: KeyId) -> WrapContext {
        match &key.domain {
            Some(domain) => WrapContext {
                workspace: Some(*domain.workspace.as_bytes()),
                environment: Some(domain.environment.number()),
                class: Some(domain.class.number()),
                ..roots::context(key.suite, self.vault, key.purpose.kind(), key.id, root)
            },
            None => roots::context(key.suite, self.vault, key.purpose.kind(), key.id, root),
        }
    }

    /// An opened domain key, if it is in memory.
    pub(crate) fn remembered(&self, id: KeyId) -> Option<Arc<OpenedKey>> {
        let stamp = self.roots.suites.stamp();
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let stands = |opened: &&Opened| self.watch.uptime_secs() < opened.until && opened.stamp == stamp;
        open.get(&id).filter(stands).map(|opened| Arc::clone(&opened.key))
    }

    /// Keeps it for as long as clients may keep what it opens: the lease of its class.
    fn remember(&self, id: KeyId, (class, stamp): (Class, Stamp), key: OpenedKey) -> Arc<OpenedKey> {
        let lease = policy::class_rules(class).map_or(0, |rules| rules.lease_secs);
        let until = self.watch.uptime_secs().saturating_add(lease);
        let opened = Opened { key: Arc::new(key), until, stamp };
        let key = Arc::clone(&opened.key);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(id, opened);
        key
    }

    /// Forgets the keys whose time in memory is over; whether there were any.
    pub(crate) fn forget_old(&self) -> bool {
        let now = self.watch.uptime_secs();
        if self.open.read().unwrap_or_else(PoisonError::into_inner).values().all(|opened| now < opened.until) {
            return false;
        }
        self.open.write().unwrap_or_else(PoisonError::into_inner).retain(|_, opened| now < opened.until);
        true
    }

    /// Forgets a key, whose bytes nobody else here has a use for.
    pub(crate) fn forget(&self, id: KeyId) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Draws a version key and wraps it under its domain's key.
    pub(crate) fn mint(&self, belongs: &Belongs, under: &Key, with: &OpenedKey) -> Result<Minted> {
        let key = VersionKey::generate().map_err(|_| Error::Random)?;
        let wrap = self.wrap(belongs, under, with, &key)?;
        Ok(Minted { id: belongs.key, key, wrap })
    }

    /// Wraps a version key under a domain key.
    pub(crate) fn wrap(&self, belongs: &Belongs, under: &Key, with: &OpenedKey, key: &VersionKey) -> Result<Wrap> {
        self.wrap_in(&Slot::from(belongs), under, with, key, key.expose_bytes())
    }

    /// Opens a version key. The wrap must stand where the version's row says it belongs.
    pub(crate) fn unwrap(&self, belongs: &Belongs, wrap: &Wrap, with: &OpenedKey) -> Result<VersionKey> {
        let key: VersionKey = self.unwrap_in(&Slot::from(belongs), wrap, with)?;
        check_fingerprint(belongs.suite, self.vault, belongs.key, key.expose_bytes(), &wrap.fingerprint)?;
        Ok(key)
    }

    /// Wraps a version of a named key under a domain key.
    pub(crate) fn wrap_value(&self, of: &OfNamed, under: &Key, with: &OpenedKey, key: &ValueKey) -> Result<Wrap> {
        self.wrap_in(&Slot::from(of), under, with, key, key.expose_bytes())
    }

    /// Opens a version of a named key. The wrap must stand where the rows say it belongs.
    pub(crate) fn unwrap_value(&self, of: &OfNamed, wrap: &Wrap, with: &OpenedKey) -> Result<ValueKey> {
        let key: ValueKey = self.unwrap_in(&Slot::from(of), wrap, with)?;
        check_fingerprint(of.suite, self.vault, of.key, key.expose_bytes(), &wrap.fingerprint)?;
        Ok(key)
    }

    fn wrap_in<S: Wrappable>(
        &self,
        slot: &Slot,
        under: &Key,
        with: &OpenedKey,
        key: &S,
        bytes: &[u8; 32],
    ) -> Result<Wrap> {
        let context = self.slot_context(slot, under.id, under.version);
        let sealed = wrap::wrap(with, &context, key).map_err(|_| Error::Internal("a key could not be wrapped"))?;
        Ok(Wrap {
            id: KeyId::from_bytes(system::ordered_id()?),
            kind: slot.kind,
            key: slot.key,
            suite: slot.suite,
            purpose: None,
            domain: Some(slot.domain),
            artifact: Some(slot.artifact),
            version: slot.version,
            under: under.id,
            under_version: under.version,
            sealed: hash::to_hex(&sealed),
            fingerprint: fingerprint(slot.suite, self.vault, slot.key, bytes)?,
        })
    }

    fn unwrap_in<S: Wrappable>(&self, slot: &Slot, wrap: &Wrap, with: &OpenedKey) -> Result<S> {
        let refuse = || Error::Wrap { key: slot.key.to_string() };
        if Slot::in_wrap(wrap).as_ref() != Some(slot) {
            return Err(refuse());
        }
        let sealed = hash::of_hex(&wrap.sealed).ok_or_else(refuse)?;
        let context = self.slot_context(slot, wrap.under, wrap.under_version);
        wrap::unwrap(with, &context, &sealed).map_err(|_| refuse())
    }

    fn slot_context(&self, slot: &Slot, under: KeyId, under_version: u32) -> WrapContext {
        let kind = if slot.kind == WrapKind::Named { Kind::Value } else { Kind::Version };
        WrapContext {
            workspace: Some(*slot.domain.workspace.as_bytes()),
            environment: Some(slot.domain.environment.number()),
            class: Some(slot.domain.class.number()),
            artifact: Some(*slot.artifact.as_bytes()),
            version: slot.version.map(|version| *version.as_bytes()),
            wrapping_key_version: under_version,
            ..roots::context(slot.suite, self.vault, kind, slot.key, under)
        }
    }

    /// Wraps again, under another key of the same domain or of its archive, what a key of these wraps.
    pub(crate) fn wrap_again(
        &self,
        wrap: &Wrap,
        domain: &Domain,
        from: &OpenedKey,
        (under, to): (&Key, &OpenedKey),
    ) -> Result<Wrap> {
        let refuse = || Error::Wrap { key: wrap.key.to_string() };
        let slot = Slot::in_wrap(wrap).filter(|slot| slot.domain == *domain).ok_or_else(refuse)?;
        let again = match slot.version {
            Some(_) => {
                let key: VersionKey = self.unwrap_in(&slot, wrap, from)?;
                let again = self.wrap_in(&slot, under, to, &key, key.expose_bytes())?;
                self.unwrap_in::<VersionKey>(&slot, &again, to)?;
                again
            }
            None => {
                let key: ValueKey = self.unwrap_in(&slot, wrap, from)?;
                let again = self.wrap_in(&slot, under, to, &key, key.expose_bytes())?;
                self.unwrap_in::<ValueKey>(&slot, &again, to)?;
                again
            }
        };
        if again.fingerprint != wrap.fingerprint {
            return Err(refuse());
        }
        Ok(Wrap { id: wrap.id, ..again })
    }
}

/// Where a key stands that a domain key wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    kind: WrapKind,
    domain: Domain,
    artifact: ArtifactId,
    version: Option<VersionId>,
    key: KeyId,
    suite: Suite,
}

impl Slot {
    /// Where a wrap says that it stands; its row is under a MAC.
    fn in_wrap(wrap: &Wrap) -> Option<Self> {
        let fits = match wrap.kind {
            WrapKind::Version => wrap.version.is_some(),
            WrapKind::Named => wrap.version.is_none(),
            WrapKind::Domain | WrapKind::Vault => false,
        };
        let (domain, artifact) = (wrap.domain?, wrap.artifact?);
        let (kind, version, key, suite) = (wrap.kind, wrap.version, wrap.key, wrap.suite);
        (fits && wrap.purpose.is_none()).then_some(Self { kind, domain, artifact, version, key, suite })
    }
}

impl From<&Belongs> for Slot {
    fn from(&Belongs { domain, artifact, version, key, suite }: &Belongs) -> Self {
        Self { kind: WrapKind::Version, domain, artifact, version: Some(version), key, suite }
    }
}

impl From<&OfNamed> for Slot {
    fn from(&OfNamed { domain, named, key, suite }: &OfNamed) -> Self {
        Self { kind: WrapKind::Named, domain, artifact: named, version: None, key, suite }
    }
}

/// Where the key of a version of a named key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfNamed {
    pub(crate) domain: Domain,
    pub(crate) named: ArtifactId,
    pub(crate) key: KeyId,
    pub(crate) suite: Suite,
}

/// Makes the next key of a domain, or of its archive, that has none that writes, in the suite that it writes now.
pub(crate) fn next_key(
    engine: &Engine,
    tx: &mut dyn Transaction,
    (domain, purpose): (&Domain, Purpose),
    (ticket, now): (i64, Timestamp),
) -> Result<(Key, Vec<Change>)> {
    let guard = &engine.keys.guard;
    let rotation_days = engine.rules(tx)?.class_rules(domain.class).rotation_days;
    let suite = engine.crypto(tx)?.writes(domain.class, domain.environment, now);
    let version = Domains::next_number(tx, guard, domain, purpose)?;
    let new = NewDomainKey { purpose, domain: *domain, version, suite, rotation_days, now };
    engine.domains.make(tx, guard, &new, ticket)
}

/// The newest key of a domain, or of its archive, in whatever state.
pub(crate) fn newest(
    tx: &mut dyn Transaction,
    guard: &Guard,
    domain: &Domain,
    purpose: Purpose,
) -> Result<Option<Key>> {
    let mut keys: Vec<Key> = guard.select(
        tx,
        "WHERE workspace = $1 AND environment = $2 AND class = $3 AND purpose = $4 ORDER BY number DESC LIMIT 1",
        &[
            domain.workspace.as_bytes().into(),
            i64::from(domain.environment.number()).into(),
            i64::from(domain.class.number()).into(),
            purpose.word().into(),
        ],
    )?;
    Ok(keys.pop())
}

/// The domain keys and archive keys that are not destroyed.
pub(crate) fn kept(tx: &mut dyn Transaction, guard: &Guard) -> Result<Vec<Key>> {
    let values = [Purpose::Domain.word().into(), Purpose::Archive.word().into(), KeyState::Destroyed.word().into()];
    guard.select(tx, "WHERE purpose IN ($1, $2) AND state <> $3 ORDER BY id", &values)
}

/// A domain, or its archive, in words.
pub(crate) fn place_of(tx: &mut dyn Transaction, guard: &Guard, domain: &Domain, purpose: Purpose) -> Result<String> {
    let workspace: Workspace = guard.expect(tx, domain.workspace.as_bytes())?;
    let archive = if purpose == Purpose::Archive { "/archive" } else { "" };
    Ok(format!("{}/{}/{}{archive}", workspace.name, domain.environment, domain.class))
}

/// A new wrap of a key that roots wrap.
pub(crate) fn wrap_under(key: &Key, root: KeyId, sealed: Vec<u8>) -> Result<Wrap> {
    Ok(Wrap {
        id: KeyId::from_bytes(system::random()?),
        kind: if key.domain.is_some() { WrapKind::Domain } else { WrapKind::Vault },
        key: key.id,
        suite: key.suite,
        purpose: Some(key.purpose),
        domain: key.domain,
        artifact: None,
        version: None,
        under: root,
        under_version: 1,
        sealed: hex::encode(sealed),
        fingerprint: key.fingerprint.clone(),
    })
}

/// Every wrap of a key.
pub(crate) fn wraps_of(tx: &mut dyn Transaction, guard: &Guard, key: KeyId) -> Result<Vec<Wrap>> {
    guard.select(tx, "WHERE wrapped = $1 ORDER BY id", &[key.as_bytes().into()])
}

/// What a new domain key or archive key is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewDomainKey {
    pub(crate) purpose: Purpose,
    pub(crate) domain: Domain,
    pub(crate) version: u32,
    /// What its domain writes now. Version keys of any suite are wrapped under it: wraps are made alike in all.
    pub(crate) suite: Suite,
    pub(crate) rotation_days: u32,
    pub(crate) now: Timestamp,
}

/// The wrap of a version's key.
pub(crate) fn wrap_of(tx: &mut dyn Transaction, guard: &Guard, key: KeyId) -> Result<Wrap> {
    let mut wraps: Vec<Wrap> = guard.select(tx, "WHERE wrapped = $1", &[key.as_bytes().into()])?;
    match (wraps.pop(), wraps.is_empty()) {
        (Some(wrap), true) => Ok(wrap),
        _ => Err(Error::Altered { table: "wrap", row: key.to_string() }),
    }
}
