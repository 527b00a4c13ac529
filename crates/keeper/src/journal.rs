//! What happened, on its way into the log: events of a transaction become entries of it.

use crate::bursts::{Bursts, Share};
use crate::datastore::{Transaction, Value, tuples};
use crate::decide::Verdict;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::{Personal, Place, SealedText};
use crate::hash;
use crate::ledger::{self, SignedHead};
use crate::rows::Change;
use crate::session::Session;
use crate::{subject, system};
use api::terms::{AuthMethod, EntryId, PrincipalId, Timestamp};
use api::wire::Receipt;
use log::entry::{self, Id, Kind, StateChange};
use log::tree::{self, Hash};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::Ordering;

/// The number of the log that is written to.
pub(crate) const LOG_NUMBER: u64 = 1;
/// How many entries may wait in a keeper that goes on running.
const INTEGRATE_EVERY: u64 = 16_384;
/// Table of the sidecar for values that entries commit to.
pub(crate) const SIDECAR: &str = "sidecar";
/// The field with the name of whom an entry is on. Every other one is about who acts.
pub(crate) const NAME: &str = "name";

/// Something larger than an entry holds, under the hash by which the entry names it.
pub(crate) type Blob = ([u8; 32], Vec<u8>);

/// Something to be logged, before its ticket is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Drawn when the entry is written, unless something else has to name it before.
    pub(crate) id: Option<EntryId>,
    pub(crate) kind: Kind,
    pub(crate) act: &'static str,
    pub(crate) decision: Option<entry::Decision>,
    /// Of a denial: the hash of who asked what of what. It is not in the entry.
    pub(crate) asked: Option<[u8; 32]>,
    pub(crate) subject: BTreeMap<String, String>,
    pub(crate) detail: BTreeMap<String, String>,
    pub(crate) private: Vec<Private>,
    pub(crate) state: Vec<Change>,
}

/// A value that may have to be erased: the entry commits to it, the sidecar holds it sealed.
#[derive(Debug, Clone)]
pub(crate) struct Private {
    pub(crate) field: &'static str,
    pub(crate) value: String,
    pub(crate) salt: [u8; 32],
    /// Whom it is about; none: whoever acts.
    pub(crate) of: Option<PrincipalId>,
}

/// Who is behind an event, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By {
    pub(crate) principal: PrincipalId,
    pub(crate) auth: entry::AuthMethod,
    pub(crate) at: Timestamp,
}

impl By {
    /// The principal of a session.
    pub(crate) fn session(session: &Session, at: Timestamp) -> Self {
        let auth = match session.method {
            AuthMethod::Asserted => entry::AuthMethod::Asserted,
            AuthMethod::Mtls => entry::AuthMethod::Mtls,
            AuthMethod::Oidc => entry::AuthMethod::Oidc,
            AuthMethod::Passkey => entry::AuthMethod::Passkey,
        };
        Self { principal: session.principal, auth, at }
    }
}

/// An entry that stands in the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) id: EntryId,
    pub(crate) leaf: Hash,
}

impl Event {
    /// An event; its id is drawn when it is written unless one was set before.
    pub(crate) fn new(kind: Kind, act: &'static str) -> Self {
        Self {
            id: None,
            kind,
            act,
            decision: None,
            asked: None,
            subject: BTreeMap::new(),
            detail: BTreeMap::new(),
            private: Vec::new(),
            state: Vec::new(),
        }
    }

    /// With an id or digest of what was acted on.
    #[must_use]
    pub(crate) fn on(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.subject.insert(name.to_owned(), value.to_string());
        self
    }

    /// With a parameter that is neither personal nor secret.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.detail.insert(name.to_owned(), value.to_string());
        self
    }

    /// With rows that the transaction writes.
    #[must_use]
    pub(crate) fn changing(mut self, changes: Vec<Change>) -> Self {
        self.state.extend(changes);
        self
    }

    /// With a value that only the sidecar holds, and that goes with whoever acts.
    pub(crate) fn hiding(mut self, field: &'static str, value: &str) -> Result<Self> {
        self.private.push(Private { field, value: value.to_owned(), salt: system::random()?, of: None });
        Ok(self)
    }

    /// The same of a value about somebody else: the name of whoever the entry is on.
    pub(crate) fn naming(mut self, of: PrincipalId, value: &str) -> Result<Self> {
        self.private.push(Private { field: NAME, value: value.to_owned(), salt: system::random()?, of: Some(of) });
        Ok(self)
    }

    /// The entry's bytes under a ticket.
    fn entry(&self, engine: &Engine, by: &By, id: EntryId, ticket: i64) -> Result<Vec<u8>> {
        let commitments = self.private.iter().map(|p| (p.field.to_owned(), p.commitment())).collect();
        let state = |change: &Change| StateChange {
            table: change.table.to_owned(),
            id: change.id.to_vec(),
            commitment: change.commitment.map(Hash::from_bytes),
        };
        let entry = entry::Entry {
            vault: Id(*engine.vault.as_bytes()),
            log: LOG_NUMBER,
            id: Id(*id.as_bytes()),
            ticket: u64::try_from(ticket).map_err(|_| Error::Internal("a ticket below zero"))?,
            kind: self.kind,
            time: by.at.to_string(),
            auth: by.auth,
            principal: Id(*by.principal.as_bytes()),
            act: self.act.to_owned(),
            decision: self.decision.clone(),
            subject: self.subject.clone(),
            detail: self.detail.clone(),
            commitments,
            state: self.state.iter().map(state).collect(),
        };
        entry.encode().map_err(|error| Error::bad("the log entry", error.to_string()))
    }
}

