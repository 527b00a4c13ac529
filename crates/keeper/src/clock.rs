//! Time as the keeper tells it: never behind what it has already told, and never trusted after a jump back.
//!
//! The database holds a high-water mark. A clock that is a little behind it (other processes, small corrections) is lifted to
//! it; one that is further behind is refused, because leases, windows and ends of grants would come back to life.

use crate::datastore::Transaction;
use crate::error::{Error, Result};
use crate::system::Clock;
use api::terms::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far behind the high-water mark the clock may be.
pub(crate) const TOLERATED_BACK_MILLIS: u64 = 120_000;

/// How far time may pass the stored mark before the mark is written again.
const MARK_EVERY_MILLIS: u64 = 10_000;

/// The clock of one opened vault.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    high: AtomicU64,
    stored: AtomicU64,
}

impl Watch {
    /// Over a clock, with the mark that the database holds.
    pub(crate) fn new(clock: Arc<dyn Clock>, mark: Timestamp) -> Self {
        let millis = mark.as_millis();
        Self { clock, high: AtomicU64::new(millis), stored: AtomicU64::new(millis) }
    }

    /// Now.
    ///
    /// # Errors
    /// [`Error::ClockBack`] if the clock is further behind than tolerated.
    pub(crate) fn now(&self) -> Result<Timestamp> {
        let told = self.clock.now().as_millis();
        let high = self.high.fetch_max(told, Ordering::AcqRel).max(told);
        let behind = high - told;
        if behind > TOLERATED_BACK_MILLIS {
            return Err(Error::ClockBack { by_secs: behind / 1000 });
        }
        Ok(Timestamp::from_millis(high))
    }

    /// Writes the mark if it has moved enough; call it in write transactions.
    pub(crate) fn mark(&self, tx: &mut dyn Transaction) -> Result<()> {
        let high = self.high.load(Ordering::Acquire);
        if high < self.stored.load(Ordering::Acquire).saturating_add(MARK_EVERY_MILLIS) {
            return Ok(());
        }
        let value = i64::try_from(high).unwrap_or(i64::MAX);
        tx.query("UPDATE clock SET high = $1 WHERE id = 0 AND high < $1", &[value.into()])?;
        self.stored.fetch_max(high, Ordering::AcqRel);
        Ok(())
    }
}

/// The stored mark.
pub(crate) fn stored_mark(tx: &mut dyn Transaction) -> Result<Timestamp> {
    let row = tx.query("SELECT high FROM clock WHERE id = 0", &[])?.one()?;
    Ok(Timestamp::from_millis(u64::try_from(row.integer(0)?).unwrap_or(0)))
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

    #[test]
    fn small_steps_back_are_lifted_and_large_ones_refused() -> Result<()> {
        let told = Arc::new(Told(Mutex::new(0)));
        let watch = Watch::new(told.clone(), Timestamp::from_millis(1_000_000));
        assert_eq!(at(&watch, &told, 1_000_000 - TOLERATED_BACK_MILLIS)?, 1_000_000);
        assert_eq!(at(&watch, &told, 2_000_000)?, 2_000_000);
        assert_eq!(at(&watch, &told, 1_999_999)?, 2_000_000);
        let back = at(&watch, &told, 2_000_000 - TOLERATED_BACK_MILLIS - 1);
        assert!(matches!(back, Err(Error::ClockBack { by_secs: 120 })), "{back:?}");
        Ok(())
    }
}
