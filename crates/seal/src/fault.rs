//! Whose fault an error is.

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
