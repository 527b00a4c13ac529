//! How long a vault stays unlocked, by two clocks.

use api::terms::Timestamp;
use std::time::Duration;

/// The shortest time to unlock for.
pub const MIN_SECS: u64 = 60;
/// The longest.
pub const MAX_SECS: u64 = 7 * 86_400;
/// How far the wall clock may fall behind the other before that is no correction any more.
const TOLERATED_BACK_MILLIS: u64 = 120_000;

/// A moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// As people tell it; it can be set.
    pub wall: Timestamp,
    /// Since the machine started, suspension included; nobody sets it.
    pub boot: Duration,
}

/// The two clocks. Tests put their own in.
pub trait Clocks: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Moment;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClocks;

impl Clocks for SystemClocks {
    fn now(&self) -> Moment {
        Moment { wall: crate::system::now(), boot: crate::system::since_boot() }
    }
}

/// A time to be unlocked, from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    from: Moment,
    secs: u64,
}

/// Why a vault is not unlocked any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Somebody locked it.
    Asked,
    /// The time is over.
    Time,
    /// The wall clock was set back: it may be to keep the vault open.
    ClockBack,
    /// The vault's folder is not the one that was opened.
    Folder,
    /// The vault is read-only; a new opening may find it mended.
    ReadOnly,
    /// The process was told to end.
    Signal,
}

impl Over {
    /// In the log.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Time => "time over",
            Self::ClockBack => "clock went back",
            Self::Folder => "folder replaced",
            Self::ReadOnly => "read-only",
            Self::Signal => "told to end",
        }
    }

    /// To whoever asks for something.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Asked => "it was locked",
            Self::Time => "the time for which it was unlocked is over",
            Self::ClockBack => "the machine's clock went back, so it was locked",
            Self::Folder => "the vault's folder or its roots were changed, so it was locked",
            Self::ReadOnly => "it became read-only, so it was locked",
            Self::Signal => "its agent was told to end",
        }
    }
}

impl Lease {
    /// So long from a moment on; none if that is shorter or longer than may be.
    pub fn new(from: Moment, secs: u64) -> Option<Self> {
        (MIN_SECS..=MAX_SECS).contains(&secs).then_some(Self { from, secs })
    }

    /// For how long, in seconds.
    pub const fn secs(&self) -> u64 {
        self.secs
    }

    /// When it began.
    pub const fn since(&self) -> Timestamp {
        self.from.wall
    }

    /// When it ends by the wall clock.
    pub fn until(&self) -> Timestamp {
        self.from.wall.plus_millis(self.secs * 1000)
    }

    /// Why it is over, if it is: by either clock.
    pub(super) fn over(&self, now: Moment) -> Option<Over> {
        let Some(passed) = now.boot.checked_sub(self.from.boot) else { return Some(Over::ClockBack) };
        if passed.as_secs() >= self.secs || now.wall >= self.until() {
            return Some(Over::Time);
        }
        let expected = self.from.wall.plus_millis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        let back = expected.as_millis().saturating_sub(now.wall.as_millis());
        (back > TOLERATED_BACK_MILLIS).then_some(Over::ClockBack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_secs: u64, boot_secs: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall_secs * 1000), boot: Duration::from_secs(boot_secs) }
    }

    #[test]
    fn a_lease_is_between_a_minute_and_a_week() {
        for (secs, good) in [(0, false), (59, false), (60, true), (604_800, true), (604_801, false), (u64::MAX, false)]
        {
            assert_eq!(Lease::new(at(0, 0), secs).is_some(), good, "{secs}");
        }
    }

    #[test]
    fn a_lease_is_over_by_whichever_clock_comes_first() {
        let lease = Lease::new(at(1_000_000, 500), 3600).unwrap();
        let over = |wall, boot| lease.over(at(wall, boot));
        assert_eq!((over(1_000_000, 500), over(1_003_599, 4099)), (None, None));
        // Both; a laptop that slept and whose wall clock was not set yet; a wall clock that jumped.
        assert_eq!((over(1_003_600, 4100), over(1_003_590, 4100)), (Some(Over::Time), Some(Over::Time)));
        assert_eq!(over(1_003_600, 600), Some(Over::Time));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_ends_it() {
        let lease = Lease::new(at(1_000_000, 500), 3600).unwrap();
        let over = |wall, boot| lease.over(at(wall, boot));
        // A correction does not; more than two minutes less than passed does, also where it is still after the beginning.
        assert_eq!((over(999_880, 500), over(1_000_880, 1500)), (None, None));
        assert_eq!((over(999_879, 500), over(1_000_879, 1500)), (Some(Over::ClockBack), Some(Over::ClockBack)));
        assert_eq!(over(1_000_000, 499), Some(Over::ClockBack), "another start of the machine");
    }
}
