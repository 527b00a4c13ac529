//! Time as the keeper tells it: never behind what it has already told, and never far ahead of it unless somebody says so.
//!
//! The database holds a high-water mark under a MAC. A clock that is a little behind it (other processes, small corrections) is
//! lifted to it; one that is further behind is refused, because leases, windows and ends of grants would come back to life; one
//! that is far ahead is refused before it is written down, because the vault could not be used until that time comes. What a clock
//! shows in either case may be accepted by an act ([`accept`]).

mod accept;

pub(crate) use accept::accept;

use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::rows::Guard;
use crate::system::Clock;
use api::terms::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How far behind the high-water mark the clock may be.
pub(crate) const TOLERATED_BACK_MILLIS: u64 = 120_000;

/// How far ahead of it: a vault may rest for so long before its owner has to say that the clock is right.
pub(crate) const TOLERATED_AHEAD_MILLIS: u64 = 100 * 86_400_000;

/// How far time may pass the stored mark before the mark is written again.
const MARK_EVERY_MILLIS: u64 = 10_000;

/// How long before a date that counts the stored mark is looked at: another keeper may have passed it already.
const NEAR_MILLIS: u64 = 3_600_000;

/// The mark's table, and the id under which its MAC stands.
const TABLE: &str = "clock";
const MARK: &[u8] = b"high";

/// The clock of one opened vault.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    guard: Guard,
    high: AtomicU64,
    stored: AtomicU64,
    /// Times from which on something is refused: once passed, the mark is not left before them.
    dates: RwLock<Vec<Timestamp>>,
}

impl Watch {
    /// Over a clock, with the mark that the database holds; 0 in a new vault.
    pub(crate) fn new(clock: Arc<dyn Clock>, guard: Guard, mark: Timestamp) -> Self {
        let millis = mark.as_millis();
        Self { clock, guard, high: AtomicU64::new(millis), stored: AtomicU64::new(millis), dates: RwLock::default() }
    }

    /// Seconds since some time, by a clock that nobody sets.
    pub(crate) fn uptime_secs(&self) -> u64 {
        self.clock.uptime_secs()
    }

    /// Now.
    ///
    /// # Errors
    /// [`Error::ClockBack`], [`Error::ClockAhead`] if the clock is further from what was told than tolerated.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        let told = self.clock.now().as_millis();
        let before = self.high.load(Ordering::Acquire);
        let ahead = told.saturating_sub(before);
        if before > 0 && ahead > TOLERATED_AHEAD_MILLIS {
            return Err(Error::ClockAhead { by_days: ahead / 86_400_000 });
        }
        let high = self.high.fetch_max(told, Ordering::AcqRel).max(told);
        let behind = high - told;
        if behind > TOLERATED_BACK_MILLIS {
            return Err(Error::ClockBack { by_secs: behind / 1000 });
        }
        Ok(Timestamp::from_millis(high))
    }

    /// Now as far as it is known, for what must not wait until a clock is put right: never before what was told.
    pub(crate) fn reached(&self) -> Timestamp {
        self.now().unwrap_or_else(|_| Timestamp::from_millis(self.high.load(Ordering::Acquire)))
    }

    /// Takes it that something changes at these times.
    pub(crate) fn heed(&self, dates: &[Timestamp]) {
        *self.dates.write().unwrap_or_else(PoisonError::into_inner) = dates.to_vec();
    }

    /// Whether a time at which something changes lies after one and not after the other.
    fn is_passed(&self, before: u64, after: u64) -> bool {
        let dates = self.dates.read().unwrap_or_else(PoisonError::into_inner);
        dates.iter().any(|date| before < date.as_millis() && date.as_millis() <= after)
    }

    /// Whether something changes soon.
    pub(crate) fn is_near_date(&self) -> bool {
        let now = self.reached().as_millis();
        self.is_passed(now, now.saturating_add(NEAR_MILLIS))
    }

    /// Takes up the time that another keeper of the vault has written down: a date that has passed for one has passed for all.
    pub(crate) fn catch_up(&self, tx: &mut dyn Transaction) -> Result<()> {
        let mark = stored_mark(tx, &self.guard)?.as_millis();
        self.high.fetch_max(mark, Ordering::AcqRel);
        self.stored.fetch_max(mark, Ordering::AcqRel);
        Ok(())
    }

    /// Writes the mark if it has moved enough, or past a date that counts; call it in write transactions.
    pub(crate) fn mark(&self, tx: &mut dyn Transaction) -> Result<()> {
        let (high, stored) = (self.high.load(Ordering::Acquire), self.stored.load(Ordering::Acquire));
        if high < stored.saturating_add(MARK_EVERY_MILLIS) && !self.is_passed(stored, high) {
            return Ok(());
        }
        let (value, mac) = self.tagged(high);
        tx.query("UPDATE clock SET high = $1, mac = $2 WHERE id = 0 AND high < $1", &[value.into(), (&mac).into()])?;
        self.stored.fetch_max(high, Ordering::AcqRel);
        Ok(())
    }

    /// What the clock shows and what was told, unchecked.
    pub(crate) fn shown(&self) -> (Timestamp, Timestamp) {
        (self.clock.now(), Timestamp::from_millis(self.high.load(Ordering::Acquire)))
    }

    /// Writes a time as the mark, wherever the mark stood.
    pub(crate) fn rewrite(&self, tx: &mut dyn Transaction, time: Timestamp) -> Result<()> {
        let (value, mac) = self.tagged(time.as_millis());
        tx.query("UPDATE clock SET high = $1, mac = $2 WHERE id = 0", &[value.into(), (&mac).into()])?;
        Ok(())
    }

    /// Goes on from a time that was written by [`Self::rewrite`].
    pub(crate) fn go_on_from(&self, time: Timestamp) {
        self.high.store(time.as_millis(), Ordering::Release);
        self.stored.store(time.as_millis(), Ordering::Release);
    }

    fn tagged(&self, high: u64) -> (i64, Vec<u8>) {
        let value = i64::try_from(high).unwrap_or(i64::MAX);
        (value, self.guard.tag(TABLE, MARK, &value.to_be_bytes()))
    }
}

