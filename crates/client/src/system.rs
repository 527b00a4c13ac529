//! What the operating system says: its clocks, which this crate reads nowhere else, and its processes.

use api::terms::Timestamp;
use rustix::process::Pid;

/// Now, as the operating system believes.
#[expect(clippy::disallowed_methods, reason = "this file is the one place that reads the clock")]
pub fn now() -> Timestamp {
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

/// The process that started this one, or took it over.
pub(crate) fn parent(process: Pid) -> Option<Pid> {
    Pid::from_raw(stat(process, 1)?.parse().ok()?)
}

/// When a process was started, in ticks since the machine was; no later process of its number has the same.
pub(crate) fn born(process: Pid) -> Option<u64> {
    stat(process, 19)?.parse().ok()
}

/// A field of what the kernel says of a process, counted from its state on. Its name, which may hold anything, is in brackets before.
fn stat(process: Pid, field: usize) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(field).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, getppid};

    #[test]
    fn a_process_has_its_parent_and_its_birth() {
        assert_eq!(parent(getpid()), getppid());
        let (own, parents) = (born(getpid()).unwrap(), born(getppid().unwrap()).unwrap());
        assert!(0 < parents && parents <= own, "{parents} {own}");
        assert_eq!(born(Pid::from_raw(i32::MAX).unwrap()), None);
    }
}
