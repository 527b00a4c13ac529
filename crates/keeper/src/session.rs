//! Sessions: who acts, bound to a signing key; and the requests that the key signs.

mod nonces;
mod request;

pub(crate) use nonces::Nonces;
pub(crate) use request::{Asked, verified};

use api::terms::{AuthMethod, Name, PrincipalId, SessionId};

/// A client's session. Requests for keys must be signed with its key.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) principal: PrincipalId,
    pub(crate) name: Name,
    pub(crate) public_key: [u8; 32],
    pub(crate) method: AuthMethod,
    pub(crate) presence: Presence,
}

/// Whether the person proved to be there when the session started. Asserted in rehearsal; not asked in solo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// No.
    None,
    /// Just then.
    #[default]
    Now,
}

impl Presence {
    pub(crate) const fn facts(self) -> policy::Mfa {
        match self {
            Self::None => policy::Mfa::Never,
            Self::Now => policy::Mfa::Age { millis: 0 },
        }
    }
}

impl Session {
    /// Its id.
    pub fn id(&self) -> SessionId {
        self.id
    }
    /// Who acts.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }
    /// Who acts, by name.
    pub fn name(&self) -> &Name {
        &self.name
    }
    /// The Ed25519 key that signs its requests.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }
    /// How the principal was authenticated.
    pub fn method(&self) -> AuthMethod {
        self.method
    }

    /// The same with another asserted presence (`--assert mfa=none|now`, rehearsal).
    #[must_use]
    pub fn with_presence(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }
}
