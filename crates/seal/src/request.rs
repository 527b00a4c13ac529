//! Release requests: what a client asks for, signed by its session key (`spec/keys.md#requests`).

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::hpke::{self, OneTimeKey};
use crate::label::Label;
use crate::sign::{Invalid, SIGNATURE_LEN, Signature, SigningKey, VerifyingKey};
use crate::{Fault, Id, Suite, derive, entropy, hash};

/// Most versions in one request.
pub const MAX_VERSIONS: usize = 64;
/// Longest signed request, in bytes.
pub const MAX_LEN: usize = 4_096;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The vault.
    pub vault: Id,
    /// Who asks.
    pub principal: Id,
    /// In which session; its key signs.
    pub session: Id,
    /// Number of the action.
    pub action: u8,
    /// Which versions, 1 to 64, none twice.
    pub versions: Vec<Id>,
    /// SHA-256 of the command that goes with the request (reason, flags), or zeros if there is none.
    pub command: [u8; 32],
    /// Algorithms of the envelope that answers, and of every version asked for.
    pub suite: Suite,
    /// SHA-256 of the one-time public key.
    pub public_key_hash: [u8; 32],
    /// 16 random bytes: no request is like another.
    pub nonce: [u8; 16],
    /// Milliseconds since 1970.
    pub time_ms: u64,
}

/// A request with its one-time public key and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    request: Request,
    public_key: Box<[u8]>,
    signature: Signature,
}

/// A request that was not made or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Not signed by this session's key.
    #[error("the request is not signed by the session's key")]
    Signature,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// The signer refused.
    #[error(transparent)]
    Signer(#[from] derive::Failed),
}

impl From<Invalid> for Error {
    fn from(_: Invalid) -> Self {
        Self::Signature
    }
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed(_) | Self::Signature => Fault::Hostile,
            Self::Entropy(error) => error.fault(),
            Self::Signer(error) => error.fault(),
        }
    }
}

/// Who asks for what, before a one-time key and a nonce are added.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The vault.
    pub vault: &'a Id,
    /// Who asks.
    pub principal: &'a Id,
    /// In which session.
    pub session: &'a Id,
    /// Number of the action.
    pub action: u8,
    /// Which versions, 1 to 64, none twice.
    pub versions: &'a [Id],
    /// SHA-256 of the accompanying command, or zeros.
    pub command: &'a [u8; 32],
    /// Milliseconds since 1970.
    pub time_ms: u64,
}

impl SignedRequest {
    /// Makes and signs a request for an envelope to `key`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for no version, too many, or one twice; [`Error::Entropy`].
    pub fn sign(ask: &Ask<'_>, key: &OneTimeKey, session: &SigningKey) -> Result<Self, Error> {
        let request = Request {
            vault: *ask.vault,
            principal: *ask.principal,
            session: *ask.session,
            action: ask.action,
            versions: ask.versions.to_vec(),
            command: *ask.command,
            suite: key.suite(),
            public_key_hash: hash::sha256(&[key.public()]),
            nonce: entropy::array()?,
            time_ms: ask.time_ms,
        };
        request.check()?;
        let signature = session.sign(&request.write())?;
        Ok(Self { request, public_key: key.public().into(), signature })
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(MAX_LEN);
        writer.array(3).raw(&self.request.write()).bytes(&self.public_key).bytes(&self.signature);
        writer.into_bytes()
    }

    /// Reads a request. What it says is not proven before [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Malformed("request: too long").into());
        }
        let mut reader = Reader::new(bytes);
        reader.array(3, "request: array of 3")?;
        let request = Request::read(&mut reader)?;
        let len = hpke::public_key_len(request.suite);
        let public_key: Box<[u8]> = reader.bytes(len, "request: public key")?.into();
        let signature = reader.fixed::<SIGNATURE_LEN>("request: signature")?;
        reader.end()?;
        request.check()?;
        if public_key.len() != len || hash::sha256(&[&public_key]) != request.public_key_hash {
            return Err(Malformed("request: another public key").into());
        }
        let signed = Self { request, public_key, signature };
        same(bytes, &signed.encode())?;
        Ok(signed)
    }

    /// What was asked, if the session's key signed it.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, session: &VerifyingKey) -> Result<&Request, Error> {
        session.verify(&self.request.write(), &self.signature)?;
        Ok(&self.request)
    }

    /// What the bytes say, unproven: to look up the session whose key verifies them.
    pub fn unverified(&self) -> &Request {
        &self.request
    }

    /// SHA-256 of what was signed: an envelope answers exactly this.
    pub fn hash(&self) -> [u8; 32] {
        hash::sha256(&[&self.request.write()])
    }

    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

impl Request {
    fn check(&self) -> Result<(), Malformed> {
        if !(1..=MAX_VERSIONS).contains(&self.versions.len()) {
            return Err(Malformed("request: 1 to 64 versions"));
        }
        let mut sorted = self.versions.clone();
        sorted.sort_unstable();
        if sorted.array_windows().any(|[a, b]| a == b) {
            return Err(Malformed("request: the same version twice"));
        }
        Ok(())
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(2_048);
        writer.array(11).text(Label::Request.text());
        writer.bytes(&self.vault).bytes(&self.principal).bytes(&self.session).uint(self.action.into());
        writer.array(self.versions.len());
        for version in &self.versions {
            writer.bytes(version);
        }
        writer.bytes(&self.command).uint(self.suite.number().into()).bytes(&self.public_key_hash);
        writer.bytes(&self.nonce).uint(self.time_ms);
        writer.into_bytes()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array(11, "request: array of 11")?;
        reader.text(Label::Request.text(), "request: label")?;
        let vault = reader.fixed("request: vault")?;
        let principal = reader.fixed("request: principal")?;
        let session = reader.fixed("request: session")?;
        let action = reader.byte_up_to(u8::MAX, "request: action")?;
        let count = reader.array_up_to(MAX_VERSIONS, "request: 1 to 64 versions")?;
        let versions = (0..count).map(|_| reader.fixed("request: version")).collect::<Result<_, _>>()?;
        let command = reader.fixed("request: command")?;
        let suite = reader.u16("request: suite")?;
        let suite = Suite::from_number(suite).map_err(|_| Malformed("request: suite"))?;
        Ok(Self {
            vault,
            principal,
            session,
            action,
            versions,
            command,
            suite,
            public_key_hash: reader.fixed("request: public key hash")?,
            nonce: reader.fixed("request: nonce")?,
            time_ms: reader.uint("request: time")?,
        })
    }
}
