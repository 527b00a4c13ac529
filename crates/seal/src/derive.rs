//! Keys from keys: HKDF-Expand with SHA-256 (`spec/keys.md#derivation`).
//!
//! Every input key is uniform, so there is no extract step; `info = LP(label, suite, vault id, object id)`.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};

use crate::label::{Context, Label};
use crate::secret::{ListKey, MapKey, VersionKey};
use crate::{Fault, Id, Suite};

/// The derivation failed, which the library below only does on a misuse of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key derivation failed")]
pub struct Failed;

impl Failed {
    /// Whose fault this is: ours.
    pub fn fault(self) -> Fault {
        Fault::Bug
    }
}

/// The key of a version's list.
///
/// # Errors
/// [`Failed`].
pub fn list_key(key: &VersionKey, suite: Suite, vault: &Id, version: &Id) -> Result<ListKey, Failed> {
    let info = Context::new(Label::ListKey, suite).field(vault).field(version).into_bytes();
    ListKey::fill_with(|out| expand(key.expose_bytes(), &info, out))
}

/// The key of a version's map.
///
/// # Errors
/// [`Failed`].
pub fn map_key(key: &VersionKey, suite: Suite, vault: &Id, version: &Id) -> Result<MapKey, Failed> {
    let info = Context::new(Label::MapKey, suite).field(vault).field(version).into_bytes();
    MapKey::fill_with(|out| expand(key.expose_bytes(), &info, out))
}

/// A public name of a key: 16 bytes that say nothing about it and that no other key has.
///
/// # Errors
/// [`Failed`].
pub fn fingerprint(key: &[u8; 32], suite: Suite, vault: &Id, key_id: &Id) -> Result<[u8; 16], Failed> {
    let info = Context::new(Label::Fingerprint, suite).field(vault).field(key_id).into_bytes();
    let mut out = [0; 16];
    expand(key, &info, &mut out)?;
    Ok(out)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand (RFC 5869, section 2.3) with SHA-256.
pub(crate) fn expand(key: &[u8; 32], info: &[u8], out: &mut [u8]) -> Result<(), Failed> {
    let prk = Prk::new_less_safe(HKDF_SHA256, key);
    prk.expand(&[info], Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, appendix A.1: the expand step alone.
    #[test]
    fn expand_matches_rfc_5869() -> Result<(), Failed> {
        let prk: [u8; 32] = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let mut okm = [0; 42];
        expand(&prk, &hex::<10>("f0f1f2f3f4f5f6f7f8f9"), &mut okm)?;
        assert_eq!(
            okm,
            hex::<42>("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        );
        Ok(())
    }

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes = ::hex::decode(text).unwrap_or_default();
        bytes.try_into().unwrap_or([0; N])
    }
}
