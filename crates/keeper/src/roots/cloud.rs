//! A root in AWS KMS: each wrap has a data key of its own, which only the service opens, in the encryption context of that wrap.
//!
//! What is wrapped goes nowhere: it is sealed here under the data key, so that the service sees neither domain keys nor the vault's
//! own. The tag over `vault.json` is made with one more data key, whose wrap `vault.json` carries.

use super::{RootProvider, Secret, Software, Wrapper};
use crate::error::{Error, Result};
use crate::system;
use crate::vault::{KmsPlace, Passphrase, RootKind};
use api::terms::{KeyId, VaultId};
use aws_kms::{Context, Credentials, Kms, Limits, Place};
use seal::secret::RootKey;
use seal::wrap::WrapContext;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most requests that one call makes, those that are repeated included.
const ATTEMPTS: u32 = 5;
/// The longest credentials: what grows leaves copies behind.
const CREDENTIALS_LEN: usize = 16_384;

/// A root in the service, opened.
#[derive(Debug)]
pub(crate) struct KmsRoot {
    kms: Kms,
    vault: VaultId,
    /// Makes tags, and nothing else.
    tags: Software,
}

impl KmsRoot {
    /// Takes a key of the service into use; with what `vault.json` keeps of it.
    pub(crate) fn create(vault: VaultId, id: KeyId, place: &KmsPlace) -> Result<(Self, Vec<u8>)> {
        let kms = client(place, Credentials::find())?;
        kms.describe().and_then(|health| health.check()).map_err(failed)?;
        let (key, params) = kms.generate_data_key(&tag_context(vault, id)?).map_err(failed)?;
        Ok((Self { kms, vault, tags: Software::new(id, root_key(&key)?) }, params))
    }

    /// Asks the service whether it still opens it.
    pub(crate) fn open(
        vault: VaultId,
        id: KeyId,
        (place, credentials): (&KmsPlace, &Passphrase),
        params: &[u8],
    ) -> Result<Self> {
        let credentials = if credentials.is_empty() { Credentials::find() } else { told(credentials) };
        let kms = client(place, credentials)?;
        let key = kms.decrypt(&tag_context(vault, id)?, params).map_err(|error| match error {
            aws_kms::Error::CiphertextRefused => {
                Error::RootRefused("the key in AWS KMS is not this vault's, or vault.json was altered")
            }
            other => failed(other),
        })?;
        Ok(Self { kms, vault, tags: Software::new(id, root_key(&key)?) })
    }

    /// The credentials of this process, one to a line.
    pub(crate) fn credentials() -> Result<Passphrase> {
        let found = Credentials::find().map_err(failed)?;
        let mut text = Zeroizing::new(Vec::with_capacity(CREDENTIALS_LEN));
        text.extend_from_slice(found.access_key().as_bytes());
        for word in [Some(found.expose_secret()), found.expose_token()].into_iter().flatten() {
            text.push(b'\n');
            text.extend_from_slice(word.as_bytes());
        }
        Ok(text)
    }

    /// What a wrap is bound to in the service: ids, and the hash of all that the wrap is bound to.
    fn context(&self, context: &WrapContext) -> Result<Context> {
        let place = hex::encode(crate::hash::sha256(&context.for_device()));
        let pairs = [
            ("strongroom-vault", self.vault.to_string()),
            ("strongroom-root", self.tags.id.to_string()),
            ("strongroom-key", hex::encode(context.key_id)),
            ("strongroom-place", place),
        ];
        Context::new(pairs).map_err(failed)
    }
}

/// What [`KmsRoot::credentials`] said.
fn told(text: &[u8]) -> aws_kms::Result<Credentials> {
    let bad = || aws_kms::Error::Credentials("what was handed over is not of its form");
    let text = std::str::from_utf8(text).map_err(|_| bad())?;
    let mut words = text.split('\n');
    let (Some(access), Some(secret)) = (words.next(), words.next()) else { return Err(bad()) };
    let token = words.next().map(|token| Zeroizing::new(token.to_owned()));
    Credentials::new(access.to_owned(), Zeroizing::new(secret.to_owned()), token)
}

fn client(place: &KmsPlace, credentials: aws_kms::Result<Credentials>) -> Result<Kms> {
    let key = place.key.parse().map_err(failed)?;
    let endpoint = place.endpoint.as_deref().map(str::parse).transpose().map_err(failed)?;
    let place_of_key = Place::new(key, endpoint).map_err(failed)?;
    let limits = Limits::new(place.deadline, ATTEMPTS).map_err(failed)?;
    let clock = Arc::new(|| system::now().as_millis() / 1000);
    Kms::new(place_of_key, credentials.map_err(failed)?, limits, clock).map_err(failed)
}

fn tag_context(vault: VaultId, root: KeyId) -> Result<Context> {
    let pairs = [
        ("strongroom-vault", vault.to_string()),
        ("strongroom-root", root.to_string()),
        ("strongroom-key", "tag".to_owned()),
    ];
    Context::new(pairs).map_err(failed)
}

fn root_key(bytes: &[u8; 32]) -> Result<RootKey> {
    RootKey::fill_with(|out| {
        out.copy_from_slice(bytes);
        Ok(())
    })
}

/// In the keeper's words. What may pass is told as such.
fn failed(error: aws_kms::Error) -> Error {
    use aws_kms::Error as Kms;
    let passes = matches!(error, Kms::Throttled(_) | Kms::Failing(_) | Kms::Unreachable(_) | Kms::NoAnswer);
    Error::RootSays { why: error.to_string(), passes, spent: false }
}

impl Wrapper for KmsRoot {
    fn id(&self) -> KeyId {
        self.tags.id
    }
    fn wrap(&self, context: &WrapContext, secret: &Secret) -> Result<Vec<u8>> {
        let (key, blob) = self.kms.generate_data_key(&self.context(context)?).map_err(failed)?;
        let sealed = Software::new(self.tags.id, root_key(&key)?).wrap(context, secret)?;
        let len = u16::try_from(blob.len()).map_err(|_| Error::Internal("a wrap of the service is too long"))?;
        Ok([&len.to_be_bytes(), blob.as_slice(), &sealed].concat())
    }
}

impl RootProvider for KmsRoot {
    fn kind(&self) -> RootKind {
        RootKind::AwsKms
    }
    fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<Secret> {
        let refused = || Error::Wrap { key: hex::encode(context.key_id) };
        let (len, rest) = wrapped.split_first_chunk::<2>().ok_or_else(refused)?;
        let (blob, sealed) = rest.split_at_checked(u16::from_be_bytes(*len).into()).ok_or_else(refused)?;
        let key = self.kms.decrypt(&self.context(context)?, blob).map_err(|error| match error {
            aws_kms::Error::CiphertextRefused => refused(),
            other => failed(other),
        })?;
        Software::new(self.tags.id, root_key(&key)?).unwrap(context, sealed)
    }
    fn tag(&self, message: &[u8]) -> [u8; 32] {
        self.tags.tag(message)
    }
    fn calls(&self) -> u64 {
        self.kms.calls()
    }
}
