//! The only file of this crate that reads the operating system's clock.

use api::terms::Timestamp;

/// Now, as the operating system believes.
#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The moment this many seconds ago.
#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the clock")]
pub(crate) fn before(secs: u64) -> std::time::SystemTime {
    let now = std::time::SystemTime::now();
    now.checked_sub(std::time::Duration::from_secs(secs)).unwrap_or(std::time::UNIX_EPOCH)
}

/// How long ago the machine started, suspension included.
pub(crate) fn since_boot() -> std::time::Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let secs = u64::try_from(at.tv_sec).unwrap_or(0);
    std::time::Duration::new(secs, u32::try_from(at.tv_nsec).unwrap_or(0))
}
