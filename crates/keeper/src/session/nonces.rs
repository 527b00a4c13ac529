//! Nonces that were used: a request is answered once.

use crate::error::{Error, Result};
use api::terms::Timestamp;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How old or how far ahead a request may be.
pub(crate) const WINDOW_MILLIS: u64 = 300_000;
/// The most nonces remembered; beyond it requests wait for the window to move on.
const MAX_NONCES: usize = 1 << 20;

/// The nonces of this process's window.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    set: HashSet<[u8; 16]>,
    order: VecDeque<(u64, [u8; 16])>,
}

impl Nonces {
    /// Takes a nonce.
    ///
    /// # Errors
    /// [`Error::BadSession`] if it was used, the request is outside the window, or too many are remembered.
    pub(crate) fn take(&self, nonce: [u8; 16], time: Timestamp, now: Timestamp) -> Result<()> {
        let (at, now) = (time.as_millis(), now.as_millis());
        if at.abs_diff(now) > WINDOW_MILLIS {
            return Err(Error::BadSession("the request is older or newer than five minutes"));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((kept_until, old)) = seen.order.front().copied()
            && kept_until < now
        {
            seen.order.pop_front();
            seen.set.remove(&old);
        }
        if seen.set.len() >= MAX_NONCES {
            return Err(Error::BadSession("too many requests in five minutes"));
        }
        if !seen.set.insert(nonce) {
            return Err(Error::BadSession("the request was answered before"));
        }
        // Time as told never goes back, so a request of this window is outside it at the latest then.
        seen.order.push_back((now + 2 * WINDOW_MILLIS, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_once_and_only_within_the_window() {
        let nonces = Nonces::default();
        let at = Timestamp::from_millis;
        assert!(nonces.take([1; 16], at(1_000_000), at(1_000_000)).is_ok());
        assert!(nonces.take([1; 16], at(1_000_000), at(1_000_001)).is_err());
        assert!(nonces.take([2; 16], at(1_000_000), at(1_300_000)).is_ok());
        assert!(nonces.take([3; 16], at(1_000_000), at(1_300_001)).is_err());
        assert!(nonces.take([4; 16], at(1_300_001), at(1_000_000)).is_err());
        // Still refused at the very end of the window.
        assert!(nonces.take([5; 16], at(1_600_000), at(1_300_000)).is_ok());
        assert!(nonces.take([5; 16], at(1_600_000), at(1_900_000)).is_err());
    }
}
