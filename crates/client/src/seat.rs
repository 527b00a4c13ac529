//! A client's end of a session: signs what it asks for, checks what it is given.
//!
//! Nothing that the keeper answers is used before the envelope's signature verifies under the pinned release key, for exactly the
//! request that was sent, and names the digest of exactly the version record that came with it.

use crate::connection::Connection;
use api::terms::{Action, Code, RunId, Suite, VersionId};
use api::wire::{Answer, Command, Problem, Release, Released, VersionItem};
use seal::envelope::{self, Key};
use seal::hpke::OneTimeKey;
use seal::record::{VersionRecord, digest_of};
use seal::request::{Ask, SignedRequest};
use seal::secret::{ListKey, MapKey, SigningSeed};
use seal::sign::{SigningKey, VerifyingKey};

/// The signing key of this process.
#[derive(Debug)]
pub struct SessionKey(SigningKey);

impl SessionKey {
    /// A fresh one.
    ///
    /// # Errors
    /// `unavailable` when the operating system gives no randomness.
    pub fn generate() -> Result<Self, Problem> {
        let failed = |why: String| Problem::new(Code::Unavailable, "cannot make a session key", why);
        let seed = SigningSeed::generate().map_err(|e| failed(e.to_string()))?;
        SigningKey::from_seed(&seed).map(Self).map_err(|e| failed(e.to_string()))
    }

    /// Its public half.
    pub fn public(&self) -> [u8; 32] {
        *self.0.verifying_key().as_bytes()
    }
}

/// The suite as the sealed format knows it.
pub(crate) const fn sealed(suite: Suite) -> seal::Suite {
    match suite {
        Suite::Default => seal::Suite::Default,
        Suite::Nist => seal::Suite::Nist,
    }
}

/// A session and its key.
#[derive(Debug)]
pub struct Seat {
    connection: Box<dyn Connection>,
    key: SessionKey,
    release_key: VerifyingKey,
}

/// Keys of one version.
#[derive(Debug)]
pub struct Keys {
    /// Opens the list.
    pub list: ListKey,
    /// Opens the map, if the action allows that.
    pub map: Option<MapKey>,
}

/// A version that may be opened.
#[derive(Debug)]
pub struct Grant {
    /// What the keeper says of it.
    pub version: VersionItem,
    /// What the envelope's signature binds it to.
    pub record: VersionRecord,
    /// Its keys.
    pub keys: Keys,
    /// The release in the log.
    pub release: api::terms::ReleaseId,
}

/// A reference and why it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Why {
    /// A reason, for restricted data.
    pub reason: Option<String>,
    /// The artifact again, for restricted data in a solo vault.
    pub confirm: Option<String>,
}

impl Seat {
    /// Pins the release key that the connection was enrolled with.
    ///
    /// # Errors
    /// `bad-signature` if it is no key.
    pub fn new(connection: Box<dyn Connection>, key: SessionKey) -> Result<Self, Problem> {
        let bytes = connection.info().release_key.as_slice().try_into();
        let bytes = bytes
            .map_err(|_| Problem::new(Code::BadSignature, "cannot trust the keeper", "its release key is no key"))?;
        Ok(Self { connection, key, release_key: VerifyingKey::from_bytes(bytes) })
    }

