//! A client's end of a session: signs what it asks for, checks what it is given.
//!
//! Nothing that the keeper answers is used before the envelope's signature verifies under the pinned release key, for exactly the
//! request that was sent, and names the digest of exactly the version record that came with it.

use crate::connection::Connection;
use api::terms::{Action, Code, VersionId};
use api::wire::{Answer, Command, Problem, Release, VersionItem};
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

    /// A signed request for keys of one version, and the one-time key that opens the answer.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn sign(&self, action: Action, version: VersionId) -> Result<(SignedRequest, OneTimeKey), Problem> {
        let failed = |why: String| Problem::new(Code::Internal, "cannot sign a request", why);
        let one_time = OneTimeKey::generate().map_err(|e| failed(e.to_string()))?;
        let (principal, session) = (self.connection.principal(), self.connection.session());
        let ask = Ask {
            vault: self.connection.info().vault.as_bytes(),
            principal: principal.as_bytes(),
            session: session.as_bytes(),
            action: action.number(),
            versions: &[*version.as_bytes()],
            command: &[0; 32],
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
        let (request, one_time) = self.sign(action, item.id)?;
        let answer = self.call(Command::Release(Release {
            reference: item.reference.clone(),
            action,
            request: request.encode(),
            reason: why.reason.clone(),
            confirm: why.confirm.clone(),
        }))?;
        let Answer::Released(released) = answer else { return Err(unexpected(&answer)) };
        let (keys, digest) = self.open(&released.envelope, &request, one_time, item.id)?;
        let refused =
            |why: &str| Problem::new(Code::BadSignature, format!("cannot trust the keys of {}", item.reference), why);
        let digest = digest.ok_or_else(|| refused("the envelope names no version digest"))?;
        if digest_of(&released.record) != digest || released.version.id != item.id {
            return Err(refused("the version record is not the one that the envelope names"));
        }
        let record = VersionRecord::decode(&released.record).map_err(|e| {
            Problem::new(Code::Integrity, format!("cannot read the record of {}", item.reference), e.to_string())
        })?;
        if record.version != *item.id.as_bytes() || record.vault != *self.connection.info().vault.as_bytes() {
            return Err(refused("the version record is of another version"));
        }
        Ok(Grant { version: released.version, record, keys, release: released.release })
    }

    /// Opens an envelope that answers `request` and holds the keys of `version`.
    ///
    /// # Errors
    /// `bad-signature` for an envelope that the keeper did not sign for exactly this request, or that is over.
    pub fn open(
        &self,
        sealed: &[u8],
        request: &SignedRequest,
        one_time: OneTimeKey,
        version: VersionId,
    ) -> Result<(Keys, Option<[u8; 32]>), Problem> {
        let refused = |why: String| Problem::new(Code::BadSignature, "the keeper's answer does not hold", why);
        let opened =
            envelope::open(sealed, request, one_time, &self.release_key).map_err(|e| refused(e.to_string()))?;
        if opened.release.expiry_ms <= crate::system::now().as_millis() {
            return Err(refused("the envelope is past its time".to_owned()));
        }
        let named = opened.release.versions.iter().find(|(id, _)| id == version.as_bytes());
        let Some((_, digest)) = named else { return Err(refused("the envelope is for another version".to_owned())) };
        let (mut list, mut map) = (None, None);
        for key in opened.keys.into_iter().filter(|key| key.version == *version.as_bytes()) {
            match key.key {
                Key::List(key) => list = Some(key),
                Key::Map(key) => map = Some(key),
            }
        }
        let list = list.ok_or_else(|| refused("the envelope holds no list key".to_owned()))?;
        Ok((Keys { list, map }, *digest))
    }
}

/// An answer of another kind than was asked for.
pub(crate) fn unexpected(answer: &Answer) -> Problem {
    let kind =
        serde_json::to_value(answer).ok().and_then(|v| v.get("answer").map(ToString::to_string)).unwrap_or_default();
    Problem::new(Code::Internal, "the keeper answered something else", format!("an answer of kind {kind}"))
}
