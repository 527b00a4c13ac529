//! The agent: a process of one user that holds a vault open for a while, and answers commands over a socket.
//!
//! `unlock` starts it and hands it what opens the root; from then on commands find it and need neither passphrase nor the time to open
//! the vault. The socket lies in a folder that only its owner enters, and both ends ask the kernel who the other is. What hands out
//! keys is signed end to end, so the socket carries bytes that its own two ends could not alter unseen.
//!
//! # Guarantees
//! - An agent answers its own user only, and a client believes none but its own user's.
//! - It ends when its time is over by the wall clock or by the clock that counts suspension, when the wall clock goes back, when the
//!   vault's folder is gone or another one, and when it is told to; its keys are overwritten then.
//! - Every length has a maximum, every frame a deadline, and there are at most [`Limits::connections`] connections.
//!
//! # Non-guarantees
//! - Whoever runs programs as its user can use it, as they can use the key file.

#[cfg(feature = "embedded")]
mod connect;
mod frame;
#[cfg(feature = "embedded")]
mod lease;
#[cfg(feature = "embedded")]
mod place;
#[cfg(feature = "embedded")]
mod serve;
#[cfg(feature = "embedded")]
mod start;
mod wire;

#[cfg(feature = "embedded")]
pub use connect::{Agent, Locked, Seated, lasts, lock, seat, state};
pub use frame::MAX_FRAME_LEN;
#[cfg(any(test, feature = "fuzz"))]
pub use frame::reread;
#[cfg(feature = "embedded")]
pub use lease::{Clocks, Lease, MAX_SECS, MIN_SECS, Moment, SystemClocks};
#[cfg(feature = "embedded")]
pub use place::Place;
#[cfg(feature = "embedded")]
pub use serve::{Limits, Serving, serve};
#[cfg(feature = "embedded")]
pub use start::{Handover, run, start};
pub use wire::{Ask, Folder, Open, Opened, Presence, Reply, Unlocked};

#[cfg(test)]
mod tests;
