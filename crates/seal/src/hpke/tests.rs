//! Tests of HPKE.
