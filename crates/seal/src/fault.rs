//! Whose fault an error is, and the one error for bytes that are not what was sealed.

/// Whose fault an error is: every error of this crate answers with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The bytes from outside are damaged, forged or not what they claim to be.
    Hostile,
    /// The caller asked for something this module does not offer.
    Misuse,
    /// The machine failed us, for example its random generator.
    Environment,
    /// A bug in this crate or in a library below it.
    Bug,
}

/// Sealed bytes are damaged, forged, moved, or not of the only length they can have.
///
/// It says where, never why: a reader that could tell a wrong tag from a wrong digest would be an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("damaged or forged data at byte {offset}")]
pub struct Corrupt {
    offset: u64,
}

impl Corrupt {
    /// What was found wrong begins at `offset`, in bytes from the start of the sealed stream.
    pub fn at(offset: u64) -> Self {
        Self { offset }
    }

    /// Where the unit that failed begins, in bytes from the start of the sealed stream.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// Whose fault this is.
    pub fn fault(self) -> Fault {
        Fault::Hostile
    }
}