impl Private {
    /// SHA-256(LP("strongroom/v1/commitment", field, salt) || value after a u32).
    fn commitment(&self) -> Hash {
        let mut bytes = hash::lp(&[b"strongroom/v1/commitment", self.field.as_bytes(), &self.salt]);
        hash::push_long(&mut bytes, self.value.as_bytes());
        Hash::from_bytes(hash::sha256(&bytes))
    }
}

impl Engine {
    /// Writes events as entries of the transaction, in their order. Nothing happens that is not written here first. A denial in a
    /// burst is counted instead, and has no entry.
    pub(crate) fn log(&self, tx: &mut dyn Transaction, ticket: i64, by: &By, events: &[Event]) -> Result<Vec<Logged>> {
        let items: Vec<(&By, &Event)> = events.iter().map(|event| (by, event)).collect();
        Ok(self.log_all(tx, ticket, &items)?.into_iter().flatten().collect())
    }

    /// The same for events of several principals, as a batch of releases has.
    pub(crate) fn log_all(
        &self,
        tx: &mut dyn Transaction,
        ticket: i64,
        events: &[(&By, &Event)],
    ) -> Result<Vec<Option<Logged>>> {
        let mut bursts = Bursts::default();
        let mut own = Vec::with_capacity(events.len());
        let mut places = Vec::with_capacity(events.len());
        for (by, event) in events {
            let place = match event.kind {
                Kind::Denial => bursts.take(self, tx, by, event)?,
                _ => Share::Entry,
            };
            own.extend((place == Share::Entry).then_some((*by, *event)));
            places.push(place);
        }
        let closed = bursts.settle(self, tx, ticket)?;
        own.extend(closed.iter().map(|(by, event)| (by, event)));
        let mut logged = self.append(tx, ticket, &own)?.into_iter();
        Ok(places.into_iter().map(|place| if place == Share::Entry { logged.next() } else { None }).collect())
    }

