//! A root in SoftHSM, and behind a module that fails on purpose.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod faults;
mod home;
mod softhsm;
