//! Envelopes: keys on their way from the keeper to one client (`spec/keys.md#envelopes`).

use zeroize::Zeroizing;

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::hpke::{self, OneTimeKey};
use crate::label::{Context, Label};
use crate::record::VersionDigest;
use crate::request::{MAX_VERSIONS, SignedRequest};
use crate::secret::{ListKey, MapKey};
use crate::sign::{SIGNATURE_LEN, SigningKey, VerifyingKey};
use crate::{Fault, Id, Suite, derive};

/// Most keys in one envelope: a list key and a map key for each version.
pub const MAX_KEYS: usize = 2 * MAX_VERSIONS;
/// Longest payload, in bytes.
pub const MAX_PAYLOAD_LEN: usize = 8_192;
/// Longest envelope, in bytes.
pub const MAX_LEN: usize = 16_384;

/// What an envelope says in the clear, under its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its id, as the log names it.
    pub id: Id,
    /// The versions whose keys are inside, with their version digests; none before a version is committed.
    pub versions: Vec<(Id, Option<VersionDigest>)>,
    /// When the lease ends, in milliseconds since 1970. The holder of a clock checks it.
    pub expiry_ms: u64,
}

/// A key and what it opens.
#[derive(Debug)]
pub enum Key {
    /// Opens a list.
    List(ListKey),
    /// Opens a map.
    Map(MapKey),
}

/// A key of one version.
#[derive(Debug)]
pub struct ReleasedKey {
    /// The version.
    pub version: Id,
    /// The key.
    pub key: Key,
}

/// An envelope that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What it said in the clear.
    pub release: Release,
    /// The keys.
    pub keys: Vec<ReleasedKey>,
}

/// An envelope that was not made or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an envelope.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Not the keeper's answer to this request, or damaged; which, nobody learns.
    #[error("the envelope is not the keeper's answer to this request")]
    Authentication,
    /// The release names what was not asked for, or carries a key it does not name.
    #[error("the release does not match the request")]
    Mismatch,
    /// The one-time public key does not work.
    #[error(transparent)]
    Exchange(#[from] hpke::Failed),
    /// The signer refused.
    #[error(transparent)]
    Signer(#[from] derive::Failed),
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed(_) | Self::Authentication | Self::Exchange(_) => Fault::Hostile,
            Self::Mismatch => Fault::Misuse,
            Self::Signer(error) => error.fault(),
        }
    }
}

/// Seals `keys` for the sender of `request` and signs the envelope. The request must have been verified.
///
/// # Errors
/// [`Error::Mismatch`] when the release names a version that was not asked for, or a key belongs to a version that the release does
/// not name; [`Error::Exchange`] when the one-time public key is no key.
pub fn seal(
    request: &SignedRequest,
    release: &Release,
    keys: &[ReleasedKey],
    release_key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    check(request, release, keys)?;
    let request_hash = request.hash();
    let header = release.write();
    let payload = write_payload(keys);
    let suite = request.unverified().suite;
    let info = info(suite, &request_hash);
    let (enc, ciphertext) = hpke::seal(suite, request.public_key(), &info, &header, &payload)?;
    let signature = release_key.sign(&signed(suite, &request_hash, &header, &enc, &ciphertext))?;
    Ok(write(suite, &header, &enc, &ciphertext, &signature))
}

/// Opens the keeper's answer to `request`. The one-time key is used up, so an envelope opens once.
///
/// The caller, who has a clock, compares [`Release::expiry_ms`], and a reader compares the version digests with the records.
///
/// # Errors
/// [`Error::Malformed`]; [`Error::Authentication`] for an envelope that `release_key` did not sign for exactly this request.
pub fn open(
    envelope: &[u8],
    request: &SignedRequest,
    key: OneTimeKey,
    release_key: &VerifyingKey,
) -> Result<Opened, Error> {
    if envelope.len() > MAX_LEN {
        return Err(Malformed("envelope: too long").into());
    }
    let mut reader = Reader::new(envelope);
    reader.array(5, "envelope: array of 5")?;
    let suite = reader.u16("envelope: suite")?;
    let suite = Suite::from_number(suite).map_err(|_| Malformed("envelope: suite"))?;
    let release = Release::read(&mut reader)?;
    let enc = reader.bytes(hpke::enc_len(suite), "envelope: encapsulated key")?;
    let ciphertext = reader.bytes(MAX_PAYLOAD_LEN + 16, "envelope: ciphertext")?;
    let signature = reader.fixed::<SIGNATURE_LEN>("envelope: signature")?;
    reader.end()?;
    let header = release.write();
    same(envelope, &write(suite, &header, enc, ciphertext, &signature))?;
    // What was asked for under one suite is not answered under another, whoever signs it.
    if suite != request.unverified().suite || suite != key.suite() {
        return Err(Error::Authentication);
    }
    let request_hash = request.hash();
    let message = signed(suite, &request_hash, &header, enc, ciphertext);
    release_key.verify(&message, &signature).map_err(|_| Error::Authentication)?;
    let payload =
        hpke::open(&key, enc, &info(suite, &request_hash), &header, ciphertext).map_err(|_| Error::Authentication)?;
    let keys = read_payload(&payload)?;
    check(request, &release, &keys)?;
    Ok(Opened { release, keys })
}

