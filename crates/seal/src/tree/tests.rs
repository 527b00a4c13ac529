//! Tests of tree digests.
