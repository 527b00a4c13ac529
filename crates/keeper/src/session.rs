//! Sessions: who acts, bound to a signing key.

use api::terms::{AuthMethod, Name, PrincipalId, SessionId};

/// A client's session. Requests for keys must be signed with its key.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) principal: PrincipalId,
    pub(crate) name: Name,
    pub(crate) public_key: [u8; 32],
    pub(crate) method: AuthMethod,
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
}
