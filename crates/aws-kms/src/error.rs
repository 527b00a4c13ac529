//! What can go wrong with the service. Messages hold no secrets.

/// Every way to fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Of [`super::KeyArn`].
    #[error("the key's ARN is not valid: {0}")]
    Arn(&'static str),
    /// Of [`super::Endpoint`] or [`super::Place`].
    #[error("the endpoint is not valid: {0}")]
    Endpoint(&'static str),
    /// Of [`super::Context`].
    #[error("the encryption context is not valid: {0}")]
    Context(&'static str),
    /// Of [`super::Limits`].
    #[error("the limits are not valid: {0}")]
    Limits(&'static str),
    /// Nowhere that was looked.
    #[error("there are no AWS credentials: {0}")]
    NoCredentials(&'static str),
    /// Found, and not to be used.
    #[error("the AWS credentials are not usable: {0}")]
    Credentials(&'static str),
    /// Unknown, expired or wrong credentials, a clock that is off, or no permission.
    #[error("AWS KMS refuses the caller: {0}")]
    Refused(Said),
    /// No such key in this account and region.
    #[error("AWS KMS does not know the key")]
    KeyMissing,
    /// It can be enabled again.
    #[error("the key is disabled in AWS KMS")]
    KeyDisabled,
    /// It waits for deletion or for its material, or its store is cut off.
    #[error("the key cannot be used in its state: {0}")]
    KeyShut(Said),
    /// Made for signatures or codes.
    #[error("the key is not one that encrypts and decrypts symmetrically")]
    KeyUnfit,
    /// Altered, of another context or of another key: the service does not tell which.
    #[error("the wrapped key does not open under this key and context in AWS KMS")]
    CiphertextRefused,
    /// Still, after the last attempt.
    #[error("AWS KMS is asked too often: {0}")]
    Throttled(Said),
    /// Still, after the last attempt.
    #[error("AWS KMS has a fault of its own: {0}")]
    Failing(Said),
    /// Anything else that the service says instead of an answer.
    #[error("AWS KMS declines the request: {0}")]
    Declined(Said),
    /// Still, after the last attempt.
    #[error("AWS KMS is not reached: {0}")]
    Unreachable(Reach),
    /// The deadline passed, whatever was waited for: a name, a connection, an answer or its rest.
    #[error("no answer from AWS KMS in time")]
    NoAnswer,
    /// Not what the service would answer.
    #[error("the answer from AWS KMS is malformed: {0}")]
    Malformed(&'static str),
    /// The answer is about another key.
    #[error("AWS KMS answered for another key than the one asked for")]
    WrongKey,
    /// The client could not be made ready.
    #[error("the client of AWS KMS cannot be made ready: {0}")]
    Setup(&'static str),
    /// No randomness.
    #[error("the operating system gives no randomness")]
    Random,
    /// Our fault.
    #[error("a defect: {0}")]
    Internal(&'static str),
}

impl Error {
    /// Whether the same request may succeed a moment later.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Failing(_) => true,
            Self::Unreachable(reach) => *reach != Reach::Tls,
            _ => false,
        }
    }
}

/// What kept a request from its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reach {
    /// The endpoint's name has no address.
    #[error("its name is not found")]
    Name,
    /// Nobody listens.
    #[error("the connection is refused")]
    Refused,
    /// It ended before the answer did.
    #[error("the connection broke off")]
    Broken,
    /// A certificate that is not trusted here, or no common protocol.
    #[error("TLS fails: the certificate is not trusted here, or the protocol differs")]
    Tls,
    /// No route, no socket.
    #[error("no connection can be made")]
    Network,
}

/// What the service said for itself: at most 200 bytes, printable, without our secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// The most bytes that are kept.
    pub const MAX_LEN: usize = 200;

    /// Keeps what may be shown of a code and a message.
    pub(super) fn new(status: u16, code: &str, message: &str, secrets: &[&str]) -> Self {
        let mut text = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
        // Some services tell in later lines what they would have signed, and with it the session token.
        let first = message.lines().next().unwrap_or_default();
        if !first.is_empty() {
            text.push_str(": ");
            text.push_str(first);
        }
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "[hidden]");
        }
        let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        Self(text.chars().take(Self::MAX_LEN).map(shown).collect())
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
