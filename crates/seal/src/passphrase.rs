//! A root from a passphrase: Argon2id (RFC 9106) with stored, bounded parameters (`spec/keys.md#passphrase`).

use argon2::{Algorithm, Argon2, Block, Version};
use zeroize::{Zeroize, Zeroizing};

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::label::{Context, Label};
use crate::secret::RootKey;
use crate::{Fault, Id, Suite, derive, entropy};

/// Least memory, in KiB.
pub const MIN_MEMORY_KIB: u32 = 8 << 10;
/// Most memory, in KiB: a hostile vault cannot ask for more than 1 GiB.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes.
pub const MAX_PASSES: u32 = 16;
/// Most lanes.
pub const MAX_LANES: u32 = 16;
/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_LEN: usize = 4_096;

/// How a passphrase becomes a root; stored beside what the root wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
}

/// Parameters or a passphrase that are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not parameters, or outside the bounds.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Empty or longer than [`MAX_PASSPHRASE_LEN`].
    #[error("a passphrase has 1 to 4096 bytes")]
    Length,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] entropy::Unavailable),
    /// Argon2 or the derivation refused.
    #[error(transparent)]
    Derivation(#[from] derive::Failed),
}

impl Error {
    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed(_) => Fault::Hostile,
            Self::Length => Fault::Misuse,
            Self::Entropy(error) => error.fault(),
            Self::Derivation(error) => error.fault(),
        }
    }
}

impl Params {
    /// RFC 9106's second recommended option (64 MiB, 3 passes, 4 lanes) with a fresh salt.
    ///
    /// # Errors
    /// [`Error::Entropy`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { memory_kib: 64 << 10, passes: 3, lanes: 4, salt: entropy::array()? })
    }

    /// Parameters within the bounds.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn new(memory_kib: u32, passes: u32, lanes: u32, salt: [u8; 16]) -> Result<Self, Error> {
        let within = (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(&memory_kib)
            && (1..=MAX_PASSES).contains(&passes)
            && (1..=MAX_LANES).contains(&lanes);
        if within {
            Ok(Self { memory_kib, passes, lanes, salt })
        } else {
            Err(Malformed("passphrase parameters: out of bounds").into())
        }
    }

    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(5).uint(1).uint(self.memory_kib.into()).uint(self.passes.into()).uint(self.lanes.into());
        writer.bytes(&self.salt);
        writer.into_bytes()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        reader.array(5, "passphrase parameters: array of 5")?;
        if reader.uint("passphrase parameters: algorithm")? != 1 {
            return Err(Malformed("passphrase parameters: algorithm").into());
        }
        let params = Self::new(
            reader.u32("passphrase parameters: memory")?,
            reader.u32("passphrase parameters: passes")?,
            reader.u32("passphrase parameters: lanes")?,
            reader.fixed("passphrase parameters: salt")?,
        )?;
        reader.end()?;
        same(bytes, &params.encode())?;
        Ok(params)
    }

    /// Derives the vault's root. Takes the memory the parameters say, and most of a tenth of a second at the default ones.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn derive(&self, passphrase: &[u8], vault: &Id) -> Result<RootKey, Error> {
        if !(1..=MAX_PASSPHRASE_LEN).contains(&passphrase.len()) {
            return Err(Error::Length);
        }
        let params =
            argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| derive::Failed)?;
        let mut memory = vec![Block::default(); params.block_count()];
        let mut stretched = Zeroizing::new([0; 32]);
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
            passphrase,
            &self.salt,
            stretched.as_mut_slice(),
            &mut memory,
        );
        memory.iter_mut().for_each(Zeroize::zeroize);
        done.map_err(|_| derive::Failed)?;
        let info = Context::new(Label::PassphraseRoot, Suite::Default).field(vault).into_bytes();
        Ok(RootKey::fill_with(|out| derive::expand(&stretched, &info, out))?)
    }
}