    /// The way to the keeper.
    pub fn connection(&self) -> &dyn Connection {
        &*self.connection
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the log cannot be integrated now.
    pub fn close(self) -> Result<(), Problem> {
        self.connection.close()
    }

    /// Answers one command.
    ///
    /// # Errors
    /// The keeper's refusal.
    pub fn call(&self, command: Command) -> Result<Answer, Problem> {
        self.connection.call(command)
    }

    /// A signed request for keys of one version, and the one-time key that opens the answer. The request covers the command that will
    /// carry it (its own place in it empty), so nobody on the way can change a reason or a place. The answer comes under this suite, and
    /// whatever is written then is sealed with it: what the keeper says on the way is believed for that no further.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn sign(
        &self,
        suite: Suite,
        action: Action,
        versions: &[VersionId],
        command: &Command,
    ) -> Result<(SignedRequest, OneTimeKey), Problem> {
        let failed = |why: String| Problem::new(Code::Internal, "cannot sign a request", why);
        let one_time = OneTimeKey::generate(sealed(suite)).map_err(|e| failed(e.to_string()))?;
        let (principal, session) = (self.connection.principal(), self.connection.session());
        let ask = Ask {
            vault: self.connection.info().vault.as_bytes(),
            principal: principal.as_bytes(),
            session: session.as_bytes(),
            action: action.number(),
            versions: &versions.iter().map(|version| *version.as_bytes()).collect::<Vec<_>>(),
            command: &hash_of(command)?,
            time_ms: crate::system::now().as_millis(),
        };
        let request = SignedRequest::sign(&ask, &one_time, &self.key.0).map_err(|e| failed(e.to_string()))?;
        Ok((request, one_time))
    }

    /// The metadata of the version that a reference names.
    ///
    /// # Errors
    /// `not-found`, `denied`.
    pub fn show(&self, reference: &str) -> Result<VersionItem, Problem> {
        match self.call(Command::Show { reference: reference.to_owned() })? {
            Answer::Version(item) => Ok(*item),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks for the keys of the version that a reference names, under a decision and in the log.
    ///
    /// # Errors
    /// `denied` with reasons; `bad-signature` or `integrity` for an answer that does not hold.
    pub fn release(&self, reference: &str, action: Action, why: &Why) -> Result<Grant, Problem> {
        let item = self.show(reference)?;
        self.release_item(&item, action, why)
    }

    /// As [`Self::release`], for a version that was shown.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub fn release_item(&self, item: &VersionItem, action: Action, why: &Why) -> Result<Grant, Problem> {
        self.released(item, action, why, None, &[])
    }

    /// Asks for the keys of an input of a run, to read it.
    ///
    /// # Errors
    /// As [`Self::release`]; `bad-request` for what is no input of it; `conflict` if it is over.
    pub fn release_input(&self, item: &VersionItem, why: &Why, run: RunId) -> Result<Grant, Problem> {
        self.released(item, Action::Read, why, Some(run), &[])
    }

    /// Asks for the keys of a version, to export it for others. The purpose is the reason.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub fn release_to_share(&self, item: &VersionItem, why: &Why, with: &[String]) -> Result<Grant, Problem> {
        self.released(item, Action::Export, why, None, with)
    }

    fn released(
        &self,
        item: &VersionItem,
        action: Action,
        why: &Why,
        run: Option<RunId>,
        shared_with: &[String],
    ) -> Result<Grant, Problem> {
        let release = Release {
            reference: item.reference.clone(),
            action,
            request: Vec::new(),
            reason: why.reason.clone(),
            confirm: why.confirm.clone(),
            run,
            shared_with: shared_with.to_vec(),
        };
        match self.released_as(item.suite, item.id, release.clone()) {
            // Sealed anew since it was shown: under the suite that it has now, once.
            Err(Problem { suite: Some(suite), .. }) if suite != item.suite => self.released_as(suite, item.id, release),
            other => other,
        }
    }

    fn released_as(&self, suite: Suite, version: VersionId, mut release: Release) -> Result<Grant, Problem> {
        let (request, one_time) = self.sign(suite, release.action, &[version], &Command::Release(release.clone()))?;
        release.request = request.encode();
        let answer = self.call(Command::Release(release))?;
        let Answer::Released(released) = answer else { return Err(unexpected(&answer)) };
        let envelope = self.open(&released.envelope, &request, one_time)?;
        self.grant(*released, envelope)
    }

