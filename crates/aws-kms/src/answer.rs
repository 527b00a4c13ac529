//! What the service answers, read strictly: right types, no field twice, nothing after the end; unknown fields are passed over.

use super::credentials::Credentials;
use super::error::Said;
use super::transport::Answer;
use super::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use zeroize::Zeroizing;

/// The algorithm of symmetric keys, which is also how their kind is named.
pub(super) const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// The answer of `GenerateDataKey`.
#[derive(Deserialize)]
pub(super) struct DataKey {
    #[serde(rename = "KeyId")]
    pub(super) key: String,
    #[serde(rename = "Plaintext")]
    pub(super) plaintext: Plaintext,
    #[serde(rename = "CiphertextBlob")]
    pub(super) wrap: Ciphertext,
}

/// The answer of `Decrypt`.
#[derive(Deserialize)]
pub(super) struct Opened {
    #[serde(rename = "KeyId")]
    pub(super) key: String,
    #[serde(rename = "Plaintext")]
    pub(super) plaintext: Plaintext,
    #[serde(rename = "EncryptionAlgorithm")]
    pub(super) algorithm: Option<String>,
}

/// Reads the body of an answer. What is wrong with it is not told: it may hold a key.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| Error::Malformed("it is not the JSON that was asked for"))
}

/// Reads what came instead of an answer.
pub(super) fn refusal(answer: &Answer, credentials: &Credentials) -> Error {
    let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = told.code.or_else(|| answer.code.clone()).unwrap_or_default();
    // `com.example.service#Code:http://...` is `Code`.
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let secrets = [credentials.expose_secret(), credentials.expose_token().unwrap_or_default()];
    let said = Said::new(answer.status, code, &told.message.unwrap_or_default(), &secrets);
    match code {
        "NotFoundException" => Error::KeyMissing,
        "DisabledException" => Error::KeyDisabled,
        "KMSInvalidStateException" => Error::KeyShut(said),
        "InvalidKeyUsageException" => Error::KeyUnfit,
        "InvalidCiphertextException" | "IncorrectKeyException" => Error::CiphertextRefused,
        _ if REFUSED.contains(&code) => Error::Refused(said),
        _ if THROTTLED.contains(&code) || answer.status == 429 => Error::Throttled(said),
        _ if answer.status >= 500 => Error::Failing(said),
        _ if matches!(answer.status, 401 | 403) => Error::Refused(said),
        _ => Error::Declined(said),
    }
}

/// A word of ours in the place of the service's.
pub(super) fn said_of(word: &str) -> Said {
    Said::new(0, word, "", &[])
}

/// A plaintext, still in base64.
pub(super) struct Plaintext(Zeroizing<String>);

impl Plaintext {
    /// The key, which has 32 bytes.
    pub(super) fn into_key(self) -> Result<Zeroizing<[u8; 32]>> {
        let malformed = Error::Malformed("its key is not 32 bytes");
        // The decoder wants room for what 44 characters can hold; longer ones it refuses.
        let mut bytes = Zeroizing::new([0; 33]);
        if !matches!(BASE64.decode_slice(self.0.as_bytes(), bytes.as_mut_slice()), Ok(32)) {
            return Err(malformed);
        }
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(bytes.first_chunk::<32>().ok_or(malformed)?);
        Ok(key)
    }
}

impl<'de> Deserialize<'de> for Plaintext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Plaintext;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a plaintext")
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Plaintext, E> {
                Ok(Plaintext(Zeroizing::new(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A wrap.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Ciphertext(Vec<u8>);

impl Ciphertext {
    /// The longest, as the service bounds it.
    pub(super) const MAX_LEN: usize = 6144;

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl TryFrom<String> for Ciphertext {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, &'static str> {
        if text.is_empty() || text.len() > Self::MAX_LEN.div_ceil(3) * 4 {
            return Err("a wrap has 1 to 6144 bytes");
        }
        BASE64.decode(text).map(Self).map_err(|_| "a wrap is base64")
    }
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(rename = "__type")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

const REFUSED: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
const THROTTLED: [&str; 7] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];
