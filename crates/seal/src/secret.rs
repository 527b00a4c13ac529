//! Secret keys: one type for each role.
//!
//! Every key is 32 bytes in its own heap block, filled in place and overwritten on drop. There is no `Clone`, `PartialEq`, `Display`
//! or `Serialize`; compare with [`subtle::ConstantTimeEq`]. `Debug` shows the role only. Reads are named `expose_*`.

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use crate::{Fault, entropy};

/// Length of every secret key, in bytes.
pub const KEY_LEN: usize = 32;

/// A key had the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 bytes, not {0}")]
pub struct BadLength(pub usize);

impl BadLength {
    /// Whose fault this is: the bytes came from outside.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

/// The one heap block behind every role.
struct Block(Box<[u8; KEY_LEN]>);

impl Drop for Block {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name(Block);

        impl $name {
            /// A fresh uniform key.
            ///
            /// # Errors
            /// [`entropy::Unavailable`] when the operating system gives no randomness.
            pub fn generate() -> Result<Self, entropy::Unavailable> {
                let mut block = Block(Box::new([0; KEY_LEN]));
                entropy::fill(block.0.as_mut_slice())?;
                Ok(Self(block))
            }

            /// Takes over a heap block that already holds the key.
            pub fn from_bytes(bytes: Box<[u8; KEY_LEN]>) -> Self {
                Self(Block(bytes))
            }

            /// Lets `fill` write the key in place, for derivations and for reading straight from a source.
            ///
            /// # Errors
            /// Whatever `fill` answers; the block is overwritten then too.
            pub fn fill_with<E>(fill: impl FnOnce(&mut [u8; KEY_LEN]) -> Result<(), E>) -> Result<Self, E> {
                let mut block = Block(Box::new([0; KEY_LEN]));
                fill(&mut block.0)?;
                Ok(Self(block))
            }

            /// Copies a key. The caller still has to overwrite its source.
            ///
            /// # Errors
            /// [`BadLength`] unless the slice is 32 bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, BadLength> {
                let source: &[u8; KEY_LEN] = bytes.try_into().map_err(|_| BadLength(bytes.len()))?;
                Self::fill_with(|key| {
                    key.copy_from_slice(source);
                    Ok(())
                })
            }

            /// The key itself.
            ///
            /// # Security
            /// Do not copy it to where it is not overwritten.
            pub fn expose_bytes(&self) -> &[u8; KEY_LEN] {
                &self.0.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl ConstantTimeEq for $name {
            fn ct_eq(&self, other: &Self) -> Choice {
                self.0.0.as_slice().ct_eq(other.0.0.as_slice())
            }
        }
    )+

        #[cfg(test)]
        const DEBUG: &[fn() -> String] = &[$(|| format!("{:?}", $name::from_bytes(Box::new([0xa5; KEY_LEN])))),+];
    };
}

roles! {
    /// Seals the segments of one pack.
    PackKey;
    /// One per version; the list key and the map key are derived from it.
    VersionKey;
    /// One version of a named key: seals small values.
    ValueKey;
    /// Seals the list of a version.
    ListKey;
    /// Seals the map of a version.
    MapKey;
    /// Wraps the version keys of one (workspace, environment, classification).
    DomainKey;
    /// Wraps the archived version keys of one (workspace, environment, classification).
    ArchiveKey;
    /// Wraps domain keys and the vault's other keys.
    RootKey;
    /// Authenticates database rows.
    MacKey;
    /// Seals the keys of people, and finds their names.
    FieldKey;
    /// Seals what is personal of one person.
    SubjectKey;
    /// Makes the prints that a vault's content is recognised by.
    PrintKey;
    /// Seals one backup of a vault.
    BackupKey;
    /// What an escrow splits; the key of its root is derived from it.
    EscrowSeed;
    /// One share of an escrow's seed.
    ShareKey;
    /// The seed of a signing key.
    SigningSeed;
    /// The seed of a one-time key-encapsulation key.
    KemSeed;
    /// A value that another derivation or encapsulation yields and that is used once.
    SharedSecret;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_role_only() {
        let shown: Vec<String> = DEBUG.iter().map(|debug| debug()).collect();
        let expected = [
            "PackKey(..)",
            "VersionKey(..)",
            "ValueKey(..)",
            "ListKey(..)",
            "MapKey(..)",
            "DomainKey(..)",
            "ArchiveKey(..)",
            "RootKey(..)",
            "MacKey(..)",
            "FieldKey(..)",
            "SubjectKey(..)",
            "PrintKey(..)",
            "BackupKey(..)",
            "EscrowSeed(..)",
            "ShareKey(..)",
            "SigningSeed(..)",
            "KemSeed(..)",
            "SharedSecret(..)",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_other_length_is_refused() {
        for len in (0..200).filter(|len| *len != KEY_LEN) {
            assert_eq!(PackKey::from_slice(&vec![0; len]).err(), Some(BadLength(len)));
        }
    }

    #[test]
    fn a_copied_key_holds_the_bytes_and_compares_in_constant_time() {
        let bytes: [u8; KEY_LEN] = std::array::from_fn(|i| i as u8);
        let key = PackKey::from_slice(&bytes).unwrap_or_else(|_| PackKey::from_bytes(Box::new([0; KEY_LEN])));
        assert_eq!(key.expose_bytes(), &bytes);
        assert!(bool::from(key.ct_eq(&PackKey::from_bytes(Box::new(bytes)))));
        assert!(!bool::from(key.ct_eq(&PackKey::from_bytes(Box::new([0; KEY_LEN])))));
    }

    #[test]
    fn generated_keys_differ() -> Result<(), entropy::Unavailable> {
        assert!(!bool::from(PackKey::generate()?.ct_eq(&PackKey::generate()?)));
        Ok(())
    }
}
