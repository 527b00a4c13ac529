//! Numbered algorithm suites (`spec/format.md#suites`).

use crate::Fault;

/// The algorithms an object was sealed with. The number is stored with each object and never inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Suite {
    /// AES-256-GCM, HKDF-SHA-256, BLAKE3 tree digests, X-Wing, Ed25519.
    #[default]
    Default = 1,
}

/// A suite number that this build cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSuite {
    /// `nist`: it has its number, and nothing else yet.
    #[error("suite 2 (`nist`) is numbered, not supported yet")]
    NotYet,
    /// Never assigned.
    #[error("unknown suite `{0}`")]
    Unassigned(u16),
}

impl Suite {
    /// Parses a stored suite number.
    ///
    /// # Errors
    /// [`UnknownSuite`] for every number but 1.
    pub fn from_number(number: u16) -> Result<Self, UnknownSuite> {
        match number {
            1 => Ok(Self::Default),
            2 => Err(UnknownSuite::NotYet),
            other => Err(UnknownSuite::Unassigned(other)),
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
    fn only_suite_one_is_accepted() {
        assert_eq!(Suite::from_number(1), Ok(Suite::Default));
        assert_eq!(Suite::from_number(2), Err(UnknownSuite::NotYet));
        for number in (0..=u16::MAX).filter(|n| !matches!(n, 1 | 2)) {
            assert_eq!(Suite::from_number(number), Err(UnknownSuite::Unassigned(number)));
        }
    }

    #[test]
    fn the_refusal_of_nist_says_it_is_numbered() {
        assert_eq!(UnknownSuite::NotYet.to_string(), "suite 2 (`nist`) is numbered, not supported yet");
    }
}
