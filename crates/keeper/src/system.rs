//! The only file that touches the operating system's clock and random generator, and hardens the process.

use crate::error::{Error, Result};
use api::terms::Timestamp;

/// Now, as the operating system believes.
#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds since the machine started, those that it slept included: nobody sets this clock.
fn uptime_secs() -> u64 {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(at.tv_sec).unwrap_or(0)
}

/// Uniform random bytes: ids, salts, nonces. Keys come from [`seal::secret`].
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    seal::entropy::array().map_err(|_| Error::Random)
}

/// A uniform random id, but for its first 48 bits: the time in milliseconds, as in a UUID of version 7 (RFC 9562, 5.7). Rows of such ids
/// are found in the order in which they lie in their table.
pub(crate) fn ordered_id() -> Result<[u8; 16]> {
    let mut id: [u8; 16] = random()?;
    id.iter_mut().zip(now().as_millis().to_be_bytes().iter().skip(2)).for_each(|(to, from)| *to = *from);
    Ok(id)
}

/// A source of time. Tests put their own in.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Seconds since some time, those that the machine slept included, by a clock that nobody sets.
    fn uptime_secs(&self) -> u64 {
        uptime_secs()
    }
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// Makes the process harder to look into: no core dumps, no attaching by other processes of the same account.
///
/// # Errors
/// A sentence for a warning; the caller decides whether to go on.
pub fn harden_process() -> std::result::Result<(), &'static str> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|_| "core dumps could not be turned off")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|_| "the process could not be made undumpable")
}