    /// Writes entries, bursts or not.
    pub(crate) fn append(
        &self,
        tx: &mut dyn Transaction,
        ticket: i64,
        events: &[(&By, &Event)],
    ) -> Result<Vec<Logged>> {
        if let Some(why) = self.read_only.get() {
            return Err(Error::ReadOnly(why.clone()));
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut encoded = Vec::with_capacity(events.len());
        let mut people = BTreeMap::new();
        for (by, event) in events {
            let id = match event.id {
                Some(id) => id,
                None => EntryId::from_bytes(system::random()?),
            };
            encoded.push((id, event.entry(self, by, id, ticket)?));
            self.hide(tx, id, by.principal, &event.private, &mut people)?;
        }
        ledger::append(tx, &self.keys.entry_mac, ticket, &encoded)?;
        self.appended.fetch_add(encoded.len() as u64, Ordering::Relaxed);
        Ok(encoded.iter().map(|(id, bytes)| Logged { id: *id, leaf: tree::leaf(bytes) }).collect())
    }

    /// The keeper's word that an entry is in the log, given after its commit. From here on the entry is missed if it is deleted.
    pub(crate) fn receipt(&self, logged: &Logged) -> Result<Receipt> {
        self.ledger.owe(logged.id, logged.leaf);
        let leaf = logged.leaf;
        let message =
            hash::lp(&[b"strongroom/v1/receipt", self.vault.as_bytes(), logged.id.as_bytes(), leaf.as_bytes()]);
        let signature =
            self.keys.release.sign(&message).map_err(|_| Error::Internal("a receipt could not be signed"))?;
        Ok(Receipt { entry: logged.id, leaf: leaf.to_string(), log_index: None, signature: signature.to_vec() })
    }

    /// The same after the entry is in the tree and the anchor has moved, with its index. A keeper that stays open brings it there
    /// when the session ends.
    pub(crate) fn settled(&self, logged: &Logged) -> Result<Receipt> {
        let receipt = self.receipt(logged)?;
        if self.stays.load(Ordering::Relaxed) {
            return Ok(receipt);
        }
        match self.integrate() {
            // The entry is safe: another process integrates it, or the next command does.
            Err(Error::Log { code: api::terms::Code::Busy, .. }) => return Ok(receipt),
            other => other?,
        }
        let log_index = self.ledger.index_of(&logged.id, &logged.leaf)?;
        Ok(Receipt { log_index, ..receipt })
    }

    /// The same where nothing may leave before the entry is in the tree and the anchor has moved: a log that is busy, or from which
    /// the entry is kept away, is a refusal.
    pub(crate) fn anchored(&self, logged: &Logged) -> Result<Receipt> {
        let receipt = self.receipt(logged)?;
        self.integrate()?;
        match self.ledger.index_of(&logged.id, &logged.leaf)? {
            Some(index) => Ok(Receipt { log_index: Some(index), ..receipt }),
            None => Err(Error::Log {
                code: api::terms::Code::Integrity,
                why: format!("entry {} was acknowledged, and is kept out of the tree", logged.id),
            }),
        }
    }

    /// Brings everything committed into the tree.
    pub(crate) fn integrate(&self) -> Result<()> {
        self.integrated().map(drop)
    }

    /// The same, and the head that holds it.
    pub(crate) fn integrated(&self) -> Result<SignedHead> {
        // A count that was edited is an error, but keeps nothing else out of the tree.
        let bursts = self.close_bursts();
        let appended = self.appended.load(Ordering::Relaxed);
        match self.ledger.integrate(self.now()?.as_millis() / 1000) {
            Ok(head) => {
                // What was written meanwhile may have come too late for this pass.
                let left = |now: u64| Some(now.saturating_sub(appended));
                let _ = self.appended.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
                bursts.map(|()| head)
            }
            Err(ledger::Error::ReadOnly(why)) => {
                let why = self.read_only.get_or_init(|| why);
                Err(Error::ReadOnly(why.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Integrates when much is pending: a keeper that runs for long must not leave it all to its end.
    pub(crate) fn integrate_if_due(&self) -> Result<()> {
        if self.appended.load(Ordering::Relaxed) < INTEGRATE_EVERY {
            return Ok(());
        }
        match self.integrate() {
            Err(Error::Log { code: api::terms::Code::Busy, .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts private values into the sidecar, each under the key of whom it is about.
    fn hide(
        &self,
        tx: &mut dyn Transaction,
        owner: EntryId,
        by: PrincipalId,
        private: &[Private],
        people: &mut BTreeMap<PrincipalId, Personal>,
    ) -> Result<()> {
        for Private { field, value, salt, of } in private {
            let of = of.unwrap_or(by);
            let personal = match people.entry(of) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(subject::acting(self, tx, of)?),
            };
            let place = Place::once(SIDECAR, field, owner.as_bytes());
            let text = serde_json::json!({ "salt": hex::encode(salt), "value": value }).to_string();
            let SealedText(sealed) = personal.seal(place, &text)?;
            tx.query(
                "INSERT INTO sidecar (owner, field, subject, sealed) VALUES ($1, $2, $3, $4)",
                &[owner.as_bytes().into(), (*field).into(), of.as_bytes().into(), sealed.as_bytes().into()],
            )?;
        }
        Ok(())
    }

    /// Keeps what replays a decision, beside the entry that names it, sealed under the key of who asked.
    pub(crate) fn keep(&self, tx: &mut dyn Transaction, ticket: i64, verdict: &Verdict) -> Result<()> {
        let personal = subject::acting(self, tx, verdict.principal)?;
        self.keep_all(tx, ticket, &[&verdict.blob(&personal)?])
    }

    /// The same of many decisions. Rows in order of tickets are appended; content addresses alone would scatter each batch over
    /// the whole table.
    pub(crate) fn keep_all(&self, tx: &mut dyn Transaction, ticket: i64, blobs: &[&Blob]) -> Result<()> {
        in_sizes(blobs, |page| {
            let values: Vec<Value<'_>> =
                page.iter().flat_map(|(hash, bytes)| [ticket.into(), hash.into(), bytes.into()]).collect();
            let sql = format!(
                "INSERT INTO cas (ticket, hash, bytes) VALUES {} ON CONFLICT (ticket, hash) DO NOTHING",
                tuples(page.len(), 3)
            );
            tx.query(&sql, &values)?;
            Ok(())
        })
    }
}

/// Pages of 64, 8 and 1: a handful of statement texts serve every batch.
pub(crate) fn in_sizes<T>(items: &[T], mut each: impl FnMut(&[T]) -> Result<()>) -> Result<()> {
    let mut rest = items;
    for size in [64, 8, 1] {
        while let Some((page, tail)) = rest.split_at_checked(size) {
            each(page)?;
            rest = tail;
        }
    }
    Ok(())
}
