//! One deadline over a call and all its attempts.

use super::{Error, Result};
use std::time::{Duration, Instant};

/// How long a call may take and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    deadline: Duration,
    attempts: u32,
}

impl Default for Limits {
    /// 2 s, 5 attempts.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(2), attempts: 5 }
    }
}

impl Limits {
    /// Checks them: 50 ms to 60 s, 1 to 10 attempts.
    ///
    /// # Errors
    /// [`Error::Limits`].
    pub fn new(deadline: Duration, attempts: u32) -> Result<Self> {
        if !(Duration::from_millis(50)..=Duration::from_secs(60)).contains(&deadline) {
            return Err(Error::Limits("a deadline is between 50 ms and 60 s"));
        }
        if !(1..=10).contains(&attempts) {
            return Err(Error::Limits("there are 1 to 10 attempts"));
        }
        Ok(Self { deadline, attempts })
    }
}

/// Tries until it succeeds, fails for good, or a further attempt would not fit; then the last failure stands.
pub(super) fn repeat<T>(limits: Limits, mut attempt: impl FnMut(Instant) -> Result<T>) -> Result<T> {
    let end = Instant::now() + limits.deadline;
    let mut tried = 0;
    loop {
        let error = match attempt(end) {
            Err(error) if error.passes() => error,
            ended => return ended,
        };
        let pause = pause(tried)?;
        tried += 1;
        if tried >= limits.attempts || Instant::now() + pause >= end {
            return Err(error);
        }
        std::thread::sleep(pause);
    }
}

/// 50 ms, doubled each time up to 1 s, of which a random half is left out, so that many callers do not return at once.
fn pause(tried: u32) -> Result<Duration> {
    let most = FIRST_PAUSE_MILLIS.saturating_mul(1 << tried.min(10)).min(LONGEST_PAUSE_MILLIS);
    let random = u64::from(u16::from_le_bytes(crate::system::random()?));
    Ok(Duration::from_millis(most / 2 + most / 2 * random / u64::from(u16::MAX)))
}

const FIRST_PAUSE_MILLIS: u64 = 50;
const LONGEST_PAUSE_MILLIS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        for tried in 0..40 {
            let most = (50_u64 << tried.min(10)).min(1000);
            let seen: Vec<_> = (0..64).map(|_| u64::try_from(pause(tried).unwrap().as_millis()).unwrap()).collect();
            assert!(seen.iter().all(|millis| (most / 2..=most).contains(millis)), "{tried}: {seen:?}");
            assert!(seen.iter().any(|millis| *millis != seen[0]), "{tried}: {seen:?}");
        }
    }

    #[test]
    fn limits_out_of_bounds_are_refused() {
        assert!(Limits::new(Duration::from_millis(50), 1).is_ok());
        assert!(Limits::new(Duration::from_secs(60), 10).is_ok());
        for (millis, attempts) in [(49, 1), (60_001, 1), (2000, 0), (2000, 11), (0, 5)] {
            let refused = Limits::new(Duration::from_millis(millis), attempts);
            assert!(matches!(refused, Err(Error::Limits(_))), "{millis} {attempts}");
        }
    }
}