fn check(request: &SignedRequest, release: &Release, keys: &[ReleasedKey]) -> Result<(), Error> {
    let asked = &request.unverified().versions;
    let mut named: Vec<&Id> = release.versions.iter().map(|(version, _)| version).collect();
    let known = named.iter().all(|version| asked.contains(version));
    named.sort_unstable();
    let distinct = named.array_windows().all(|[a, b]| a != b);
    let mut carried: Vec<(Id, u8)> = keys.iter().map(|key| (key.version, key.key.role())).collect();
    carried.sort_unstable();
    let once = carried.array_windows().all(|[a, b]| a != b);
    let covered = carried.iter().all(|(version, _)| named.binary_search(&version).is_ok());
    if known && distinct && once && covered && !named.is_empty() && !keys.is_empty() {
        Ok(())
    } else {
        Err(Error::Mismatch)
    }
}

fn info(suite: Suite, request_hash: &[u8; 32]) -> Vec<u8> {
    Context::new(Label::EnvelopeInfo, suite).field(request_hash).into_bytes()
}

fn signed(suite: Suite, request_hash: &[u8; 32], header: &[u8], enc: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(MAX_LEN);
    writer
        .array(6)
        .text(Label::Envelope.text())
        .uint(suite.number().into())
        .bytes(request_hash)
        .raw(header)
        .bytes(enc)
        .bytes(ciphertext);
    writer.into_bytes()
}

fn write(suite: Suite, header: &[u8], enc: &[u8], ciphertext: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(MAX_LEN);
    writer.array(5).uint(suite.number().into()).raw(header).bytes(enc).bytes(ciphertext).bytes(signature);
    writer.into_bytes()
}

impl Release {
    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(64 + 56 * self.versions.len());
        writer.array(3).bytes(&self.id).array(self.versions.len());
        for (version, digest) in &self.versions {
            writer.array(2).bytes(version).optional_bytes(digest.as_ref().map(|digest| digest.as_slice()));
        }
        writer.uint(self.expiry_ms);
        writer.into_bytes()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array(3, "envelope: release")?;
        let id = reader.fixed("envelope: release id")?;
        let count = reader.array_up_to(MAX_VERSIONS, "envelope: 1 to 64 versions")?;
        let versions = (0..count)
            .map(|_| {
                reader.array(2, "envelope: version")?;
                Ok((reader.fixed("envelope: version id")?, reader.optional_fixed("envelope: version digest")?))
            })
            .collect::<Result<_, Malformed>>()?;
        Ok(Self { id, versions, expiry_ms: reader.uint("envelope: expiry")? })
    }
}

impl Key {
    /// The number that the payload carries.
    pub fn role(&self) -> u8 {
        match self {
            Self::List(_) => 1,
            Self::Map(_) => 2,
        }
    }

    fn expose_bytes(&self) -> &[u8; 32] {
        match self {
            Self::List(key) => key.expose_bytes(),
            Self::Map(key) => key.expose_bytes(),
        }
    }
}

/// An array of [version id, role, key]. The buffer holds its capacity from the start, so nothing is left behind by growing.
fn write_payload(keys: &[ReleasedKey]) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::with_capacity(8 + 64 * keys.len());
    writer.array(keys.len());
    for key in keys {
        writer.array(3).bytes(&key.version).uint(key.key.role().into()).bytes(key.key.expose_bytes());
    }
    Zeroizing::new(writer.into_bytes())
}

fn read_payload(bytes: &[u8]) -> Result<Vec<ReleasedKey>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.array_up_to(MAX_KEYS, "envelope: keys")?;
    let keys = (0..count)
        .map(|_| {
            reader.array(3, "envelope: key")?;
            let version = reader.fixed("envelope: version of a key")?;
            let role = reader.byte_up_to(2, "envelope: role")?;
            let key = reader.bytes(32, "envelope: key bytes")?;
            let bad = |_| Malformed("envelope: key bytes");
            let key = match role {
                1 => Key::List(ListKey::from_slice(key).map_err(bad)?),
                2 => Key::Map(MapKey::from_slice(key).map_err(bad)?),
                _ => return Err(Malformed("envelope: role")),
            };
            Ok(ReleasedKey { version, key })
        })
        .collect::<Result<Vec<_>, _>>()?;
    reader.end()?;
    same(bytes, &write_payload(&keys))?;
    Ok(keys)
}

#[cfg(test)]
mod tests;
