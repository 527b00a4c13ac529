//! Nonces that were used: a request is answered once.

use crate::error::{Error, Result};
use api::terms::{PrincipalId, Timestamp};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How old or how far ahead a request may be.
pub(crate) const WINDOW_MILLIS: u64 = 300_000;
/// The most nonces of one principal that are remembered (about 32 MiB); beyond it its requests wait for the window to move on, and
/// nobody else's do.
const MAX_NONCES: usize = 1 << 19;

/// The nonces of this process's window.
#[derive(Debug)]
pub(crate) struct Nonces {
    everybodys: Mutex<Everybodys>,
    /// For each principal.
    most: usize,
}

#[derive(Debug, Default)]
struct Everybodys {
    /// A request names its principal, so that one's nonce says nothing about another's.
    seen: HashMap<PrincipalId, Seen>,
    /// When those were last looked for of whom nothing is left.
    swept: u64,
}

#[derive(Debug, Default)]
struct Seen {
    set: HashSet<[u8; 16]>,
    order: VecDeque<(u64, [u8; 16])>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { everybodys: Mutex::default(), most: MAX_NONCES }
    }
}

impl Nonces {
    /// Takes a nonce of a principal, whose signature was checked.
    ///
    /// # Errors
    /// [`Error::BadSession`] if it was used or the request is outside the window; [`Error::TooMany`] if too many are remembered.
    pub(crate) fn take(&self, principal: PrincipalId, nonce: [u8; 16], time: Timestamp, now: Timestamp) -> Result<()> {
        let (at, now) = (time.as_millis(), now.as_millis());
        if at.abs_diff(now) > WINDOW_MILLIS {
            return Err(Error::BadSession("the request is older or newer than five minutes"));
        }
        let mut everybodys = self.everybodys.lock().unwrap_or_else(PoisonError::into_inner);
        everybodys.sweep(now);
        let seen = everybodys.seen.entry(principal).or_default();
        seen.forget(now);
        if seen.set.contains(&nonce) {
            return Err(Error::BadSession("the request was answered before"));
        }
        if seen.set.len() >= self.most {
            return Err(Error::TooMany("more than 524,288 requests of one principal in ten minutes"));
        }
        seen.set.insert(nonce);
        // Time as told never goes back, so a request of this window is outside it at the latest then.
        seen.order.push_back((now + 2 * WINDOW_MILLIS, nonce));
        Ok(())
    }
}

impl Everybodys {
    /// Forgets principals of whom nothing is left, once in a window.
    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.swept) <= WINDOW_MILLIS {
            return;
        }
        self.swept = now;
        self.seen.retain(|_, seen| {
            seen.forget(now);
            !seen.set.is_empty()
        });
    }
}

impl Seen {
    /// Forgets what no request of the window can repeat.
    fn forget(&mut self, now: u64) {
        while let Some((kept_until, old)) = self.order.front().copied()
            && kept_until < now
        {
            self.order.pop_front();
            self.set.remove(&old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PrincipalId = PrincipalId::from_bytes([1; 16]);
    const BOB: PrincipalId = PrincipalId::from_bytes([2; 16]);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_nonce_counts_once_and_only_within_the_window() {
        let nonces = Nonces::default();
        let take = |nonce, time, now| nonces.take(ADA, [nonce; 16], at(time), at(now));
        assert!(take(1, 1_000_000, 1_000_000).is_ok());
        assert!(take(1, 1_000_000, 1_000_001).is_err());
        assert!(take(2, 1_000_000, 1_300_000).is_ok());
        assert!(take(3, 1_000_000, 1_300_001).is_err());
        assert!(take(4, 1_300_001, 1_000_000).is_err());
        // Still refused at the very end of the window.
        assert!(take(5, 1_600_000, 1_300_000).is_ok());
        assert!(take(5, 1_600_000, 1_900_000).is_err());
    }

    #[test]
    fn one_principal_uses_up_its_own_share_only() {
        let nonces = Nonces { most: 3, ..Nonces::default() };
        let take = |who, nonce, now| nonces.take(who, [nonce; 16], at(now), at(now));
        for nonce in 0..3 {
            assert!(take(ADA, nonce, 1_000_000).is_ok());
        }
        assert!(matches!(take(ADA, 3, 1_000_000), Err(Error::TooMany(_))));
        assert!(matches!(take(ADA, 0, 1_000_000), Err(Error::BadSession(_))), "a replay is told as one");
        for nonce in 0..3 {
            assert!(take(BOB, nonce, 1_000_000).is_ok(), "nobody else waits for it, nor are the nonces theirs");
        }
        // The window moves on; what was seen in it is remembered until then.
        assert!(matches!(take(ADA, 3, 1_000_000 + 2 * WINDOW_MILLIS), Err(Error::TooMany(_))));
        assert!(take(ADA, 3, 1_000_001 + 2 * WINDOW_MILLIS).is_ok());
    }

    #[test]
    fn nothing_is_kept_of_those_who_ask_no_more() {
        let nonces = Nonces::default();
        for who in 0..100 {
            assert!(nonces.take(PrincipalId::from_bytes([who; 16]), [7; 16], at(1_000_000), at(1_000_000)).is_ok());
        }
        let later = 1_000_001 + 2 * WINDOW_MILLIS;
        assert!(nonces.take(ADA, [8; 16], at(later), at(later)).is_ok());
        let kept = nonces.everybodys.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(kept.seen.keys().collect::<Vec<_>>(), [&ADA]);
    }
}