    /// Joins a release with its keys from an opened envelope.
    ///
    /// # Errors
    /// `bad-signature` unless the envelope names exactly the record that came with it; `integrity` for a record that is none.
    pub fn grant(&self, released: Released, envelope: Envelope) -> Result<Grant, Problem> {
        let Released { version, record, release, .. } = released;
        let refused = |why: &str| {
            Problem::new(Code::BadSignature, format!("cannot trust the keys of {}", version.reference), why)
        };
        let (keys, digest) = envelope.take(version.id)?;
        let digest = digest.ok_or_else(|| refused("the envelope names no version digest"))?;
        if digest_of(&record) != digest {
            return Err(refused("the version record is not the one that the envelope names"));
        }
        let record = VersionRecord::decode(&record).map_err(|e| {
            Problem::new(Code::Integrity, format!("cannot read the record of {}", version.reference), e.to_string())
        })?;
        if record.suite != sealed(version.suite) {
            return Err(refused("the version record is of another suite"));
        }
        if record.version != *version.id.as_bytes() || record.vault != *self.connection.info().vault.as_bytes() {
            return Err(refused("the version record is of another version"));
        }
        Ok(Grant { version, record, keys, release })
    }

    /// Opens an envelope that answers `request`.
    ///
    /// # Errors
    /// `bad-signature` for an envelope that the keeper did not sign for exactly this request, or that is over.
    pub fn open(&self, sealed: &[u8], request: &SignedRequest, one_time: OneTimeKey) -> Result<Envelope, Problem> {
        let opened =
            envelope::open(sealed, request, one_time, &self.release_key).map_err(|e| untrusted(e.to_string()))?;
        if opened.release.expiry_ms <= crate::system::now().as_millis() {
            return Err(untrusted("the envelope is past its time".to_owned()));
        }
        Ok(Envelope(opened))
    }
}

/// An envelope whose signature was verified.
#[derive(Debug)]
pub struct Envelope(envelope::Opened);

impl Envelope {
    /// The keys of one version and its digest; none before it is committed.
    ///
    /// # Errors
    /// `bad-signature` if the envelope is not for this version.
    pub fn take(mut self, version: VersionId) -> Result<(Keys, Option<[u8; 32]>), Problem> {
        self.split(version)
    }

    /// As [`Self::take`], leaving the keys of other versions.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn split(&mut self, version: VersionId) -> Result<(Keys, Option<[u8; 32]>), Problem> {
        let named = self.0.release.versions.iter().find(|(id, _)| id == version.as_bytes());
        let Some((_, digest)) = named else { return Err(untrusted("the envelope is for another version".to_owned())) };
        let (mut list, mut map) = (None, None);
        for key in self.0.keys.extract_if(.., |key| key.version == *version.as_bytes()) {
            match key.key {
                Key::List(key) => list = Some(key),
                Key::Map(key) => map = Some(key),
            }
        }
        let list = list.ok_or_else(|| untrusted("the envelope holds no list key".to_owned()))?;
        Ok((Keys { list, map }, *digest))
    }
}

fn untrusted(why: String) -> Problem {
    Problem::new(Code::BadSignature, "the keeper's answer does not hold", why)
}

/// SHA-256 of a command's canonical JSON.
fn hash_of(command: &Command) -> Result<[u8; 32], Problem> {
    let failed = |why: String| Problem::new(Code::Internal, "cannot sign a request", why);
    let value = serde_json::to_value(command).map_err(|e| failed(e.to_string()))?;
    // Any bytes have this digest; the name says what it is mostly used for.
    Ok(digest_of(&log::jcs::to_vec(&value).map_err(|e| failed(e.to_string()))?))
}

/// An answer of another kind than was asked for.
pub(crate) fn unexpected(answer: &Answer) -> Problem {
    let kind =
        serde_json::to_value(answer).ok().and_then(|v| v.get("answer").map(ToString::to_string)).unwrap_or_default();
    Problem::new(Code::Internal, "the keeper answered something else", format!("an answer of kind {kind}"))
}
