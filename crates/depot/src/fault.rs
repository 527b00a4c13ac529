//! A store that fails on command, for tests.