/// The stored mark.
///
/// # Errors
/// [`Error::Altered`] for one that the keeper did not write.
pub(crate) fn stored_mark(tx: &mut dyn Transaction, guard: &Guard) -> Result<Timestamp> {
    let row = tx.query("SELECT high, mac FROM clock WHERE id = 0", &[])?.one()?;
    let high = row.integer(0)?;
    guard.check(TABLE, MARK, &high.to_be_bytes(), row.bytes_or_null(1)?.unwrap_or_default())?;
    Ok(Timestamp::from_millis(u64::try_from(high).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug)]
    struct Told(Mutex<u64>);

    impl Clock for Told {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(*self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
        }
    }

    fn at(watch: &Watch, told: &Told, millis: u64) -> Result<u64> {
        *told.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = millis;
        watch.now().map(Timestamp::as_millis)
    }

    fn guard() -> Guard {
        Guard::new(&seal::secret::MacKey::generate().unwrap_or_else(|_| unreachable!("randomness")))
    }

    #[test]
    fn a_long_step_ahead_is_refused_and_leaves_no_mark() -> Result<()> {
        let told = Arc::new(Told(Mutex::new(0)));
        let watch = Watch::new(told.clone(), guard(), Timestamp::from_millis(1_000_000));
        let far = 1_000_000 + TOLERATED_AHEAD_MILLIS;
        let ahead = at(&watch, &told, far + 1);
        assert!(matches!(ahead, Err(Error::ClockAhead { by_days: 100 })), "{ahead:?}");
        assert_eq!(at(&watch, &told, 1_000_001)?, 1_000_001, "nothing was believed");
        assert_eq!(at(&watch, &told, far)?, far);
        Ok(())
    }

    #[test]
    fn small_steps_back_are_lifted_and_large_ones_refused() -> Result<()> {
        let told = Arc::new(Told(Mutex::new(0)));
        let watch = Watch::new(told.clone(), guard(), Timestamp::from_millis(1_000_000));
        assert_eq!(at(&watch, &told, 1_000_000 - TOLERATED_BACK_MILLIS)?, 1_000_000);
        assert_eq!(at(&watch, &told, 2_000_000)?, 2_000_000);
        assert_eq!(at(&watch, &told, 1_999_999)?, 2_000_000);
        let back = at(&watch, &told, 2_000_000 - TOLERATED_BACK_MILLIS - 1);
        assert!(matches!(back, Err(Error::ClockBack { by_secs: 120 })), "{back:?}");
        Ok(())
    }
}
