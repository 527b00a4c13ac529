//! Sealed segments over a [`crate::Store`].
