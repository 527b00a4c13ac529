//! AWS KMS, as far as a root needs it: a data key, its wrap opened again, and the health of the key.
//!
//! Three calls of the service, for one symmetric key named by its ARN: `GenerateDataKey`, `Decrypt`, `DescribeKey`. Each is
//! signed ([`sigv4`]), sent over TLS to one endpoint ([`place`]) and ends by a deadline ([`attempts`]). Nothing is kept between
//! calls: no connection, no data key.
//!
//! # Security
//! Whoever answers at the endpoint knows the data keys it gives out. Its TLS certificate is what speaks for it; an answer that
//! names another key than the one asked for is refused. The encryption context is authenticated by the service and stands in
//! its logs in plain: it must not be secret.
//!
//! # Not here
//! Aliases, grants, asymmetric keys, attested answers, proxies, and credentials other than [`credentials`] names.

mod answer;
mod attempts;
mod context;
mod credentials;
mod error;
mod health;
mod place;
mod sigv4;
mod transport;

mod system;

#[cfg(test)]
mod tests;

pub use attempts::Limits;
pub use context::Context;
pub use credentials::Credentials;
pub use error::{Error, Reach, Said};
pub use health::{Health, KeyState};
pub use place::{Endpoint, KeyArn, Place};

use answer::{ALGORITHM, Ciphertext};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use transport::Transport;
use zeroize::Zeroizing;

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Tells the time: seconds since 1970, UTC. The service refuses signatures that are minutes off.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// One key of the service and how it is reached.
pub struct Kms {
    place: Place,
    credentials: Credentials,
    limits: Limits,
    clock: Clock,
    transport: Transport,
    calls: AtomicU64,
}

impl std::fmt::Debug for Kms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kms")
            .field("place", &self.place)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Kms {
    /// Makes ready to call; sends nothing.
    ///
    /// # Errors
    /// [`Error::Setup`] if the platform's roots cannot be read.
    pub fn new(place: Place, credentials: Credentials, limits: Limits, clock: Clock) -> Result<Self> {
        let transport = Transport::new(&place)?;
        Ok(Self { place, credentials, limits, clock, transport, calls: AtomicU64::new(0) })
    }

    /// The key and its endpoint.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How many requests were sent, repeats included: what the service counts and bills.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Draws a data key in the service: the key, and its wrap (at most [`Self::MAX_WRAP_LEN`] bytes) for [`Self::decrypt`].
    ///
    /// # Errors
    /// All but [`Error::CiphertextRefused`].
    pub fn generate_data_key(&self, context: &Context) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>)> {
        let asked = GenerateDataKey { context, key: self.place.key().as_str(), spec: "AES_256" };
        let body = self.call("GenerateDataKey", &asked)?;
        let answer: answer::DataKey = answer::parse(&body)?;
        self.same_key(&answer.key)?;
        Ok((answer.plaintext.into_key()?, answer.wrap.into_bytes()))
    }

    /// Opens a wrap that [`Self::generate_data_key`] gave, in the same context.
    ///
    /// # Errors
    /// [`Error::CiphertextRefused`] for altered bytes, another context or another key's wrap: the service does not tell which.
    pub fn decrypt(&self, context: &Context, wrap: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        if wrap.is_empty() || wrap.len() > Self::MAX_WRAP_LEN {
            return Err(Error::CiphertextRefused);
        }
        let key = self.place.key().as_str();
        let asked = Decrypt { wrap: BASE64.encode(wrap), algorithm: ALGORITHM, context, key };
        let body = self.call("Decrypt", &asked)?;
        let answer: answer::Opened = answer::parse(&body)?;
        self.same_key(&answer.key)?;
        if answer.algorithm.is_some_and(|algorithm| algorithm != ALGORITHM) {
            return Err(Error::Malformed("it names another algorithm"));
        }
        answer.plaintext.into_key()
    }

    /// Looks the key up: does it exist, may it be used, is it of the right kind.
    ///
    /// # Errors
    /// As [`Self::generate_data_key`]. A key that is there and cannot be used is no error.
    pub fn describe(&self) -> Result<Health> {
        let body = self.call("DescribeKey", &DescribeKey { key: self.place.key().as_str() })?;
        let health: health::Described = answer::parse(&body)?;
        self.same_key(health.arn())?;
        Ok(health.into_health())
    }

    /// The longest wrap, as the service bounds it.
    pub const MAX_WRAP_LEN: usize = Ciphertext::MAX_LEN;

    fn call(&self, action: &'static str, asked: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
        let body = serde_json::to_vec(asked).map_err(|_| Error::Internal("a request could not be encoded"))?;
        attempts::repeat(self.limits, |end| {
            let headers = self.signed(action, &body)?;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let answer = self.transport.post(headers, body.clone(), end)?;
            if answer.status == 200 { Ok(answer.body) } else { Err(answer::refusal(&answer, &self.credentials)) }
        })
    }

    fn same_key(&self, named: &str) -> Result<()> {
        if named == self.place.key().as_str() { Ok(()) } else { Err(Error::WrongKey) }
    }

    /// The headers of a request. All but the last two are signed.
    fn signed(&self, action: &str, body: &[u8]) -> Result<transport::Headers> {
        let moment = sigv4::Moment::from_secs((self.clock)());
        let target = format!("TrentService.{action}");
        let mut signed = vec![
            ("content-type", "application/x-amz-json-1.1"),
            ("host", self.place.host()),
            ("x-amz-date", moment.as_str()),
            ("x-amz-target", target.as_str()),
        ];
        signed.extend(self.credentials.expose_token().map(|token| ("x-amz-security-token", token)));
        let request = sigv4::Request { method: "POST", headers: &signed, body };
        let scope = sigv4::Scope { region: self.place.key().region(), service: "kms", moment: &moment };
        let signature = sigv4::authorization(&self.credentials, &scope, &request)?;
        signed.extend([("authorization", signature.as_str()), ("connection", "close")]);
        transport::headers(&signed)
    }
}

#[derive(Serialize)]
struct GenerateDataKey<'a> {
    #[serde(rename = "EncryptionContext")]
    context: &'a Context,
    #[serde(rename = "KeyId")]
    key: &'a str,
    #[serde(rename = "KeySpec")]
    spec: &'static str,
}

#[derive(Serialize)]
struct Decrypt<'a> {
    #[serde(rename = "CiphertextBlob")]
    wrap: String,
    #[serde(rename = "EncryptionAlgorithm")]
    algorithm: &'static str,
    #[serde(rename = "EncryptionContext")]
    context: &'a Context,
    #[serde(rename = "KeyId")]
    key: &'a str,
}

#[derive(Serialize)]
struct DescribeKey<'a> {
    #[serde(rename = "KeyId")]
    key: &'a str,
}
