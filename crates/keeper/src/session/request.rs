//! Release requests, checked: signed by the session's key, for this vault, fresh, and not answered before.

use super::{Nonces, Session};
use crate::error::{Error, Result};
use crate::hash;
use api::terms::{Action, Timestamp, VaultId, VersionId};
use api::wire::Command;
use seal::request::SignedRequest;
use seal::sign::VerifyingKey;

/// A request that was verified.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) signed: SignedRequest,
    pub(crate) action: Action,
    pub(crate) versions: Vec<VersionId>,
}

/// Verifies a request. `command` is the command that carries it: the request must name its hash, so that nobody on the way can
/// change a reason, a place or a class. A request that names no command is refused too.
pub(crate) fn verified(
    vault: VaultId,
    session: &Session,
    nonces: &Nonces,
    bytes: &[u8],
    command: &Command,
    now: Timestamp,
) -> Result<Asked> {
    let signed = SignedRequest::decode(bytes).map_err(|error| Error::bad("the release request", error.to_string()))?;
    let key = VerifyingKey::from_bytes(session.public_key);
    let request = signed.verify(&key).map_err(|_| Error::BadSession("the request is signed by another key"))?;
    if request.vault != *vault.as_bytes() {
        return Err(Error::BadSession("the request is for another vault"));
    }
    if request.principal != *session.principal.as_bytes() || request.session != *session.id.as_bytes() {
        return Err(Error::BadSession("the request is of another session"));
    }
    if request.command != command_hash(command)? {
        return Err(Error::BadSession("the request was not signed for this command"));
    }
    let action = Action::from_number(request.action);
    let action = action.ok_or_else(|| Error::bad("the release request", "an unknown action"))?;
    let versions = request.versions.iter().copied().map(VersionId::from_bytes).collect();
    nonces.take(session.principal, request.nonce, Timestamp::from_millis(request.time_ms), now)?;
    Ok(Asked { signed, action, versions })
}

/// SHA-256 of the command's canonical JSON with an empty request in it.
pub(crate) fn command_hash(command: &Command) -> Result<[u8; 32]> {
    let mut command = command.clone();
    match &mut command {
        Command::Begin(begin) => begin.request.clear(),
        Command::Release(release) => release.request.clear(),
        Command::ReencryptBegin(begin) => begin.request.clear(),
        Command::Prints(prints) => prints.request.clear(),
        _ => {}
    }
    let value = serde_json::to_value(&command).map_err(|_| Error::Internal("a command is not JSON"))?;
    Ok(hash::sha256(&hash::canonical_json(&value)?))
}
