//! Shamir's scheme over the field of AES, byte by byte; the one file that knows the library below.
//!
//! Share i is f(i), for a polynomial f of degree M - 1 with f(0) the secret and every other coefficient uniform, zero included.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use vsss_rs::{Gf256, IdentifierGf256};
use zeroize::Zeroizing;

use super::Error;
use crate::entropy;
use crate::secret::{EscrowSeed, KEY_LEN, ShareKey};

/// A byte behind the secret that is none: the library does not overwrite the polynomial that it used last, so that is this byte's.
const LAST: [u8; 1] = [0];
/// Bytes of randomness that the library asks for, for each coefficient.
const DRAW_LEN: usize = 4;

/// Shares 1 to `count`, in their order; `threshold` of them give the seed again.
pub(super) fn split(seed: &EscrowSeed, threshold: u8, count: u8) -> Result<Vec<ShareKey>, Error> {
    let len = (KEY_LEN + LAST.len()) * usize::from(threshold).saturating_sub(1) * DRAW_LEN;
    let mut random = Zeroizing::new(vec![0; len]);
    entropy::fill(&mut random)?;
    split_with(seed, threshold, count, random)
}

/// The same, by given randomness, all of which must be asked for and no more.
pub(super) fn split_with(
    seed: &EscrowSeed,
    threshold: u8,
    count: u8,
    random: Zeroizing<Vec<u8>>,
) -> Result<Vec<ShareKey>, Error> {
    let secret = Zeroizing::new([seed.expose_bytes().as_slice(), &LAST].concat());
    let mut drawn = Drawn { random, used: 0 };
    let places = (1..=count).map(|place| IdentifierGf256(Gf256(place)));
    let (m, n) = (usize::from(threshold), usize::from(count));
    let shares = Gf256::split_bytes_with_participant_ids_iter(m, n, secret.as_slice(), &mut drawn, places);
    let shares = Zeroizing::new(shares.map_err(|_| Error::Cipher)?);
    if drawn.used != drawn.random.len() {
        return Err(Error::Cipher);
    }
    let value = |share: &Vec<u8>| ShareKey::from_slice(share.get(1..=KEY_LEN).unwrap_or_default());
    shares.iter().map(|share| value(share).map_err(|_| Error::Cipher)).collect()
}

/// The seed, from as many shares as the threshold says, each with its place; places are not zero and none comes twice.
pub(super) fn join<'a>(shares: impl Iterator<Item = (u8, &'a ShareKey)>) -> Result<EscrowSeed, Error> {
    let points = shares.map(|(place, key)| [[place].as_slice(), key.expose_bytes()].concat());
    let points: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(points.collect());
    let secret = Zeroizing::new(Gf256::combine_bytes(points.as_slice()).map_err(|_| Error::Cipher)?);
    EscrowSeed::from_slice(&secret).map_err(|_| Error::Cipher)
}

/// Randomness of the operating system, drawn before it is asked for: so its failure is an error and no panic.
struct Drawn {
    random: Zeroizing<Vec<u8>>,
    /// How much was asked for; more than there is is found by the caller.
    used: usize,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; DRAW_LEN];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used.saturating_add(out.len());
        match self.random.get(self.used..end) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => out.fill(0),
        }
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}
