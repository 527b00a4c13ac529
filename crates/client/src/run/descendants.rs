//! Everything below this process, where no namespace holds it: what a command started, and what forked away from that.

use crate::system;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// Rounds after which something that cannot be ended is left: each ends a whole generation.
const MAX_ROUNDS: u32 = 10_000;

/// Ends every child, and every child that comes to this process by that, until there is none.
pub(super) fn end_all() {
    for _ in 0..MAX_ROUNDS {
        for child in children() {
            let _ = kill_process(child, Signal::KILL);
        }
        match wait(WaitOptions::NOHANG) {
            Err(Errno::CHILD) => return,
            // They die at the kernel's pace.
            Ok(None) => std::thread::yield_now(),
            _ => {}
        }
    }
}

/// The processes whose parent this one is.
fn children() -> Vec<Pid> {
    let own = getpid();
    let Ok(listing) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).filter(|process| system::parent(*process) == Some(own)).collect()
}

/// Processes of this user whose environment holds these bytes: what a run that was killed may have left where no namespace held it.
pub(super) fn marked(mark: &[u8]) -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    let Ok(listing) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |number: &i32| {
        let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        *number != own && environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    };
    numbers.filter(is_marked).filter_map(Pid::from_raw).collect()
}
