//! Numbered algorithm suites (`spec/format.md#suites`).

use crate::Fault;

/// The algorithms an object was sealed with. The number is stored with each object and never inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Suite {
    /// AES-256-GCM, HKDF-SHA-256, BLAKE3 tree digests, X-Wing, Ed25519, Argon2id.
    #[default]
    Default = 1,
    /// AES-256-GCM, HKDF-SHA-256, SHA-256 tree digests, MLKEM768-P256, Ed25519, PBKDF2. No validation is claimed.
    Nist = 2,
}

/// A suite number that was never assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown suite `{0}`")]
pub struct UnknownSuite(pub u16);

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 2] = [Self::Default, Self::Nist];

    /// Parses a stored suite number.
    ///
    /// # Errors
    /// [`UnknownSuite`] for every number but 1 and 2.
    pub fn from_number(number: u16) -> Result<Self, UnknownSuite> {
        match number {
            1 => Ok(Self::Default),
            2 => Ok(Self::Nist),
            other => Err(UnknownSuite(other)),
        }
    }

    /// The number stored with each object.
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl UnknownSuite {
    /// Whose fault this is: the stored number is not ours.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_numbers_are_accepted() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_number(suite.number()), Ok(suite));
        }
        for number in (0..=u16::MAX).filter(|n| !matches!(n, 1 | 2)) {
            assert_eq!(Suite::from_number(number), Err(UnknownSuite(number)));
        }
    }
}
