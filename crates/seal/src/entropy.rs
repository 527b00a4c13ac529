//! Randomness: the one place in this crate that reads the operating system's generator.
//!
//! The public API elsewhere never takes a nonce, a salt or a generator.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::Fault;

/// The operating system's random generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random generator of the operating system failed")]
pub struct Unavailable;

impl Unavailable {
    /// Whose fault this is: the machine's.
    pub fn fault(self) -> Fault {
        Fault::Environment
    }
}

/// Fills `out` with uniform random bytes.
///
/// # Errors
/// [`Unavailable`]; then `out` must not be used.
pub fn fill(out: &mut [u8]) -> Result<(), Unavailable> {
    SystemRandom::new().fill(out).map_err(|_| Unavailable)
}

/// A fresh public array: an id, a salt, a nonce for a request. Never a key; keys come from [`crate::secret`].
///
/// # Errors
/// [`Unavailable`].
pub fn array<const N: usize>() -> Result<[u8; N], Unavailable> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(array::<32>(), array::<32>());
        assert_ne!(array::<32>(), Ok([0; 32]));
    }
}
